package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// client is what the sockets of one session have in common.
type client struct {
	session   *session
	handshake *Handshake

	pending     *message // an event whose attachments are still coming; guarded by session.incoming
	attachments [][]byte

	mu      sync.Mutex // guards what follows
	sockets []*Socket  // one for each namespace; most have one
	timer   *time.Timer
	closed  bool
}

func newClient(s *session, h *Handshake) *client {
	c := &client{session: s, handshake: h}
	c.timer = time.AfterFunc(s.server.options.ConnectTimeout, c.timeout)
	return c
}

// timeout closes a client that has joined no namespace.
func (c *client) timeout() {
	c.mu.Lock()
	idle := len(c.sockets) == 0 && !c.closed
	c.mu.Unlock()
	if idle {
		c.close()
	}
}

// errState marks a packet that does not fit to what went before it.
var errState = errors.New("unexpected packet")

// receive takes an Engine.IO message: a packet, or an attachment of the one before it. The caller holds session.incoming.
func (c *client) receive(p packet) error {
	if p.binary {
		if c.pending == nil {
			return errState
		}
		c.attachments = append(c.attachments, p.data)
		if len(c.attachments) < c.pending.attachments {
			return nil
		}
		m, attachments := c.pending, c.attachments
		c.pending, c.attachments = nil, nil
		return c.dispatch(m, attachments)
	}
	if c.pending != nil {
		return errState
	}
	m, err := decodeMessage(p.data)
	if err != nil {
		return err
	}
	if m.attachments > 0 {
		c.pending = &m
		return nil
	}
	return c.dispatch(&m, nil)
}

// dispatch hands a whole packet to the socket that it is for.
func (c *client) dispatch(m *message, attachments [][]byte) error {
	socket := c.socket(m.namespace)
	switch {
	case socket == nil && m.kind == kindConnect:
		c.connect(m.namespace, m.data)
	case socket == nil, m.kind == kindConnect, m.kind == kindConnectError:
		c.close()
	case m.kind == kindDisconnect:
		socket.lost(ReasonClientDisconnect)
	case m.kind == kindAck, m.kind == kindBinaryAck:
		return socket.acknowledged(m, attachments)
	default:
		return socket.event(m, attachments)
	}
	return nil
}

// connect lets the client into a namespace, or tells it why not.
func (c *client) connect(name string, auth json.RawMessage) {
	server := c.session.server
	n, ok := server.namespace(name)
	if !ok {
		c.refuse(name, &ConnectError{Message: "Invalid namespace"})
		return
	}
	socket := n.prepare(c, auth)
	ctx, cancel := context.WithTimeout(server.ctx, server.options.ConnectTimeout)
	defer cancel()
	for _, middleware := range n.middleware {
		err := middleware(ctx, socket)
		if err == nil {
			continue
		}
		var refusal *ConnectError
		if !errors.As(err, &refusal) {
			server.log.ErrorContext(ctx, "socket.io middleware failed", slog.String(keyNamespace, name), slog.Any(keyError, err))
			refusal = &ConnectError{Message: "Internal error"}
		}
		c.refuse(name, refusal)
		return
	}
	socket.Handshake.Auth = nil // a secret, which is of no use any more
	if !n.admit(socket) {
		return
	}
	for _, f := range n.onConnect {
		f(ctx, socket)
	}
}

func (c *client) refuse(name string, err *ConnectError) {
	data, encodeErr := json.Marshal(struct {
		Message string `json:"message"`
		Data    any    `json:"data,omitempty"`
	}{err.Message, err.Data})
	if encodeErr != nil {
		c.session.server.log.Error("socket.io refusal not encoded", slog.String(keyNamespace, name), slog.Any(keyError, encodeErr))
		data = []byte(`{"message":"Internal error"}`)
	}
	m := message{kind: kindConnectError, namespace: name, id: noID, data: data}
	c.session.send(m.frames(nil, false)...)
}

// join counts a socket in, unless the session has ended meanwhile.
func (c *client) join(s *Socket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.sockets = append(c.sockets, s)
	c.timer.Stop()
	return true
}

func (c *client) leave(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sockets = slices.DeleteFunc(c.sockets, func(other *Socket) bool { return other == s })
}

func (c *client) socket(namespace string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sockets {
		if s.namespace.name == namespace {
			return s
		}
	}
	return nil
}

// close ends the connection from this side.
func (c *client) close() {
	c.session.end()
	c.lost(ReasonForcedServerClose)
}

// lost tells all sockets that the connection has ended. Only the first reason counts.
func (c *client) lost(reason Reason) {
	c.mu.Lock()
	sockets := c.sockets
	c.sockets, c.closed = nil, true
	c.timer.Stop()
	c.mu.Unlock()
	for _, s := range sockets {
		s.lost(reason)
	}
}
