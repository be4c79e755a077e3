package dispatcher

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/transfer-runner/runner/protocol"
)

// Bounds of what a peer can make a [Dispatcher] hold.
const (
	// MaxUnacknowledgedFrames and MaxUnacknowledgedBytes are how much a peer may send without waiting for acknowledgement. A
	// stock one sends a frame of about 1 MiB for each of at most four stages, one of ours as many as the window has room for. The
	// first frame may be of any size.
	MaxUnacknowledgedFrames = protocol.MaxWindow + 4
	MaxUnacknowledgedBytes  = protocol.MaxInFlight * 3 / 2
	// MaxRememberedFrames is how many acknowledged frames are remembered, to recognise one that comes again.
	MaxRememberedFrames = 16 << 10
	// maxQueuedAcks is how many acknowledgements may wait to be written. Only a peer that repeats frames and reads nothing gets
	// there.
	maxQueuedAcks = 1 << 10
)

// frameMemory knows the frames that a peer sent. The dispatcher's mu guards it.
type frameMemory struct {
	open         map[string]int // received and not acknowledged: size in bytes
	openBytes    int
	acknowledged map[string]struct{}
	order        []string // of acknowledged; a ring once it is full
	oldest       int
	queuedAcks   int
}

func newFrameMemory() frameMemory {
	return frameMemory{open: make(map[string]int), acknowledged: make(map[string]struct{})}
}

// receive notes a frame and says whether it is new. One that came before and was acknowledged is acknowledged again: the peer
// has missed it.
func (d *Dispatcher) receive(uuid string, size int) (fresh bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return false, nil
	}
	m := &d.frames
	if _, again := m.acknowledged[uuid]; again {
		d.stats.Repeated++
		return false, d.acknowledge(uuid)
	}
	if _, again := m.open[uuid]; again {
		d.stats.Repeated++
		return false, nil
	}
	d.stats.Frames++
	if d.opts.OnFrame == nil {
		return false, nil
	}
	if len(m.open) >= MaxUnacknowledgedFrames {
		return false, fmt.Errorf("%w: it sent %d frames without waiting for acknowledgement, at most %d",
			ErrProtocol, len(m.open)+1, MaxUnacknowledgedFrames)
	}
	if len(m.open) > 0 && m.openBytes+size > MaxUnacknowledgedBytes {
		return false, fmt.Errorf("%w: it sent %d bytes of frames without waiting for acknowledgement, at most %d",
			ErrProtocol, m.openBytes+size, MaxUnacknowledgedBytes)
	}
	m.open[uuid] = size
	m.openBytes += size
	d.waiting(time.Now())
	return true, nil
}

// Ack tells the peer that a frame has been taken over, and does so once however often it is called. It does not wait until that
// is written.
func (d *Dispatcher) Ack(ctx context.Context, frameUUID string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("acknowledge frame %s: %w", frameUUID, ended(ctx))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return fmt.Errorf("acknowledge frame %s: %w", frameUUID, d.err)
	}
	m := &d.frames
	if _, done := m.acknowledged[frameUUID]; done {
		return nil
	}
	size, open := m.open[frameUUID]
	if !open {
		return fmt.Errorf("acknowledge frame %s: no such frame came", frameUUID)
	}
	delete(m.open, frameUUID)
	m.openBytes -= size
	m.remember(frameUUID)
	d.waiting(time.Now())
	return d.acknowledge(frameUUID)
}

// acknowledge puts an acknowledgement in line. d.mu is held.
func (d *Dispatcher) acknowledge(uuid string) error {
	if d.frames.queuedAcks >= maxQueuedAcks {
		return fmt.Errorf("%w: it repeats frames and does not read their acknowledgements", ErrProtocol)
	}
	d.frames.queuedAcks++
	d.put(outgoing{ack: uuid})
	return nil
}

func (m *frameMemory) remember(uuid string) {
	m.acknowledged[uuid] = struct{}{}
	if len(m.order) < MaxRememberedFrames {
		m.order = append(m.order, uuid)
		return
	}
	delete(m.acknowledged, m.order[m.oldest])
	m.order[m.oldest] = uuid
	m.oldest = (m.oldest + 1) % MaxRememberedFrames
}

// Expect says that the peer owes us something other than an answer, such as the frames of a stage. Until done is called the
// stall timer runs, except while a received frame waits for its acknowledgement: then it is the peer's turn to wait.
func (d *Dispatcher) Expect() (done func()) {
	d.expecting(1)
	return sync.OnceFunc(func() { d.expecting(-1) })
}

func (d *Dispatcher) expecting(change int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch.expected += change
	d.waiting(time.Now())
}
