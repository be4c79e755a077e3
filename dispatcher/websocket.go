package dispatcher

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/transfer-runner/runner/protocol"
)

// Defaults of [WebSocketOptions].
const (
	DefaultReadLimit    = protocol.MaxMessage
	DefaultWriteTimeout = 2 * time.Minute
)

const (
	// readPiece is how much is read ahead of a message.
	readPiece = 64 << 10
	// firstPiece is the memory for messages that a connection starts with. It doubles when it is full.
	firstPiece = 4 << 10
	// maxReadBuffer is how much memory a connection keeps for reading. A larger message is read into memory of its own.
	maxReadBuffer = 64 << 10
	// maxGuess bounds the memory that a message gets because the one before it was as long.
	maxGuess = 9 << 20
	// maxWriteBuffer is how much memory a connection keeps for writing.
	maxWriteBuffer = 4 << 20

	// Close takes at most the sum of these: to say goodbye, and to hear it.
	closeWriteTimeout = time.Second
	closeWait         = 500 * time.Millisecond

	// maxCloseReason is what a control frame has room for beside the code.
	maxCloseReason = 123
)

// WebSocketOptions are the choices of a [WebSocket]. The zero value works.
type WebSocketOptions struct {
	// ReadLimit is the longest message that is read, in bytes. Default 100 MiB, which the protocol demands. Memory is spent on
	// what has come, not on what was announced.
	ReadLimit int64
	// WriteTimeout is how long a write may wait for a peer that takes nothing. Default 2 min.
	WriteTimeout time.Duration
	// OnPong is told, from the reader, what an answered ping said: the text that [WebSocket.PingText] was given. It must not block.
	OnPong func(text string)
	// AnswerSeals makes everything that is written carry a seal once a message with one was read: whoever sends them knows them.
	AnswerSeals bool
}

func (o WebSocketOptions) withDefaults() WebSocketOptions {
	o.ReadLimit = cmp.Or(max(o.ReadLimit, 0), DefaultReadLimit)
	o.WriteTimeout = cmp.Or(max(o.WriteTimeout, 0), DefaultWriteTimeout)
	return o
}

// WebSocket is a [Conn] over a WebSocket connection, of either side.
type WebSocket struct {
	conn  *websocket.Conn
	meter *meter // nil when the connection was made elsewhere
	opts  WebSocketOptions

	buf     []byte // of the reader
	length  int    // of the last message that was longer than buf
	read    atomic.Int64
	heard   atomic.Int64 // without meter
	offered atomic.Int64 // without meter

	seals   atomic.Bool            // what is written carries its checksum
	sealed  atomic.Bool            // what is read must
	writing sync.Mutex             // held by who writes a message, a ping or a pong
	packed  []byte                 // the last sealed message; guarded by writing
	pong    atomic.Pointer[string] // what the peer's last ping said, until it is answered

	reading  atomic.Bool
	deaf     chan struct{} // closed when nothing can be read any more
	deafOnce sync.Once
	closing  sync.Once
	closeErr error
}

var _ Conn = (*WebSocket)(nil)

// NewWebSocket adapts a connection that is open, such as one that a server has accepted, and owns it from now on.
func NewWebSocket(conn *websocket.Conn, opts WebSocketOptions) *WebSocket {
	w := &WebSocket{conn: conn, opts: opts.withDefaults(), meter: findMeter(conn.NetConn()), deaf: make(chan struct{})}
	conn.SetReadLimit(w.opts.ReadLimit)
	conn.EnableWriteCompression(false)
	conn.SetPingHandler(w.handlePing)
	conn.SetPongHandler(func(text string) error {
		w.heard.Add(1)
		if w.opts.OnPong != nil {
			w.opts.OnPong(text)
		}
		return nil
	})
	conn.SetCloseHandler(func(code int, _ string) error {
		// The answer is a courtesy, and must not keep the reader from telling that the connection ends.
		_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, ""), time.Now().Add(closeWait))
		return nil
	})
	return w
}

// findMeter looks for the meter below layers such as TLS.
func findMeter(conn net.Conn) *meter {
	for conn != nil {
		if m, ok := conn.(*meter); ok {
			return m
		}
		layer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = layer.NetConn()
	}
	return nil
}

// Read implements [Conn]. Binary messages are those that [protocol.IsBinary] knows.
func (w *WebSocket) Read(ctx context.Context) ([]byte, error) {
	w.reading.Store(true)
	stop := context.AfterFunc(ctx, func() { _ = w.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	message, err := w.readMessage()
	if err != nil {
		w.deafOnce.Do(func() { close(w.deaf) })
		if ctx.Err() != nil {
			return nil, ended(ctx)
		}
		return nil, w.readError(err)
	}
	return message, nil
}

func (w *WebSocket) readMessage() ([]byte, error) {
	kind, r, err := w.conn.NextReader()
	if err != nil {
		return nil, err
	}
	buf := w.buf[:0]
	for {
		switch {
		case cap(buf)-len(buf) >= firstPiece/2:
		case len(buf) < maxReadBuffer/2:
			buf = slices.Grow(buf, max(firstPiece, len(buf)))
		default: // it is a long one
			buf = slices.Grow(buf, max(len(buf), min(w.length, maxGuess)-len(buf)+firstPiece))
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		w.read.Add(int64(n))
		w.heard.Add(int64(n))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	own := cap(buf) > maxReadBuffer // and so the caller's
	if own {
		w.length = len(buf)
	} else {
		w.buf = buf
	}
	if binary := kind == websocket.BinaryMessage; binary != protocol.IsBinary(buf) {
		return nil, fmt.Errorf("%w: it sent a binary message of an unknown kind, or one as text", ErrProtocol)
	}
	sealed, err := protocol.CheckSeal(buf)
	if err == nil && !sealed && w.sealed.Load() {
		err = protocol.ErrChanged
	}
	if err != nil {
		return nil, fmt.Errorf("read a message of %d bytes: %w", len(buf), err)
	}
	if sealed && w.opts.AnswerSeals {
		w.seals.Store(true)
	}
	if own && len(buf) > cap(buf)/2 {
		return buf, nil
	}
	return bytes.Clone(buf), nil
}

// SealWrites says whether what is written from now on carries a seal, which tells the peer whether it was changed on its way.
func (w *WebSocket) SealWrites(on bool) { w.seals.Store(on) }

// RequireSeals makes messages without a seal an error. A seal that is there is always checked.
func (w *WebSocket) RequireSeals() { w.sealed.Store(true) }

// readError tells what the end of a connection was.
func (w *WebSocket) readError(err error) error {
	var closed *websocket.CloseError
	switch {
	case errors.Is(err, websocket.ErrReadLimit):
		return fmt.Errorf("%w: the peer sent more than %d bytes", ErrTooLarge, w.opts.ReadLimit)
	case errors.As(err, &closed) && closed.Code == websocket.CloseAbnormalClosure:
		return fmt.Errorf("peer dropped the connection: %w", io.ErrUnexpectedEOF)
	case errors.As(err, &closed):
		return &CloseError{Code: closed.Code, Reason: closed.Text}
	case strings.HasPrefix(err.Error(), "websocket: "):
		// The library has no other mark for what is wrong with a frame.
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	default:
		return err
	}
}

// Write implements [Conn]. When ctx ends during a write, the connection is dropped: it cannot be used after half a message.
func (w *WebSocket) Write(ctx context.Context, message []byte) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if len(message) > protocol.MaxMessage {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(message), protocol.MaxMessage)
	}
	stop := context.AfterFunc(ctx, func() { _ = w.drop() })
	defer stop()
	err := w.writeMessage(message)
	w.answerPing()
	if err != nil && ctx.Err() != nil {
		return ended(ctx)
	}
	return err
}

func (w *WebSocket) writeMessage(message []byte) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.meter == nil {
		if err := w.conn.SetWriteDeadline(time.Now().Add(w.opts.WriteTimeout)); err != nil {
			return err
		}
	}
	kind := websocket.TextMessage
	if protocol.IsBinary(message) {
		kind = websocket.BinaryMessage
	} else if w.seals.Load() {
		w.packed = protocol.AppendSealed(w.packed[:0], message)
		message = w.packed
		defer w.letGo()
	}
	if err := w.conn.WriteMessage(kind, message); err != nil {
		return w.writeError(err)
	}
	w.offered.Add(int64(len(message)))
	return nil
}

// WriteBinary sends a message that consists of a text and bytes of files, without making one piece of them; see [protocol.BinaryParts].
// When ctx ends during it, the connection is dropped, as with Write.
func (w *WebSocket) WriteBinary(ctx context.Context, text, payload []byte) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	if len(text)+len(payload) > protocol.MaxMessage {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(text)+len(payload), protocol.MaxMessage)
	}
	stop := context.AfterFunc(ctx, func() { _ = w.drop() })
	defer stop()
	err := w.writeBinary(text, payload)
	w.answerPing()
	if err != nil && ctx.Err() != nil {
		return ended(ctx)
	}
	return err
}

func (w *WebSocket) writeBinary(text, payload []byte) error {
	w.writing.Lock()
	defer w.writing.Unlock()
	if w.meter == nil {
		if err := w.conn.SetWriteDeadline(time.Now().Add(w.opts.WriteTimeout)); err != nil {
			return err
		}
	}
	out, err := w.conn.NextWriter(websocket.BinaryMessage)
	if err != nil {
		return w.writeError(err)
	}
	head, tail := protocol.BinaryParts(text, payload)
	for _, part := range [][]byte{head[:], text, payload, tail[:]} {
		if _, err := out.Write(part); err != nil {
			return w.writeError(err)
		}
		w.offered.Add(int64(len(part)))
	}
	return w.writeError(out.Close())
}

// letGo lets go of the memory for a sealed message that was uncommonly long. w.writing is held.
func (w *WebSocket) letGo() {
	if cap(w.packed) > maxWriteBuffer {
		w.packed = nil
	}
}

// Ping implements [Conn].
func (w *WebSocket) Ping(ctx context.Context) error { return w.PingText(ctx, "") }

// PingText pings with a text, at most 125 bytes, that the peer repeats in its answer. A peer may answer only the last of several
// pings.
func (w *WebSocket) PingText(ctx context.Context, text string) error {
	if ctx.Err() != nil {
		return ended(ctx)
	}
	stop := context.AfterFunc(ctx, func() { _ = w.drop() })
	defer stop()
	w.writing.Lock()
	err := w.conn.WriteControl(websocket.PingMessage, []byte(text), time.Now().Add(w.opts.WriteTimeout))
	w.writing.Unlock()
	w.answerPing()
	if err != nil && ctx.Err() != nil {
		return ended(ctx)
	}
	return w.writeError(err)
}

// handlePing answers a ping, or leaves that to who is writing just now: the reader must not wait for the writer.
func (w *WebSocket) handlePing(text string) error {
	w.heard.Add(1)
	w.pong.Store(&text)
	w.answerPing()
	return nil
}

func (w *WebSocket) answerPing() {
	// Whoever held the lock looks again after letting go of it, so that no ping stays unanswered.
	for w.pong.Load() != nil && w.writing.TryLock() {
		if text := w.pong.Swap(nil); text != nil {
			// An error will show at the next write or read.
			_ = w.conn.WriteControl(websocket.PongMessage, []byte(*text), time.Now().Add(w.opts.WriteTimeout))
		}
		w.writing.Unlock()
	}
}

func (w *WebSocket) writeError(err error) error {
	var timeout net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("the peer took nothing for %s: %w", w.opts.WriteTimeout, err)
	default:
		return err
	}
}

// Progress implements [Conn].
func (w *WebSocket) Progress() Progress {
	if w.meter == nil {
		offered := w.offered.Load()
		return Progress{Heard: w.heard.Load(), Read: w.read.Load(), Offered: offered, Taken: offered}
	}
	taken := w.meter.reached()
	return Progress{Heard: w.meter.received.Load(), Read: w.read.Load(), Offered: w.meter.sent.Load(), Taken: taken}
}

// Close implements [Conn]. While Read is at work it waits a moment for the peer's own goodbye, so that both sides know that
// nothing was lost.
func (w *WebSocket) Close() error { return w.CloseWith(websocket.CloseNormalClosure, "") }

// CloseWith is Close with a code of RFC 6455 and a reason, of which 123 bytes are sent. Only the first call of either counts.
func (w *WebSocket) CloseWith(code int, reason string) error {
	w.closing.Do(func() {
		goodbye := websocket.FormatCloseMessage(code, strings.ToValidUTF8(reason[:min(len(reason), maxCloseReason)], ""))
		err := w.conn.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(closeWriteTimeout))
		if err == nil && w.reading.Load() {
			timer := time.NewTimer(closeWait)
			select {
			case <-w.deaf:
			case <-timer.C:
			}
			timer.Stop()
		}
		w.closeErr = w.drop()
	})
	if errors.Is(w.closeErr, net.ErrClosed) {
		return nil
	}
	return w.closeErr
}

// drop ends the network connection, below TLS if possible: its own goodbye could wait for a peer that reads nothing.
func (w *WebSocket) drop() error {
	if w.meter != nil {
		return w.meter.Close()
	}
	return w.conn.NetConn().Close()
}
