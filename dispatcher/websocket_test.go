package dispatcher_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
)

func TestWebSocketCarriesMessages(t *testing.T) {
	t.Parallel()
	w := dial(t, serve(t, echo), dispatcher.DialOptions{})
	for _, size := range []int{0, 1, 125, 126, 65_535, 65_536, 256 << 10, 256<<10 + 1, 1 << 20, 5 << 20, 100} {
		random := make([]byte, size)
		_, _ = rand.Read(random)
		message := []byte(base64.StdEncoding.EncodeToString(random))[:size]
		sent := bytes.Clone(message)
		require.NoError(t, w.Write(t.Context(), message))
		require.Equal(t, sent, message, "what is sent is not changed, as it may be sent again")
		got, err := w.Read(t.Context())
		require.NoError(t, err)
		require.True(t, bytes.Equal(sent, got), "%d bytes", size)
		clear(message)
		require.Equal(t, sent, got, "what is read is the reader's own")
	}
	progress := w.Progress()
	require.Greater(t, progress.Heard, progress.Read)
	require.Greater(t, progress.Read, int64(6<<20))
	eventually(t, "all that was sent arrives", func() bool {
		p := w.Progress()
		return p.Taken == p.Offered && p.Offered > p.Read
	})
}

func TestReadMessageIsNotOverwritten(t *testing.T) {
	t.Parallel()
	w := dial(t, serve(t, echo), dispatcher.DialOptions{})
	require.NoError(t, w.Write(t.Context(), []byte("first")))
	require.NoError(t, w.Write(t.Context(), []byte("second")))
	first, err := w.Read(t.Context())
	require.NoError(t, err)
	_, err = w.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, "first", string(first))
}

func TestWebSocketReadsFragments(t *testing.T) {
	t.Parallel()
	w := dial(t, serveFrames(t, "\x01\x02{\"\x89\x01!\x00\x02a\"\x00\x00\x80\x03:1}"), dispatcher.DialOptions{})
	got, err := w.Read(t.Context())
	require.NoError(t, err)
	require.JSONEq(t, `{"a":1}`, string(got))
}

func TestWebSocketRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raw   string
		limit int64
		want  error
		text  string
	}{
		"a header of 2 GiB":                {raw: "\x81\x7f\x00\x00\x00\x00\x80\x00\x00\x00", want: dispatcher.ErrTooLarge, text: "104857600 bytes"},
		"a header of 2^63-1 bytes":         {raw: "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", want: dispatcher.ErrTooLarge},
		"a header of 2^64-1 bytes":         {raw: "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", want: dispatcher.ErrTooLarge},
		"fragments that add up":            {raw: "\x01\x03abc\x00\x03abc\x80\x03abc", limit: 8, want: dispatcher.ErrTooLarge, text: "8 bytes"},
		"a binary message":                 {raw: "\x82\x02{}", want: dispatcher.ErrProtocol, text: "binary"},
		"an unknown opcode":                {raw: "\x83\x00", want: dispatcher.ErrProtocol, text: "opcode"},
		"a reserved bit":                   {raw: "\xc1\x02{}", want: dispatcher.ErrProtocol, text: "RSV1"},
		"a masked frame":                   {raw: "\x81\x82abcd12", want: dispatcher.ErrProtocol, text: "MASK"},
		"a continuation of nothing":        {raw: "\x80\x02{}", want: dispatcher.ErrProtocol},
		"a new message in the middle":      {raw: "\x01\x01{\x81\x01}", want: dispatcher.ErrProtocol},
		"a ping of 126 bytes":              {raw: "\x89\x7e\x00\x7e" + strings.Repeat("x", 126), want: dispatcher.ErrProtocol},
		"a close frame with a bad code":    {raw: "\x88\x02\x00\x01", want: dispatcher.ErrProtocol},
		"a close frame with a bad reason":  {raw: "\x88\x03\x03\xe8\xff", want: dispatcher.ErrProtocol},
		"a close frame":                    {raw: "\x88\x05\x03\xf3bye", want: &dispatcher.CloseError{}, text: `code 1011: "bye"`},
		"a close frame without a code":     {raw: "\x88\x00", want: &dispatcher.CloseError{}, text: "code 1005"},
		"an announced message that is cut": {raw: "\x81\x7f\x00\x00\x00\x00\x06\x00\x00\x00{", want: context.DeadlineExceeded},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := dial(t, serveFrames(t, test.raw), dispatcher.DialOptions{WebSocketOptions: dispatcher.WebSocketOptions{ReadLimit: test.limit}})
			ctx, cancel := context.WithTimeout(t.Context(), soon)
			if errors.Is(test.want, context.DeadlineExceeded) {
				ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
			}
			defer cancel()
			_, err := w.Read(ctx)
			if closed, ok := errors.AsType[*dispatcher.CloseError](test.want); ok {
				require.ErrorAs(t, err, &closed)
			} else {
				require.ErrorIs(t, err, test.want)
			}
			require.ErrorContains(t, err, test.text)
		})
	}
}

// TestAnnouncedLengthCostsNothing cannot run in parallel: it looks at the memory of the process.
func TestAnnouncedLengthCostsNothing(t *testing.T) {
	w := dial(t, serveFrames(t, "\x81\x7f\x00\x00\x00\x00\x06\x00\x00\x00{"), dispatcher.DialOptions{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := w.Read(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20), "96 MiB were announced")
}

func TestPingPong(t *testing.T) {
	t.Parallel()
	ponged := make(chan string, 1)
	w := dial(t, serve(t, func(conn *websocket.Conn) {
		conn.SetPongHandler(func(text string) error {
			ponged <- text
			return nil
		})
		_ = conn.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(soon))
		_ = drain(conn)
	}), dispatcher.DialOptions{})
	go func() { _, _ = w.Read(t.Context()) }()
	require.Equal(t, "are you there", <-ponged)

	before := w.Progress()
	require.NoError(t, w.Ping(t.Context()))
	eventually(t, "the pong is heard", func() bool { return w.Progress().Heard > before.Heard })
	require.Equal(t, before.Read, w.Progress().Read, "a pong is no message")
}

func TestPingIsAnsweredAfterTheMessageThatIsBeingWritten(t *testing.T) {
	t.Parallel()
	ponged := make(chan struct{})
	size := 32 << 20
	w := dial(t, serve(t, func(conn *websocket.Conn) {
		conn.SetPongHandler(func(string) error {
			close(ponged)
			return nil
		})
		_, r, err := conn.NextReader() // the client is stuck in the rest
		if err != nil {
			return
		}
		_ = conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(soon))
		_ = conn.WriteMessage(websocket.TextMessage, []byte("after the ping"))
		_, _ = io.Copy(io.Discard, r)
		_ = drain(conn)
	}), dispatcher.DialOptions{})
	wrote := make(chan error, 1)
	go func() { wrote <- w.Write(t.Context(), make([]byte, size)) }()
	got, err := w.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, "after the ping", string(got))
	require.NoError(t, <-wrote)
	go func() { _, _ = w.Read(t.Context()) }()
	<-ponged
}

func TestPeerThatTakesNothing(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	w := dial(t, serveRaw(t, func(conn net.Conn, r *http.Request) {
		_ = accept(conn, r)
		<-release
	}), dispatcher.DialOptions{WebSocketOptions: dispatcher.WebSocketOptions{WriteTimeout: 100 * time.Millisecond}})
	defer close(release)
	var err error
	within(t, soon, func() { err = w.Write(t.Context(), make([]byte, 64<<20)) })
	require.ErrorContains(t, err, "the peer took nothing for 100ms")
	progress := w.Progress()
	require.Less(t, progress.Offered, int64(64<<20))
	if runtime.GOOS == "linux" {
		require.Less(t, progress.Taken, progress.Offered, "what waits in this host's buffers has not arrived")
	}
	within(t, 5*time.Second, func() { require.NoError(t, w.Close()) })
}

func TestWriteTimeoutIsForEachPiece(t *testing.T) {
	t.Parallel()
	w := dial(t, serve(t, func(conn *websocket.Conn) {
		_, r, err := conn.NextReader()
		buf := make([]byte, 512<<10)
		for err == nil {
			_, err = io.ReadFull(r, buf)
			timer := time.NewTimer(50 * time.Millisecond) // a slow reader: 10 MB/s
			<-timer.C
		}
		_ = conn.WriteMessage(websocket.TextMessage, []byte("all"))
		_ = drain(conn)
	}), dispatcher.DialOptions{WebSocketOptions: dispatcher.WebSocketOptions{WriteTimeout: 2 * time.Second}})
	began := time.Now()
	require.NoError(t, w.Write(t.Context(), make([]byte, 24<<20)))
	got, err := w.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, "all", string(got))
	require.Greater(t, time.Since(began), 500*time.Millisecond, "longer than a piece may take")
}

func TestCancelledReadAndWrite(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		work  func(context.Context, *dispatcher.WebSocket) error
		begun func(*dispatcher.WebSocket) bool
	}{
		"read": {
			work: func(ctx context.Context, w *dispatcher.WebSocket) error {
				_, err := w.Read(ctx)
				return err
			},
			begun: func(*dispatcher.WebSocket) bool { return true }, // nothing tells, and nothing depends on it
		},
		"write": {
			work: func(ctx context.Context, w *dispatcher.WebSocket) error { return w.Write(ctx, make([]byte, 64<<20)) },
			// A write that is cancelled before it begins leaves the connection as it was: another would then wait for the peer.
			begun: func(w *dispatcher.WebSocket) bool { return w.Progress().Offered > 64<<10 },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := dial(t, serveRaw(t, func(conn net.Conn, r *http.Request) {
				_ = accept(conn, r)
				<-t.Context().Done()
			}), dispatcher.DialOptions{})
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() { done <- test.work(ctx, w) }()
			eventually(t, "the work has begun", func() bool { return test.begun(w) })
			cancel(errUser)
			within(t, soon, func() { require.ErrorIs(t, <-done, errUser) })
			require.Error(t, test.work(t.Context(), w), "and nothing works afterwards")
			require.ErrorIs(t, test.work(ctx, w), errUser)
			require.ErrorIs(t, w.Ping(ctx), errUser)
		})
	}
}

func TestMessageOverTheLimitIsNotSent(t *testing.T) {
	t.Parallel()
	w := dial(t, serve(t, echo), dispatcher.DialOptions{})
	require.ErrorIs(t, w.Write(t.Context(), make([]byte, protocol.MaxMessage+1)), dispatcher.ErrTooLarge)
	require.NoError(t, w.Write(t.Context(), []byte("still good")))
	_, err := w.Read(t.Context())
	require.NoError(t, err)
}

func TestCloseSaysGoodbye(t *testing.T) {
	t.Parallel()
	heard := make(chan error, 1)
	w := dial(t, serve(t, func(conn *websocket.Conn) { heard <- drain(conn) }), dispatcher.DialOptions{})
	read := make(chan error, 1)
	go func() {
		_, err := w.Read(t.Context())
		read <- err
	}()
	within(t, soon, func() { require.NoError(t, w.Close()) })
	require.NoError(t, w.Close(), "twice")
	require.Equal(t, websocket.CloseNormalClosure, closeCode(<-heard))
	require.Error(t, <-read)
}

func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	tests := map[string]func(w *dispatcher.WebSocket){
		"a peer that does not answer": func(w *dispatcher.WebSocket) { _, _ = w.Read(t.Context()) },
		"a peer that does not read":   func(w *dispatcher.WebSocket) { _ = w.Write(t.Context(), make([]byte, 64<<20)) },
	}
	for name, busy := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			w := dial(t, serveRaw(t, func(conn net.Conn, r *http.Request) {
				_ = accept(conn, r)
				<-release
			}), dispatcher.DialOptions{})
			defer close(release)
			done := make(chan struct{})
			go func() {
				defer close(done)
				busy(w)
			}()
			timer := time.NewTimer(100 * time.Millisecond)
			<-timer.C
			within(t, 5*time.Second, func() { require.NoError(t, w.Close()) })
			<-done
		})
	}
}

func TestAcceptedConnection(t *testing.T) {
	t.Parallel()
	w := dial(t, serve(t, func(conn *websocket.Conn) {
		server := dispatcher.NewWebSocket(conn, dispatcher.WebSocketOptions{ReadLimit: 1 << 20})
		defer func() { _ = server.Close() }()
		for {
			message, err := server.Read(t.Context())
			if err != nil {
				return
			}
			p := server.Progress()
			if p.Read < int64(len(message)) || p.Heard < p.Read || p.Taken != p.Offered {
				return
			}
			if server.Ping(t.Context()) != nil || server.Write(t.Context(), message) != nil {
				return
			}
		}
	}), dispatcher.DialOptions{})
	for range 3 {
		require.NoError(t, w.Write(t.Context(), []byte(`{"a":1}`)))
		got, err := w.Read(t.Context())
		require.NoError(t, err)
		require.JSONEq(t, `{"a":1}`, string(got))
	}
}
