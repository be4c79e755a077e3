package dispatcher_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
)

const testToken = "1f3870be274f6c49b3e31a0c6728957f" // of the tests only

func bearer() http.Header { return http.Header{"Authorization": {"Bearer " + testToken}} }

func TestDialSaysWhatTheReferenceSays(t *testing.T) {
	t.Parallel()
	asked := make(chan *http.Request, 1)
	address := serveRaw(t, func(conn net.Conn, r *http.Request) {
		asked <- r
		_ = accept(conn, r)
		_, _ = io.Copy(io.Discard, conn)
	})
	dial(t, address+"/admin/transfer/runner/push", dispatcher.DialOptions{Header: bearer()})
	r := <-asked
	require.Equal(t, "/admin/transfer/runner/push", r.URL.Path)
	require.Equal(t, "Bearer "+testToken, r.Header.Get("Authorization"))
	for _, absent := range []string{"Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Origin", "Cookie"} {
		require.Empty(t, r.Header.Values(absent), absent)
	}
}

func TestHTTPAnswers(t *testing.T) {
	t.Parallel()
	strapi := func(status int, name, message string) string {
		return fmt.Sprintf(`{"data":null,"error":{"status":%d,"name":%q,"message":%q,"details":{}}}`, status, name, message)
	}
	tests := map[string]struct {
		status  int
		headers map[string]string
		body    string
		want    error
	}{
		"no token": {status: 401, body: strapi(401, "UnauthorizedError", "Missing or invalid credentials"), want: protocol.ErrUnauthorized},
		"expired":  {status: 401, body: strapi(401, "UnauthorizedError", "Token expired"), want: protocol.ErrTokenExpired},
		"scope":    {status: 403, body: strapi(403, "ForbiddenError", "Forbidden"), want: protocol.ErrForbidden},
		"disabled": {status: 404, body: strapi(404, "NotFoundError", "Not Found"), want: protocol.ErrNotEnabled},
		"redirect": {
			status: 301, headers: map[string]string{"Location": "https://elsewhere.example/?token=" + testToken}, want: protocol.ErrRedirect,
		},
		"page":    {status: 200, body: "<!doctype html><title>Welcome</title>", want: protocol.ErrNotUpgraded},
		"server":  {status: 500, body: strapi(500, "InternalServerError", "Internal Server Error"), want: protocol.ErrServer},
		"gateway": {status: 502, body: "<html>bad gateway</html>", want: protocol.ErrGateway},
		"a body without end": {
			status: 404, headers: map[string]string{"Content-Length": "99999999"}, body: strings.Repeat("x", 70<<10), want: protocol.ErrNotEnabled,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			followed := make(chan struct{}, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/" {
					followed <- struct{}{}
				}
				for name, value := range test.headers {
					w.Header().Set(name, value)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			}))
			t.Cleanup(server.Close)
			_, err := dispatcher.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/", dispatcher.DialOptions{Header: bearer()})
			var refused *protocol.HandshakeError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, test.status, refused.Status)
			require.ErrorIs(t, err, test.want)
			require.NotContains(t, err.Error(), testToken)
			require.Empty(t, followed)
		})
	}
}

func TestDialErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		address string
		serve   func(net.Conn, *http.Request)
		opts    dispatcher.DialOptions
		want    error
		text    string
	}{
		"nobody listens": {
			address: "ws://127.0.0.1:1", want: syscall.ECONNREFUSED, text: "127.0.0.1:1",
		},
		"no URL":            {address: "ws://[", text: "no URL"},
		"an http URL":       {address: "http://x/", text: "no ws or wss URL"},
		"no host":           {address: "ws:///x", text: "no ws or wss URL"},
		"user and password": {address: "ws://u:" + testToken + "@127.0.0.1:1/", text: "not supported"},
		"user, password and a bad scheme": {
			address: "ftp://u:" + testToken + "@127.0.0.1:1/", text: "no ws or wss URL",
		},
		"a name that does not exist": {
			address: "ws://does-not-exist.invalid", want: &net.DNSError{}, text: "does-not-exist",
			opts: dispatcher.DialOptions{NetDial: func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.DNSError{Err: "no such host", Name: "does-not-exist.invalid", IsNotFound: true}
			}},
		},
		"a server that says nothing": {
			serve: func(conn net.Conn, _ *http.Request) { _, _ = io.Copy(io.Discard, conn) },
			opts:  dispatcher.DialOptions{HandshakeTimeout: 50 * time.Millisecond},
			want:  os.ErrDeadlineExceeded, // or context.DeadlineExceeded, whichever clock is first
		},
		"a server that closes":  {serve: func(net.Conn, *http.Request) {}, want: io.ErrUnexpectedEOF},
		"a server of something": {serve: func(c net.Conn, _ *http.Request) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n\r\n") }, text: "malformed HTTP"},
		"a server that says what it was told": {
			serve: func(c net.Conn, r *http.Request) {
				_, _ = io.WriteString(c, r.Header.Get("Authorization")+strings.Repeat(" and more", 100)+"\r\n\r\n")
			},
			text: "[struck out]",
		},
		"headers without end": {
			serve: func(conn net.Conn, _ *http.Request) {
				_, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n")
				for err == nil {
					_, err = io.WriteString(conn, "X-Long: "+strings.Repeat("x", 4000)+"\r\n")
				}
			},
			text: "too long",
		},
		"an extension that nobody offered": {
			serve: func(conn net.Conn, r *http.Request) {
				_ = accept(conn, r, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n")
				_, _ = io.Copy(io.Discard, conn)
			},
			want: dispatcher.ErrProtocol, text: "extension",
		},
		"an answer to somebody else's key": {
			serve: func(conn net.Conn, r *http.Request) {
				r.Header.Set("Sec-WebSocket-Key", "other")
				_ = accept(conn, r)
			},
			want: &protocol.HandshakeError{},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.serve != nil {
				test.address = serveRaw(t, test.serve)
			}
			test.opts.Header = bearer()
			var err error
			within(t, soon, func() { _, err = dispatcher.Dial(t.Context(), test.address, test.opts) })
			require.ErrorContains(t, err, test.text)
			require.NotContains(t, err.Error(), testToken)
			require.Less(t, len(err.Error()), 400)
			var unresolved *net.DNSError
			var refused *protocol.HandshakeError
			switch {
			case errors.As(test.want, &unresolved):
				require.ErrorAs(t, err, &unresolved)
			case errors.As(test.want, &refused):
				require.ErrorAs(t, err, &refused)
			case errors.Is(test.want, os.ErrDeadlineExceeded):
				var timeout net.Error
				require.ErrorAs(t, err, &timeout)
				require.True(t, timeout.Timeout())
			case test.want != nil:
				require.ErrorIs(t, err, test.want)
			}
		})
	}
}

func TestCancelledHandshake(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	address := serveRaw(t, func(conn net.Conn, _ *http.Request) {
		cancel(errUser)
		_, _ = io.Copy(io.Discard, conn)
	})
	within(t, 5*time.Second, func() {
		_, err := dispatcher.Dial(ctx, address, dispatcher.DialOptions{})
		require.ErrorIs(t, err, errUser)
	})
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(upgrade(t, echo))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	address := "wss" + strings.TrimPrefix(server.URL, "https")
	_, err := dispatcher.Dial(t.Context(), address, dispatcher.DialOptions{})
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, err, &unknown)

	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	w := dial(t, address, dispatcher.DialOptions{TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}})
	message := []byte(strings.Repeat("x", 3<<20))
	require.NoError(t, w.Write(t.Context(), message))
	got, err := w.Read(t.Context())
	require.NoError(t, err)
	require.Len(t, got, len(message))
	eventually(t, "progress is seen below TLS", func() bool {
		p := w.Progress()
		return p.Offered > 3<<20 && p.Taken == p.Offered && p.Heard > p.Read
	})
}

// proxy is an HTTP proxy that knows CONNECT only.
func proxyServer(t *testing.T, answer func(w http.ResponseWriter, r *http.Request) bool) *httptest.Server {
	t.Helper()
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			return
		}
		there, err := new(net.Dialer).DialContext(r.Context(), "tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(there, here)
			_ = there.Close()
		}()
		_, _ = io.Copy(here, there)
		_ = here.Close()
		<-done
	}))
}

func via(t *testing.T, address string) func(*http.Request) (*url.URL, error) {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return http.ProxyURL(u)
}

func TestProxy(t *testing.T) {
	t.Parallel()
	asked := make(chan *http.Request, 1)
	proxy := proxyServer(t, func(_ http.ResponseWriter, r *http.Request) bool {
		asked <- r
		return true
	})
	t.Cleanup(proxy.Close)
	address := serve(t, echo)
	through := strings.Replace(proxy.URL, "http://", "http://user:"+testToken+"@", 1)
	w := dial(t, address, dispatcher.DialOptions{Proxy: via(t, through)})
	require.NoError(t, w.Write(t.Context(), []byte("hello")))
	got, err := w.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	r := <-asked
	require.Equal(t, http.MethodConnect, r.Method)
	require.Equal(t, strings.TrimPrefix(address, "ws://"), r.Host)
	require.NotEmpty(t, r.Header.Get("Proxy-Authorization"))
	require.Empty(t, r.Header.Get("Authorization"), "the token is not the proxy's business")
}

func TestProxyErrors(t *testing.T) {
	t.Parallel()
	refusing := proxyServer(t, func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return false
	})
	t.Cleanup(refusing.Close)
	terse := serveRaw(t, func(conn net.Conn, _ *http.Request) { _, _ = io.WriteString(conn, "HTTP/1.1 403\r\n\r\n") })
	tests := map[string]struct {
		proxy func(*http.Request) (*url.URL, error)
		text  string
	}{
		"it wants a password":         {proxy: via(t, refusing.URL), text: "407 Proxy Authentication Required"},
		"it answers without a reason": {proxy: via(t, "http"+strings.TrimPrefix(terse, "ws")), text: "403"},
		"it is not there":             {proxy: via(t, "http://u:"+testToken+"@127.0.0.1:1"), text: "refused"},
		"it is of an unknown kind":    {proxy: via(t, "gopher://u:"+testToken+"@127.0.0.1:1"), text: "gopher is not supported"},
		"its address is bad": {
			proxy: func(*http.Request) (*url.URL, error) { return nil, errors.New("invalid: u:" + testToken + "@") }, text: "no URL",
		},
		"it is a SOCKS proxy that is not there": {proxy: via(t, "socks5h://u:"+testToken+"@127.0.0.1:1"), text: "refused"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := dispatcher.Dial(t.Context(), "ws://runner.example/", dispatcher.DialOptions{Proxy: test.proxy})
			require.ErrorIs(t, err, dispatcher.ErrProxy)
			require.ErrorContains(t, err, test.text)
			require.NotContains(t, err.Error(), testToken)
		})
	}
}

func TestCloseCodeOfTheServerSide(t *testing.T) {
	t.Parallel()
	w := dial(t, serve(t, func(conn *websocket.Conn) {
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseTryAgainLater, "busy"), time.Now().Add(soon))
		_ = drain(conn)
	}), dispatcher.DialOptions{})
	_, err := w.Read(t.Context())
	var closed *dispatcher.CloseError
	require.ErrorAs(t, err, &closed)
	require.Equal(t, dispatcher.CloseError{Code: 1013, Reason: "busy"}, *closed)
}
