package archive

import (
	"bytes"
	"encoding/hex"
	"io"
	"os"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/scrypt"
)

// The vectors were computed with Node.
func TestStockKeys(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"test":      "a7af3411ca083c545d0760f8307f61e9",
		"pass wörd": "6bc8043abad76b291fe05639a95598a0",
	}
	for key, want := range tests {
		derived, err := scrypt.Key([]byte(key), nil, stockCost, stockBlock, stockParallel, stockKeySize)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(derived))
	}
}

func TestTheStockCipherIsThatOfStrapi(t *testing.T) {
	t.Parallel()
	block, err := stockCipher("test")
	require.NoError(t, err)
	for _, name := range []string{"sample.tar.enc", "sample.tar.gz.enc"} {
		secret, err := os.ReadFile("testdata/" + name)
		require.NoError(t, err)
		plain, err := io.ReadAll(newECBReader(iotest.OneByteReader(bytes.NewReader(secret)), block))
		require.NoError(t, err)
		require.Less(t, len(plain), len(secret))
		var again bytes.Buffer
		w := newECBWriter(&again, block)
		_, err = w.Write(plain)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.True(t, bytes.Equal(secret, again.Bytes()))
	}
}

func FuzzECBRoundTrip(f *testing.F) {
	block, err := stockCipher("test")
	require.NoError(f, err)
	for _, n := range []int{0, 1, 15, 16, 17, ecbChunk - 1, ecbChunk, ecbChunk + 1, ecbChunk + 16, 2*ecbChunk + 5} {
		f.Add(bytes.Repeat([]byte{7}, n), uint16(n))
	}
	f.Fuzz(func(t *testing.T, text []byte, piece uint16) {
		var out bytes.Buffer
		w := newECBWriter(&out, block)
		for rest := text; len(rest) > 0; {
			n := min(len(rest), int(piece)+1)
			_, err := w.Write(rest[:n])
			require.NoError(t, err)
			rest = rest[n:]
		}
		require.NoError(t, w.Close())
		require.Equal(t, len(text)/16*16+16, out.Len())
		got, err := io.ReadAll(newECBReader(iotest.HalfReader(bytes.NewReader(out.Bytes())), block))
		require.NoError(t, err)
		require.True(t, bytes.Equal(text, got))

		// Any other text is refused, or decrypts to something that encrypts to it again.
		plain, err := io.ReadAll(newECBReader(bytes.NewReader(text), block))
		if err != nil {
			return
		}
		var again bytes.Buffer
		w = newECBWriter(&again, block)
		_, err = w.Write(plain)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		require.True(t, bytes.Equal(text, again.Bytes()))
	})
}
