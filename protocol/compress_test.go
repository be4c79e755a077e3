package protocol_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

func TestCompressedDataComesBackAsItWas(t *testing.T) {
	t.Parallel()
	var c protocol.Compressor
	defer c.Close()
	for name, data := range map[string]string{
		"a list":          "[" + strings.Repeat(`{"type":"api::a.a","id":1,"data":{"t":"ü\ud83d"}},`, 100) + "1]",
		"a short list":    `[1,2,3]`,
		"an empty list":   `[]`,
		"null":            `null`,
		"nothing shorter": "[" + strings.Repeat("0", 255) + "]",
	} {
		packed, err := c.Append([]byte("x"), json.RawMessage(data))
		require.NoError(t, err, name)
		require.Equal(t, byte('x'), packed[0])
		require.True(t, json.Valid(packed[1:]), name)
		require.LessOrEqual(t, len(packed)-1, len(data), name)
		got, err := c.Expand(packed[1:])
		require.NoError(t, err, name)
		require.Equal(t, data, string(got), name)
	}
}

func FuzzExpand(f *testing.F) {
	var c protocol.Compressor
	good, err := c.Append(nil, json.RawMessage("["+strings.Repeat(`"abc",`, 100)+"1]"))
	require.NoError(f, err)
	c.Close()
	f.Add(string(good))
	f.Add(`[1]`)
	f.Add(`"AAAA"`)
	f.Fuzz(func(t *testing.T, data string) {
		var c protocol.Compressor
		defer c.Close()
		got, err := c.Expand(json.RawMessage(data))
		if err != nil {
			require.ErrorIs(t, err, protocol.ErrInvalidCompression)
			return
		}
		require.LessOrEqual(t, len(got), protocol.MaxMessage)
		if !strings.HasPrefix(strings.TrimSpace(data), `"`) {
			require.Equal(t, data, string(got), "what is not compressed is not touched")
		}
	})
}
