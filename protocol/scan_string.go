package protocol

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/segmentio/asm/ascii"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080

	// shortString is how many bytes are looked at eight by eight before the rest is tried at once. Nearly all strings are shorter;
	// those that are not are mostly base64 text of many kilobytes.
	shortString = 512
)

// skipString reads a string.
func (s *scanner) skipString() error {
	text, i := s.text, s.pos+1
	long := i + shortString
	for {
		for i+8 <= len(text) {
			word := binary.LittleEndian.Uint64(text[i:])
			if found := special(word); found != 0 {
				i += bits.TrailingZeros64(found) >> 3
				break
			}
			if i += 8; i >= long {
				i, long = skipPlain(text, i), len(text)
			}
		}
		if i >= len(text) {
			s.pos = i
			return s.fail("unterminated string")
		}
		switch c := text[i]; {
		case c == '"':
			s.pos = i + 1
			return nil
		case c == '\\':
			n := escapeLen(text[i:])
			if n == 0 {
				s.pos = i
				return s.fail("invalid escape")
			}
			i += n
		case c < ' ':
			s.pos = i
			return s.fail("control character in a string")
		default:
			i++
		}
	}
}

// special marks, in the highest bit of each, the bytes of word that end the plain part of a string: quote, backslash, control
// character. Only the lowest mark is certain.
func special(word uint64) uint64 {
	quote, backslash := word^(ones*'"'), word^(ones*'\\')
	return ((quote-ones)&^quote | (backslash-ones)&^backslash | (word-ones*' ')&^word) & highs
}

// skipPlain returns where the string that i is in ends, if it has nothing but printable ASCII and no escape up to there, and
// otherwise i. It is tried once per string, so that it costs no more than a second look.
func skipPlain(text []byte, i int) int {
	n := bytes.IndexByte(text[i:], '"')
	if n < 0 || bytes.IndexByte(text[i:i+n], '\\') >= 0 || !ascii.ValidPrint(text[i:i+n]) {
		return i
	}
	return i + n
}

// escapeLen returns the length of the escape that text begins with, 0 if it is none.
func escapeLen(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(text[2:]); ok {
			return 6
		}
	}
	return 0
}

// hex4 reads four hexadecimal digits.
func hex4(text []byte) (r rune, ok bool) {
	if len(text) < 4 {
		return 0, false
	}
	for _, c := range text[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
