package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// kind is the type of a Socket.IO packet.
type kind byte

const (
	kindConnect kind = iota
	kindDisconnect
	kindEvent
	kindAck
	kindConnectError
	kindBinaryEvent
	kindBinaryAck
)

// message is one Socket.IO packet.
type message struct {
	kind        kind
	namespace   string
	id          int64 // of the acknowledgement; negative is none
	data        []byte
	attachments int
}

const (
	mainNamespace = "/"
	noID          = -1
	maxIDDigits   = 15 // more than that, and JavaScript would round it
)

var (
	errKind        = errors.New("unknown packet type")
	errAttachments = errors.New("illegal number of attachments")
	errID          = errors.New("illegal acknowledgement id")
	errPayload     = errors.New("invalid payload")
)

// decodeMessage reads a Socket.IO packet: its type, the number of attachments and a dash, the namespace and a comma, an id, and JSON.
func decodeMessage(text []byte) (message, error) {
	if len(text) == 0 || text[0] < '0' || text[0] > '6' {
		return message{}, errKind
	}
	m := message{kind: kind(text[0] - '0'), namespace: mainNamespace, id: noID}
	text = text[1:]
	if m.kind == kindBinaryEvent || m.kind == kindBinaryAck {
		number, rest, ok := bytes.Cut(text, []byte{'-'})
		n, digits := leadingNumber(number)
		if !ok || digits == 0 || digits != len(number) || n < 1 || n > maxAttachments {
			return message{}, errAttachments
		}
		m.attachments, text = int(n), rest
	}
	if len(text) > 0 && text[0] == '/' {
		namespace, rest, _ := bytes.Cut(text, []byte{','})
		m.namespace, text = string(namespace), rest
	}
	if id, digits := leadingNumber(text); digits > 0 {
		if digits > maxIDDigits {
			return message{}, errID
		}
		m.id, text = id, text[digits:]
	}
	if len(text) > 0 {
		m.data = text
	}
	return m, m.check()
}

// leadingNumber reads the decimal digits that text begins with.
func leadingNumber(text []byte) (n int64, digits int) {
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		if digits < maxIDDigits {
			n = n*10 + int64(text[digits]-'0')
		}
		digits++
	}
	return n, digits
}

// check tells whether the payload is one that the type may have.
func (m *message) check() error {
	if m.data != nil && !json.Valid(m.data) {
		return errPayload
	}
	var first byte
	if m.data != nil {
		first = bytes.TrimLeft(m.data, " \t\r\n")[0]
	}
	ok := false
	switch m.kind {
	case kindConnect:
		ok = m.data == nil || first == '{'
	case kindDisconnect:
		ok = m.data == nil
	case kindConnectError:
		ok = first == '{' || first == '"'
	case kindEvent, kindBinaryEvent:
		return m.checkEvent(first)
	case kindAck, kindBinaryAck:
		ok = first == '[' && m.id != noID
	}
	if !ok {
		return errPayload
	}
	return nil
}

func (m *message) checkEvent(first byte) error {
	if first != '[' {
		return errPayload
	}
	name, _, err := m.event()
	if err != nil {
		return err
	}
	if reserved(name) {
		return fmt.Errorf("%q is %w", name, ErrReserved)
	}
	return nil
}

// event splits the payload of an event into its name and its arguments. A number may be a name too.
func (m *message) event() (string, []json.RawMessage, error) {
	var parts []json.RawMessage
	if err := json.Unmarshal(m.data, &parts); err != nil || len(parts) == 0 {
		return "", nil, errPayload
	}
	switch c := parts[0][0]; {
	case c == '"':
		var name string
		if err := json.Unmarshal(parts[0], &name); err != nil {
			return "", nil, errPayload
		}
		return name, parts[1:], nil
	case c == '-', c >= '0' && c <= '9':
		return string(parts[0]), parts[1:], nil
	}
	return "", nil, errPayload
}

// frames encodes the message, and its attachments after it, as Engine.IO packets.
func (m *message) frames(attachments [][]byte, shared bool) []*frame {
	kind := m.kind
	if len(attachments) > 0 {
		switch m.kind {
		case kindEvent:
			kind = kindBinaryEvent
		case kindAck:
			kind = kindBinaryAck
		case kindConnect, kindDisconnect, kindConnectError, kindBinaryEvent, kindBinaryAck:
		}
	}
	text := make([]byte, 0, len(m.data)+len(m.namespace)+24)
	text = append(text, packetMessage, '0'+byte(kind))
	if len(attachments) > 0 {
		text = append(strconv.AppendInt(text, int64(len(attachments)), 10), '-')
	}
	if m.namespace != mainNamespace {
		text = append(append(text, m.namespace...), ',')
	}
	if m.id != noID {
		text = strconv.AppendInt(text, m.id, 10)
	}
	frames := make([]*frame, 0, 1+len(attachments))
	frames = append(frames, &frame{data: append(text, m.data...), shared: shared})
	for _, a := range attachments {
		frames = append(frames, &frame{data: a, binary: true, shared: shared})
	}
	return frames
}

// cleanNamespace puts the slash in front of a name that lacks it.
func cleanNamespace(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return "/" + name
}
