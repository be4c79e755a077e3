package dispatcher

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// maxPiece is how much is given to the network at a time, so that a deadline is for this much and not for a whole message.
const maxPiece = 64 << 10

// meter is a network connection that counts what passes, and whose deadline for writing moves with what is taken: a slow link
// may take as long as it needs, one that takes nothing may not.
type meter struct {
	net.Conn

	patience time.Duration // for each piece that is written
	received atomic.Int64
	sent     atomic.Int64
	taken    atomic.Int64 // the highest figure that reached has returned
	limit    atomic.Int64 // of received, while the peer is not known to be one; 0 is none
	deadline atomic.Int64 // for writing, as set from outside: Unix time in ns; 0 is none
}

var errHandshakeTooLong = errors.New("the answer to the handshake is too long")

func newMeter(conn net.Conn, patience time.Duration) *meter {
	return &meter{Conn: conn, patience: patience}
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.received.Add(int64(n))
	if m.over() {
		return n, errHandshakeTooLong
	}
	return n, err
}

// over says whether more has come than may.
func (m *meter) over() bool {
	if m == nil {
		return false
	}
	limit := m.limit.Load()
	return limit > 0 && m.received.Load() > limit
}

func (m *meter) Write(b []byte) (written int, err error) {
	for {
		piece := b[written:min(written+maxPiece, len(b))]
		if err := m.Conn.SetWriteDeadline(m.until()); err != nil {
			return written, err
		}
		n, err := m.Conn.Write(piece)
		written += n
		m.sent.Add(int64(n))
		if err != nil || written == len(b) {
			return written, err
		}
	}
}

// until is the deadline for the next piece.
func (m *meter) until() time.Time {
	patience := time.Now().Add(m.patience)
	if at := m.deadline.Load(); at != 0 && at < patience.UnixNano() {
		return time.Unix(0, at)
	}
	return patience
}

func (m *meter) SetWriteDeadline(t time.Time) error {
	if t.IsZero() {
		m.deadline.Store(0)
		return nil
	}
	m.deadline.Store(t.UnixNano())
	return m.Conn.SetWriteDeadline(t) // also for a Write that is under way
}

func (m *meter) SetDeadline(t time.Time) error {
	return errors.Join(m.SetReadDeadline(t), m.SetWriteDeadline(t))
}

// NetConn returns the connection below, as [tls.Conn] does.
func (m *meter) NetConn() net.Conn { return m.Conn }

// reached returns how much of what was sent has reached the peer's host, as far as the system tells.
func (m *meter) reached() int64 {
	sent := m.sent.Load() // before the question: what is sent meanwhile must not count as reached
	inFlight := 0
	if conn, ok := m.Conn.(syscall.Conn); ok {
		inFlight = unacknowledged(conn)
	}
	now := sent - int64(inFlight)
	for {
		before := m.taken.Load()
		if now <= before {
			return before
		}
		if m.taken.CompareAndSwap(before, now) {
			return now
		}
	}
}
