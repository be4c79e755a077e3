package providers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers"
)

const keySecret = "secret"

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	a := providers.Access{Token: "tok-geheim", Key: "key-geheim"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("open", slog.Any(keySecret, a.Token), slog.Any(keySecret, a))
	text, err := json.Marshal(map[string]any{"token": a.Token})
	require.NoError(t, err)
	for _, shown := range []string{fmt.Sprint(a), fmt.Sprintf("%+v %#v %s %q", a, a, a.Token, a.Key), log.String(), string(text)} {
		require.NotContains(t, shown, "geheim")
	}
	require.Equal(t, "tok-geheim", a.Token.Reveal())
	require.Empty(t, providers.Secret("").String())
}
