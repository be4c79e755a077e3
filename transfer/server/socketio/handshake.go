package socketio

import (
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Handshake is what is known of the request that opened a connection, and of what the client said when it joined the namespace.
type Handshake struct {
	Header  http.Header // those that tell who asks: Authorization, Cookie, Forwarded, Origin, User-Agent, X-Api-Key, X-Forwarded-For
	Query   url.Values
	Path    string
	Address string // of the client, or of the proxy before it
	Secure  bool   // came over TLS
	Cross   bool   // came from a page
	Issued  time.Time

	// Auth is what the client gave to authenticate, a JSON object or nil. Only middleware sees it.
	Auth json.RawMessage
}

// newHandshake keeps little of a request: it lives as long as the connection.
func newHandshake(r *http.Request) *Handshake {
	h := &Handshake{
		Path: r.URL.Path, Address: r.RemoteAddr, Secure: r.TLS != nil, Cross: r.Header.Get("Origin") != "", Issued: time.Now(),
		Header: make(http.Header), Query: r.URL.Query(),
	}
	for _, name := range []string{"Authorization", "Cookie", "Forwarded", "Origin", "User-Agent", "X-Api-Key", "X-Forwarded-For"} {
		if values := r.Header.Values(name); len(values) > 0 {
			h.Header[name] = values
		}
	}
	for _, name := range []string{"EIO", "transport", "sid", "t", "b64"} {
		h.Query.Del(name)
	}
	return h
}
