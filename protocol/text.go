package protocol

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Truthy reports whether JavaScript takes the value raw to be true. An absent value is not.
func Truthy(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0:
		return false
	case raw[0] == 'n', raw[0] == 'f':
		return false
	case raw[0] == '"':
		return len(raw) > 2
	case raw[0] == '-' || '0' <= raw[0] && raw[0] <= '9':
		f, err := strconv.ParseFloat(string(raw), 64) // too large is infinite, which is true; too small is 0
		return err != nil || f != 0
	default:
		return true
	}
}

// asString returns the string that raw is the text of.
func asString(raw json.RawMessage) (string, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	raw = raw[1 : len(raw)-1]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw), true
	}
	return string(unquote(raw)), true
}

// asText returns the beginning, of about n bytes, of the string that raw is the text of; "" if it is none. No more than that is
// ever copied.
func asText(raw json.RawMessage, n int) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	text := raw[1 : len(raw)-1]
	if len(text) <= n {
		return string(unquote(text))
	}
	text = text[:n]
	tail := max(0, n-len(`\uffff`))
	if i := bytes.LastIndexByte(text[tail:], '\\'); i >= 0 {
		text = text[:tail+i] // the cut may go through an escape
	}
	return strings.ToValidUTF8(string(unquote(text)), "") + "…"
}

// asBool reports whether raw is the word true, and nothing that is like it.
func asBool(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "true" }

// asFloat returns the number that raw is the text of. Numbers beyond float64 are none.
func asFloat(raw json.RawMessage) (float64, bool) {
	if len(raw) == 0 || len(raw) > maxNumber || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil {
		return 0, false
	}
	return f, true
}

// asInt returns the integer that raw is the text of; of a fraction, the integer below it.
func asInt(raw json.RawMessage) (int64, bool) {
	if n, err := strconv.ParseInt(string(raw[:min(len(raw), maxNumber)]), 10, 64); err == nil && len(raw) <= maxNumber {
		return n, true
	}
	f, ok := asFloat(raw)
	if !ok || f < -maxExactInt || f > maxExactInt {
		return 0, false
	}
	return int64(f), true
}

const (
	// maxNumber is the longest text of a number that counts or measures something.
	maxNumber = 64
	// maxExactInt is the largest integer that JavaScript counts to without a gap.
	maxExactInt = 1<<53 - 1
)

// unquote returns what the inside of a JSON string stands for. The text must be valid; a surrogate without its other half
// becomes U+FFFD, as in every decoder to UTF-8.
func unquote(text []byte) (dst []byte) {
	for len(text) > 0 {
		i := bytes.IndexByte(text, '\\')
		if i < 0 || i+1 >= len(text) {
			return append(dst, text...)
		}
		dst = append(dst, text[:i]...)
		c := text[i+1]
		text = text[i+2:]
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			dst, text = appendUnquotedRune(dst, text)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendUnquotedRune appends the rune whose escape, without its \u, text begins with, and returns the text after it.
func appendUnquotedRune(dst, text []byte) (out, rest []byte) {
	r, ok := hex4(text)
	if !ok {
		return dst, text
	}
	text = text[4:]
	if utf16.IsSurrogate(r) {
		low, ok := rune(0), false
		if len(text) >= 6 && text[0] == '\\' && text[1] == 'u' {
			low, ok = hex4(text[2:])
		}
		if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
			text = text[6:]
		}
	}
	return utf8.AppendRune(dst, r), text
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends s as JSON.stringify writes it. Bytes that are not UTF-8 become U+FFFD.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}

// appendRaw appends raw, or otherwise when there is nothing of it.
func appendRaw(dst []byte, raw json.RawMessage, otherwise string) []byte {
	if len(raw) == 0 {
		return append(dst, otherwise...)
	}
	return append(dst, raw...)
}

// clip cuts s to about n bytes, between characters, and copies what is left, so that it holds no memory but its own.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return string(append([]byte(s[:n]), "…"...))
}
