package socketio

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Socket is a client in a namespace.
type Socket struct {
	// Handshake is how the client came. It must not be changed.
	Handshake Handshake

	namespace *Namespace
	client    *client
	id        string
	pid       string // by which the client may come back; secret
	offset    string // of the last event that a client which comes back has seen
	recovered bool

	// What follows is guarded by the lock of the namespace.
	connected bool
	rooms     []string
	data      any

	ackMu sync.Mutex // guards what follows
	acks  map[int64]*waiting
	last  int64 // id of an acknowledgement
}

// ID returns the name of the socket, which is public.
func (s *Socket) ID() string { return s.id }

// Recovered reports whether the client has come back to its rooms and data, and gets what it missed.
func (s *Socket) Recovered() bool { return s.recovered }

// Renounce makes a client that would come back start anew, without its former rooms and data. It is for middleware.
func (s *Socket) Renounce() {
	if !s.recovered || s.isConnected() {
		return
	}
	s.id, s.pid, s.recovered = newID(), newID(), false
	s.namespace.mu.Lock()
	defer s.namespace.mu.Unlock()
	s.rooms, s.data = nil, nil
}

// Data returns what [Socket.SetData] has stored. A client that comes back has it again.
func (s *Socket) Data() any {
	s.namespace.mu.Lock()
	defer s.namespace.mu.Unlock()
	return s.data
}

// SetData stores something with the socket.
func (s *Socket) SetData(data any) {
	s.namespace.mu.Lock()
	defer s.namespace.mu.Unlock()
	s.data = data
}

// Rooms returns the rooms that the socket is in, beside that with its own id.
func (s *Socket) Rooms() []string {
	s.namespace.mu.Lock()
	defer s.namespace.mu.Unlock()
	return slices.Clone(s.rooms)
}

// Join puts the socket into rooms. In middleware, it will be in them when it has joined.
func (s *Socket) Join(rooms ...string) {
	n := s.namespace
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, room := range rooms {
		if room == s.id || slices.Contains(s.rooms, room) {
			continue
		}
		s.rooms = append(s.rooms, room)
		if s.connected {
			n.enter(s, room)
		}
	}
}

// Leave takes the socket out of rooms.
func (s *Socket) Leave(rooms ...string) {
	n := s.namespace
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, room := range rooms {
		i := slices.Index(s.rooms, room)
		if i < 0 {
			continue
		}
		s.rooms = slices.Delete(s.rooms, i, i+1)
		if s.connected {
			n.exit(s, room)
		}
	}
}

// within reports whether the socket is meant by t. The caller holds the lock of the namespace.
func (s *Socket) within(t target) bool {
	is := func(room string) bool { return room == s.id || slices.Contains(s.rooms, room) }
	return (len(t.rooms) == 0 || slices.ContainsFunc(t.rooms, is)) && !slices.ContainsFunc(t.except, is)
}

// Emit sends an event to this client. It does not wait for it.
func (s *Socket) Emit(event string, args ...any) error {
	if reserved(event) {
		return fmt.Errorf("emit %q: %w", event, ErrReserved)
	}
	data, attachments, err := encodeArgs(append([]any{event}, args...))
	if err != nil {
		return fmt.Errorf("emit %q: %w", event, err)
	}
	s.namespace.deliver(target{rooms: []string{s.id}}, data, attachments, false)
	return nil
}

// Broadcast chooses all sockets of the namespace but this one.
func (s *Socket) Broadcast() Broadcast { return s.namespace.To().Except(s.id) }

// Disconnect takes the client out of the namespace, which it learns. The connection stays, for other namespaces.
func (s *Socket) Disconnect() {
	if !s.isConnected() {
		return
	}
	m := message{kind: kindDisconnect, namespace: s.namespace.name, id: noID}
	s.client.session.send(m.frames(nil, false)...)
	s.lost(ReasonNamespaceDisconnect)
}

// Close disconnects the client from all namespaces and closes its connection.
func (s *Socket) Close() {
	s.client.mu.Lock()
	sockets := slices.Clone(s.client.sockets)
	s.client.mu.Unlock()
	for _, other := range sockets {
		other.Disconnect()
	}
	s.client.close()
}

func (s *Socket) isConnected() bool {
	s.namespace.mu.Lock()
	defer s.namespace.mu.Unlock()
	return s.connected
}

// lost ends the socket. Only the first reason counts.
func (s *Socket) lost(reason Reason) {
	n := s.namespace
	n.mu.Lock()
	was := s.connected
	s.connected = false
	n.mu.Unlock()
	if !was {
		return
	}
	n.dismiss(s, reason)
	s.client.leave(s)
	for _, f := range n.onDisconnect {
		f(s, reason)
	}
	s.ackMu.Lock()
	acks := s.acks
	s.acks = nil
	s.ackMu.Unlock()
	for _, w := range acks {
		w.end(nil, ErrDisconnected)
	}
}

// waiting is an acknowledgement that has not come yet.
type waiting struct {
	once  sync.Once
	timer *time.Timer
	done  func(*Event, error)
}

func (w *waiting) end(e *Event, err error) {
	w.once.Do(func() {
		if w.timer != nil {
			w.timer.Stop()
		}
		w.done(e, err)
	})
}

// EmitWithAck sends an event and calls done once: with the client's answer, or with [ErrAckTimeout] or [ErrDisconnected].
// It does not wait. Such an event is sent once, and not remembered for a client that comes back.
func (s *Socket) EmitWithAck(timeout time.Duration, done func(answer *Event, err error), event string, args ...any) error {
	if reserved(event) {
		return fmt.Errorf("emit %q: %w", event, ErrReserved)
	}
	data, attachments, err := encodeArgs(append([]any{event}, args...))
	if err != nil {
		return fmt.Errorf("emit %q: %w", event, err)
	}
	if !s.isConnected() {
		return fmt.Errorf("emit %q: %w", event, ErrDisconnected)
	}
	w := &waiting{done: done}
	s.ackMu.Lock()
	if s.acks == nil {
		s.acks = make(map[int64]*waiting)
	}
	id := s.last
	s.last++
	s.acks[id] = w
	w.timer = time.AfterFunc(timeout, func() {
		s.claim(id)
		w.end(nil, ErrAckTimeout)
	})
	s.ackMu.Unlock()
	m := message{kind: kindEvent, namespace: s.namespace.name, id: id, data: data}
	s.client.session.send(m.frames(attachments, false)...)
	return nil
}

// claim takes an acknowledgement that is waited for off the list.
func (s *Socket) claim(id int64) *waiting {
	s.ackMu.Lock()
	defer s.ackMu.Unlock()
	w := s.acks[id]
	delete(s.acks, id)
	return w
}
