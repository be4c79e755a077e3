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
	if len(raw) > MaxRecord {
		return fmt.Errorf("%d bytes, at most %d", len(raw), MaxRecord)
	}
	if !utf8.Valid(raw) {
		return fmt.Errorf("%w: the text is not UTF-8", ErrInvalidJSON)
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), syntax()...)
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return fmt.Errorf("%w: not an object", ErrInvalidJSON)
	}
	seen := make(map[string]bool, 8)
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalidJSON, err)
		}
		name := tok.String()
		if seen[name] {
			return fmt.Errorf("%w: the member %q comes twice", ErrInvalidJSON, name)
		}
		seen[name] = true
		value, err := dec.ReadValue()
		if err != nil {
			return fmt.Errorf("%w: member %q: %w", ErrInvalidJSON, name, err)
		}
		at := int(dec.InputOffset())
		if err := visit(name, jsontext.Value(raw[at-len(value):at:at])); err != nil {
			return err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidJSON, err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: text after the object", ErrInvalidJSON)
	}
	return nil
}

func parseEnd(side string, raw jsontext.Value, end *End) error {
	if raw.Kind() != '{' {
		return fmt.Errorf("%s is %s, not an object", side, raw.Kind())
	}
	return eachMember(raw, func(name string, value jsontext.Value) error {
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
