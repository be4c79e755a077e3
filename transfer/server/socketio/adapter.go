package socketio

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
)

// Adapter carries messages between servers.
type Adapter interface {
	// Publish hands a message to all other servers. It does not wait for them, and a message is lost only if it says so.
	Publish(ctx context.Context, message []byte) error
	// Subscribe calls deliver for each message of other servers, in order, until ctx ends; missed is called when some were lost
	// on the way. It returns nil when ctx has ended.
	Subscribe(ctx context.Context, deliver func(message []byte), missed func()) error
}

// orderKind is what one server asks of the others.
type orderKind string

const (
	orderEmit       orderKind = "emit"
	orderJoin       orderKind = "join"
	orderLeave      orderKind = "leave"
	orderDisconnect orderKind = "disconnect"
)

// order is a message between servers: something to do with sockets.
type order struct {
	Kind        orderKind       `json:"kind"`
	Namespace   string          `json:"namespace"`
	Rooms       []string        `json:"rooms,omitempty"`
	Except      []string        `json:"except,omitempty"`
	Event       json.RawMessage `json:"event,omitempty"`
	Attachments [][]byte        `json:"attachments,omitempty"`
	Volatile    bool            `json:"volatile,omitempty"`
	Into        []string        `json:"into,omitempty"`
}

// publish tells the other servers.
func (b Broadcast) publish(o order) error {
	s := b.namespace.server
	if b.local || s.options.Adapter == nil {
		return nil
	}
	o.Namespace, o.Rooms, o.Except = b.namespace.name, b.target.rooms, b.target.except
	text, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("publish broadcast: %w", err)
	}
	if err := s.options.Adapter.Publish(s.ctx, text); err != nil {
		return fmt.Errorf("publish broadcast: %w", err)
	}
	return nil
}

// Run carries out what other servers broadcast, until ctx ends; missed is called when some of it was lost. Without an adapter it
// just waits.
func (s *Server) Run(ctx context.Context, missed func()) error {
	if s.options.Adapter == nil {
		<-ctx.Done()
		return nil
	}
	return s.options.Adapter.Subscribe(ctx, s.obey, missed)
}

// obey carries out an order of another server.
func (s *Server) obey(text []byte) {
	var o order
	if err := json.Unmarshal(text, &o); err != nil {
		s.log.Warn("message of another server not understood", slog.Any(keyError, err))
		return
	}
	n, ok := s.namespace(o.Namespace)
	if !ok {
		return // a newer server's
	}
	t := target{rooms: o.Rooms, except: o.Except}
	local := Broadcast{namespace: n, target: t, local: true}
	var err error
	switch o.Kind {
	case orderEmit:
		m := message{data: o.Event}
		if _, _, err = m.event(); err == nil {
			n.deliver(t, o.Event, o.Attachments, o.Volatile)
		}
	case orderJoin:
		err = local.Join(o.Into...)
	case orderLeave:
		err = local.Leave(o.Into...)
	case orderDisconnect:
		err = local.Disconnect()
	}
	if err != nil {
		s.log.Warn("message of another server not carried out", slog.String(keyEvent, string(o.Kind)), slog.Any(keyError, err))
	}
}
