package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync/atomic"
)

// Event is what a client has sent: an event, or the answer to one.
type Event struct {
	Name        string            // of an event
	Args        []json.RawMessage // in which binary data is a placeholder
	Attachments [][]byte          // binary data

	socket *Socket
	id     int64
	done   atomic.Bool
}

// Decode reads the argument at index i into v, without binary data.
func (e *Event) Decode(i int, v any) error {
	if i >= len(e.Args) {
		return fmt.Errorf("argument %d of %q is missing", i, e.Name)
	}
	if err := json.Unmarshal(e.Args[i], v); err != nil {
		return fmt.Errorf("argument %d of %q: %w", i, e.Name, err)
	}
	return nil
}

// Values returns the arguments with binary data in its place, numbers as [json.Number].
func (e *Event) Values() ([]any, error) {
	values := make([]any, len(e.Args))
	for i, arg := range e.Args {
		d := json.NewDecoder(bytes.NewReader(arg))
		d.UseNumber()
		if err := d.Decode(&values[i]); err != nil {
			return nil, fmt.Errorf("argument %d of %q: %w", i, e.Name, err)
		}
		if len(e.Attachments) > 0 {
			values[i] = attach(values[i], e.Attachments)
		}
	}
	return values, nil
}

// WantsAck reports whether the client waits for an answer.
func (e *Event) WantsAck() bool { return e.id != noID }

// Ack answers the client, once; if it does not wait for an answer, that does nothing.
func (e *Event) Ack(args ...any) error {
	if !e.WantsAck() || e.done.Swap(true) {
		return nil
	}
	if args == nil {
		args = []any{}
	}
	data, attachments, err := encodeArgs(args)
	if err != nil {
		return fmt.Errorf("acknowledge %q: %w", e.Name, err)
	}
	m := message{kind: kindAck, namespace: e.socket.namespace.name, id: e.id, data: data}
	e.socket.client.session.send(m.frames(attachments, false)...)
	return nil
}

// event hands an event of the client to its handler.
func (s *Socket) event(m *message, attachments [][]byte) error {
	name, args, err := m.event()
	if err != nil {
		return err
	}
	handler, ok := s.namespace.handlers[name]
	if !ok {
		return nil
	}
	handler(s.namespace.server.ctx, s, &Event{Name: name, Args: args, Attachments: attachments, socket: s, id: m.id})
	return nil
}

// acknowledged hands an answer of the client to who waits for it. One that nobody waits for is ignored.
func (s *Socket) acknowledged(m *message, attachments [][]byte) error {
	var args []json.RawMessage
	if err := json.Unmarshal(m.data, &args); err != nil {
		return errPayload
	}
	if w := s.claim(m.id); w != nil {
		w.end(&Event{Args: args, Attachments: attachments, socket: s, id: noID}, nil)
	}
	return nil
}
