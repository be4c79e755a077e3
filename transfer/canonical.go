package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/big"
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

func appendCanonicalObject(dst []byte, raw jsontext.Value, drop func(string) bool, typeOf func(string) string) ([]byte, error) {
	type field struct {
		name string
		text []byte
	}
	var fields []field
	err := eachMember(raw, func(name string, value jsontext.Value) error {
		if value.Kind() == 'n' || drop != nil && drop(name) {
			return nil
		}
		if typeOf != nil {
			value = canonicalValue(typeOf(name), value)
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

// canonicalValue spells the value of an attribute in the one way of those in which databases give back what was written to them.
func canonicalValue(typ string, value jsontext.Value) jsontext.Value {
	switch typ {
	case "time":
		return canonicalTime(value)
	case "decimal":
		return canonicalDecimal(value)
	case "biginteger":
		return canonicalBigInteger(value)
	default:
		return value
	}
}

// canonicalBigInteger takes what JavaScript writes for the ends of the range of 64 bits, which it has rounded, as what it was: so does
// who writes it to a database, where nothing else has room.
func canonicalBigInteger(value jsontext.Value) jsontext.Value {
	switch string(value) {
	case `"9223372036854776000"`:
		return jsontext.Value(`"9223372036854775807"`)
	case `"-9223372036854776000"`:
		return jsontext.Value(`"-9223372036854775808"`)
	default:
		return value
	}
}

// canonicalDecimal rounds a decimal to the two digits that Strapi's column has everywhere but on SQLite, which keeps any number.
func canonicalDecimal(number jsontext.Value) jsontext.Value {
	if number.Kind() != '0' || len(number) > maxDecimal || bytes.ContainsAny(number, "eE") {
		return number
	}
	exact, ok := new(big.Rat).SetString(string(number))
	if !ok {
		return number
	}
	return jsontext.Value(exact.FloatString(decimalDigits))
}

const (
	decimalDigits = 2  // numeric(10, 2)
	maxDecimal    = 64 // of text: longer ones are in no such column
)

// canonicalTime spells the text of a time of day without zeros at its end: of 13:45:30.5 PostgreSQL makes no 13:45:30.500, others do.
func canonicalTime(text jsontext.Value) jsontext.Value {
	whole, fraction, ok := bytes.Cut(text, []byte{'.'})
	if !ok || text.Kind() != '"' {
		return text
	}
	if fraction = bytes.TrimRight(bytes.TrimSuffix(fraction, []byte{'"'}), "0"); len(fraction) > 0 {
		fraction = append([]byte{'.'}, fraction...)
	}
	return slices.Concat(whole, fraction, []byte{'"'})
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
