package dispatcher_test

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
)

// uuidTail is where a step's uuid is in the messages of the benchmarks, counted from the end.
const uuidTail = len(`00000000-0000-0000-0000-000000000000"}`)

// benchPeer answers without looking at what it gets, so that the client is what is measured.
func benchPeer(conn *websocket.Conn) {
	buf := make([]byte, 2<<20)
	for {
		_, r, err := conn.NextReader()
		if err != nil {
			return
		}
		n := 0
		for err == nil {
			var m int
			m, err = r.Read(buf[n:])
			n += m
		}
		answer := fmt.Appendf(nil, `{"uuid":"%s","data":null,"error":null}`, buf[n-uuidTail:n-2])
		if conn.WriteMessage(websocket.TextMessage, answer) != nil {
			return
		}
	}
}

// BenchmarkCall sends requests with 100 bytes and 1 MiB of data, with more or fewer of them unanswered.
func BenchmarkCall(b *testing.B) {
	for _, size := range []int{100, 1 << 20} {
		for _, window := range []int{1, 8} {
			b.Run(fmt.Sprintf("bytes=%d/window=%d", size, window), func(b *testing.B) {
				d, _ := runOver(b, dial(b, serve(b, benchPeer), dispatcher.DialOptions{}), dispatcher.Options{Window: window})
				data := make(json.RawMessage, size)
				for i := range data {
					data[i] = '1'
				}
				data[0], data[size-1] = '[', ']'
				req := protocol.Request{
					Type: protocol.TypeTransfer, Kind: protocol.KindStep, Verb: protocol.VerbStream, Stage: protocol.StageEntities, Data: data,
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				pending := make([]*dispatcher.Pending, 0, window)
				for b.Loop() {
					p, err := d.Go(b.Context(), req, dispatcher.CallOptions{})
					require.NoError(b, err)
					if pending = append(pending, p); len(pending) == window {
						_, err := pending[0].Wait(b.Context())
						require.NoError(b, err)
						pending = append(pending[:0], pending[1:]...)
					}
				}
			})
		}
	}
}

// BenchmarkFrames takes frames of 1 MiB and acknowledges each, as a pull does.
func BenchmarkFrames(b *testing.B) {
	size := 1 << 20
	item := make([]byte, size)
	for i := range item {
		item[i] = '1'
	}
	next := make(chan string)
	address := serve(b, func(conn *websocket.Conn) {
		frame := []byte{}
		for i := 0; ; i++ {
			frame = fmt.Appendf(frame[:0], `{"uuid":"%d","data":{"type":"transfer","data":[`, i)
			frame = append(append(frame, item...), `],"ended":false,"error":null,"id":"s"}}`...)
			if conn.WriteMessage(websocket.TextMessage, frame) != nil {
				return
			}
			if _, _, err := conn.NextReader(); err != nil {
				return
			}
		}
	})
	var d atomic.Pointer[dispatcher.Dispatcher]
	running, _ := runOver(b, dial(b, address, dispatcher.DialOptions{}), dispatcher.Options{OnFrame: func(f protocol.Frame) {
		select {
		case next <- f.UUID:
		case <-d.Load().Done():
		}
	}})
	d.Store(running)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		require.NoError(b, running.Ack(b.Context(), <-next))
	}
}
