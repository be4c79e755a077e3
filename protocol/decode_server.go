package protocol

import (
	"encoding/json"
	"fmt"
)

// MaxMessage is the longest message that either side takes, in bytes: 100 MiB, the default of the WebSocket library that Strapi
// uses, which it does not change.
const MaxMessage = 100 << 20

// maxID is the longest uuid, stream id, asset id or name of an action that is taken. Strapi sets no limit; real ones have 36 bytes.
const maxID = 1 << 10

// members of an envelope, as bits, to find those that come twice.
type members uint8

const (
	memberUUID members = 1 << iota
	memberData
	memberError
	memberDiagnostic
	memberType
	memberEnded
	memberID
)

// mark notes that a member has come.
func (m *members) mark(member members, name string) error {
	if *m&member != 0 {
		return fmt.Errorf("%w: %q", ErrDuplicateMember, name)
	}
	*m |= member
	return nil
}

// serverEnvelope is what a server's message may consist of.
type serverEnvelope struct {
	seen       members
	uuid       string
	data       json.RawMessage
	error      json.RawMessage
	diagnostic json.RawMessage

	frame     Frame
	isFrame   bool
	frameSeen members
	frameErr  error
}

// ParseServerMessage reads a message that a server sent. All of it is checked to be valid JSON in valid UTF-8, and nothing is
// interpreted but the envelope: Data of the result, and Error of a [Frame], are parts of text and live as long as it does.
//
// The error wraps [ErrMalformed] for a text that no server may send, and [ErrIgnored] for one that Strapi's client overlooks.
func ParseServerMessage(text []byte) (ServerMessage, error) {
	if !IsBinary(text) {
		return parseServerMessage(text)
	}
	text, payload, err := splitBinary(text)
	if err != nil {
		return ServerMessage{}, fmt.Errorf("read server message: %w", err)
	}
	m, err := parseServerMessage(text)
	switch {
	case err != nil:
		return m, err
	case m.Frame == nil:
		return ServerMessage{}, fmt.Errorf("read server message: %w: it is no frame", ErrInvalidBinary)
	}
	m.Frame.Payload = payload
	return m, nil
}

func parseServerMessage(text []byte) (ServerMessage, error) {
	s, err := newScanner(text, MaxMessage)
	if err != nil {
		return ServerMessage{}, fmt.Errorf("read server message: %w", err)
	}
	if s.peek() != '{' {
		return ServerMessage{}, fmt.Errorf("read server message: %w", ErrNotObject)
	}
	var e serverEnvelope
	if err := e.read(&s); err != nil {
		return ServerMessage{}, fmt.Errorf("read server message: %w", err)
	}
	m, err := e.message()
	if err != nil {
		return ServerMessage{}, fmt.Errorf("read server message: %w", err)
	}
	return m, nil
}

func (e *serverEnvelope) read(s *scanner) error {
	err := s.object(func(name []byte) error {
		switch string(name) {
		case "uuid":
			if err := e.seen.mark(memberUUID, "uuid"); err != nil {
				return err
			}
			var err error
			e.uuid, err = s.id("uuid")
			return err
		case "data":
			if err := e.seen.mark(memberData, "data"); err != nil {
				return err
			}
			return e.readData(s)
		case "error":
			if err := e.seen.mark(memberError, "error"); err != nil {
				return err
			}
			return s.into(&e.error)
		case "diagnostic":
			if err := e.seen.mark(memberDiagnostic, "diagnostic"); err != nil {
				return err
			}
			return s.into(&e.diagnostic)
		default:
			return s.skipValue()
		}
	})
	if err != nil {
		return err
	}
	return s.end()
}

// readData reads the data of a response or of a frame; which of them it is shows only inside.
func (e *serverEnvelope) readData(s *scanner) error {
	if s.peek() != '{' {
		return s.into(&e.data)
	}
	start := s.pos
	err := s.object(func(name []byte) error { return e.readFrameMember(s, string(name)) })
	e.data = s.text[start:s.pos:s.pos]
	return err
}

func (e *serverEnvelope) readFrameMember(s *scanner, name string) error {
	note := func(member members) {
		if err := e.frameSeen.mark(member, name); err != nil && e.frameErr == nil {
			e.frameErr = err
		}
	}
	value, err := s.value()
	switch name {
	case "type":
		note(memberType)
		e.isFrame = string(value) == `"transfer"`
	case "data":
		note(memberData)
		e.frame.Data = value
	case "ended":
		note(memberEnded)
		e.frame.Ended = Truthy(value)
	case "error":
		note(memberError)
		e.frame.Error = value
	case "id":
		note(memberID)
		if len(value) > 0 && value[0] == '"' && len(value) <= maxID {
			e.frame.Stream, _ = asString(value)
		}
	}
	return err
}

func (e *serverEnvelope) message() (ServerMessage, error) {
	switch {
	case Truthy(e.diagnostic):
		d, err := parseDiagnostic(e.diagnostic)
		d.UUID = e.uuid
		return ServerMessage{Diagnostic: &d}, err
	case e.isFrame && !Truthy(e.error):
		if e.frameErr != nil {
			return ServerMessage{}, fmt.Errorf("data: %w", e.frameErr)
		}
		if e.uuid == "" {
			return ServerMessage{}, fmt.Errorf("%w: a frame without uuid cannot be acknowledged", ErrInvalidField)
		}
		e.frame.UUID = e.uuid
		return ServerMessage{Frame: &e.frame}, nil
	case e.uuid == "" && !Truthy(e.error):
		return ServerMessage{}, fmt.Errorf("%w: it has no uuid", ErrIgnored)
	default:
		return ServerMessage{Response: &Response{UUID: e.uuid, Data: e.data, Error: ParseError(e.error)}}, nil
	}
}

// into reads a value into raw.
func (s *scanner) into(raw *json.RawMessage) (err error) {
	*raw, err = s.value()
	return err
}

// id reads a value that should be a short string; what is none counts as "".
func (s *scanner) id(name string) (string, error) {
	raw, err := s.value()
	if err != nil || raw[0] != '"' {
		return "", err
	}
	if len(raw) > maxID {
		return "", fmt.Errorf("%w: %s of %d bytes, at most %d", ErrTooLarge, name, len(raw), maxID)
	}
	id, _ := asString(raw)
	return id, nil
}
