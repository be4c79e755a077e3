package render

import (
	"math"
	"strconv"
	"strings"
)

// AppendNumber appends a JSON number; what is none becomes null, as in JavaScript.
func AppendNumber(dst []byte, value any) []byte {
	switch value := value.(type) {
	case int64:
		return strconv.AppendInt(dst, value, 10)
	case float64:
		return appendFloat(dst, value)
	case string:
		return appendDigits(dst, strings.TrimSpace(value))
	}
	return append(dst, "null"...)
}

// appendFloat writes a number as JavaScript does: the shortest digits that read back the same, with an exponent only for the very
// large and the very small.
func appendFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if f == 0 {
		return append(dst, '0') // -0 too
	}
	if abs := math.Abs(f); abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	at := len(dst)
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); n-at > 4 && dst[n-4] == 'e' && dst[n-2] == '0' {
		dst[n-2] = dst[n-1] // e-09 is e-9
		dst = dst[:n-1]
	}
	return dst
}

// appendDigits writes the text of a decimal without the zeros that its column type pads it with. Nothing is rounded.
func appendDigits(dst []byte, text string) []byte {
	whole, fraction, _ := strings.Cut(text, ".")
	digits := strings.TrimPrefix(whole, "-")
	if digits == "" || len(digits) > 1 && digits[0] == '0' || !allDigits(digits) || !allDigits(fraction) {
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return appendFloat(dst, f)
		}
		return append(dst, "null"...)
	}
	fraction = strings.TrimRight(fraction, "0")
	if digits == "0" && fraction == "" {
		return append(dst, '0')
	}
	dst = append(dst, whole...)
	if fraction != "" {
		dst = append(append(dst, '.'), fraction...)
	}
	return dst
}

// appendBigInteger writes a 64-bit integer as text, which is how Strapi hands it to JavaScript.
func (r *Renderer) appendBigInteger(dst []byte, value any) []byte {
	text, ok := value.(string)
	if !ok {
		return append(AppendNumber(append(dst, '"'), value), '"')
	}
	trimmed := strings.TrimSpace(text)
	sign, digits := "", strings.TrimPrefix(trimmed, "+")
	if rest, negative := strings.CutPrefix(trimmed, "-"); negative {
		sign, digits = "-", rest
	}
	if digits == "" || !allDigits(digits) {
		return r.appendString(dst, text)
	}
	if digits = strings.TrimLeft(digits, "0"); digits == "" {
		sign, digits = "", "0"
	}
	dst = append(append(dst, '"'), sign...)
	return append(append(dst, digits...), '"')
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
