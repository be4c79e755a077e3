package socketio

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is a raw client over a WebSocket.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
}

func dial(t *testing.T, url string) *peer {
	t.Helper()
	conn, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
	require.NoError(t, err)
	_ = response.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	p := &peer{t: t, conn: conn}
	require.Equal(t, byte(packetOpen), p.read()[0])
	return p
}

func (p *peer) say(text string) {
	p.t.Helper()
	require.NoError(p.t, p.conn.WriteMessage(websocket.TextMessage, []byte(text)))
}

func (p *peer) read() string {
	p.t.Helper()
	require.NoError(p.t, p.conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, text, err := p.conn.ReadMessage()
	require.NoError(p.t, err)
	return string(text)
}

// join connects to the main namespace.
func (p *peer) join() {
	p.t.Helper()
	p.say("40")
	require.Contains(p.t, p.read(), `40{"sid":"`)
}

// A client that reads nothing is dropped, and everybody else hears everything meanwhile.
func TestSlowClientsAreDroppedAndHarmNobody(t *testing.T) {
	s := New(Options{MaxQueue: 50})
	gone := make(chan Reason, 1)
	s.Of("/").OnDisconnect(func(_ *Socket, reason Reason) { gone <- reason })
	url := serve(t, s)
	slow, quick := dial(t, url), dial(t, url)
	tcp, ok := slow.conn.NetConn().(*net.TCPConn)
	require.True(t, ok)
	require.NoError(t, tcp.SetReadBuffer(4<<10))
	slow.join()
	quick.join()
	text := strings.Repeat("x", 64<<10)
	for i := 0; ; i++ {
		require.NoError(t, s.Of("/").Emit("flood", i, text))
		require.Equal(t, fmt.Sprintf(`42["flood",%d,"%s"]`, i, text), quick.read())
		select {
		case reason := <-gone:
			require.Equal(t, ReasonTransportError, reason)
			require.EqualValues(t, 1, s.Stats().Slow)
			require.Equal(t, 1, s.Stats().Sockets)
			return
		default:
			require.Less(t, i, 2000, "never dropped")
		}
	}
}

func TestSessionsAreCapped(t *testing.T) {
	s := New(Options{MaxSessions: 1})
	url := serve(t, s)
	first := dial(t, url)
	_, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
	require.ErrorIs(t, err, websocket.ErrBadHandshake)
	defer func() { _ = response.Body.Close() }()
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.NoError(t, first.conn.Close())
	require.Eventually(t, func() bool { return s.Stats().Sessions == 0 }, 10*time.Second, 5*time.Millisecond)
	dial(t, url)
}

func TestClosingTellsClients(t *testing.T) {
	s := New(Options{})
	reasons := make(chan Reason, 1)
	s.Of("/").OnDisconnect(func(_ *Socket, reason Reason) { reasons <- reason })
	url := serve(t, s)
	p := dial(t, url)
	p.join()
	done := make(chan error, 1)
	go func() { done <- s.Close(t.Context()) }()
	require.Equal(t, ReasonServerShutdown, <-reasons)
	_, _, err := p.conn.ReadMessage()
	require.True(t, websocket.IsCloseError(err, websocket.CloseNormalClosure), "%v", err)
	require.NoError(t, <-done)
	_, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
	require.Error(t, err)
	_ = response.Body.Close()
}

// wire connects servers of one process: an [Adapter] that is perfect.
type wire struct {
	mu   sync.Mutex
	ends []*wireEnd
}

type wireEnd struct {
	wire *wire
	got  chan []byte
}

func (w *wire) end() *wireEnd {
	e := &wireEnd{wire: w, got: make(chan []byte, 100)}
	w.ends = append(w.ends, e)
	return e
}

func (e *wireEnd) Publish(_ context.Context, message []byte) error {
	e.wire.mu.Lock()
	defer e.wire.mu.Unlock()
	for _, other := range e.wire.ends {
		if other != e {
			other.got <- message
		}
	}
	return nil
}

func (e *wireEnd) Subscribe(ctx context.Context, deliver func([]byte), _ func()) error {
	for {
		select {
		case m := <-e.got:
			deliver(m)
		case <-ctx.Done():
			return nil
		}
	}
}

func TestServersShareBroadcasts(t *testing.T) {
	var w wire
	servers := []*Server{New(Options{Adapter: w.end()}), New(Options{Adapter: w.end()})}
	peers := make([]*peer, len(servers))
	for i, s := range servers {
		s.Of("/").On("join", func(_ context.Context, s *Socket, e *Event) {
			s.Join("both", fmt.Sprintf("only-%d", i))
			if err := e.Ack(); err != nil {
				t.Error(err)
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx, func() {}) }()
		t.Cleanup(func() {
			cancel()
			require.NoError(t, <-done)
		})
		peers[i] = dial(t, serve(t, s))
		peers[i].join()
		peers[i].say(`420["join"]`)
		require.Equal(t, `430[]`, peers[i].read())
	}
	n := servers[0].Of("/")
	require.NoError(t, n.To("both").Emit("a", []byte{7}))
	require.NoError(t, n.To("both").Except("only-0").Emit("b"))
	require.NoError(t, n.To("only-1").Local().Emit("c")) // nobody
	require.NoError(t, n.To("only-1").Join("late"))
	require.NoError(t, n.To("late").Emit("d"))
	require.NoError(t, n.To("only-1").Disconnect())
	require.Equal(t, []string{`451-["a",{"_placeholder":true,"num":0}]`, "\x07"}, []string{peers[0].read(), peers[0].read()})
	for _, want := range []string{`451-["a",{"_placeholder":true,"num":0}]`, "\x07", `42["b"]`, `42["d"]`, `41`} {
		require.Equal(t, want, peers[1].read())
	}
	require.NoError(t, n.Emit("end"))
	require.Equal(t, `42["end"]`, peers[0].read())
}

func TestReservedNamesCannotBeSent(t *testing.T) {
	s := New(Options{})
	defer func() { require.NoError(t, s.Close(t.Context())) }()
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		require.ErrorIs(t, s.Of("/").Emit(name), ErrReserved)
	}
}

// The past is bounded by time, by number and by bytes, and never answers in part.
func TestThePastIsBounded(t *testing.T) {
	start := time.Now()
	p := past{boot: "b", keep: time.Minute}
	p.remember(target{}, []*frame{textFrame("0")}, start)
	first := "b-0"
	p.lose(&Socket{pid: "pid", id: "id"}, start)
	_, ok := p.find("pid", first, start.Add(30*time.Second))
	require.True(t, ok)
	_, ok = p.find("pid", first, start.Add(2*time.Minute))
	require.False(t, ok, "too late")
	for _, offset := range []string{"", "b-", "b-1", "c-0", "b-zzzzzzzzzzzzzzzzzzzzzz", "b--1"} {
		_, ok = p.find("pid", offset, start)
		require.False(t, ok, offset)
	}
	for i := range maxRemembered {
		p.remember(target{}, []*frame{textFrame(fmt.Sprint(i))}, start.Add(time.Second))
	}
	require.Len(t, p.events, maxRemembered)
	_, ok = p.find("pid", first, start.Add(time.Second))
	require.False(t, ok, "forgotten")
	big := textFrame(strings.Repeat("x", maxRememberedBytes))
	p.remember(target{}, []*frame{big}, start.Add(time.Second))
	require.Len(t, p.events, 1)
	p.remember(target{}, []*frame{textFrame("last")}, start.Add(10*time.Minute))
	require.Len(t, p.events, 1)
	require.Equal(t, 4, p.bytes)
}

func TestSecretsAreNotKept(t *testing.T) {
	s := New(Options{})
	seen := make(chan json.RawMessage, 1)
	s.Of("/").Use(func(_ context.Context, s *Socket) error {
		seen <- s.Handshake.Auth
		return nil
	})
	kept := make(chan json.RawMessage, 1)
	s.Of("/").OnConnect(func(_ context.Context, s *Socket) { kept <- s.Handshake.Auth })
	p := dial(t, serve(t, s))
	p.say(`40{"token":"secret"}`)
	require.JSONEq(t, `{"token":"secret"}`, string(<-seen))
	require.Nil(t, <-kept)
}
