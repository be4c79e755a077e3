package transfertest

import (
	"errors"
	"os"
	"sync"
	"time"
)

// systemBuffer is how much of what was written may wait to be read, in bytes.
const systemBuffer = 256 << 10

// half is one direction of a connection.
type half struct {
	mu       sync.Mutex // guards what follows
	changed  *sync.Cond
	buf      []byte
	readEnd  error // what reading gives when buf is empty
	writeEnd error // what writing gives
	reading  limit
	writing  limit
}

// limit is a deadline.
type limit struct {
	timer *time.Timer
	over  bool
}

func newHalf() *half {
	h := &half{}
	h.changed = sync.NewCond(&h.mu)
	return h
}

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(b) > 0 {
		switch {
		case h.reading.over:
			return 0, os.ErrDeadlineExceeded
		case len(h.buf) > 0:
			n := copy(b, h.buf)
			h.buf = h.buf[n:]
			h.changed.Broadcast()
			return n, nil
		case h.readEnd != nil:
			return 0, h.readEnd
		}
		h.changed.Wait()
	}
	return 0, nil
}

func (h *half) write(b []byte) (written int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for written < len(b) {
		room := systemBuffer - len(h.buf)
		switch {
		case h.writeEnd != nil:
			return written, h.writeEnd
		case h.writing.over:
			return written, os.ErrDeadlineExceeded
		case room > 0:
			n := min(room, len(b)-written)
			h.buf = append(h.buf, b[written:written+n]...)
			written += n
			h.changed.Broadcast()
			continue
		}
		h.changed.Wait()
	}
	return written, nil
}

// end makes an end of a direction. Only the first counts.
func (h *half) end(read, write error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readEnd == nil {
		h.readEnd = read
	}
	if h.writeEnd == nil {
		h.writeEnd = write
	}
	h.reading.stop()
	h.writing.stop()
	h.changed.Broadcast()
}

// drop loses what waits.
func (h *half) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf = nil
}

func (l *limit) stop() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
}

// until sets a deadline of the half. The zero time is none.
func (h *half) until(l *limit, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l.stop()
	l.over = !at.IsZero() && !time.Now().Before(at)
	if !l.over && !at.IsZero() {
		var timer *time.Timer
		timer = time.AfterFunc(time.Until(at), func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if l.timer == timer { // and not one that came after it
				l.over = true
				h.changed.Broadcast()
			}
		})
		l.timer = timer
	}
	h.changed.Broadcast()
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(at time.Time) error {
	c.in.until(&c.in.reading, at)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(at time.Time) error {
	c.out.until(&c.out.writing, at)
	return nil
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(at time.Time) error {
	return errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at))
}
