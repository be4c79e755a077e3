package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// watch follows what moves over the connection. The dispatcher's mu guards it.
type watch struct {
	heardAt    time.Time // when anything last came in or was taken
	progressAt time.Time // when there last was progress, or waiting began
	nextPing   time.Time
	pinging    bool      // a ping is queued or being written
	waiting    bool      // the peer has something to do
	expected   int       // Expect is held so many times
	look       time.Time // when the clock looks next

	last Progress
	// freshEnd is where in Progress.Offered the last thing ended that is not a ping or a resend: only what is taken up to here
	// is progress, or else resends to a dead peer would look like it.
	freshEnd int64
}

// observe notes what has moved since the last look.
func (w *watch) observe(now time.Time, p Progress) {
	taken := min(p.Taken, w.freshEnd)
	moved := p.Read > w.last.Read || taken > w.last.Taken
	if moved || p.Heard > w.last.Heard {
		w.heardAt = now
	}
	if moved {
		w.progressAt = now
	}
	w.last = Progress{
		Heard:   max(p.Heard, w.last.Heard),
		Read:    max(p.Read, w.last.Read),
		Offered: max(p.Offered, w.last.Offered),
		Taken:   max(taken, w.last.Taken),
	}
}

// fresh says that something new is about to be written.
func (w *watch) fresh() { w.freshEnd = math.MaxInt64 }

func (d *Dispatcher) start(now time.Time, p Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch.heardAt = now
	d.watch.progressAt = now
	d.watch.nextPing = now.Add(max(d.opts.HeartbeatInterval, 0))
	d.watch.last = p
	d.watch.freshEnd = p.Offered
}

// waiting works out anew whether this side waits for the peer, after something has changed. d.mu is held.
func (d *Dispatcher) waiting(now time.Time) {
	was := d.watch.waiting
	d.watch.waiting = d.watch.expected > 0 && len(d.frames.open) == 0 || d.oldestOwed() != nil
	if d.watch.waiting && !was {
		d.watch.progressAt = now
		if d.opts.StallTimeout > 0 {
			d.lookAt(now.Add(d.opts.StallTimeout / looks))
		}
	}
}

// lookAt wakes the clock if it would look later than at. d.mu is held.
func (d *Dispatcher) lookAt(at time.Time) {
	if at.Before(d.watch.look) {
		wake(d.wakeClock)
	}
}

// oldestOwed returns the oldest request that the peer must not be silent about. d.mu is held.
func (d *Dispatcher) oldestOwed() (oldest *Pending) {
	for _, p := range d.pending {
		if !p.noStall && (oldest == nil || p.seq < oldest.seq) {
			oldest = p
		}
	}
	return oldest
}

// clockLoop resends, pings and gives up when it is time to.
func (d *Dispatcher) clockLoop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-d.wakeClock:
		case <-ctx.Done():
			return ended(ctx)
		}
		progress := d.conn.Progress()
		next, err := d.tick(time.Now(), progress)
		if err != nil {
			return err
		}
		timer.Reset(time.Until(next))
	}
}

// longestLook is how long the clock sleeps when nothing is to be done.
const longestLook = time.Hour

// tick does what is due and returns when to look again.
func (d *Dispatcher) tick(now time.Time, progress Progress) (time.Time, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch.observe(now, progress)
	next := now.Add(longestLook)
	for _, p := range d.inOrder() {
		d.resend(p, now, progress)
		if !p.due.IsZero() && p.due.Before(next) && !p.finished() {
			next = p.due
		}
	}
	if at, err := d.heartbeat(now); err != nil {
		return next, err
	} else if !at.IsZero() && at.Before(next) {
		next = at
	}
	at, err := d.stall(now)
	if !at.IsZero() && at.Before(next) {
		next = at
	}
	d.watch.look = next
	return next, err
}

// resend puts a request in line once more if it is time, or gives it up. d.mu is held.
func (d *Dispatcher) resend(p *Pending, now time.Time, progress Progress) {
	if p.due.IsZero() || now.Before(p.due) {
		return
	}
	if progress.Taken < p.end {
		// The last one has not even reached the peer: a slow link would only get slower with another.
		p.due = now.Add(p.wait)
		return
	}
	wait := p.retry.NextBackOff()
	if wait == backoff.Stop {
		d.finish(p, nil, p.noAnswer(now))
		return
	}
	p.wait = wait
	p.due = time.Time{}
	d.log.Debug("send again", slog.String(keyRequest, p.what), slog.String(keyUUID, p.uuid), slog.Int(keySends, p.sends))
	d.put(outgoing{request: p})
}

// heartbeat pings when it is time, and fails when the peer has been silent for too long. d.mu is held.
func (d *Dispatcher) heartbeat(now time.Time) (next time.Time, err error) {
	if d.opts.HeartbeatInterval < 0 {
		return time.Time{}, nil
	}
	gone := d.watch.heardAt.Add(d.opts.HeartbeatTimeout)
	if !now.Before(gone) {
		return gone, fmt.Errorf("%w: peer gone: nothing heard from it for %s", ErrConnectionLost, age(d.watch.heardAt, now))
	}
	if !now.Before(d.watch.nextPing) {
		d.watch.nextPing = now.Add(d.opts.HeartbeatInterval)
		if !d.watch.pinging {
			d.watch.pinging = true
			d.put(outgoing{})
		}
	}
	if d.watch.nextPing.Before(gone) {
		return d.watch.nextPing, nil
	}
	return gone, nil
}

// looks is how often the stall timer looks for progress that no message tells of, in the time that it allows without any.
const looks = 16

// stall fails when the peer has something to do and does nothing. d.mu is held.
func (d *Dispatcher) stall(now time.Time) (next time.Time, err error) {
	if !d.watch.waiting || d.opts.StallTimeout < 0 {
		return time.Time{}, nil
	}
	stalled := d.watch.progressAt.Add(d.opts.StallTimeout)
	if !now.Before(stalled) {
		return stalled, fmt.Errorf("%w: the peer is there and did nothing for %s: %s",
			ErrStalled, age(d.watch.progressAt, now), d.owed(now))
	}
	if look := now.Add(max(d.opts.StallTimeout/looks, time.Millisecond)); look.Before(stalled) {
		return look, nil
	}
	return stalled, nil
}

// owed says what the peer should be doing. d.mu is held.
func (d *Dispatcher) owed(now time.Time) string {
	if p := d.oldestOwed(); p != nil {
		return fmt.Sprintf("%s (request %s, sent %d times in %s) is unanswered", p.what, p.uuid, p.sends, age(p.began, now))
	}
	return "it owes the next frame of a stage"
}
