package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrInvalidJSON marks text that is not JSON, or not UTF-8, or not of the shape that a record must have.
var ErrInvalidJSON = errors.New("invalid JSON")

// syntax is what jsontext is told to let pass: what Node writes, Strapi stores and a mover must not change. Duplicate names are
// refused at the top level of a record, where they would make it ambiguous, by eachMember.
func syntax() []jsontext.Options {
	return []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
}

// eachMember calls visit for each member of the object raw, after checking all of its text. The values are parts of raw.
func eachMember(raw []byte, visit func(name string, value jsontext.Value) error) error {
	if err := checkJSON(raw); err != nil {
		if len(raw) <= MaxRecord {
			_ = walkMembers(raw, visit) // what can be told of it, so that the error can name it
		}
		return err
	}
	return walkMembers(raw, visit)
}

// checkJSON checks that raw is one JSON value, and not too large.
func checkJSON(raw []byte) error {
	if len(raw) > MaxRecord {
		return fmt.Errorf("%d bytes, at most %d", len(raw), MaxRecord)
	}
	if !utf8.Valid(raw) {
		return fmt.Errorf("%w: the text is not UTF-8", ErrInvalidJSON)
	}
	if !jsontext.Value(raw).IsValid(syntax()...) {
		return fmt.Errorf("%w: %w", ErrInvalidJSON, whatIsWrong(raw))
	}
	return nil
}

// whatIsWrong says why text is not one JSON value.
func whatIsWrong(raw []byte) error {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), syntax()...)
	if _, err := dec.ReadValue(); err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	return errors.New("text after the object")
}

func parseEnd(side string, raw jsontext.Value, end *End) error {
	if raw.Kind() != '{' {
		return fmt.Errorf("%s is %s, not an object", side, raw.Kind())
	}
	return walkMembers(raw, func(name string, value jsontext.Value) error {
		switch name {
		case "type":
			return parseString(value, &end.Type)
		case "field":
			if value.Kind() == 'n' {
				return nil
			}
			return parseString(value, &end.Field)
		case "ref":
			return parseRef(value, &end.Ref)
		case "pos":
			if value.Kind() != 'n' {
				end.Pos = string(value)
			}
		}
		return nil
	})
}

func parseRef(value jsontext.Value, ref *Ref) error {
	if kind := value.Kind(); kind != '0' && kind != '"' {
		return fmt.Errorf("a reference must be a number or a string, not %s", kind)
	}
	*ref = Ref(value)
	return nil
}

func parseString(value jsontext.Value, s *string) error {
	if value.Kind() != '"' {
		return fmt.Errorf("%s where a string must be", value.Kind())
	}
	if bytes.IndexByte(value, '\\') < 0 {
		*s = string(value[1 : len(value)-1])
		return nil
	}
	text, err := jsontext.AppendUnquote(nil, value)
	*s = string(text)
	return err
}

func wrapRecord(kind, key string, err error) error {
	if err == nil {
		return nil
	}
	if key == "" {
		key = "without a name"
	}
	return fmt.Errorf("%w: %s %s: %w", ErrDamaged, kind, key, err)
}

func quote(s string) []byte {
	text, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		// AppendQuote replaces what it cannot quote and tells so; names come from parsed text and are valid.
		return text
	}
	return text
}
