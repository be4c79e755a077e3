package socketio

import (
	"log/slog"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// state is how far the life of a session has come.
type state byte

const (
	stateOpen    state = iota
	stateClosing       // sends what waits, then closes
	stateClosed
)

// receiver takes what comes over a session: messages, one at a time, and why it ended.
type receiver interface {
	receive(p packet) error
	lost(reason Reason)
}

// session is an Engine.IO connection.
type session struct {
	server *Server
	id     string
	client receiver

	incoming sync.Mutex // held while packets of the client are handled, so that they are in order

	mu        sync.Mutex // guards what follows
	state     state
	conn      *websocket.Conn // nil while the transport is polling
	probe     *websocket.Conn // the WebSocket that may become the transport
	probed    bool            // the probe has been answered
	queue     []*frame
	queued    int   // bytes in queue
	writing   bool  // a goroutine writes to conn
	poll      *poll // the request that waits for packets
	posting   bool  // a request brings packets
	farewell  byte  // what a waiting poll gets when the session has closed
	timer     *time.Timer
	due       time.Time // when timer fires: a time to be kept, however late the last one was
	awaiting  bool      // a ping was sent
	refreshed bool      // something else than its pong came since
}

// poll is a request that waits. A value in wake tells it to look at the session again.
type poll struct {
	wake chan struct{}
}

func (p *poll) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// start begins the heartbeat. The caller has put the session on the server's list.
func (s *session) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateOpen {
		s.due = time.Now().Add(s.server.options.PingInterval)
		s.timer = time.AfterFunc(s.server.options.PingInterval, s.beat)
	}
}

// wait sets the timer anew. The caller holds s.mu.
func (s *session) wait(from time.Time, d time.Duration) {
	s.due = from.Add(d)
	s.timer.Reset(time.Until(s.due))
}

// silent reports whether the client has let the time for a pong go by, even if the timer is late. The caller holds s.mu.
func (s *session) silent() bool {
	return s.state == stateOpen && s.awaiting && !time.Now().Before(s.due)
}

// beat sends a ping, or finds that the last one was not answered.
func (s *session) beat() {
	s.mu.Lock()
	if s.state != stateOpen {
		s.mu.Unlock()
		return
	}
	if s.awaiting {
		s.mu.Unlock()
		s.shut(ReasonPingTimeout)
		return
	}
	s.awaiting, s.refreshed = true, false
	s.wait(s.due, s.server.options.PingTimeout)
	s.push([]*frame{s.server.ping})
	s.mu.Unlock()
}

// alive notes that a packet has come. Anything but a pong buys time once: a client that sends much may be slow to answer.
func (s *session) alive(kind byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen || s.timer == nil {
		return
	}
	switch {
	case kind == packetPong:
		s.awaiting = false
		s.wait(time.Now(), s.server.options.PingInterval)
	case s.awaiting && !s.refreshed:
		s.refreshed = true
		s.wait(time.Now(), s.server.options.PingTimeout)
	}
}

// handle takes a packet of the client, and reports whether more may come. The caller holds s.incoming.
func (s *session) handle(p packet) bool {
	s.mu.Lock()
	open := s.state == stateOpen
	s.mu.Unlock()
	if !open {
		return false
	}
	s.server.counters.received.Add(1)
	s.alive(p.kind)
	switch p.kind {
	case packetPing: // is for the server to send
		s.shut(ReasonTransportError)
		return false
	case packetClose:
		s.bye(ReasonTransportClose, packetNoop)
		return false
	case packetMessage:
		if err := s.client.receive(p); err != nil {
			s.server.counters.malformed.Add(1)
			s.server.log.Debug("socket.io packet refused", slog.String(keySession, s.id), slog.Any(keyError, err))
			s.end()
			return false
		}
	}
	return true
}

// send puts frames that belong together in the queue. What cannot be sent any more is dropped, and so is a client that does not read.
func (s *session) send(frames ...*frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateOpen {
		s.push(frames)
	}
}

// push is send for callers who hold s.mu.
func (s *session) push(frames []*frame) {
	o := &s.server.options
	size := 0
	for _, f := range frames {
		size += len(f.data)
	}
	if len(s.queue) > 0 && (len(s.queue)+len(frames) > o.MaxQueue || s.queued+size > o.MaxQueueBytes) {
		s.server.counters.slow.Add(1)
		s.server.log.Info("socket.io client dropped: it reads too slowly", slog.String(keySession, s.id), slog.Int(keyWaiting, len(s.queue)))
		s.queue, s.queued = nil, 0
		s.state = stateClosing                                              // takes no more
		s.server.spawn(func() { s.bye(ReasonTransportError, packetClose) }) // the caller may hold the lock of a namespace
		return
	}
	s.queue = append(s.queue, frames...)
	s.queued += size
	s.server.counters.sent.Add(uint64(len(frames)))
	s.flush()
}

// flush wakes whoever sends. The caller holds s.mu.
func (s *session) flush() {
	switch {
	case s.conn != nil && !s.writing:
		s.writing = true
		s.server.spawn(s.write)
	case s.conn == nil && s.poll != nil:
		s.poll.signal()
	}
}

// take empties the queue. The caller holds s.mu.
func (s *session) take() []*frame {
	frames := s.queue
	s.queue, s.queued = nil, 0
	return frames
}

// end closes the session when what waits has been sent. What the client sends from now on is ignored.
func (s *session) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		return
	}
	s.state = stateClosing
	if s.timer != nil {
		s.timer.Stop()
	}
	// A client that polls learns of it from its next request, for which the session stays known.
	s.timer = time.AfterFunc(s.server.options.CloseTimeout, func() { s.shut(ReasonForcedClose) })
	s.flush()
}

// shut closes the session at once.
func (s *session) shut(reason Reason) { s.bye(reason, packetClose) }

// bye closes the session at once; a poll that waits is answered with farewell.
func (s *session) bye(reason Reason, farewell byte) {
	s.mu.Lock()
	if s.state == stateClosed {
		s.mu.Unlock()
		return
	}
	s.state, s.farewell = stateClosed, farewell
	s.take()
	if s.timer != nil {
		s.timer.Stop()
	}
	conn, probe := s.conn, s.probe
	if s.poll != nil {
		s.poll.signal()
	}
	s.mu.Unlock()

	s.server.remove(s)
	for _, c := range []*websocket.Conn{conn, probe} {
		if c != nil {
			_ = c.Close() // whatever it says, it is closed
		}
	}
	s.client.lost(reason)
}
