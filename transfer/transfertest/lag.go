package transfertest

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"
)

// Lag puts a line of some length before the server at target, a host and port: every byte arrives so much later than it was sent, in
// either direction, and as many may be under way as there are. It returns the address that clients connect to. It ends with the test.
func Lag(tb testing.TB, target string, oneWay time.Duration) (address string) {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { longLine(ctx, client, target, oneWay) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close() // ends Accept
		stop()
		serving.Wait()
	})
	return listener.Addr().String()
}

func longLine(ctx context.Context, client net.Conn, target string, oneWay time.Duration) {
	defer func() { _ = client.Close() }() // it is over either way
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	stop := context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { delayed(client, server, oneWay) })
	both.Go(func() { delayed(server, client, oneWay) })
	both.Wait()
}

// underWay is some bytes on a line, and when they arrive.
type underWay struct {
	bytes []byte
	at    time.Time
}

// maxUnderWay is how many pieces may be on a line. Of a few KiB each, that is more than any window.
const maxUnderWay = 1 << 16

// delayed copies from one side to the other, later.
func delayed(in, out net.Conn, by time.Duration) {
	line := make(chan underWay, maxUnderWay)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(line)
		piece := make([]byte, 256<<10)
		for {
			n, err := in.Read(piece)
			line <- underWay{bytes.Clone(piece[:n]), time.Now().Add(by)}
			if err != nil {
				return
			}
		}
	})
	for piece := range line {
		if wait := time.Until(piece.at); wait > 0 {
			<-time.After(wait)
		}
		if _, err := out.Write(piece.bytes); err != nil {
			_ = in.Close() // ends the reader
			break
		}
	}
	for range line { // whoever waits to put something there
		continue
	}
	reader.Wait()
	if tcp, ok := out.(*net.TCPConn); ok {
		_ = tcp.CloseWrite() // the end travels, too
	}
}
