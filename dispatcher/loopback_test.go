package dispatcher_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/dispatcher"
)

// soon is how long a test waits for what must happen at once, on a busy machine.
const soon = 20 * time.Second

// serve starts a WebSocket server whose connections talk ends.
func serve(t testing.TB, talk func(*websocket.Conn)) (address string) {
	t.Helper()
	server := httptest.NewServer(upgrade(t, talk))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func upgrade(t testing.TB, talk func(*websocket.Conn)) http.Handler {
	t.Helper()
	upgrader := websocket.Upgrader{ReadBufferSize: 64 << 10, WriteBufferSize: 128 << 10}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		talk(conn)
	})
}

// serveRaw starts a server that talk serves byte by byte after it has read the request of one connection.
func serveRaw(t testing.TB, talk func(net.Conn, *http.Request)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		talk(conn, request)
	}()
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		<-done
	})
	return "ws://" + listener.Addr().String()
}

// accept opens the connection as RFC 6455 says, with more headers.
func accept(conn net.Conn, r *http.Request, headers ...string) error {
	digest := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, err := fmt.Fprintf(conn,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
		base64.StdEncoding.EncodeToString(digest[:]), strings.Join(headers, ""))
	return err
}

// serveFrames starts a server that opens a connection, sends raw bytes, and waits for the client to go.
func serveFrames(t testing.TB, raw string) (address string) {
	t.Helper()
	return serveRaw(t, func(conn net.Conn, r *http.Request) {
		if accept(conn, r) == nil {
			_, _ = io.WriteString(conn, raw)
			_, _ = io.Copy(io.Discard, conn)
		}
	})
}

func dial(t testing.TB, address string, opts dispatcher.DialOptions) *dispatcher.WebSocket {
	t.Helper()
	w, err := dispatcher.Dial(t.Context(), address, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return w
}

// echo sends back what comes in.
func echo(conn *websocket.Conn) {
	for {
		kind, message, err := conn.ReadMessage()
		if err != nil || conn.WriteMessage(kind, message) != nil {
			return
		}
	}
}

// drain reads until the client goes, and returns why.
func drain(conn *websocket.Conn) error {
	for {
		if _, _, err := conn.NextReader(); err != nil {
			return err
		}
	}
}

// within fails the test if f takes longer than d.
func within(t testing.TB, d time.Duration, f func()) {
	t.Helper()
	began := time.Now()
	f()
	require.Less(t, time.Since(began), d)
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, soon, time.Millisecond, what)
}

// runOver starts a dispatcher on w and returns a channel with what Run says.
func runOver(t testing.TB, w *dispatcher.WebSocket, opts dispatcher.Options) (*dispatcher.Dispatcher, <-chan error) {
	t.Helper()
	d := dispatcher.New(w, opts)
	ended := make(chan error, 1)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		ended <- d.Run(t.Context())
	}()
	t.Cleanup(func() {
		d.Close()
		<-gone
	})
	return d, ended
}

func closeCode(err error) int {
	if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
		return closed.Code
	}
	return 0
}
