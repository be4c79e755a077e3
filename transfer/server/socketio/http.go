package socketio

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gorilla/websocket"
)

// code is an error of a handshake or a request, as Engine.IO clients know it.
type code int

const (
	codeUnknownTransport code = iota
	codeUnknownSID
	codeBadMethod
	codeBadRequest
	codeForbidden
	codeBadProtocol
)

func (c code) String() string {
	switch c {
	case codeUnknownTransport:
		return "Transport unknown"
	case codeUnknownSID:
		return "Session ID unknown"
	case codeBadMethod:
		return "Bad handshake method"
	case codeBadRequest:
		return "Bad request"
	case codeForbidden:
		return "Forbidden"
	case codeBadProtocol:
		return "Unsupported protocol version"
	}
	return "Bad request"
}

func (c code) status() int {
	if c == codeForbidden {
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

const (
	transportPolling   = "polling"
	transportWebSocket = "websocket"
	protocolVersion    = "4"
)

// ServeHTTP answers handshakes, polls, and WebSockets. The path does not matter.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if websocket.IsWebSocketUpgrade(r) {
		s.serveWebSocket(w, r)
		return
	}
	s.cross.HandlerFunc(w, r)
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		return // has been answered
	}
	s.servePolling(w, r)
}

// verify checks a request in the order of the reference server, and finds its session if it names one.
func (s *Server) verify(r *http.Request, query url.Values, upgrade bool) (*session, code, bool) {
	transport := query.Get("transport")
	if transport != transportPolling && transport != transportWebSocket {
		return nil, codeUnknownTransport, false
	}
	if !s.allowed(r) {
		return nil, codeForbidden, false
	}
	if id := query.Get("sid"); id != "" {
		sess, ok := s.find(id)
		switch {
		case !ok:
			return nil, codeUnknownSID, false
		case query.Get("EIO") != protocolVersion, upgrade != (transport == transportWebSocket):
			return nil, codeBadRequest, false
		}
		return sess, 0, true
	}
	switch {
	case r.Method != http.MethodGet:
		return nil, codeBadMethod, false
	case upgrade != (transport == transportWebSocket):
		return nil, codeBadRequest, false
	case query.Get("EIO") != protocolVersion:
		return nil, codeBadProtocol, false
	}
	return nil, 0, true
}

func (s *Server) servePolling(w http.ResponseWriter, r *http.Request) {
	sess, c, ok := s.verify(r, r.URL.Query(), false)
	if !ok {
		s.counters.refused.Add(1)
		failCode(w, c)
		return
	}
	switch {
	case sess == nil:
		sess, ok := s.open(r)
		if !ok {
			s.full(w)
			return
		}
		sess.send(sess.greeting([]string{transportWebSocket}))
		sess.start()
		sess.fetch(w, r)
	case r.Method == http.MethodGet:
		sess.fetch(w, r)
	case r.Method == http.MethodPost:
		sess.deliver(w, r)
	default:
		failCode(w, codeBadRequest)
	}
}

func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request) {
	sess, c, ok := s.verify(r, r.URL.Query(), true)
	switch {
	case !ok:
		s.counters.refused.Add(1)
		w.Header().Set("Connection", "close")
		plain(w, c.status(), c.String())
		return
	case sess != nil:
		s.change(w, r, sess)
		return
	}
	sess, ok = s.open(r)
	if !ok {
		s.full(w)
		return
	}
	conn, err := s.upgrade(w, r)
	if err != nil { // has been answered
		sess.shut(ReasonTransportError)
		return
	}
	sess.mu.Lock()
	closed := sess.state != stateOpen
	sess.conn = conn
	sess.mu.Unlock()
	if closed { // the server was closing
		_ = conn.Close() // nobody knows of it
		return
	}
	sess.send(sess.greeting([]string{}))
	sess.start()
	s.spawn(func() { sess.read(conn) }) // the goroutine of the request is a larger one
}

// greeting is the packet that opens a session.
func (s *session) greeting(upgrades []string) *frame {
	o := &s.server.options
	text, err := json.Marshal(struct {
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int      `json:"maxPayload"`
	}{s.id, upgrades, o.PingInterval.Milliseconds(), o.PingTimeout.Milliseconds(), o.MaxPayload})
	if err != nil {
		text = nil // strings and numbers always have a form
	}
	return &frame{data: append([]byte{packetOpen}, text...)}
}

// allowed reports whether the page that a request comes from, if it comes from one, may connect.
func (s *Server) allowed(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	if len(origins) > 1 {
		return false
	}
	if slices.Contains(s.options.Origins, origins[0]) {
		return true
	}
	u, err := url.Parse(origins[0])
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return err == nil && u.Scheme == scheme && strings.EqualFold(u.Host, r.Host)
}

// full refuses one connection too many.
func (s *Server) full(w http.ResponseWriter) {
	s.counters.refused.Add(1)
	w.Header().Set("Retry-After", "5")
	failText(w, http.StatusServiceUnavailable, codeForbidden, "Too many connections")
}

func failCode(w http.ResponseWriter, c code) { failText(w, c.status(), c, c.String()) }

func failText(w http.ResponseWriter, status int, c code, text string) {
	body, err := json.Marshal(struct {
		Code    code   `json:"code"`
		Message string `json:"message"`
	}{c, text})
	if err != nil {
		body = nil // numbers and strings always have a form
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked has gone
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) //nolint:gosec // plain text, for whoever may have gone
}
