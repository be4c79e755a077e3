package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deeply the arrays and objects of a message may be nested. It is the limit of encoding/json and jsontext too, so
// that what passes here can be read there.
const MaxDepth = 10_000

// scanner walks over JSON text, checking all of its syntax, and copies nothing. It takes the text to be valid UTF-8, which its
// callers have seen to.
type scanner struct {
	text  []byte
	pos   int
	depth int

	payload []byte // of a binary message: the bytes of files that no item has taken yet
}

// newScanner returns a scanner at the first value of text, which may be limit bytes long.
func newScanner(text []byte, limit int) (scanner, error) {
	if len(text) > limit {
		return scanner{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(text), limit)
	}
	if !utf8.Valid(text) {
		return scanner{}, ErrInvalidUTF8
	}
	s := scanner{text: text}
	s.skipSpace()
	return s, nil
}

func (s *scanner) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrInvalidJSON, what, s.pos)
}

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.text) {
		return s.text[s.pos]
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (s *scanner) skipSpace() {
	for s.pos < len(s.text) && s.text[s.pos] <= ' ' && isSpace(s.text[s.pos]) {
		s.pos++
	}
}

// end checks that only white space is left.
func (s *scanner) end() error {
	if s.skipSpace(); s.pos < len(s.text) {
		return s.fail("text after the value")
	}
	return nil
}

// value reads the value at the scanner's position and returns its text, which is a part of the scanner's.
func (s *scanner) value() (json.RawMessage, error) {
	start := s.pos
	if err := s.skipValue(); err != nil {
		return nil, err
	}
	return s.text[start:s.pos:s.pos], nil
}

func (s *scanner) skipValue() error {
	switch s.peek() {
	case '"':
		return s.skipString()
	case '{':
		return s.object(nil)
	case '[':
		return s.array(nil)
	case 't':
		return s.skipLiteral("true")
	case 'f':
		return s.skipLiteral("false")
	case 'n':
		return s.skipLiteral("null")
	default:
		return s.skipNumber()
	}
}

// object reads an object. For each member it calls visit, which must read the value; without visit values are skipped. A name
// is void after the call that it is passed to.
func (s *scanner) object(visit func(name []byte) error) error {
	if s.peek() != '{' {
		return s.fail("no object")
	}
	if s.depth++; s.depth > MaxDepth {
		return fmt.Errorf("%w: more than %d levels", ErrTooDeep, MaxDepth)
	}
	s.pos++
	if s.skipSpace(); s.peek() == '}' {
		s.depth--
		s.pos++
		return nil
	}
	for {
		if err := s.member(visit); err != nil {
			return err
		}
		s.skipSpace()
		switch s.peek() {
		case ',':
			s.pos++
			s.skipSpace()
		case '}':
			s.depth--
			s.pos++
			return nil
		default:
			return s.fail("neither comma nor closing brace")
		}
	}
}

func (s *scanner) member(visit func(name []byte) error) error {
	start := s.pos
	if s.peek() != '"' {
		return s.fail("no member name")
	}
	if err := s.skipString(); err != nil {
		return err
	}
	name := s.text[start+1 : s.pos-1]
	s.skipSpace()
	if s.peek() != ':' {
		return s.fail("no colon")
	}
	s.pos++
	s.skipSpace()
	if visit == nil {
		return s.skipValue()
	}
	if bytes.IndexByte(name, '\\') >= 0 {
		name = unquote(name)
	}
	return visit(name)
}

// array reads an array. For each element it calls visit, which must read it; without visit elements are skipped.
func (s *scanner) array(visit func() error) error {
	if s.peek() != '[' {
		return s.fail("no array")
	}
	if s.depth++; s.depth > MaxDepth {
		return fmt.Errorf("%w: more than %d levels", ErrTooDeep, MaxDepth)
	}
	s.pos++
	if s.skipSpace(); s.peek() == ']' {
		s.depth--
		s.pos++
		return nil
	}
	for {
		var err error
		if visit == nil {
			s.skipBytes()
			err = s.skipValue()
		} else {
			err = visit()
		}
		if err != nil {
			return err
		}
		s.skipSpace()
		switch s.peek() {
		case ',':
			s.pos++
			s.skipSpace()
		case ']':
			s.depth--
			s.pos++
			return nil
		default:
			return s.fail("neither comma nor closing bracket")
		}
	}
}

// skipBytes skips elements of an array that are integers of up to three digits, each with the comma after it: what the bytes of
// files from older peers are written as. Whatever looks different is left to the rest of the scanner, and so is the last element.
func (s *scanner) skipBytes() {
	text, i := s.text, s.pos
	for i+4 <= len(text) {
		n := 0
		for n < 3 && text[i+n]-'0' <= 9 {
			n++
		}
		if n == 0 || n > 1 && text[i] == '0' || text[i+n] != ',' || i+n+1 >= len(text) || text[i+n+1]-'0' > 9 {
			break
		}
		i += n + 1
	}
	s.pos = i
}

func (s *scanner) skipLiteral(word string) error {
	if len(s.text)-s.pos < len(word) || string(s.text[s.pos:s.pos+len(word)]) != word {
		return s.fail("no value")
	}
	s.pos += len(word)
	return nil
}

func (s *scanner) skipNumber() error {
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.skipDigits() {
		return s.fail("no value")
	}
	if s.peek() == '.' {
		s.pos++
		if !s.skipDigits() {
			return s.fail("no digit after the point")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.skipDigits() {
			return s.fail("no digit in the exponent")
		}
	}
	return nil
}

func (s *scanner) skipDigits() bool {
	start := s.pos
	for s.pos < len(s.text) && s.text[s.pos]-'0' <= 9 {
		s.pos++
	}
	return s.pos > start
}
