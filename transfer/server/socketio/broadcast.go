package socketio

import (
	"fmt"
	"slices"
	"time"
)

// target says which sockets of a namespace are meant.
type target struct {
	rooms  []string // in any of them; none means all sockets
	except []string // in none of them
}

// Broadcast chooses sockets of a namespace, on all servers. Its methods return a narrower choice or act on it.
type Broadcast struct {
	namespace *Namespace
	target    target
	local     bool
	volatile  bool
}

// To chooses the sockets that are in any of the rooms. A socket is always in the room that is called as its id.
func (n *Namespace) To(rooms ...string) Broadcast {
	return Broadcast{namespace: n, target: target{rooms: rooms}}
}

// Emit sends an event to all sockets of the namespace.
func (n *Namespace) Emit(event string, args ...any) error { return n.To().Emit(event, args...) }

// To adds rooms to the choice.
func (b Broadcast) To(rooms ...string) Broadcast {
	b.target.rooms = append(slices.Clip(b.target.rooms), rooms...)
	return b
}

// Except leaves out the sockets that are in any of the rooms.
func (b Broadcast) Except(rooms ...string) Broadcast {
	b.target.except = append(slices.Clip(b.target.except), rooms...)
	return b
}

// Local keeps the choice to sockets of this server.
func (b Broadcast) Local() Broadcast {
	b.local = true
	return b
}

// Volatile marks the event as not worth keeping for clients that come back.
func (b Broadcast) Volatile() Broadcast {
	b.volatile = true
	return b
}

// Emit sends an event. It does not wait for clients.
func (b Broadcast) Emit(event string, args ...any) error {
	if reserved(event) {
		return fmt.Errorf("emit %q: %w", event, ErrReserved)
	}
	data, attachments, err := encodeArgs(append([]any{event}, args...))
	if err != nil {
		return fmt.Errorf("emit %q: %w", event, err)
	}
	b.namespace.deliver(b.target, data, attachments, b.volatile)
	return b.publish(order{Kind: orderEmit, Event: data, Attachments: attachments, Volatile: b.volatile})
}

// Join puts the sockets into rooms.
func (b Broadcast) Join(rooms ...string) error {
	for _, s := range b.namespace.chosen(b.target) {
		s.Join(rooms...)
	}
	return b.publish(order{Kind: orderJoin, Into: rooms})
}

// Leave takes the sockets out of rooms.
func (b Broadcast) Leave(rooms ...string) error {
	for _, s := range b.namespace.chosen(b.target) {
		s.Leave(rooms...)
	}
	return b.publish(order{Kind: orderLeave, Into: rooms})
}

// Disconnect disconnects the sockets from the namespace.
func (b Broadcast) Disconnect() error {
	for _, s := range b.namespace.chosen(b.target) {
		s.Disconnect()
	}
	return b.publish(order{Kind: orderDisconnect})
}

// deliver sends an event to the sockets of this server that are meant, and remembers it.
func (n *Namespace) deliver(t target, data []byte, attachments [][]byte, volatile bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := message{kind: kindEvent, namespace: n.name, id: noID, data: data}
	keep := n.past.keep > 0 && !volatile
	if keep {
		m.data = withOffset(data, n.past.offset())
	}
	_, one := n.sockets[single(t.rooms)]
	frames := m.frames(attachments, !one)
	if keep {
		n.past.remember(t, frames, time.Now())
	}
	n.each(t, func(s *Socket) { s.client.session.send(frames...) })
}

// single is the only one of the rooms, or "" if there are more, or none.
func single(rooms []string) string {
	if len(rooms) != 1 {
		return ""
	}
	return rooms[0]
}

// withOffset adds the offset to a JSON array with at least one element, as its last.
func withOffset(data []byte, offset string) []byte {
	out := make([]byte, 0, len(data)+len(offset)+3)
	out = append(out, data[:len(data)-1]...)
	out = append(out, `,"`...)
	out = append(out, offset...)
	return append(out, `"]`...)
}

// chosen returns the sockets of this server that are meant.
func (n *Namespace) chosen(t target) []*Socket {
	n.mu.Lock()
	defer n.mu.Unlock()
	var sockets []*Socket
	n.each(t, func(s *Socket) { sockets = append(sockets, s) })
	return sockets
}

// each calls f once for each socket that is meant. The caller holds n.mu.
func (n *Namespace) each(t target, f func(*Socket)) {
	switch len(t.rooms) {
	case 0:
		for _, s := range n.sockets {
			if s.within(t) {
				f(s)
			}
		}
	case 1:
		n.members(t.rooms[0], t, f)
	default:
		seen := make(map[*Socket]struct{})
		for _, room := range t.rooms {
			n.members(room, t, func(s *Socket) {
				if _, again := seen[s]; !again {
					seen[s] = struct{}{}
					f(s)
				}
			})
		}
	}
}

// members calls f for the sockets in a room. The caller holds n.mu.
func (n *Namespace) members(room string, t target, f func(*Socket)) {
	if s, ok := n.sockets[room]; ok && s.within(t) {
		f(s)
	}
	for s := range n.rooms[room] {
		if s.id != room && s.within(t) {
			f(s)
		}
	}
}
