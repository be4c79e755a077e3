package dispatcher

import (
	"context"
	"time"

	"github.com/transfer-runner/runner/protocol"
)

// outgoing is one thing to write: a request, an acknowledgement, or else a ping.
type outgoing struct {
	request *Pending
	ack     string // a frame's uuid
}

// put adds to what the writer has to do. d.mu is held.
func (d *Dispatcher) put(o outgoing) {
	if o.request != nil {
		o.request.queued = true
	}
	d.queue = append(d.queue, o)
	wake(d.wakeWriter)
}

// next takes the first thing that still has to be written.
func (d *Dispatcher) next() (o outgoing, resend, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.queue) > 0 {
		o = d.queue[0]
		d.queue[0] = outgoing{}
		d.queue = d.queue[1:]
		p := o.request
		if p == nil {
			if o.ack != "" {
				d.frames.queuedAcks--
				d.watch.fresh()
			}
			return o, false, true
		}
		p.queued = false
		if p.finished() {
			d.recycle(p)
			continue
		}
		p.writing = true
		if p.sends > 0 {
			return o, true, true
		}
		d.watch.fresh()
		return o, false, true
	}
	return outgoing{}, false, false
}

// writeLoop is the only one that writes, so that messages come out whole and in the order in which they were put in line.
func (d *Dispatcher) writeLoop(ctx context.Context) error {
	var ack []byte
	for {
		o, resend, ok := d.next()
		if !ok {
			select {
			case <-d.wakeWriter:
				continue
			case <-ctx.Done():
				return ended(ctx)
			}
		}
		var err error
		switch {
		case o.request != nil:
			err = d.conn.Write(ctx, o.request.frame)
		case o.ack != "":
			ack = protocol.AppendAck(ack[:0], o.ack)
			err = d.conn.Write(ctx, ack)
		default:
			err = d.conn.Ping(ctx)
		}
		if err != nil {
			return lost("write", err)
		}
		d.written(o, resend, d.conn.Progress())
	}
}

// written notes that something has been given to the network.
func (d *Dispatcher) written(o outgoing, resend bool, progress Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	p := o.request
	switch {
	case p == nil && o.ack == "":
		d.watch.pinging = false
	case !resend:
		d.watch.freshEnd = progress.Offered
	}
	d.watch.observe(now, progress)
	if p == nil {
		return
	}
	p.writing = false
	p.sentAt = now
	if p.sends++; resend {
		d.stats.Resent++
	} else {
		d.stats.Sent++
	}
	if p.finished() {
		d.recycle(p)
		return
	}
	p.end = progress.Offered
	p.due = now.Add(p.wait)
	d.lookAt(p.due)
}
