package render

import (
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// appendString quotes text as JSON.stringify does: nothing is escaped but what has to be.
func (r *Renderer) appendString(dst []byte, text string) []byte {
	dst, repaired := AppendQuoted(dst, text)
	if repaired {
		r.Repaired++
	}
	return dst
}

// AppendQuoted appends text as a JSON string. repaired says that text was not UTF-8 and had bad bytes replaced.
func AppendQuoted(dst []byte, text string) (quoted []byte, repaired bool) {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= utf8.RuneSelf {
			if _, size := utf8.DecodeRuneInString(text[i:]); size > 1 {
				i += size
				continue
			}
			dst = append(append(dst, text[from:i]...), "\ufffd"...)
			i++
			from, repaired = i, true
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = appendEscape(append(dst, text[from:i]...), c)
		i++
		from = i
	}
	return append(append(dst, text[from:]...), '"'), repaired
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
