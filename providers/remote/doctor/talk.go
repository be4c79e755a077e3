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

// talk asks a question that every runner answers, before and during a transfer, and that changes nothing.
func (p *patient) talk(conn *websocket.Conn) *Finding {
	id := uuid.NewString()
	question, err := json.Marshal(map[string]string{"type": "command", "command": string(protocol.CommandStatus), "uuid": id})
	if err != nil {
		return p.transport(err)
	}
	deadline := time.Now().Add(p.opts.Timeout)
	conn.SetReadLimit(maxTalk)
	if err := errors.Join(conn.SetWriteDeadline(deadline), conn.SetReadDeadline(deadline), conn.WriteMessage(websocket.TextMessage, question)); err != nil {
		return p.other("the connection broke: " + detailOf(err))
	}
	for range maxFrames {
		_, frame, err := conn.ReadMessage()
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return &Finding{
				Problem: Silent, Cause: "a WebSocket opens, but no runner answers on it: another WebSocket server takes it, or Strapi hangs",
				Fix: "look into Strapi's log; have other WebSocket servers (socket.io, plugins) handle their own paths only",
			}
		case err != nil:
			return p.other("the connection broke: " + detailOf(err))
		}
		answered, sane := reply(frame, id)
		if !sane {
			return p.other("it said: " + strings.ReplaceAll(oneLine(string(frame[:min(len(frame), 120)])), p.opts.Token, "***"))
		}
		if answered {
			return nil
		}
	}
	return p.other("it talks without answering")
}

// reply reads a frame: whether it is the answer, and whether a runner may have sent it at all.
func reply(frame []byte, id string) (answered, sane bool) {
	var message struct {
		UUID       string          `json:"uuid"`
		Diagnostic json.RawMessage `json:"diagnostic"`
	}
	if json.Unmarshal(frame, &message) != nil {
		return false, false
	}
	return message.UUID == id, message.UUID != "" || message.Diagnostic != nil
}

func (p *patient) other(detail string) *Finding {
	return &Finding{
		Problem: OtherWebSocket, Cause: "a WebSocket opens, but what answers is no runner: another WebSocket server on the same port (socket.io, a plugin) takes it",
		Fix:    "have the other WebSocket server handle its own path only, or switch the plugin off during transfers",
		Detail: detail,
	}
}
