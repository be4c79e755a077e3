package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

// wire is a client that says what it is told to, right or wrong.
type wire struct {
	tb   testing.TB
	conn *websocket.Conn
	id   string // of the transfer

	diagnostics []protocol.Diagnostic
	frames      []protocol.Frame
	pings       int
}

// patience is how long an answer may take.
const patience = 15 * time.Second

func (r *rig) dial(direction protocol.Direction, secret string) (*wire, *http.Response, error) {
	r.tb.Helper()
	header := http.Header{"Authorization": {"Bearer " + secret}}
	url := "ws" + strings.TrimPrefix(r.http.URL, "http") + "/admin/transfer/runner/" + string(direction)
	conn, response, err := websocket.DefaultDialer.DialContext(r.tb.Context(), url, header)
	if err != nil {
		return nil, response, err
	}
	w := &wire{tb: r.tb, conn: conn}
	ping := conn.PingHandler()
	conn.SetPingHandler(func(text string) error {
		w.pings++
		return ping(text)
	})
	r.tb.Cleanup(func() { _ = conn.Close() })
	return w, response, nil
}

func (r *rig) connect(direction protocol.Direction) *wire {
	r.tb.Helper()
	w, response, err := r.dial(direction, r.secret)
	require.NoError(r.tb, err)
	require.NoError(r.tb, response.Body.Close())
	return w
}

func (w *wire) say(text string) {
	w.tb.Helper()
	require.NoError(w.tb, w.conn.WriteMessage(websocket.TextMessage, []byte(text)))
}

// hear returns the next message, or an error when the connection has ended.
func (w *wire) hear(within time.Duration) (protocol.ServerMessage, error) {
	_ = w.conn.SetReadDeadline(time.Now().Add(within))
	kind, text, err := w.conn.ReadMessage()
	if err != nil {
		return protocol.ServerMessage{}, err
	}
	require.Equal(w.tb, websocket.TextMessage, kind)
	m, err := protocol.ParseServerMessage(text)
	require.NoError(w.tb, err, string(text))
	return m, nil
}

// answer returns the next response; what comes before it is kept.
func (w *wire) answer() *protocol.Response {
	w.tb.Helper()
	for {
		m, err := w.hear(patience)
		require.NoError(w.tb, err)
		switch {
		case m.Response != nil:
			return m.Response
		case m.Diagnostic != nil:
			w.diagnostics = append(w.diagnostics, *m.Diagnostic)
		case m.Frame != nil:
			w.frames = append(w.frames, *m.Frame)
		}
	}
}

// frame returns the next frame.
func (w *wire) frame() protocol.Frame {
	w.tb.Helper()
	for len(w.frames) == 0 {
		m, err := w.hear(patience)
		require.NoError(w.tb, err)
		if m.Diagnostic != nil {
			w.diagnostics = append(w.diagnostics, *m.Diagnostic)
		}
		if m.Frame != nil {
			w.frames = append(w.frames, *m.Frame)
		}
		require.Nil(w.tb, m.Response)
	}
	f := w.frames[0]
	w.frames = w.frames[1:]
	return f
}

// silent makes sure that nothing but diagnostics comes for a while. The connection cannot be read from afterwards.
func (w *wire) silent() {
	w.tb.Helper()
	for {
		m, err := w.hear(150 * time.Millisecond)
		if err != nil {
			return
		}
		require.Nil(w.tb, m.Response)
		require.Nil(w.tb, m.Frame)
	}
}

// request sends a message made of what is given: "command init", "action close", "start entities", "stream links [...]".
func (w *wire) request(what string, data ...string) protocol.Request {
	w.tb.Helper()
	verb, name, _ := strings.Cut(what, " ")
	r := protocol.Request{UUID: uuid.NewString(), TransferID: w.id}
	switch verb {
	case "command":
		r.Type, r.Command = protocol.TypeCommand, protocol.Command(name)
		if len(data) > 0 {
			r.Params = json.RawMessage(data[0])
		}
	case "action":
		r.Type, r.Kind, r.Action = protocol.TypeTransfer, protocol.KindAction, protocol.Action(name)
	default:
		r.Type, r.Kind, r.Verb, r.Stage = protocol.TypeTransfer, protocol.KindStep, protocol.Verb(verb), protocol.Stage(name)
		if len(data) > 0 {
			r.Data = json.RawMessage(data[0])
		}
	}
	return r
}

// ask sends a message and returns its answer.
func (w *wire) ask(what string, data ...string) *protocol.Response {
	w.tb.Helper()
	r := w.request(what, data...)
	w.say(string(r.Append(nil)))
	a := w.answer()
	require.Equal(w.tb, r.UUID, a.UUID)
	return a
}

// do is ask for what must succeed.
func (w *wire) do(what string, data ...string) json.RawMessage {
	w.tb.Helper()
	a := w.ask(what, data...)
	require.Nil(w.tb, a.Error, "%s: %v", what, a.Error)
	return a.Data
}

// fails is ask for what must be refused.
func (w *wire) fails(what string, data ...string) *protocol.Error {
	w.tb.Helper()
	a := w.ask(what, data...)
	require.NotNil(w.tb, a.Error, what)
	return a.Error
}

const (
	pushInit = `{"options":{"strategy":"restore","restore":{"entities":{"exclude":[]},"assets":true,"configuration":{"webhook":true,"coreStore":true}}},"transfer":"push","checksums":true,"assetEncoding":"base64"}`
	pullInit = `{"transfer":"pull","checksums":true}`
)

// initialize sends init.
func (w *wire) initialize(params string) protocol.InitResult {
	w.tb.Helper()
	var data json.RawMessage
	if params == "" {
		data = w.do("command init")
	} else {
		data = w.do("command init", params)
	}
	result, err := protocol.ParseInitResult(data)
	require.NoError(w.tb, err)
	w.id = result.TransferID
	return result
}

// begin gets a push to where stages start.
func (w *wire) begin() {
	w.tb.Helper()
	w.initialize(pushInit)
	w.do("action bootstrap")
	w.do("action beforeTransfer")
}

// finish ends a push.
func (w *wire) finish() {
	w.tb.Helper()
	w.do("action close")
	require.JSONEq(w.tb, `{"ok":true}`, string(w.do("command end", fmt.Sprintf(`{"transferID":%q}`, w.id))))
}

// pulls gets a pull to where stages start.
func (w *wire) pulls(params string) {
	w.tb.Helper()
	w.initialize(params)
	w.do("action bootstrap")
}

// open starts a stage of a pull and returns its stream.
func (w *wire) open(stage string) protocol.StartResult {
	w.tb.Helper()
	result, err := protocol.ParseStartResult(w.do("start " + stage))
	require.NoError(w.tb, err)
	require.NotEmpty(w.tb, result.ID)
	return result
}

func (w *wire) ack(f protocol.Frame) { w.say(string(protocol.AppendAck(nil, f.UUID))) }

func entity(id int) string {
	return fmt.Sprintf(`{"type":"api::category.category","id":%d,"data":{"name":"n%d"}}`, id, id)
}

func stats(tb testing.TB, data json.RawMessage) protocol.Stats {
	tb.Helper()
	result, err := protocol.ParseEndResult(data)
	require.NoError(tb, err)
	require.True(tb, result.OK)
	require.NotNil(tb, result.Stats)
	return *result.Stats
}
