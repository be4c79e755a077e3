package protocol

import (
	"encoding/json"
	"fmt"
)

// ClientMessage is what a server reads: a Request, or else the acknowledgement of the [Frame] with the UUID in Ack.
type ClientMessage struct {
	Request *Request
	Ack     string
}

// ParseClientMessage reads a message that a client sent. All of its text is checked to be valid JSON in valid UTF-8. Params and Data of
// the result are parts of text and live as long as it does.
//
// The error wraps [ErrMalformed] for a text that no client may send, and [ErrIgnored] for one that Strapi's server overlooks:
// without a uuid that is a string, or of an unknown type. A request whose uuid is "" is returned; it is answered with
// [MessageMissingUUID].
func ParseClientMessage(text []byte) (ClientMessage, error) {
	var payload []byte
	var err error
	if IsBinary(text) {
		text, payload, err = splitBinary(text)
	}
	var m ClientMessage
	if err == nil {
		m, err = parseClientMessage(text)
	}
	if err == nil && payload != nil {
		if m.Request == nil || m.Request.Verb != VerbStream {
			err = fmt.Errorf("%w: it streams nothing", ErrInvalidBinary)
		} else {
			m.Request.Payload = payload
		}
	}
	if err != nil {
		return ClientMessage{}, fmt.Errorf("read client message: %w", err)
	}
	return m, nil
}

// ParseRequest is [ParseClientMessage] for a reader that expects no acknowledgements; they are [ErrIgnored].
func ParseRequest(text []byte) (Request, error) {
	m, err := ParseClientMessage(text)
	if err != nil {
		return Request{}, err
	}
	if m.Request == nil {
		return Request{}, fmt.Errorf("read client message: %w: an acknowledgement", ErrIgnored)
	}
	return *m.Request, nil
}

// clientEnvelope is what a client's message may consist of, as text.
type clientEnvelope struct {
	uuid, kind, typ, command, action, step, transferID, seq, params, data json.RawMessage
}

func parseClientMessage(text []byte) (ClientMessage, error) {
	s, err := newScanner(text, MaxMessage)
	if err != nil {
		return ClientMessage{}, err
	}
	if s.peek() != '{' {
		return ClientMessage{}, ErrNotObject
	}
	var e clientEnvelope
	err = s.object(func(name []byte) error {
		field := e.field(string(name))
		if field == nil {
			return s.skipValue()
		}
		if *field != nil {
			return fmt.Errorf("%w: %q", ErrDuplicateMember, name)
		}
		return s.into(field)
	})
	if err != nil {
		return ClientMessage{}, err
	}
	if err := s.end(); err != nil {
		return ClientMessage{}, err
	}
	return e.message()
}

func (e *clientEnvelope) field(name string) *json.RawMessage {
	switch name {
	case "uuid":
		return &e.uuid
	case "type":
		return &e.typ
	case "kind":
		return &e.kind
	case "command":
		return &e.command
	case "action":
		return &e.action
	case "step":
		return &e.step
	case "transferID":
		return &e.transferID
	case "seq":
		return &e.seq
	case "params":
		return &e.params
	case "data":
		return &e.data
	default:
		return nil
	}
}

func (e *clientEnvelope) message() (ClientMessage, error) {
	if e.uuid == nil || e.uuid[0] != '"' {
		return ClientMessage{}, fmt.Errorf("%w: it has no uuid", ErrIgnored)
	}
	var text [7]string
	for i, raw := range []json.RawMessage{e.uuid, e.typ, e.command, e.kind, e.action, e.step, e.transferID} {
		if len(raw) > maxID {
			return ClientMessage{}, fmt.Errorf("%w: a name of %d bytes, at most %d", ErrTooLarge, len(raw), maxID)
		}
		text[i], _ = asString(raw)
	}
	uuid, typ := text[0], Type(text[1])
	if e.typ == nil {
		if uuid == "" {
			return ClientMessage{}, fmt.Errorf("%w: it acknowledges nothing", ErrIgnored)
		}
		return ClientMessage{Ack: uuid}, nil
	}
	r := Request{UUID: uuid, Type: typ, TransferID: text[6]}
	switch typ {
	case TypeCommand:
		r.Command, r.Params = Command(text[2]), e.params
	case TypeTransfer:
		r.Kind, r.Data = Kind(text[3]), e.data
		if r.Kind == KindStep {
			r.Verb, r.Stage = Verb(text[4]), Stage(text[5])
			if n, ok := asInt(e.seq); ok && n > 0 && r.Verb == VerbStream {
				r.Seq = n
			}
		} else {
			r.Action = Action(text[4])
		}
	default:
		return ClientMessage{}, fmt.Errorf("%w: its type is unknown", ErrIgnored)
	}
	return ClientMessage{Request: &r}, nil
}
