package token_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol/token"
)

func TestHashAccessKey(t *testing.T) {
	t.Parallel()
	// As Node has it: createHmac('sha512', 'tobemodified').update('abcdef0123456789').digest('hex').
	want := "2c6feccc7c1ab122b9bf94b16fa561df3af6d692e0da7c3b3490fabc6f717e8e702db9d5c0948388d83242063b01132c0fff2cf9fae7202e3c0f11a4c15475e3"
	require.Equal(t, want, token.HashAccessKey("tobemodified", "abcdef0123456789"))
	require.True(t, token.SameHash(want, token.HashAccessKey("tobemodified", "abcdef0123456789")))
	require.False(t, token.SameHash(want, token.HashAccessKey("tobemodified", "abcdef012345678")))
	for _, pair := range [][2]string{{"", "abc"}, {"salt", ""}, {"salt", strings.Repeat("x", 5000)}} {
		require.Empty(t, token.HashAccessKey(pair[0], pair[1]))
	}
	require.False(t, token.SameHash("", ""))
}
