package protocol_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

func TestRunnerURL(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ base, want string }{
		"a plain address":            {"http://localhost:1337/admin", "ws://localhost:1337/admin/transfer/runner/push"},
		"TLS":                        {"https://cms.example.org/admin", "wss://cms.example.org/admin/transfer/runner/push"},
		"a slash at the end":         {"https://h/admin/", "wss://h/admin/transfer/runner/push"},
		"two slashes, one dropped":   {"https://h/sub/admin//", "wss://h/sub/admin//transfer/runner/push"},
		"no path":                    {"https://h", "wss://h/transfer/runner/push"},
		"query and fragment":         {"https://h/admin?x=1#f", "wss://h/admin/transfer/runner/push"},
		"user and password":          {"https://user:pass@h:8/admin", "wss://h:8/admin/transfer/runner/push"},
		"escapes in the path":        {"https://h/a%2Fb%20c/admin", "wss://h/a%2Fb%20c/admin/transfer/runner/push"},
		"IPv6":                       {"http://[::1]:1337/admin", "ws://[::1]:1337/admin/transfer/runner/push"},
		"capitals in the scheme":     {"HTTPS://h/admin", "wss://h/admin/transfer/runner/push"},
		"white space from a console": {" https://h/admin\n", "wss://h/admin/transfer/runner/push"},
	}
	for name, test := range tests {
		got, err := protocol.RunnerURL(test.base, protocol.Push)
		require.NoError(t, err, name)
		require.Equal(t, test.want, got, name)
	}
	got, err := protocol.RunnerURL("https://h/admin", protocol.Pull)
	require.NoError(t, err)
	require.Equal(t, "wss://h/admin/transfer/runner/pull", got)
}

func TestRunnerURLsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, base := range []string{
		"", "h/admin", "localhost:1337/admin", "ftp://u:secret@h/admin", "ws://h/admin", "https://", "https:///admin", "https://:80/admin",
		"http://u:secret@h:port/admin", "http://u:secret@[::1/admin", "https://h/%zz?token=secret", "https://u:sec\x7fret@h",
	} {
		_, err := protocol.RunnerURL(base, protocol.Push)
		require.ErrorIs(t, err, protocol.ErrInvalidURL, base)
		require.NotContains(t, err.Error(), "secret")
		require.NotContains(t, protocol.RedactURL(base), "secret")
	}
	_, err := protocol.RunnerURL("ftp://h", protocol.Push)
	require.ErrorContains(t, err, `Invalid protocol "ftp:"`)
}

func TestAdminPath(t *testing.T) {
	t.Parallel()
	require.True(t, protocol.HasAdminPath("https://h/cms/admin/"))
	require.False(t, protocol.HasAdminPath("https://h/"))
	for base, want := range map[string]string{
		"https://u:p@h?x": "https://h/admin", "https://h/": "https://h/admin", "https://h/cms": "https://h/cms/admin",
		"https://h/admin/": "https://h/admin",
	} {
		got, err := protocol.WithAdminPath(base)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.Equal(t, "https://h:1/admin", protocol.RedactURL("https://u:secret@h:1/admin?token=secret#secret"))
}

func TestHandshakeErrors(t *testing.T) {
	t.Parallel()
	causes := []error{
		protocol.ErrUnauthorized, protocol.ErrForbidden, protocol.ErrNotEnabled, protocol.ErrRedirect, protocol.ErrNotUpgraded,
		protocol.ErrBadRequest, protocol.ErrServer, protocol.ErrGateway,
	}
	tests := map[int]error{
		200: protocol.ErrNotUpgraded, 204: protocol.ErrNotUpgraded, 301: protocol.ErrRedirect, 308: protocol.ErrRedirect,
		400: protocol.ErrBadRequest, 401: protocol.ErrUnauthorized, 403: protocol.ErrForbidden, 404: protocol.ErrNotEnabled,
		405: protocol.ErrBadRequest, 426: protocol.ErrBadRequest, 500: protocol.ErrServer, 501: protocol.ErrServer,
		502: protocol.ErrGateway, 503: protocol.ErrGateway, 504: protocol.ErrGateway, 599: protocol.ErrServer,
	}
	for status, want := range tests {
		err := protocol.NewHandshakeError(status, http.Header{}, []byte("<html>"))
		for _, cause := range causes {
			if errors.Is(want, cause) {
				require.ErrorIs(t, err, cause, status)
			} else {
				require.NotErrorIs(t, err, cause, status)
			}
		}
		require.ErrorContains(t, err, want.Error())
		require.False(t, err.FromStrapi())
	}
	require.NotErrorIs(t, protocol.NewHandshakeError(403, nil, []byte(`{"error":{"message":"Token expired"}}`)), protocol.ErrTokenExpired)
}

func TestHandshakeErrorsHoldNoSecretsAndNoControls(t *testing.T) {
	t.Parallel()
	token := strings.Repeat("0123456789abcdef", 16)
	body := "<html>\x1b[31m\r\nAuthorization: Bearer short-secret\n" + token + " x=" + token + "; café \x00" + strings.Repeat("long text ", 1000)
	header := http.Header{
		"Server": {"nginx\r\n/1.0"}, "Location": {"https://u:hidden@elsewhere/login?token=hidden#hidden"},
	}
	err := protocol.NewHandshakeError(302, header, []byte(body))
	for _, text := range []string{err.Error(), err.Text, err.Location, err.Server} {
		for _, secret := range []string{"short-secret", token, "hidden", "\x1b", "\n", "\x00"} {
			require.NotContains(t, text, secret)
		}
		require.Less(t, len(text), 400)
	}
	require.Contains(t, err.Text, "café")
	require.Contains(t, err.Text, "[redacted]")
	require.Contains(t, err.Error(), "https://elsewhere/login")

	err = protocol.NewHandshakeError(500, nil, []byte(`{"error":{"name":"InternalServerError","message":"with `+token+`"}}`))
	require.NotContains(t, err.Error(), token)
	require.True(t, err.FromStrapi())
}
