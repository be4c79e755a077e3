package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// sum is a truncated SHA-256: enough to tell content apart, small enough to keep one for every row.
type sum [16]byte

func sumOf(parts ...[]byte) (s sum) {
	h := sha256.New()
	var length [8]byte
	for _, p := range parts {
		binary.LittleEndian.PutUint64(length[:], uint64(len(p)))
		h.Write(length[:])
		h.Write(p)
	}
	copy(s[:], h.Sum(nil))
	return s
}

func (s sum) plus(o sum) sum {
	lo := binary.LittleEndian.Uint64(s[:8]) + binary.LittleEndian.Uint64(o[:8])
	hi := binary.LittleEndian.Uint64(s[8:]) + binary.LittleEndian.Uint64(o[8:])
	binary.LittleEndian.PutUint64(s[:8], lo)
	binary.LittleEndian.PutUint64(s[8:], hi)
	return s
}

// appendCanonical appends a form of raw that two databases holding the same value agree on: members sorted, nulls left out, numbers
// and strings in one spelling. Numbers keep all of their digits. drop names members to leave out at the top.
func appendCanonical(dst []byte, raw jsontext.Value, drop func(name string) bool) ([]byte, error) {
	kind := raw.Kind()
	if kind == '{' {
		return appendCanonicalObject(dst, raw, drop, nil)
	}
	if kind == '"' {
		return appendCanonicalString(dst, raw)
	}
	if kind == '0' {
		return append(dst, canonicalNumber(string(raw))...), nil
	}
	if kind != '[' {
		return append(dst, raw...), nil
	}
	dst = append(dst, '[')
	err := eachElement(raw, func(_ int, item jsontext.Value) (err error) {
		dst, err = appendCanonical(dst, item, nil)
		dst = append(dst, ',')
		return err
	})
	return append(dst, ']'), err
}

func appendCanonicalObject(dst []byte, raw jsontext.Value, drop, times func(string) bool) ([]byte, error) {
	type field struct {
		name string
		text []byte
	}
	var fields []field
	err := eachMember(raw, func(name string, value jsontext.Value) error {
		if value.Kind() == 'n' || drop != nil && drop(name) {
			return nil
		}
		if times != nil && times(name) {
			value = canonicalTime(value)
		}
		text, err := appendCanonical(nil, value, nil)
		fields = append(fields, field{name, text})
		return err
	})
	if err != nil {
		return dst, err
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	dst = append(dst, '{')
	for _, f := range fields {
		dst = append(append(dst, quote(f.name)...), ':')
		dst = append(append(dst, f.text...), ',')
	}
	return append(dst, '}'), nil
}

func appendCanonicalString(dst []byte, raw jsontext.Value) ([]byte, error) {
	text, err := jsontext.AppendUnquote(nil, raw)
	if bytes.ContainsRune(text, '\uFFFD') {
		// A lone surrogate has no UTF-8; only its escaped spelling tells it from another one.
		return append(dst, bytes.ToLower(raw)...), nil
	}
	if err != nil {
		return dst, err
	}
	return append(dst, quote(string(text))...), nil
}

// canonicalTime spells the text of a time of day without zeros at its end: of 13:45:30.5 PostgreSQL makes no 13:45:30.500, others do.
func canonicalTime(text jsontext.Value) jsontext.Value {
	body, ok := bytes.CutSuffix(text, []byte{'"'})
	if !ok || !bytes.ContainsRune(body, '.') {
		return text
	}
	body = bytes.TrimRight(bytes.TrimRight(body, "0"), ".")
	return append(bytes.Clone(body), '"')
}

// canonicalNumber spells a JSON number without exponent games: 1.50, 1.5 and 15e-1 become one text.
func canonicalNumber(text string) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	sign := ""
	if rest, ok := strings.CutPrefix(mantissa, "-"); ok {
		sign, mantissa = "-", rest
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(digits, "0")
	if trimmed == "" {
		return "0"
	}
	exp, ok := Ref(strings.TrimPrefix(exponent, "+")).Int()
	if exponent != "" && !ok {
		return text
	}
	exp += int64(len(digits)-len(trimmed)) - int64(len(fraction))
	return sign + trimmed + "e" + string(IntRef(exp))
}
