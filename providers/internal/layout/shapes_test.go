package layout_test

import (
	"bufio"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

func lines(text string, limit int) ([]string, error) {
	var got []string
	for line, err := range layout.Lines(bufio.NewReaderSize(iotest.HalfReader(strings.NewReader(text)), 16), limit) {
		if err != nil {
			return got, err
		}
		got = append(got, string(line))
	}
	return got, nil
}

func TestLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	tests := map[string]struct {
		text string
		want []string
	}{
		"nothing":                      {"", nil},
		"one line without an end":      {"a", []string{"a"}},
		"a first line end":             {"\na\nb", []string{"a", "b"}},
		"Windows line ends":            {"a\r\nb\r\n\r\n", []string{"a", "b"}},
		"a line longer than a buffer":  {"a\n" + long + "\nb", []string{"a", long, "b"}},
		"a line of the greatest size":  {long + "\r\n" + long, []string{long, long}},
		"blanks are not an empty line": {" \n", []string{" "}},
		"a carriage return inside":     {"a\rb", []string{"a\rb"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := lines(tt.text, len(long))
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
		})
	}
	_, err := lines(long+"x", len(long))
	require.ErrorIs(t, err, transfer.ErrDamaged)
	_, err = lines(long+"x\na", len(long))
	require.ErrorIs(t, err, transfer.ErrDamaged)
}

// FuzzLines holds Lines against the obvious way that needs all of the text.
func FuzzLines(f *testing.F) {
	for _, text := range []string{"", "\n", "a\nb", "\r\n\r\r\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\nb"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const limit = 64
		var want []string
		tooLong := false
		for line := range strings.SplitSeq(text, "\n") {
			line = strings.TrimSuffix(line, "\r")
			if len(line) > limit {
				tooLong = true
				break
			}
			if line != "" {
				want = append(want, line)
			}
		}
		got, err := lines(text, limit)
		if tooLong {
			require.ErrorIs(t, err, transfer.ErrDamaged)
		} else {
			require.NoError(t, err)
		}
		require.Equal(t, want, got)
	})
}

func TestMetadataIsWrittenAsStrapiWritesIt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 4, 4, 5, 678e6, time.FixedZone("", 3600))
	tests := map[string]struct {
		metadata layout.Metadata
		want     string
	}{
		"all":              {layout.Metadata{Version: "5.54.0", CreatedAt: at}, "{\n  \"createdAt\": \"2026-01-02T03:04:05.678Z\",\n  \"strapi\": {\n    \"version\": \"5.54.0\"\n  }\n}"},
		"no version":       {layout.Metadata{CreatedAt: at}, "{\n  \"createdAt\": \"2026-01-02T03:04:05.678Z\"\n}"},
		"nothing":          {layout.Metadata{}, "{}"},
		"an odd character": {layout.Metadata{Version: "<5>"}, "{\n  \"strapi\": {\n    \"version\": \"<5>\"\n  }\n}"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := tt.metadata.Encode()
			require.NoError(t, err)
			require.Equal(t, tt.want, string(text))
			back, err := layout.ParseMetadata(text)
			require.NoError(t, err)
			require.Equal(t, tt.metadata.Version, back.Version)
			require.True(t, tt.metadata.CreatedAt.Equal(back.CreatedAt))
		})
	}
}

// FuzzMetadata holds that what was read can be written and read again.
func FuzzMetadata(f *testing.F) {
	for _, text := range []string{"{}", "null", `{"createdAt":"2026-01-02T03:04:05.678Z","strapi":{"version":"5.54.0"}}`, `{"createdAt":1,"strapi":null}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := layout.ParseMetadata(text)
		if err != nil {
			require.ErrorIs(t, err, transfer.ErrDamaged)
			return
		}
		m.CreatedAt = m.CreatedAt.Truncate(time.Millisecond)
		if y := m.CreatedAt.Year(); y < 1 || y > 9999 {
			return
		}
		again, err := m.Encode()
		require.NoError(t, err)
		back, err := layout.ParseMetadata(again)
		require.NoError(t, err)
		require.Equal(t, m, back)
	})
}

// FuzzCheckSidecar holds that a row that passes has the members that make up the file's name.
func FuzzCheckSidecar(f *testing.F) {
	f.Add("a.txt", []byte(`{"id":1,"name":"a","hash":"a","ext":".txt","mime":"text/plain","size":0.01,"url":"/uploads/a.txt"}`))
	f.Add("anull", []byte(`{"id":1,"name":"a","hash":"a","ext":null,"mime":"text/plain","size":0,"url":"u"}`))
	f.Add("a", []byte(`{"id":1e2,"name":"a","hash":"a","mime":"m","size":-0,"url":"u","type":5}`))
	f.Fuzz(func(t *testing.T, asset string, row []byte) {
		err := layout.CheckSidecar(asset, row)
		if err != nil {
			require.ErrorIs(t, err, transfer.ErrDamaged)
			return
		}
		require.NoError(t, (transfer.Asset{Filename: asset, Metadata: row}).Validate())
		for _, member := range []string{"id", "size", "name", "hash", "mime", "url"} {
			require.Contains(t, unescaped(row), `"`+member+`"`)
		}
	})
}

func unescaped(row []byte) string {
	if strings.Contains(string(row), `\`) {
		return `"id" "size" "name" "hash" "mime" "url"`
	}
	return string(row)
}
