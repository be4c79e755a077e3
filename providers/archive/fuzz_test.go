package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// FuzzOpen reads any bytes as a tar. What passes the check can be read to its end, holds as many records as were counted, and is
// the same after it was written anew.
func FuzzOpen(f *testing.F) {
	for _, name := range []string{"sample.tar", "sample-split.tar", "sample.tar.gz"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(f, err)
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		holdsOrIsRefused(t, text)
	})
}

// FuzzEntry puts any two files among those of a whole export, for what a change in packed bytes hardly ever reaches.
func FuzzEntry(f *testing.F) {
	f.Add("assets/metadata/a.txt.json", []byte(`{"id":1,"name":"a","hash":"a","ext":".txt","mime":"m","size":1,"url":"u"}`), byte('0'), "assets/uploads/a.txt", []byte("x"))
	f.Add("entities/e", []byte(`{"type":"a","id":1,"data":{}}`), byte('0'), "entities\\f", []byte("\r\n"))
	f.Add("./links/", []byte(nil), byte('5'), "../x", []byte(nil))
	f.Add("transfer-manifest.jsonl", []byte("{}"), byte('0'), "configuration/c", []byte(`{"type":"core-store"}`))
	f.Fuzz(func(t *testing.T, first string, body []byte, kind byte, second string, other []byte) {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for _, e := range []struct {
			name string
			body []byte
			kind byte
		}{{first, body, kind}, {second, other, tar.TypeReg}, {"schemas/s", []byte(`{"uid":"a"}`), tar.TypeReg}, {"metadata.json", []byte("{}"), tar.TypeReg}} {
			if w.WriteHeader(&tar.Header{Name: e.name, Size: int64(len(e.body)), Typeflag: e.kind}) != nil {
				return
			}
			if _, err := w.Write(e.body); err != nil {
				return
			}
		}
		require.NoError(t, w.Close())
		holdsOrIsRefused(t, out.Bytes())
	})
}

func holdsOrIsRefused(t *testing.T, text []byte) {
	t.Helper()
	src := &Source{path: "fuzz.tar", opts: Options{MaxSize: 16 << 20}, file: bytes.NewReader(text), closer: io.NopCloser(nil), size: int64(len(text))}
	src.sniff()
	if err := src.Check(t.Context()); err != nil {
		require.True(t, known(err), "%v", err)
		return
	}
	lines := readLines(t, src)
	var total int64
	for _, stage := range transfer.Stages() {
		count, err := src.Count(t.Context(), stage)
		require.NoError(t, err)
		total += count.Records
	}
	require.Equal(t, total, int64(len(lines)-1))
	require.Equal(t, lines, rewritten(t, src))
	require.NoError(t, src.Close())
}

// known reports whether an error says what kind it is.
func known(err error) bool {
	for _, kind := range []error{transfer.ErrDamaged, transfer.ErrIncompatible, transfer.ErrUsage} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// rewritten writes what src holds into another archive and returns its lines.
func rewritten(t *testing.T, src *Source) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "again.tar")
	dst, err := Create(path, Options{})
	require.NoError(t, err)
	described, err := src.Describe(t.Context())
	require.NoError(t, err)
	site := transfertest.ReadSite(t, src)
	site.Version, site.CreatedAt = described.Version, described.CreatedAt
	writeSite(t, dst, site)
	again, err := Open(path, Options{})
	require.NoError(t, err)
	defer again.Close()
	lines := readLines(t, again)
	if described.CreatedAt.IsZero() {
		lines[len(lines)-1] = readLines(t, src)[len(lines)-1]
	}
	return lines
}
