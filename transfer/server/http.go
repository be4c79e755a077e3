package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer/server/live"
)

// Handler answers all of the server's requests.
func (s *Server) Handler() http.Handler {
	exposition := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// No http.ServeMux: it redirects paths that it finds unclean, and a runner never redirects.
		if p, direction, ok := s.route(r.URL.Path); ok {
			s.runner(w, r, p, direction)
			return
		}
		switch r.URL.Path {
		case "/healthz":
			plainText(w, http.StatusOK, "ok\n")
		case "/readyz":
			if !s.ready() {
				plainText(w, http.StatusServiceUnavailable, "not ready\n")
				return
			}
			plainText(w, http.StatusOK, "ok\n")
		case "/metrics":
			if err := s.mayScrape(r); err != nil {
				s.refuse(w, r, err)
				return
			}
			exposition.ServeHTTP(w, r)
		default:
			s.beyond(w, r)
		}
	})
}

// beyond answers what is about jobs.
func (s *Server) beyond(w http.ResponseWriter, r *http.Request) {
	if s.feed(w, r) {
		return
	}
	switch path := r.URL.Path; {
	case s.api != nil && (path == apiPath || strings.HasPrefix(path, apiPath+"/")):
		s.api.ServeHTTP(w, r)
	case s.pages != nil && !seeksRunner(r):
		s.pages.ServeHTTP(w, r)
	default:
		fail(w, http.StatusNotFound, "NotFoundError", "Not Found")
	}
}

// seeksRunner reports whether a request is a client's of a runner, though there is none at its path: it must not be sent to a page.
func seeksRunner(r *http.Request) bool {
	path := strings.TrimSuffix(r.URL.Path, "/")
	return r.Header.Get("Upgrade") != "" || strings.HasSuffix(path, protocol.RunnerPath(protocol.Push)) || strings.HasSuffix(path, protocol.RunnerPath(protocol.Pull))
}

// maxScrapes is how many requests for metrics are answered at a time.
const maxScrapes = 4

// route finds the site and the direction that a path is for. A slash at its end does not matter.
func (s *Server) route(path string) (*place, protocol.Direction, bool) {
	path = strings.TrimSuffix(path, "/")
	for _, direction := range []protocol.Direction{protocol.Push, protocol.Pull} {
		base, ok := strings.CutSuffix(path, protocol.AdminPath+protocol.RunnerPath(direction))
		if !ok {
			continue
		}
		name := strings.TrimPrefix(base, "/")
		if base == "" {
			name = DefaultSite
		}
		p, ok := s.places[name]
		return p, direction, ok
	}
	return nil, "", false
}

// runner answers a request for a connection. The order of the checks is that of Strapi: who asks comes before what for.
func (s *Server) runner(w http.ResponseWriter, r *http.Request, p *place, direction protocol.Direction) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		plainText(w, http.StatusMethodNotAllowed, "Method Not Allowed")
		return
	}
	t, err := s.enter(r, direction, p.name)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	switch upgrade := r.Header.Get("Upgrade"); {
	case r.Method == http.MethodHead, !strings.Contains(strings.ToLower(upgrade), "websocket"):
		fail(w, http.StatusNotFound, "NotFoundError", "Not Found")
		return
	case !strings.EqualFold(upgrade, "websocket"):
		w.Header().Set("Connection", "close")
		plainText(w, http.StatusBadRequest, "Invalid Upgrade header")
		return
	case !live.OriginAllowed(r, s.config.Origins):
		s.metrics.refused("origin")
		fail(w, http.StatusForbidden, "ForbiddenError", "Forbidden")
		return
	}
	sess := newSession(s, p, direction, t, r.RemoteAddr)
	if err := s.admit(sess); err != nil {
		s.metrics.refused("full")
		fail(w, http.StatusServiceUnavailable, "ServiceUnavailableError", "Service Unavailable")
		return
	}
	defer s.dismiss(sess)
	upgrader := websocket.Upgrader{
		HandshakeTimeout: headerTimeout,
		WriteBufferPool:  &s.metrics.buffers,
		WriteBufferSize:  writeBuffer,
		CheckOrigin:      func(*http.Request) bool { return true }, // has been checked
	}
	if offered := websocket.Subprotocols(r); len(offered) > 0 {
		upgrader.Subprotocols = offered[:1]
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil { // has been answered
		s.metrics.refused("handshake")
		return
	}
	sess.serve(r.Context(), dispatcher.NewWebSocket(conn, dispatcher.WebSocketOptions{
		ReadLimit: s.config.MessageLimit, WriteTimeout: s.config.WriteTimeout, OnPong: sess.pong, AnswerSeals: true,
	}))
}

// writeBuffer is what a message is cut into on the wire, in bytes. Clients take 16,384 pieces of a message; it must be one here, and is:
// the library sends what is longer than the buffer as it is.
const writeBuffer = 4 << 10

// enter reads the token of a request.
func (s *Server) enter(r *http.Request, direction protocol.Direction, site string) (token.Token, error) {
	text, err := bearer(r)
	if err != nil {
		return token.Token{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), headerTimeout)
	defer cancel()
	return s.access.enter(ctx, text, direction, site)
}

// mayScrape returns why a request for metrics is refused.
func (s *Server) mayScrape(r *http.Request) error {
	if !s.config.PrivateMetrics {
		return nil
	}
	text, err := bearer(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), headerTimeout)
	defer cancel()
	return s.access.identify(ctx, text)
}

// bearer returns the token that a request carries.
func bearer(r *http.Request) (string, error) {
	words := strings.Fields(r.Header.Get("Authorization"))
	if len(words) != 2 || !strings.EqualFold(words[0], "bearer") {
		return "", token.ErrInvalid
	}
	return words[1], nil
}

// refuse answers a request whose token is no good.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	answer := refusal(err)
	switch {
	case answer == nil:
		s.log.ErrorContext(r.Context(), "token not checked", slog.Any(keyError, err))
		s.metrics.refused("error")
		fail(w, http.StatusInternalServerError, "InternalServerError", "Internal Server Error")
	case errors.Is(err, errForbidden):
		s.metrics.refused("forbidden")
		fail(w, http.StatusForbidden, answer.Code, answer.Message)
	default:
		s.metrics.refused("unauthorized")
		fail(w, http.StatusUnauthorized, answer.Code, answer.Message)
	}
}

func plainText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // whoever asked has gone
}

// fail answers in the form of Strapi's errors.
func fail(w http.ResponseWriter, status int, name, message string) {
	type failure struct {
		Status  int      `json:"status"`
		Name    string   `json:"name"`
		Message string   `json:"message"`
		Details struct{} `json:"details"`
	}
	body, err := json.Marshal(struct {
		Data  *struct{} `json:"data"`
		Error failure   `json:"error"`
	}{Error: failure{Status: status, Name: name, Message: message}})
	if err != nil {
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked has gone
}

// stamp is the time as Strapi writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
