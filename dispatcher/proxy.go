package dispatcher

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// ErrProxy marks a connection that the proxy did not make.
var ErrProxy = errors.New("proxy")

// findProxy returns the proxy for a connection to u, if any. Its errors do not hold the proxy's address, which the environment
// may give with a password.
func findProxy(choose func(*http.Request) (*url.URL, error), u *url.URL) (*url.URL, error) {
	asked := *u
	asked.Scheme = map[string]string{"ws": "http", "wss": "https"}[u.Scheme]
	proxy, err := choose(&http.Request{Method: http.MethodGet, URL: &asked, Host: u.Host, Header: http.Header{}})
	if err != nil {
		return nil, fmt.Errorf("%w: its address is no URL", ErrProxy)
	}
	if proxy == nil {
		return nil, nil
	}
	switch proxy.Scheme {
	case "http", "https":
		return proxy, nil
	case "socks5", "socks5h": // names are resolved by the proxy either way
		socks := *proxy
		socks.Scheme = "socks5"
		return &socks, nil
	default:
		return nil, fmt.Errorf("%w: %s is not supported: http, https or socks5", ErrProxy, proxy.Scheme)
	}
}

// viaHTTP says whether this package speaks with the proxy, rather than the WebSocket library.
func viaHTTP(proxy *url.URL) bool { return proxy != nil && proxy.Scheme != "socks5" }

// hostPort is where a proxy listens.
func hostPort(proxy *url.URL) string {
	port := proxy.Port()
	switch {
	case port != "":
	case proxy.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(proxy.Hostname(), port)
}

// tunnel asks an HTTP proxy at the other end of conn to connect to address, and returns the connection to there.
func tunnel(ctx context.Context, conn net.Conn, proxy *url.URL, address string, config *tls.Config) (net.Conn, error) {
	if proxy.Scheme == "https" {
		config = config.Clone()
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		config.ServerName = proxy.Hostname()
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("%w at %s: %w", ErrProxy, proxy.Host, err)
		}
		conn = secured
	}
	ask := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if proxy.User != nil {
		password, _ := proxy.User.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(proxy.User.Username() + ":" + password))
		ask.Header.Set("Proxy-Authorization", "Basic "+credentials)
	}
	if err := ask.Write(conn); err != nil {
		return nil, fmt.Errorf("%w at %s: %w", ErrProxy, proxy.Host, err)
	}
	// Nothing can be left in this reader: whoever is behind the proxy does not speak first.
	answer, err := http.ReadResponse(bufio.NewReader(conn), ask) //nolint:bodyclose // what would be its body is the tunnel
	if err != nil {
		return nil, fmt.Errorf("%w at %s: read answer: %w", ErrProxy, proxy.Host, err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w at %s answered %d %s", ErrProxy, proxy.Host, answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	return conn, nil
}
