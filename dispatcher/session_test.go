package dispatcher_test

import (
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

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
)

// answering answers every request with its own uuid as data.
func answering(conn *websocket.Conn) {
	var buf []byte
	for {
		_, message, err := conn.ReadMessage()
		if err != nil {
			return
		}
		req, err := protocol.ParseRequest(message)
		if err != nil {
			return
		}
		data, _ := json.Marshal(req.UUID)
		buf = protocol.Response{UUID: req.UUID, Data: data}.Append(buf[:0])
		if conn.WriteMessage(websocket.TextMessage, buf) != nil {
			return
		}
	}
}

func TestSessionOverLoopback(t *testing.T) {
	t.Parallel()
	heard := make(chan error, 1)
	address := serve(t, func(conn *websocket.Conn) {
		answering(conn)
		heard <- drain(conn)
	})
	d, ended := runOver(t, dial(t, address, dispatcher.DialOptions{}), dispatcher.Options{Window: 4})
	var calls sync.WaitGroup
	for i := range 8 {
		calls.Go(func() {
			for j := range 50 {
				id := fmt.Sprintf("%d-%d", i, j)
				got, err := d.Call(t.Context(), stream(protocol.StageEntities, id, `["`+strings.Repeat("x", j*1000)+`"]`), dispatcher.CallOptions{})
				if err != nil || string(got) != `"`+id+`"` {
					t.Errorf("call %s: %s, %v", id, got, err)
				}
			}
		})
	}
	calls.Wait()
	d.Close()
	require.NoError(t, <-ended)
	require.Equal(t, websocket.CloseNormalClosure, closeCode(<-heard))
	require.Equal(t, dispatcher.Stats{Sent: 400, Answered: 400}, d.Stats())
}

func TestPeerThatGoesInTheMiddleOfACall(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		talk func(*websocket.Conn)
		want error
		text string
	}{
		"it closes":                 {want: dispatcher.ErrConnectionLost, talk: func(*websocket.Conn) {}, text: "dropped"},
		"it resets the connection":  {want: dispatcher.ErrConnectionLost, talk: reset, text: "reset"},
		"it says that it closes":    {want: dispatcher.ErrConnectionLost, talk: goodbye, text: "code 1011"},
		"it sends half a message":   {want: dispatcher.ErrConnectionLost, talk: half, text: "dropped"},
		"it answers nonsense":       {want: dispatcher.ErrProtocol, talk: say(websocket.TextMessage, "OK"), text: "not a JSON object"},
		"it answers an array":       {want: dispatcher.ErrProtocol, talk: say(websocket.TextMessage, "[]"), text: "not a JSON object"},
		"it answers no UTF-8":       {want: dispatcher.ErrProtocol, talk: say(websocket.TextMessage, "{\"uuid\":\"\xff\"}"), text: "UTF-8"},
		"it answers in binary":      {want: dispatcher.ErrProtocol, talk: say(websocket.BinaryMessage, "{}"), text: "binary"},
		"it announces 2 GiB":        {want: dispatcher.ErrTooLarge, talk: announce, text: "104857600"},
		"it finds ours too large":   {want: dispatcher.ErrConnectionLost, talk: tooLarge, text: "code 1009"},
		"it is there and is silent": {want: dispatcher.ErrStalled, talk: func(c *websocket.Conn) { _ = drain(c) }, text: "getSchemas"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, func(conn *websocket.Conn) {
				if _, _, err := conn.ReadMessage(); err == nil {
					test.talk(conn)
				}
			})
			d, ended := runOver(t, dial(t, address, dispatcher.DialOptions{}), dispatcher.Options{
				StallTimeout: 500 * time.Millisecond, HeartbeatInterval: 50 * time.Millisecond, HeartbeatTimeout: soon,
			})
			within(t, soon, func() {
				_, err := d.Call(t.Context(), action(protocol.ActionGetSchemas, ""), dispatcher.CallOptions{})
				require.ErrorIs(t, err, test.want)
				require.ErrorContains(t, err, test.text)
				require.ErrorIs(t, <-ended, test.want)
			})
		})
	}
}

func reset(conn *websocket.Conn) {
	_ = conn.NetConn().(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

func goodbye(conn *websocket.Conn) {
	message := websocket.FormatCloseMessage(websocket.CloseInternalServerErr, "")
	_ = conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(soon))
	_ = drain(conn)
}

func tooLarge(conn *websocket.Conn) {
	message := websocket.FormatCloseMessage(websocket.CloseMessageTooBig, "")
	_ = conn.WriteControl(websocket.CloseMessage, message, time.Now().Add(soon))
	_ = drain(conn)
}

func half(conn *websocket.Conn) { _, _ = conn.NetConn().Write([]byte("\x81\x7e\x01\x00{\"uuid\":")) }

func announce(conn *websocket.Conn) {
	_, _ = conn.NetConn().Write([]byte("\x81\x7f\x00\x00\x00\x00\x80\x00\x00\x00"))
	_ = drain(conn)
}

func say(kind int, text string) func(*websocket.Conn) {
	return func(conn *websocket.Conn) {
		_ = conn.WriteMessage(kind, []byte(text))
		_ = drain(conn)
	}
}

func TestHalfOpenConnection(t *testing.T) {
	t.Parallel()
	tests := map[string]int{"idle": 0, "waiting for an answer": 10, "in the middle of a message": 64 << 20}
	for name, size := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serveRaw(t, func(conn net.Conn, r *http.Request) {
				_ = accept(conn, r)
				<-t.Context().Done()
			})
			d, ended := runOver(t, dial(t, address, dispatcher.DialOptions{}), dispatcher.Options{
				HeartbeatInterval: 100 * time.Millisecond, HeartbeatTimeout: 400 * time.Millisecond,
			})
			within(t, soon, func() {
				if size > 0 {
					data := `["` + strings.Repeat("x", size) + `"]`
					_, err := d.Call(t.Context(), stream(protocol.StageAssets, "", data), dispatcher.CallOptions{})
					require.ErrorIs(t, err, dispatcher.ErrConnectionLost)
				}
				require.ErrorContains(t, <-ended, "peer gone")
			})
		})
	}
}
