package render

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/transfer-runner/runner/providers/strapi/database"
)

// appendJSON appends the value of a JSON column. Strapi has once written values that were encoded twice, so it decodes text twice;
// what is no JSON text it takes for the value itself. MySQL's driver decodes by itself before that.
func (r *Renderer) appendJSON(dst []byte, value any) []byte {
	text, ok := value.(string)
	if !ok {
		return AppendNumber(dst, value)
	}
	if r.Database != database.MySQL {
		return r.appendDecoded(dst, text)
	}
	out, inner, ok := r.decode(dst, text)
	switch {
	case !ok:
		return r.appendString(dst, text)
	case inner != nil:
		return r.appendDecoded(dst, *inner)
	}
	return out
}

// appendDecoded appends text decoded once, or twice if that gives text again; or text itself if it can't be.
func (r *Renderer) appendDecoded(dst []byte, text string) []byte {
	out, inner, ok := r.decode(dst, text)
	if ok && inner != nil {
		out, ok = r.compact(dst, *inner)
	}
	if !ok {
		return r.appendString(dst, text)
	}
	return out
}

// decode appends text if it is JSON, or returns what it says if it is a JSON string.
func (r *Renderer) decode(dst []byte, text string) (out []byte, inner *string, ok bool) {
	for i := range len(text) {
		switch text[i] {
		case ' ', '\t', '\n', '\r':
			continue
		case '"':
			var s string
			if json.Unmarshal([]byte(text), &s) != nil {
				return dst, nil, false
			}
			return dst, &s, true
		}
		break
	}
	out, ok = r.compact(dst, text)
	return out, nil, ok
}

// compact appends JSON text without its blanks; numbers and the spelling of strings stay.
func (r *Renderer) compact(dst []byte, text string) ([]byte, bool) {
	if !utf8.ValidString(text) {
		text = string(bytes.ToValidUTF8([]byte(text), []byte("\ufffd")))
		r.Repaired++
	}
	buffer := bytes.NewBuffer(dst)
	if json.Compact(buffer, []byte(text)) != nil {
		return dst, false
	}
	return buffer.Bytes(), true
}
