package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Outcome is what a job has to show when it has run.
type Outcome struct {
	Result *Result
	Report any // of the engine, or what a session knows; written as JSON
}

// Runner does what a job is for, and reports to the recorder as it goes. ctx ends when the job is cancelled, with a cause. An error may
// wrap [ErrTransient] or one of the sentinels of package transfer; its text is shown to users.
type Runner func(ctx context.Context, job Job, r *Recorder) (Outcome, error)

// Options are the choices of a [Manager]. The zero value works, but for Run.
type Options struct {
	// Run runs a job. Required.
	Run Runner
	// Owner names this server to others. Default: host, process and something random.
	Owner string
	// Workers is how many jobs run at a time. Default 2.
	Workers int
	// Lease is how long a server may show no sign of life before its jobs are taken over. Default 15 s.
	Lease time.Duration
	// Beat is the time between signs of life. Default 750 ms.
	Beat time.Duration
	// Grace is how long jobs may run on when the server stops. Default 10 s.
	Grace time.Duration
	// Backoff is the time before a second attempt; it doubles, to at most 64 times. Default 5 s.
	Backoff time.Duration
	// History is how long jobs that have ended are kept, Replay how long events are. Defaults 90 and 7 days.
	History, Replay time.Duration

	// Relay carries progress to and from other servers; nil is for a server on its own, or one that hears enough by its store.
	Relay Relay

	// Redact takes secrets out of what is written down. nil leaves texts as they are, which no error should need.
	Redact func(string) string

	Logger *slog.Logger // nil discards
}

func (o Options) withDefaults() Options {
	if o.Owner == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "server"
		}
		o.Owner = fmt.Sprintf("%.60s-%d-%s", host, os.Getpid(), rand.Text()[:6])
	}
	o.Workers = cmp.Or(max(o.Workers, 0), 2)
	o.Lease = cmp.Or(max(o.Lease, 0), 15*time.Second)
	o.Beat = cmp.Or(max(o.Beat, 0), 750*time.Millisecond)
	o.Grace = cmp.Or(max(o.Grace, 0), 10*time.Second)
	o.Backoff = cmp.Or(max(o.Backoff, 0), 5*time.Second)
	o.History = cmp.Or(max(o.History, 0), 90*24*time.Hour)
	o.Replay = cmp.Or(max(o.Replay, 0), 7*24*time.Hour)
	if o.Redact == nil {
		o.Redact = func(text string) string { return text }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Names of log attributes.
const (
	keyJob      = "job_id"
	keyError    = "error"
	keyState    = "state"
	keyAttempt  = "attempt"
	keySchedule = "schedule"
	keyOwner    = "owner"
	keyCount    = "count"
	keyStack    = "stack"
)

// Manager runs the jobs of a store, together with the managers of other servers where there are some. Its methods may be called
// concurrently.
type Manager struct {
	store Store
	opts  Options
	log   *slog.Logger
	feed  *Feed

	claims chan struct{} // there may be something to claim
	plans  chan struct{} // schedules have changed

	watch map[ID]sighting // of watchLoop alone

	mu      sync.Mutex // guards what follows
	running map[ID]*Recorder
	moved   map[ID]struct{} // jobs of other servers whose progress is to be told
	stopped bool
	idle    sync.WaitGroup // recorders of sessions
}

// New returns a manager. It runs nothing before Run.
func New(store Store, opts Options) (*Manager, error) {
	if opts.Run == nil {
		return nil, errors.New("a manager of jobs needs somebody to run them")
	}
	opts = opts.withDefaults()
	return &Manager{
		store: store, opts: opts, log: opts.Logger, feed: newFeed(store),
		claims: make(chan struct{}, 1), plans: make(chan struct{}, 1),
		running: make(map[ID]*Recorder), moved: make(map[ID]struct{}), watch: make(map[ID]sighting),
	}, nil
}

// Feed tells what happens to jobs.
func (m *Manager) Feed() *Feed { return m.feed }

// shared reports whether other servers may run jobs of the store.
func (m *Manager) shared() bool {
	e, ok := m.store.(interface{ Exclusive() bool })
	return !ok || !e.Exclusive()
}

// Open makes the feed ready. Run does so too; call it before what serves the feed begins.
func (m *Manager) Open(ctx context.Context) error { return m.feed.start(ctx) }

// Run runs jobs until ctx ends. Those that run then get Options.Grace, and are interrupted after it. It returns when none runs any more
// and the feed is closed.
func (m *Manager) Run(ctx context.Context) error {
	defer m.feed.close()
	if err := m.feed.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // it was not to run for long
		}
		return err
	}
	if !m.shared() {
		m.inherit(ctx)
	}
	var group errgroup.Group
	for _, loop := range []func(context.Context){m.claimLoop, m.watchLoop, m.scheduleLoop, m.hearLoop, m.moveLoop, m.relayLoop, m.forgetLoop} {
		group.Go(func() error {
			loop(ctx)
			return nil
		})
	}
	err := group.Wait()
	m.drain(ctx)
	return err
}

// drain waits for sessions to write their last word.
func (m *Manager) drain(ctx context.Context) {
	m.mu.Lock()
	m.stopped = true
	m.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.idle.Wait()
	}()
	timer := time.NewTimer(m.opts.Grace + saveTimeout)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	}
	m.log.WarnContext(ctx, "sessions did not end in time")
	m.mu.Lock()
	for _, r := range m.running {
		r.cancel(ErrStopping)
	}
	m.mu.Unlock()
	giveUp := time.AfterFunc(2*saveTimeout, m.quit)
	defer giveUp.Stop()
	<-done
}

// quit makes recorders give up what cannot be saved, because the server ends.
func (m *Manager) quit() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.running {
		r.quit()
	}
}

// wake makes a loop look.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits for a while, or for a wake-up. It reports false when ctx has ended.
func pause(ctx context.Context, d time.Duration, c <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-c:
	}
	return ctx.Err() == nil
}
