package vault_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
)

// A reference that is accepted can be written and read again, and is safe as a part of a file name.
func FuzzParseReference(f *testing.F) {
	for _, seed := range []string{"site", "site@latest", "my-site_1.x@20261121-0930", "@", "a@", "a/b", "..", ".a", "ä", "a@b@c", strings.Repeat("a", 65)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := vault.ParseReference(text)
		if err != nil {
			require.ErrorIs(t, err, transfer.ErrUsage)
			return
		}
		require.Equal(t, text, r.String())
		require.NotEmpty(t, r.Site)
		require.NotContains(t, text, "/")
		require.NotContains(t, text, `\`)
		require.NotContains(t, text, "\x00")
		require.False(t, strings.HasPrefix(text, "."))
		require.LessOrEqual(t, len(r.Site), 64)
	})
}

// What is unpacked is exactly what was said: so many bytes in so many lines. And what was packed is unpacked again.
func FuzzUnpack(f *testing.F) {
	for _, seed := range []string{"{}\n", "{\"a\":1}\n{\"b\":2}\n", strings.Repeat("x", 70_000) + "\n"} {
		data, err := vault.Pack([]byte(seed))
		require.NoError(f, err)
		f.Add(data, int64(len(seed)), int64(strings.Count(seed, "\n")))
		f.Add(data[:len(data)/2], int64(len(seed)), int64(1))
		f.Add([]byte(seed), int64(len(seed)), int64(1))
	}
	// A frame that promises a gigabyte.
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x40, 1, 0, 0}, int64(1<<30), int64(1))
	f.Fuzz(func(t *testing.T, data []byte, length, records int64) {
		lines, err := vault.Unpack(data, length, records)
		if err != nil {
			require.ErrorIs(t, err, transfer.ErrDamaged)
		} else {
			require.Len(t, lines, int(length))
			require.EqualValues(t, records, bytes.Count(lines, []byte{'\n'}))
		}
		if len(data) == 0 {
			return
		}
		text := append(bytes.Clone(data), '\n')
		packed, err := vault.Pack(text)
		require.NoError(t, err)
		again, err := vault.Unpack(packed, int64(len(text)), int64(bytes.Count(text, []byte{'\n'})))
		require.NoError(t, err)
		require.Equal(t, text, again)
	})
}

// A line that is accepted names a file that is safe, and is written again so that it reads as the same.
func FuzzAssetLine(f *testing.F) {
	sum := strings.Repeat("ab", 32)
	f.Add([]byte(`{"name":"a_1.png","path":"/uploads/a_1.png","length":12,"sha256":"` + sum + `","metadata":{"id":1,"x":"\ud83d<>"}}`))
	f.Add([]byte(`{"name":"../x","path":"","length":0,"sha256":"` + sum + `","metadata":{}}`))
	f.Add([]byte(`{"name":"a","length":-1,"sha256":"` + sum + `","metadata":{}}`))
	f.Add([]byte(`{"name":"a","sha256":"` + strings.ToUpper(sum) + `","metadata":[]}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		out, err := vault.AssetLine(line)
		if err != nil {
			require.ErrorIs(t, err, transfer.ErrDamaged)
			return
		}
		again, err := vault.AssetLine(out)
		require.NoError(t, err)
		require.Equal(t, string(out), string(again))
		require.NotContains(t, string(out), `"name":"../`)
	})
}
