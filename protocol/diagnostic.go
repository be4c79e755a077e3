package protocol

import (
	"encoding/json"
	"fmt"
)

// parseDiagnostic reads the value of a diagnostic member. As in Strapi's client, one without a message is overlooked. Nothing of
// the result is part of raw.
func parseDiagnostic(raw json.RawMessage) (d Diagnostic, err error) {
	if raw[0] != '{' {
		return d, fmt.Errorf("%w: a diagnostic that is no object", ErrIgnored)
	}
	s := scanner{text: raw}
	err = s.object(func(name []byte) error {
		switch string(name) {
		case "kind":
			kind, err := s.id("kind of a diagnostic")
			d.Kind = DiagnosticKind(kind)
			return err
		case "details":
			if s.peek() == '{' {
				return d.Details.read(&s)
			}
		}
		return s.skipValue()
	})
	if err == nil && d.Details.Message == "" {
		err = fmt.Errorf("%w: a diagnostic without a message", ErrIgnored)
	}
	return d, err
}

func (d *DiagnosticDetails) read(s *scanner) error {
	return s.object(func(name []byte) error {
		value, err := s.value()
		if err != nil {
			return err
		}
		text := asText(value, maxErrorText)
		switch string(name) {
		case "createdAt":
			d.CreatedAt = text
		case "message":
			d.Message = text
		case "origin":
			d.Origin = text
		case "severity":
			d.Severity = text
		case "name":
			d.Name = text
		case "params":
			d.Params = ownSmall(value)
		case "error":
			d.Error = ownSmall(value)
		}
		return nil
	})
}

// ownSmall copies raw if it is of a size that is worth to be told.
func ownSmall(raw json.RawMessage) json.RawMessage {
	if len(raw) > maxErrorDetails {
		return nil
	}
	return append(json.RawMessage(nil), raw...)
}
