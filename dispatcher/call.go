package dispatcher

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/google/uuid"

	"github.com/transfer-runner/runner/protocol"
)

// Pending is a request on its way to an answer.
type Pending struct {
	d       *Dispatcher
	uuid    string
	what    string // "stream entities"
	seq     int64
	began   time.Time
	noStall bool
	done    chan struct{} // closed once data and err are set

	// Guarded by d.mu until done is closed.
	frame   []byte
	retry   backoff.BackOff
	wait    time.Duration // until the next resend
	due     time.Time     // of the next resend; zero while the request is queued or being written
	end     int64         // Progress.Offered after the last send
	sends   int
	sentAt  time.Time // when it was written last
	queued  bool
	writing bool
	data    json.RawMessage
	err     error
}

// Call sends req and waits for its answer: the data of the response, nil when there is none, or a [*protocol.Error]. It gives
// req a fresh uuid if it has none. When ctx ends, so does the call, with what ended ctx; the peer may do the work all the same.
func (d *Dispatcher) Call(ctx context.Context, req protocol.Request, opts CallOptions) (json.RawMessage, error) {
	p, err := d.Go(ctx, req, opts)
	if err != nil {
		return nil, err
	}
	return p.Wait(ctx)
}

// Go puts req in line to be sent as soon as the window has room, and waits only for that. What req holds is copied before Go
// returns. It takes its place in the window until it is answered or given up; its answer is fetched with [Pending.Wait].
func (d *Dispatcher) Go(ctx context.Context, req protocol.Request, opts CallOptions) (*Pending, error) {
	what := describe(req)
	if size := len(req.Data) + len(req.Params) + len(req.Payload); size > protocol.MaxMessage {
		return nil, fmt.Errorf("%s: %w: %d bytes, at most %d", what, ErrTooLarge, size, protocol.MaxMessage)
	}
	if req.UUID == "" {
		id, err := uuid.NewRandom()
		if err != nil {
			return nil, fmt.Errorf("%s: make a uuid: %w", what, err)
		}
		req.UUID = id.String()
	}
	if err := context.Cause(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", what, ended(ctx))
	}
	select {
	case <-d.over:
		return nil, fmt.Errorf("%s: %w", what, d.failure())
	default:
	}
	select {
	case d.window <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", what, ended(ctx))
	case <-d.over:
		return nil, fmt.Errorf("%s: %w", what, d.failure())
	}
	p, err := d.enqueue(what, req, opts)
	if err != nil {
		<-d.window
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return p, nil
}

func (d *Dispatcher) enqueue(what string, req protocol.Request, opts CallOptions) (*Pending, error) {
	frame := req.Append(d.buffer())
	if len(frame) > protocol.MaxMessage {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(frame), protocol.MaxMessage)
	}
	timeout := cmp.Or(max(opts.Timeout, 0), d.opts.RetryMessageTimeout)
	retries := max(cmp.Or(opts.MaxRetries, d.opts.RetryMessageMaxRetries), 0)
	p := &Pending{
		d: d, uuid: req.UUID, what: what, began: time.Now(), noStall: opts.NoStall, done: make(chan struct{}),
		frame: frame,
		// A wait before each of the retries+1 resends, and one after the last.
		retry: backoff.WithMaxRetries(backoff.NewConstantBackOff(timeout), uint64(retries)+2),
	}
	p.wait = p.retry.NextBackOff()

	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return nil, d.err
	}
	if d.pending[p.uuid] != nil {
		return nil, fmt.Errorf("request %s is under way already", p.uuid)
	}
	d.seq++
	p.seq = d.seq
	d.pending[p.uuid] = p
	d.put(outgoing{request: p})
	d.waiting(p.began)
	return p, nil
}

// UUID is the request's uuid.
func (p *Pending) UUID() string { return p.uuid }

// Wait returns the answer, as [Dispatcher.Call] does. When ctx ends first, the request is given up: it is not sent again, and
// its answer is dropped. Wait may be called again and then returns the same.
func (p *Pending) Wait(ctx context.Context) (json.RawMessage, error) {
	select {
	case <-p.done:
		return p.data, p.err
	default:
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.d.abandon(p, ended(ctx))
		<-p.done
	}
	return p.data, p.err
}

func (d *Dispatcher) abandon(p *Pending, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pending[p.uuid] == p {
		d.finish(p, nil, p.failed(err))
	}
}

// answer gives a response to the request that waits for it.
func (d *Dispatcher) answer(r *protocol.Response) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.pending[r.UUID]
	if p == nil {
		d.stats.Unmatched++
		return
	}
	d.stats.Answered++
	if trip := time.Since(p.sentAt); p.sends == 1 && (d.trip == 0 || trip < d.trip) { // of one that was sent again, nobody knows which was answered
		d.trip = trip
	}
	if r.Error != nil {
		d.finish(p, nil, r.Error)
		return
	}
	d.finish(p, r.Data, nil)
}

// finish ends a request and makes room in the window. d.mu is held.
func (d *Dispatcher) finish(p *Pending, data json.RawMessage, err error) {
	delete(d.pending, p.uuid)
	p.data, p.err = data, err
	if !p.queued && !p.writing {
		d.recycle(p)
	}
	close(p.done)
	<-d.window
	d.waiting(time.Now())
}

func (p *Pending) finished() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// failed says which request err ended.
func (p *Pending) failed(err error) error {
	return fmt.Errorf("%s (request %s): %w", p.what, p.uuid, err)
}

// noAnswer is the error of a request that was sent as often as allowed.
func (p *Pending) noAnswer(now time.Time) error {
	return p.failed(fmt.Errorf("%w: no answer to %d sends in %s", ErrNoAnswer, p.sends, age(p.began, now)))
}

// inOrder returns the unanswered requests, oldest first. d.mu is held.
func (d *Dispatcher) inOrder() []*Pending {
	all := make([]*Pending, 0, len(d.pending))
	for _, p := range d.pending {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *Pending) int { return cmp.Compare(a.seq, b.seq) })
	return all
}

// maxFreeBuffer bounds the buffers that are kept for later requests, in bytes: one that was needed for a huge entity is let go.
const maxFreeBuffer = 9 << 20

func (d *Dispatcher) buffer() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.free); n > 0 {
		buf := d.free[n-1]
		d.free = d.free[:n-1]
		return buf
	}
	return nil
}

// recycle keeps the buffer of a request that nobody needs any more. d.mu is held.
func (d *Dispatcher) recycle(p *Pending) {
	if cap(p.frame) <= maxFreeBuffer && len(d.free) < d.opts.Window {
		d.free = append(d.free, p.frame[:0])
	}
	p.frame = nil
}

// describe names a request in errors, without anything that it carries.
func describe(req protocol.Request) string {
	switch {
	case req.Type == protocol.TypeCommand:
		return string(req.Command)
	case req.Kind == protocol.KindStep:
		return fmt.Sprintf("%s %s", req.Verb, req.Stage)
	case req.Action != "":
		return string(req.Action)
	default:
		return "request"
	}
}

// age rounds the time since then as people read it.
func age(then, now time.Time) time.Duration { return now.Sub(then).Round(time.Millisecond) }
