package socketio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/cors"
)

// Server answers Socket.IO clients. Make one with [New], and end it with [Server.Close].
type Server struct {
	options Options
	log     *slog.Logger
	ping    *frame
	buffers sync.Pool // for writing to connections
	cross   *cors.Cors
	boot    string          // tells offsets of this server from those of others
	ctx     context.Context //nolint:containedctx // what handlers run in; it ends when the server does
	cancel  context.CancelFunc
	attach  func(*session, *Handshake) receiver // what is served over a session: Socket.IO

	goroutines sync.WaitGroup
	counters   counters

	mu         sync.Mutex // guards what follows
	closing    bool
	sessions   map[string]*session
	namespaces map[string]*Namespace
}

// counters of a server; see [Stats].
type counters struct {
	opened, upgrades, received, sent, slow, malformed, refused atomic.Uint64
}

// Stats is what a server has done since it began, and has open now.
type Stats struct {
	Sessions  int    // open connections
	Sockets   int    // joined namespaces
	Opened    uint64 // connections so far
	Upgraded  uint64 // of those, changed from polling to a WebSocket
	Refused   uint64 // requests for one that were refused
	Received  uint64 // packets from clients
	Sent      uint64 // packets to clients
	Slow      uint64 // clients dropped because they did not read
	Malformed uint64 // clients dropped because of what they sent
}

// New returns a server. It runs nothing until it gets requests; with an adapter, [Server.Run] must run too.
func New(options Options) *Server {
	options = options.withDefaults()
	s := &Server{
		options: options, log: options.Logger, boot: newID()[:8],
		ping:     &frame{data: []byte{packetPing}, shared: true},
		attach:   func(s *session, h *Handshake) receiver { return newClient(s, h) },
		sessions: make(map[string]*session), namespaces: make(map[string]*Namespace),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.goroutines.Add(1) // for Close to take off, so that the count does not reach zero before
	s.cross = cors.New(cors.Options{
		AllowOriginVaryRequestFunc: func(r *http.Request, _ string) (bool, []string) { return s.allowed(r), nil }, AllowCredentials: true,
		AllowedMethods: []string{http.MethodGet, http.MethodPost}, AllowedHeaders: []string{"Content-Type", "Authorization"},
		MaxAge: int((10 * time.Minute).Seconds()),
	})
	return s
}

// Of returns the namespace called name, which it makes if need be. Namespaces are made, and get their handlers, before the server
// gets requests; clients cannot make any.
func (s *Server) Of(name string) *Namespace {
	name = cleanNamespace(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.namespaces[name]
	if !ok {
		n = newNamespace(s, name)
		s.namespaces[name] = n
	}
	return n
}

// namespace finds one that was made.
func (s *Server) namespace(name string) (*Namespace, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.namespaces[name]
	return n, ok
}

// Stats returns what the server has done so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	sessions, namespaces := len(s.sessions), slices.Collect(maps.Values(s.namespaces))
	s.mu.Unlock()
	sockets := 0
	for _, n := range namespaces {
		sockets += n.Len()
	}
	c := &s.counters
	return Stats{
		Sessions: sessions, Sockets: sockets, Opened: c.opened.Load(), Upgraded: c.upgrades.Load(), Refused: c.refused.Load(),
		Received: c.received.Load(), Sent: c.sent.Load(), Slow: c.slow.Load(), Malformed: c.malformed.Load(),
	}
}

// Close ends all connections, as "server shutting down", and waits until they have ended or ctx has.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	sessions := slices.Collect(maps.Values(s.sessions))
	s.mu.Unlock()
	for _, sess := range sessions {
		sess.client.lost(ReasonServerShutdown)
		sess.shutDown()
	}
	s.cancel()
	if first {
		s.goroutines.Done()
	}
	done := make(chan struct{})
	go func() { // ends with the last of the others
		s.goroutines.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// shutDown ends the session: in order over a WebSocket, at once when polling, where the next poll might never come.
func (s *session) shutDown() {
	s.mu.Lock()
	polling := s.conn == nil
	s.mu.Unlock()
	if polling {
		s.shut(ReasonForcedClose)
		return
	}
	s.end()
}

// open makes a session, unless the server is full or closing.
func (s *Server) open(r *http.Request) (*session, bool) {
	sess := &session{server: s, id: newID()}
	sess.client = s.attach(sess, newHandshake(r))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.sessions) >= s.options.MaxSessions {
		defer sess.client.lost(ReasonForcedServerClose)
		return nil, false
	}
	s.sessions[sess.id] = sess
	s.counters.opened.Add(1)
	return sess, true
}

func (s *Server) find(id string) (*session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess, ok := s.sessions[id]
	return sess, ok
}

func (s *Server) remove(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, sess.id)
}

// spawn runs f on a goroutine that Close waits for. Sessions end by themselves, so that it may be called while the server closes.
func (s *Server) spawn(f func()) { s.goroutines.Go(f) }

// newID returns 120 bits that nobody can guess.
func newID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // it never returns an error
	return base64.RawURLEncoding.EncodeToString(b[:])
}
