package doctor

import (
	"encoding/json"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"

	"github.com/transfer-runner/runner/protocol"
)

const (
	// maxTalk bounds a frame: the answer to a question about the status is short.
	maxTalk = 1 << 20
	// maxFrames is how many other frames may come before the answer: a runner sends diagnostics of its own accord.
	maxFrames = 100
)

// roundTrips is how many answers the time of one is taken from.
const roundTrips = 3

// talk asks a question that every runner answers, before and during a transfer, and that changes nothing. It takes the time.
func (p *patient) talk(conn *websocket.Conn) *Finding {
	for range roundTrips {
		began := time.Now()
		if _, f := p.ask(conn, protocol.Request{Type: protocol.TypeCommand, Command: protocol.CommandStatus}); f != nil {
			return f
		}
		if elapsed := time.Since(began); p.fastest == 0 || elapsed < p.fastest {
			p.fastest = elapsed
		}
	}
	return nil
}

// ask sends a request and waits for its answer.
func (p *patient) ask(conn *websocket.Conn, r protocol.Request) (protocol.Response, *Finding) {
	r.UUID = uuid.NewString()
	deadline := time.Now().Add(p.opts.Timeout)
	conn.SetReadLimit(maxTalk)
	if err := errors.Join(conn.SetWriteDeadline(deadline), conn.SetReadDeadline(deadline), conn.WriteMessage(websocket.TextMessage, r.Append(nil))); err != nil {
		return protocol.Response{}, p.other("the connection broke: " + detailOf(err))
	}
	for range maxFrames {
		_, frame, err := conn.ReadMessage()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return protocol.Response{}, &Finding{
				Problem: Silent, Cause: "a WebSocket opens, but no runner answers on it: another WebSocket server takes it, or Strapi hangs",
				Fix: "look into Strapi's log; have other WebSocket servers (socket.io, plugins) handle their own paths only",
			}
		case err != nil:
			return protocol.Response{}, p.other("the connection broke: " + detailOf(err))
		}
		answer, sane := reply(frame, r.UUID)
		if !sane {
			return protocol.Response{}, p.other("it said: " + p.clean(string(frame[:min(len(frame), 120)])))
		}
		if answer != nil {
			return *answer, nil
		}
	}
	return protocol.Response{}, p.other("it talks without answering")
}

// clean makes text from the server fit to be shown.
func (p *patient) clean(text string) string {
	return strings.ReplaceAll(oneLine(text), p.opts.Token, "***")
}

// reply reads a frame: the answer to the request called id, if it is that, and whether a runner may have sent it at all.
func reply(frame []byte, id string) (answer *protocol.Response, sane bool) {
	var message struct {
		UUID       string          `json:"uuid"`
		Diagnostic json.RawMessage `json:"diagnostic"`
		Data       json.RawMessage `json:"data"`
		Error      json.RawMessage `json:"error"`
	}
	if json.Unmarshal(frame, &message) != nil {
		return nil, false
	}
	if message.UUID == id {
		answer = &protocol.Response{UUID: id, Data: message.Data, Error: protocol.ParseError(message.Error)}
	}
	return answer, message.UUID != "" || message.Diagnostic != nil
}

func (p *patient) other(detail string) *Finding {
	return &Finding{
		Problem: OtherWebSocket, Cause: "a WebSocket opens, but what answers is no runner: another WebSocket server on the same port (socket.io, a plugin) takes it",
		Fix:    "have the other WebSocket server handle its own path only, or switch the plugin off during transfers",
		Detail: detail,
	}
}
