package protocol_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

func TestASealTellsEveryChangedBit(t *testing.T) {
	t.Parallel()
	message := []byte(`{"uuid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8","type":"transfer","kind":"step","step":"entities","data":[{"a":"é"}]}`)
	before := bytes.Clone(message)
	sealed := protocol.AppendSealed([]byte("kept"), message)[4:]
	require.Equal(t, before, message)
	require.Len(t, sealed, len(message)+protocol.SealBytes)
	ok, err := protocol.CheckSeal(sealed)
	require.NoError(t, err)
	require.True(t, ok)
	request, err := protocol.ParseRequest(sealed)
	require.NoError(t, err, "who does not know seals overlooks them")
	require.JSONEq(t, `[{"a":"é"}]`, string(request.Data))
	for bit := range 8 * len(sealed) {
		changed := bytes.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		ok, err := protocol.CheckSeal(changed)
		require.True(t, !ok || err != nil, "bit %d", bit)
	}
}

func TestWhatHasNoSeal(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		``, `{}`, `{"crc":"00000000"}`, `,"crc":"00000000"}`, `{"a":1}`, `{"a":1,"crc":"0000000"}`, `{"a":{"b":1,"crc":"00000000"}}`, `{"a":1,"crc":"00000000" }`,
	} {
		sealed, err := protocol.CheckSeal([]byte(text))
		require.NoError(t, err, text)
		require.False(t, sealed, text)
	}
	sealed, err := protocol.CheckSeal([]byte(`{"a":1,"crc":"00000000"}`))
	require.ErrorIs(t, err, protocol.ErrMalformed)
	require.ErrorIs(t, err, protocol.ErrChanged)
	require.True(t, sealed)
}
