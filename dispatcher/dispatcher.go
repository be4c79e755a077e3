package dispatcher

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/transfer-runner/runner/protocol"
)

// Dispatcher sends requests over a connection and finds their answers among all that the peer says. Its methods may be called
// concurrently.
type Dispatcher struct {
	conn    Conn
	opts    Options
	log     *slog.Logger
	running atomic.Bool

	window     chan struct{} // holds an element for each unanswered request
	over       chan struct{} // closed once err is set
	wakeWriter chan struct{} // of capacity one: the queue has grown
	wakeClock  chan struct{} // of capacity one: a deadline has changed

	mu      sync.Mutex // guards what follows, never held during I/O or a callback
	err     error      // why it is over; ErrClosed after Close
	seq     int64      // numbers requests in the order in which they are sent
	pending map[string]*Pending
	queue   []outgoing
	free    [][]byte // buffers of answered requests
	frames  frameMemory
	watch   watch
	stats   Stats
	trip    time.Duration // the shortest time in which a request was answered
}

// Stats counts what a [Dispatcher] has seen.
type Stats struct {
	Sent        int64 // requests, without resends
	Resent      int64
	Answered    int64
	Unmatched   int64 // answers that nobody waits for: late, repeated or unknown
	Ignored     int64 // messages that mean nothing to a client
	Frames      int64 // without repeated ones
	Repeated    int64 // frames that came again
	Diagnostics int64
}

// RoundTrip is the shortest time in which the peer has answered a request: hardly more than the line takes. It is 0 before the first answer.
func (d *Dispatcher) RoundTrip() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trip
}

// New returns a dispatcher for conn, which it owns from now on. It does nothing before [Dispatcher.Run].
func New(conn Conn, opts Options) *Dispatcher {
	opts = opts.withDefaults()
	return &Dispatcher{
		conn:       conn,
		opts:       opts,
		log:        opts.Logger,
		window:     make(chan struct{}, opts.Window),
		over:       make(chan struct{}),
		wakeWriter: make(chan struct{}, 1),
		wakeClock:  make(chan struct{}, 1),
		pending:    make(map[string]*Pending, opts.Window),
		frames:     newFrameMemory(),
	}
}

// Run carries the traffic until the connection ends, and closes it. It returns nil after [Dispatcher.Close], however the peer
// took it, and otherwise why the connection ended: an error that wraps [ErrConnectionLost], [ErrStalled], [ErrProtocol] or
// [ErrTooLarge], or what ended ctx. When it returns, all calls have got that error and no goroutine is left. It can run once.
//
// ctx is the life of the connection, not of a transfer: who wants to say something after a cancellation, such as rollback, must
// hand in a context that outlives it.
func (d *Dispatcher) Run(ctx context.Context) error {
	if !d.running.CompareAndSwap(false, true) {
		return errors.New("dispatcher: Run was called before")
	}
	d.start(time.Now(), d.conn.Progress())
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)

	var loops errgroup.Group
	for _, loop := range []func(context.Context) error{d.readLoop, d.writeLoop, d.clockLoop} {
		loops.Go(func() error {
			d.fail(loop(ctx))
			return nil
		})
	}
	select {
	case <-d.over:
	case <-ctx.Done():
		d.fail(ended(ctx))
	}
	err := d.failure()
	polite := errors.Is(err, ErrClosed)
	if !polite {
		// Ends the loops before the connection is closed, which may take a moment. Otherwise they stay to hear the peer's farewell.
		cancel(err)
	}
	if closeErr := d.conn.Close(); closeErr != nil {
		d.log.DebugContext(ctx, "close connection", slog.Any(keyError, closeErr))
	}
	cancel(err)
	_ = loops.Wait() // the loops report through fail
	if polite {
		return nil
	}
	return err
}

// Close ends the connection from this side: calls that are under way fail with [ErrClosed], what is queued is dropped, the peer
// is told, and [Dispatcher.Run] returns nil. Whether the peer says goodbye or just drops the connection does not matter any
// more. It does not wait for Run, which is what lets go of the connection and so must be called even after Close.
func (d *Dispatcher) Close() { d.fail(ErrClosed) }

// Stats returns the counts so far.
func (d *Dispatcher) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// Done is closed as soon as the connection is over, before Run returns.
func (d *Dispatcher) Done() <-chan struct{} { return d.over }

// Err returns why the connection is over: what Run returns, or [ErrClosed]; nil before.
func (d *Dispatcher) Err() error { return d.failure() }

// fail ends everything with err; only the first error counts.
func (d *Dispatcher) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return
	}
	d.err = err
	for _, p := range d.inOrder() {
		d.finish(p, nil, p.failed(err))
	}
	d.queue = nil
	close(d.over)
}

func (d *Dispatcher) failure() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// wake tells a loop to look again; it has a note already when the channel is full.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// tell hands a diagnostic on.
func (d *Dispatcher) tell(diagnostic protocol.Diagnostic) {
	if d.opts.OnDiagnostic != nil {
		d.opts.OnDiagnostic(diagnostic)
	}
}
