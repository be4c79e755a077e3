package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server/live"
)

// Bounds of what a peer that is not known yet may cost.
const (
	headerTimeout = 10 * time.Second
	idleTimeout   = 60 * time.Second
	maxHeader     = 32 << 10
)

// errShutdown is the cause with which sessions end when the server does.
var errShutdown = errors.New("the server is shutting down")

// Server serves sites. Make one with [New].
type Server struct {
	config  Config
	log     *slog.Logger
	places  map[string]*place
	metrics *metrics
	access  *access
	started time.Time
	polls   polls
	jobs    *jobs.Manager // nil without
	api     http.Handler  // nil without jobs
	feeds   *live.Live    // nil without jobs
	pages   http.Handler  // nil without a dashboard

	mu       sync.Mutex // guards what follows
	closing  bool
	sessions map[*session]struct{}
	empty    chan struct{} // closed when closing and the last session has gone
}

// New returns a server. It does nothing before it gets requests.
func New(config Config) (*Server, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	s := &Server{
		config: config, log: config.Logger, places: make(map[string]*place), metrics: newMetrics(), started: time.Now(),
		access:   &access{tokens: config.Tokens, every: config.AuthInterval, log: config.Logger, known: make(map[string]knownToken)},
		sessions: make(map[*session]struct{}), empty: make(chan struct{}), polls: polls{known: make(map[string]*pollCount)},
	}
	for name, site := range config.Sites {
		s.places[name] = &place{Site: site, name: name}
	}
	if err := s.prepareJobs(); err != nil {
		return nil, err
	}
	return s, nil
}

// Serve answers on the listener, which it closes, until ctx ends; then it lets transfers that are under way run on for Config.Grace,
// ends what is left, and returns. With a TLS configuration it speaks TLS. A Server can serve once.
func (s *Server) Serve(ctx context.Context, listener net.Listener, config *tls.Config) error {
	web := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog:     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // WebSockets need HTTP/1.1
		BaseContext:  func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	if config != nil {
		config = config.Clone()
		config.NextProtos = []string{"http/1.1"}
		listener = tls.NewListener(listener, config)
	}
	if s.jobs != nil {
		if err := s.jobs.Open(ctx); err != nil && ctx.Err() != nil {
			return listener.Close() // it was not to run for long
		} else if err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := web.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	jobsDone := make(chan struct{})
	group.Go(func() error {
		defer close(jobsDone)
		return s.RunJobs(ctx)
	})
	group.Go(func() error {
		<-ctx.Done()
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.Grace+shutdownMargin)
		defer cancel()
		s.Shutdown(late)
		<-jobsDone // the feeds end with them
		return web.Shutdown(late)
	})
	return group.Wait()
}

// shutdownMargin is what a shutdown may take beyond the grace: to roll back and to say goodbye.
const shutdownMargin = 10 * time.Second

// Shutdown ends the server: no session begins any more, those without a transfer end at once, the others when their transfer has
// ended, or after Config.Grace, rolled back. It returns when all sessions have ended, or when ctx ends.
func (s *Server) Shutdown(ctx context.Context) {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		if len(s.sessions) == 0 {
			close(s.empty)
		}
	}
	for sess := range s.sessions {
		sess.leaveSoon()
	}
	n := len(s.sessions)
	s.mu.Unlock()
	if n > 0 {
		s.log.InfoContext(ctx, "shutting down", slog.Int(keySessions, n))
	}
	timer := time.NewTimer(s.config.Grace)
	defer timer.Stop()
	select {
	case <-s.empty:
		return
	case <-timer.C:
	case <-ctx.Done():
	}
	s.mu.Lock()
	for sess := range s.sessions {
		sess.stop(errShutdown)
	}
	s.mu.Unlock()
	select {
	case <-s.empty:
	case <-ctx.Done():
	}
}

// admit counts a session in, unless the server is full or closing.
func (s *Server) admit(sess *session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return errShutdown
	case len(s.sessions) >= s.config.MaxSessions:
		return errFull
	}
	s.sessions[sess] = struct{}{}
	return nil
}

// errFull is the answer to one connection too many.
var errFull = errors.New("the server has as many sessions as it may")

// dismiss counts a session out.
func (s *Server) dismiss(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, in := s.sessions[sess]; !in {
		return
	}
	delete(s.sessions, sess)
	if s.closing && len(s.sessions) == 0 {
		close(s.empty)
	}
}

// ready reports whether new sessions are taken.
func (s *Server) ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closing && len(s.sessions) < s.config.MaxSessions
}

// isClosing reports whether a shutdown has begun.
func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}
