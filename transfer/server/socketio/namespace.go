package socketio

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"
)

// Middleware decides whether a client may join a namespace. An error refuses it; see [ConnectError].
type Middleware func(ctx context.Context, socket *Socket) error

// Namespace is a part of a server that clients join, with handlers and rooms of its own. All of Use, On, OnConnect and OnDisconnect
// are for before the first request.
type Namespace struct {
	server *Server
	name   string

	middleware   []Middleware
	handlers     map[string]func(ctx context.Context, socket *Socket, event *Event)
	onConnect    []func(ctx context.Context, socket *Socket)
	onDisconnect []func(socket *Socket, reason Reason)

	mu      sync.Mutex // guards what follows
	sockets map[string]*Socket
	rooms   map[string]map[*Socket]struct{}
	past    past
}

func newNamespace(s *Server, name string) *Namespace {
	return &Namespace{
		server: s, name: name, handlers: make(map[string]func(context.Context, *Socket, *Event)),
		sockets: make(map[string]*Socket), rooms: make(map[string]map[*Socket]struct{}),
		past: past{boot: s.boot, keep: s.options.Recovery},
	}
}

// Use adds a check for clients who want to join. They are made in the order in which they were added.
func (n *Namespace) Use(m Middleware) { n.middleware = append(n.middleware, m) }

// On says what is done for an event. There is one handler for each name; an event without one is ignored. A handler must not wait for
// an answer of the same client.
func (n *Namespace) On(event string, handler func(ctx context.Context, socket *Socket, event *Event)) {
	n.handlers[event] = handler
}

// OnConnect says what is done when a client has joined.
func (n *Namespace) OnConnect(f func(ctx context.Context, socket *Socket)) {
	n.onConnect = append(n.onConnect, f)
}

// OnDisconnect says what is done when a socket that had joined has ended. It still has its rooms then.
func (n *Namespace) OnDisconnect(f func(socket *Socket, reason Reason)) {
	n.onDisconnect = append(n.onDisconnect, f)
}

// Len returns how many clients have joined on this server.
func (n *Namespace) Len() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.sockets)
}

// Occupied returns how many sockets of this server are in a room.
func (n *Namespace) Occupied(room string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.rooms[room])
}

// prepare makes a socket for a client who wants to join, with its former state if it comes back.
func (n *Namespace) prepare(c *client, auth json.RawMessage) *Socket {
	handshake := *c.handshake
	handshake.Auth = auth
	s := &Socket{namespace: n, client: c, Handshake: handshake, id: newID()}
	if n.past.keep == 0 {
		return s
	}
	s.pid = newID()
	var back struct {
		PID    string `json:"pid"`
		Offset string `json:"offset"`
	}
	if json.Unmarshal(auth, &back) != nil || back.PID == "" { // a pid that is no string is none
		return s
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if former, ok := n.past.find(back.PID, back.Offset, time.Now()); ok {
		s.id, s.pid, s.data, s.rooms = former.id, back.PID, former.data, slices.Clone(former.rooms)
		s.offset, s.recovered = back.Offset, true
	}
	return s
}

// admit lets a socket in: from here on it is in its rooms and gets events, after those that it has missed.
func (n *Namespace) admit(s *Socket) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	var missed [][]*frame
	if s.recovered {
		missed = n.restore(s)
	}
	if !s.client.join(s) {
		return false
	}
	s.connected = true
	n.sockets[s.id] = s
	for _, room := range s.rooms {
		n.enter(s, room)
	}
	reply := struct {
		SID string `json:"sid"`
		PID string `json:"pid,omitempty"`
	}{s.id, s.pid}
	data, err := json.Marshal(reply)
	if err != nil {
		data = nil // strings always have a form
	}
	m := message{kind: kindConnect, namespace: n.name, id: noID, data: data}
	// The reference sends what was missed before its answer, and its client keeps it until then.
	for _, frames := range missed {
		s.client.session.send(frames...)
	}
	s.client.session.send(m.frames(nil, false)...)
	return true
}

// restore takes the state of a socket that comes back, if it is still there, and returns the events that it has missed in its rooms.
// The caller holds n.mu.
func (n *Namespace) restore(s *Socket) [][]*frame {
	_, there := n.past.find(s.pid, s.offset, time.Now())
	if _, taken := n.sockets[s.id]; !there || taken { // the same client was faster than itself
		s.id, s.pid, s.data, s.rooms, s.recovered = newID(), newID(), nil, nil, false
		return nil
	}
	n.past.forget(s.pid)
	return n.past.after(s.offset, s.within)
}

// enter puts a socket into a room. The caller holds n.mu.
func (n *Namespace) enter(s *Socket, room string) {
	members, ok := n.rooms[room]
	if !ok {
		members = make(map[*Socket]struct{})
		n.rooms[room] = members
	}
	members[s] = struct{}{}
}

// exit takes a socket out of a room. The caller holds n.mu.
func (n *Namespace) exit(s *Socket, room string) {
	delete(n.rooms[room], s)
	if len(n.rooms[room]) == 0 {
		delete(n.rooms, room)
	}
}

// dismiss takes a socket that has ended out of everything, and remembers it if it may come back.
func (n *Namespace) dismiss(s *Socket, reason Reason) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, room := range s.rooms {
		n.exit(s, room)
	}
	delete(n.sockets, s.id)
	if s.pid != "" && reason.recoverable() {
		n.past.lose(s, time.Now())
	}
}
