package socketio

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/nodetest"
)

// serve starts a server and stops it after the test.
func serve(t *testing.T, s *Server) string {
	t.Helper()
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		require.NoError(t, s.Close(ctx))
		web.Close()
	})
	return web.URL
}

// quick are options with short times, as the conformance cases want them.
func quick() Options {
	return Options{
		PingInterval: time.Second, PingTimeout: 2 * time.Second, ConnectTimeout: time.Second,
		Origins: []string{"https://app.example"},
	}
}

// echo is a session whose messages come back.
type echo struct{ session *session }

func (e echo) receive(p packet) error {
	if p.binary {
		e.session.send(&frame{data: p.data, binary: true})
		return nil
	}
	e.session.send(textFrame(string(packetMessage) + string(p.data)))
	return nil
}

func (e echo) lost(Reason) {}

func TestEngineProtocol(t *testing.T) {
	s := New(quick())
	s.attach = func(sess *session, _ *Handshake) receiver { return echo{session: sess} }
	run(t, "engine.cjs", serve(t, s))
}

func TestSocketProtocol(t *testing.T) {
	s := New(quick())
	for _, name := range []string{"/", "/custom"} {
		echoes(t, s.Of(name))
	}
	run(t, "protocol.cjs", serve(t, s))
}

// echoes tells a client what it gave to authenticate, and sends back what it sends.
func echoes(t *testing.T, n *Namespace) {
	t.Helper()
	n.Use(func(_ context.Context, s *Socket) error {
		auth := s.Handshake.Auth
		if auth == nil {
			auth = json.RawMessage("{}")
		}
		s.SetData(auth)
		return nil
	})
	n.OnConnect(func(_ context.Context, s *Socket) {
		if err := s.Emit("auth", s.Data()); err != nil {
			t.Error(err)
		}
	})
	n.On("message", func(_ context.Context, s *Socket, e *Event) {
		values, err := e.Values()
		if err == nil {
			err = s.Emit("message-back", values...)
		}
		if err != nil {
			t.Error(err)
		}
	})
	n.On("message-with-ack", func(_ context.Context, _ *Socket, e *Event) {
		values, err := e.Values()
		if err == nil {
			err = e.Ack(values...)
		}
		if err != nil {
			t.Error(err)
		}
	})
}

func TestSocketClient(t *testing.T) {
	s := New(Options{PingInterval: time.Second, PingTimeout: 2 * time.Second, Recovery: time.Minute, Origins: []string{"https://app.example"}})
	var left departures
	for _, name := range []string{"/", "/other"} {
		rooms(t, s.Of(name), &left)
	}
	s.Of("/secret").Use(func(_ context.Context, s *Socket) error {
		var auth struct {
			Token string `json:"token"`
		}
		if json.Unmarshal(s.Handshake.Auth, &auth) != nil || auth.Token != "right" {
			return &ConnectError{Message: "not authorized", Data: map[string]any{"code": "token", "retry": false}}
		}
		return nil
	})
	s.Of("/broken").Use(func(context.Context, *Socket) error { return context.DeadlineExceeded })
	run(t, "client.cjs", serve(t, s))
}

// departures are the reasons for which sockets were disconnected, by id.
type departures struct {
	mu      sync.Mutex
	reasons map[string]Reason
}

func (d *departures) note(s *Socket, reason Reason) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.reasons == nil {
		d.reasons = make(map[string]Reason)
	}
	d.reasons[s.ID()] = reason
}

func (d *departures) of(id string) Reason {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reasons[id]
}

// rooms gives a namespace everything that the client script asks for.
func rooms(t *testing.T, n *Namespace, left *departures) {
	t.Helper()
	check := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	text := func(e *Event, i int) string {
		var s string
		check(e.Decode(i, &s))
		return s
	}
	n.OnDisconnect(left.note)
	n.On("join", func(_ context.Context, s *Socket, e *Event) {
		s.Join(text(e, 0))
		check(e.Ack(append([]string{}, s.Rooms()...)))
	})
	n.On("leave", func(_ context.Context, s *Socket, e *Event) {
		s.Leave(text(e, 0))
		check(e.Ack(append([]string{}, s.Rooms()...)))
	})
	n.On("tell", func(_ context.Context, s *Socket, e *Event) {
		check(n.To(text(e, 0)).Except(s.ID()).Emit("told", e.Args[1]))
		check(e.Ack())
	})
	n.On("tell-binary", func(_ context.Context, _ *Socket, e *Event) {
		check(n.To(text(e, 0)).Emit("told", map[string]any{"bytes": e.Attachments[0]}))
	})
	n.On("echo", func(_ context.Context, _ *Socket, e *Event) {
		values, err := e.Values()
		check(err)
		check(e.Ack(values...))
	})
	n.On("ask", func(_ context.Context, s *Socket, e *Event) {
		check(s.EmitWithAck(300*time.Millisecond, func(answer *Event, err error) {
			if err != nil {
				check(s.Emit("answered", err.Error()))
				return
			}
			check(s.Emit("answered", answer.Args))
		}, "question", e.Args[0]))
	})
	n.On("who", func(_ context.Context, s *Socket, e *Event) {
		check(e.Ack(s.ID(), s.Recovered(), append([]string{}, s.Rooms()...)))
	})
	n.On("reason", func(_ context.Context, _ *Socket, e *Event) { check(e.Ack(left.of(text(e, 0)))) })
	n.On("kick", func(_ context.Context, s *Socket, _ *Event) { s.Disconnect() })
	n.On("close", func(_ context.Context, s *Socket, _ *Event) { s.Close() })
	n.On("cut", func(_ context.Context, s *Socket, _ *Event) { // as if the network did it
		s.client.session.server.spawn(func() { s.client.session.shut(ReasonTransportError) })
	})
	n.On("mute", func(_ context.Context, s *Socket, _ *Event) { // pings are sent no more
		sess := s.client.session
		sess.mu.Lock()
		sess.timer.Stop()
		sess.mu.Unlock()
	})
}

func run(t *testing.T, script, url string) {
	t.Helper()
	output := nodetest.Run(t, nodetest.Script{Path: filepath.Join("testdata", script), Env: map[string]string{"URL": url}})
	if testing.Verbose() {
		t.Log(output)
	}
}
