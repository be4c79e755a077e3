package live

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server/socketio"
)

// Viewer is somebody who may see and do something about jobs.
type Viewer interface {
	ID() string                      // of the token, never its text
	Name() string                    // for people
	Visible() *jobs.Visible          // nil is everything
	Sees(job *jobs.Job) bool         // may be told of the job
	MayCancel(job *jobs.Job) bool    // may cancel it
	Check(ctx context.Context) error // why the token is not good any more
}

// Defaults and limits of a [Config].
const (
	DefaultMaxStreams    = 20_000
	DefaultHeartbeat     = 15 * time.Second
	DefaultMaxAge        = 6 * time.Hour
	DefaultWriteTimeout  = 10 * time.Second
	DefaultCheckInterval = 2 * time.Second
	DefaultReadyTimeout  = 10 * time.Second
	DefaultRecovery      = 2 * time.Minute
	DefaultPingInterval  = 25 * time.Second
	DefaultPingTimeout   = 20 * time.Second

	// maxJobs is how many jobs one stream may name.
	maxJobs = 200
	// maxWaiting is how many events may wait for the clients of Socket.IO, which share a subscription.
	maxWaiting = 100_000
)

// Config says whose jobs are told to whom. All functions and Feed are required.
type Config struct {
	Feed *jobs.Feed
	// Authenticate returns who the text of a token stands for.
	Authenticate func(ctx context.Context, text string) (Viewer, error)
	// AuthenticateRequest returns who makes a request.
	AuthenticateRequest func(r *http.Request) (Viewer, error)
	// Get returns a job, or an error that wraps [jobs.ErrNotFound].
	Get func(ctx context.Context, id jobs.ID) (jobs.Job, error)
	// Cancel asks for the end of a job; [jobs.ErrEnded] means that it has ended.
	Cancel func(ctx context.Context, id jobs.ID) (jobs.Job, error)

	Origins    []string         // pages that may connect, beside those of the server itself
	QueryToken bool             // take tokens in the query of a WebSocket's address, where proxies log them
	Adapter    socketio.Adapter // carries Socket.IO broadcasts between servers; nil for a server on its own

	MaxStreams    int           // server-sent event streams and WebSockets at a time, and as many Socket.IO clients. Default 20,000
	Heartbeat     time.Duration // between comments on a quiet stream. Default 15 s
	MaxAge        time.Duration // after which a stream ends, for the client to come back. Default 6 h
	WriteTimeout  time.Duration // how long a client may take to read what was written. Default 10 s
	CheckInterval time.Duration // between checks of tokens. Default 2 s
	ReadyTimeout  time.Duration // how long a WebSocket may take to say that it is ready. Default 10 s
	Recovery      time.Duration // how long a Socket.IO client may come back. Default 2 min
	PingInterval  time.Duration // between pings of WebSockets. Default 25 s
	PingTimeout   time.Duration // how long the answer may take. Default 20 s

	Logger *slog.Logger // nil discards
}

func (c Config) withDefaults() Config {
	c.MaxStreams = cmp.Or(max(c.MaxStreams, 0), DefaultMaxStreams)
	c.Heartbeat = cmp.Or(max(c.Heartbeat, 0), DefaultHeartbeat)
	c.MaxAge = cmp.Or(max(c.MaxAge, 0), DefaultMaxAge)
	c.WriteTimeout = cmp.Or(max(c.WriteTimeout, 0), DefaultWriteTimeout)
	c.CheckInterval = cmp.Or(max(c.CheckInterval, 0), DefaultCheckInterval)
	c.ReadyTimeout = cmp.Or(max(c.ReadyTimeout, 0), DefaultReadyTimeout)
	c.Recovery = cmp.Or(max(c.Recovery, 0), DefaultRecovery)
	c.PingInterval = cmp.Or(max(c.PingInterval, 0), DefaultPingInterval)
	c.PingTimeout = cmp.Or(max(c.PingTimeout, 0), DefaultPingTimeout)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Live serves the feeds. Make one with [New]; [Live.Run] must run.
type Live struct {
	config Config
	log    *slog.Logger
	guard  *guard
	shards []*shard
	next   atomic.Uint64 // share of the next stream
	io     *socketio.Server
	tell   chan request // to the pump

	open, total, sent, slow atomic.Int64
	sockets                 atomic.Int64

	goroutines sync.WaitGroup
	mu         sync.Mutex // guards what follows
	closing    bool
	ended      chan struct{} // closed when closing begins
}

// New returns the feeds of a server.
func New(config Config) (*Live, error) {
	if config.Feed == nil || config.Authenticate == nil || config.AuthenticateRequest == nil || config.Get == nil || config.Cancel == nil {
		return nil, errors.New("live feeds need a feed of jobs and to know who may see them")
	}
	config = config.withDefaults()
	l := &Live{
		config: config, log: config.Logger, tell: make(chan request), ended: make(chan struct{}),
	}
	l.goroutines.Add(1) // for Close to take off
	l.guard = newGuard(config.Logger, l.banish)
	l.shards = makeShards(l)
	l.io = l.makeSocketIO()
	return l, nil
}

// Run tells, until ctx ends or [Live.Close] is called.
func (l *Live) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	for _, s := range l.shards {
		group.Go(func() error { s.run(ctx); return nil })
	}
	group.Go(func() error { l.guard.run(ctx, l.config.CheckInterval); return nil })
	group.Go(func() error { l.pump(ctx); return nil })
	group.Go(func() error { return l.io.Run(ctx, l.missed) })
	group.Go(func() error {
		select {
		case <-ctx.Done():
		case <-l.ended:
			cancel()
		}
		return nil
	})
	return group.Wait()
}

// Close ends all connections: clients learn that the server is going, and may come back to another. It waits until they have ended,
// or ctx has.
func (l *Live) Close(ctx context.Context) error {
	l.mu.Lock()
	first := !l.closing
	l.closing = true
	l.mu.Unlock()
	err := l.io.Close(ctx)
	if first {
		for _, s := range l.shards {
			s.closeAll(endShutdown)
		}
		l.guard.closeAll(endShutdown)
		close(l.ended)
		l.goroutines.Done()
	}
	done := make(chan struct{})
	go func() { // ends with the last of the others
		l.goroutines.Wait()
		close(done)
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return errors.Join(err, context.Cause(ctx))
	}
}

// admit counts a connection in, unless there are too many or the server is closing. Whoever is let in calls leave.
func (l *Live) admit() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing || l.open.Load() >= int64(l.config.MaxStreams) {
		return false
	}
	l.open.Add(1)
	l.total.Add(1)
	l.goroutines.Add(1)
	return true
}

func (l *Live) leave() {
	l.open.Add(-1)
	l.goroutines.Done()
}

// Stats is what the feeds have done since the server began, and have open now.
type Stats struct {
	Streams  int64 // open server-sent event streams and WebSockets
	Sockets  int64 // of those, WebSockets
	Opened   int64 // streams so far
	Sent     int64 // events to them
	Slow     int64 // dropped because they did not read
	SocketIO socketio.Stats
}

// Stats returns figures.
func (l *Live) Stats() Stats {
	return Stats{
		Streams: l.open.Load(), Sockets: l.sockets.Load(), Opened: l.total.Load(), Sent: l.sent.Load(), Slow: l.slow.Load(),
		SocketIO: l.io.Stats(),
	}
}

// ServeSocketIO answers Socket.IO clients; it is for the path /socket.io/.
func (l *Live) ServeSocketIO(w http.ResponseWriter, r *http.Request) { l.io.ServeHTTP(w, r) }

// Names of log attributes.
const (
	keyError  = "error"
	keyViewer = "viewer"
	keyJob    = "job"
	keyReason = "reason"
	keyCount  = "count"
)
