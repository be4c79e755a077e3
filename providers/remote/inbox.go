package remote

import (
	"context"
	"fmt"
	"sync"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

const (
	// prefetch is how many frames are acknowledged before anybody reads them. One more may wait unacknowledged, so that this
	// bounds what a pull keeps in memory: a few MiB, as Strapi's frames have little more than one each.
	prefetch = 2

	// spare is how many frames may wait beyond the window: those that have been acknowledged unread, twice over, before a server counts as one
	// that does not wait for acknowledgements.
	spare = 2 * prefetch
)

// arrival is a frame and what the server reported before it, because the error of a frame has no text.
type arrival struct {
	protocol.Frame
	report string
	acked  bool
}

// last reports whether nothing comes after the frame. It is acknowledged by whoever reads it, before end is sent.
func (a *arrival) last() bool { return a.Ended || protocol.Truthy(a.Error) }

// inbox sorts frames into lanes, one for each stream that is being read.
type inbox struct {
	ack    func(uuid string)    // queues an acknowledgement; does not block
	expect func() (done func()) // tells the dispatcher that the server owes us frames
	most   int                  // how many frames of a stream may wait

	mu    sync.Mutex // guards what follows, and what is in the lanes
	lanes map[string]*lane
	early []arrival // frames of a stream whose lane is not open yet: a whole window may come with the answer to start
	lost  bool      // there were more, which were dropped
}

// newInbox returns an inbox for a server that may have window frames under way.
func newInbox(window int) *inbox {
	return &inbox{most: max(window, 1) + spare, lanes: make(map[string]*lane)}
}

// deliver takes a frame from the reader of the connection and does not block.
func (b *inbox) deliver(f protocol.Frame, report string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := arrival{Frame: f, report: report}
	if l, ok := b.lanes[f.Stream]; ok {
		l.put(a)
		return
	}
	// More frames of no stream of ours come from a server that talks nonsense. As with Strapi's client, nobody answers them.
	if len(b.early) < b.most {
		b.early = append(b.early, a)
	} else {
		b.lost = true
	}
}

// open makes a lane for the stream that the answer to start named, and puts into it what came before the answer was read.
func (b *inbox) open(id string) *lane {
	owed := b.expect()
	b.mu.Lock()
	defer b.mu.Unlock()
	l := &lane{inbox: b, signal: make(chan struct{}, 1), owed: owed}
	b.lanes[id] = l
	for _, a := range b.early {
		if a.Stream == id {
			l.put(a)
		}
	}
	if b.lost { // perhaps of this stream
		l.fail()
	}
	b.early, b.lost = nil, false
	return l
}

// close forgets a lane.
func (b *inbox) close(id string) {
	b.mu.Lock()
	l := b.lanes[id]
	delete(b.lanes, id)
	b.mu.Unlock()
	if l != nil {
		l.owed()
	}
}

// lane holds the frames of one stream.
type lane struct {
	inbox   *inbox
	queue   []arrival
	signal  chan struct{} // of capacity one: something has changed
	owed    func()        // ends the expectation of frames
	discard bool          // nobody reads any more
	ended   bool          // the last frame has come
	failed  error
}

// put takes a frame. The inbox is locked.
func (l *lane) put(a arrival) {
	switch {
	case l.ended:
		l.failed = fmt.Errorf("%w: the server sent a frame after the last one of the stream; %s", transfer.ErrDamaged, hintLog)
	case len(l.queue) >= l.inbox.most:
		l.fail()
	default:
		l.ended = a.last()
		if l.ended {
			l.owed()
		}
		l.queue = append(l.queue, a)
		l.acknowledge()
	}
	select {
	case l.signal <- struct{}{}:
	default:
	}
}

// fail refuses to read from a server that sends more than it may. The inbox is locked.
func (l *lane) fail() {
	l.failed = fmt.Errorf("%w: the server does not wait for acknowledgements; %s", transfer.ErrConnection, hintNotRunner)
}

// acknowledge lets the server go on as far as there is room. The inbox is locked.
func (l *lane) acknowledge() {
	for i := range l.queue {
		a := &l.queue[i]
		if !a.acked && (l.discard || i < prefetch && !a.last()) {
			a.acked = true
			l.inbox.ack(a.UUID)
		}
	}
	if l.discard {
		l.queue = nil
	}
}

// take returns the first frame of the queue, acknowledged, if there is one.
func (l *lane) take() (a arrival, ok bool, err error) {
	l.inbox.mu.Lock()
	defer l.inbox.mu.Unlock()
	if l.failed != nil || len(l.queue) == 0 {
		return a, false, l.failed
	}
	a = l.queue[0]
	l.queue[0] = arrival{}
	l.queue = l.queue[1:]
	if !a.acked {
		l.inbox.ack(a.UUID)
	}
	l.acknowledge()
	return a, true, nil
}

// giveUp makes the lane drop what has come and what comes, but acknowledge it, so that the server gets to its end.
func (l *lane) giveUp() {
	l.inbox.mu.Lock()
	defer l.inbox.mu.Unlock()
	l.discard = true
	l.acknowledge()
}

// over reports whether the last frame has come.
func (l *lane) over() bool {
	l.inbox.mu.Lock()
	defer l.inbox.mu.Unlock()
	return l.ended
}

// next returns the next frame of a lane.
func (s *session) next(ctx context.Context, l *lane) (arrival, error) {
	for {
		if err := s.lost(); err != nil {
			return arrival{}, err
		}
		a, ok, err := l.take()
		if ok || err != nil {
			return a, err
		}
		select {
		case <-l.signal:
		case <-s.disp.Done():
		case <-ctx.Done():
			return arrival{}, context.Cause(ctx)
		}
	}
}
