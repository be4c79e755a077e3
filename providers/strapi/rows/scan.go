package rows

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The scanner walks over JSON text that has been found valid before, without building anything: each value is a part of the text.
// What it is not sure of is an error, never a guess.

var errSyntax = errors.New("invalid JSON")

// maxDepth bounds how deep components nest in components.
const maxDepth = 64

// space returns the first position from i on that is no white space.
func space(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// skip returns the end of the value that begins at i.
func skip(s string, i int) (int, error) {
	if i >= len(s) {
		return 0, errSyntax
	}
	switch s[i] {
	case '"':
		return skipString(s, i)
	case '{', '[':
		return skipNested(s, i)
	}
	start := i
	for i < len(s) && !strings.ContainsRune(",]} \n\r\t", rune(s[i])) {
		i++
	}
	if i == start {
		return 0, errSyntax
	}
	return i, nil
}

func skipString(s string, i int) (int, error) {
	quote := i
	for i++; i <= len(s); {
		if quote < i {
			n := strings.IndexByte(s[i:], '"')
			if n < 0 {
				return 0, errSyntax
			}
			quote = i + n
		}
		slash := strings.IndexByte(s[i:quote], '\\')
		if slash < 0 {
			return quote + 1, nil
		}
		i += slash + 2 // what is escaped does not count
	}
	return 0, errSyntax
}

func skipNested(s string, i int) (int, error) {
	depth := 0
	for i < len(s) {
		switch s[i] {
		case '"':
			end, err := skipString(s, i)
			if err != nil {
				return 0, err
			}
			i = end
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, nil
			}
		}
		i++
	}
	return 0, errSyntax
}

// eachMember calls visit with the name and the value of each member of an object.
func eachMember(s string, visit func(name, value string) error) error {
	i := space(s, 0)
	if i >= len(s) || s[i] != '{' {
		return errors.New("not an object")
	}
	for i = space(s, i+1); i < len(s) && s[i] == '"'; i = space(s, i+1) {
		end, err := skipString(s, i)
		if err != nil {
			return err
		}
		name, err := unquote(s[i:end])
		if err != nil {
			return err
		}
		if i = space(s, end); i >= len(s) || s[i] != ':' {
			return errSyntax
		}
		i = space(s, i+1)
		if end, err = skip(s, i); err != nil {
			return err
		}
		if err := visit(name, s[i:end]); err != nil {
			return err
		}
		if i = space(s, end); i >= len(s) || s[i] != ',' {
			break
		}
	}
	if i >= len(s) || s[i] != '}' {
		return errSyntax
	}
	return nil
}

// eachElement calls visit with each element of an array.
func eachElement(s string, visit func(i int, value string) error) error {
	i := space(s, 0)
	if i >= len(s) || s[i] != '[' {
		return errors.New("not an array")
	}
	if i = space(s, i+1); i < len(s) && s[i] == ']' {
		return nil
	}
	for n := 0; i < len(s); n++ {
		end, err := skip(s, i)
		if err != nil {
			return err
		}
		if err := visit(n, s[i:end]); err != nil {
			return err
		}
		if i = space(s, end); i < len(s) && s[i] == ']' {
			return nil
		}
		if i >= len(s) || s[i] != ',' {
			break
		}
		i = space(s, i+1)
	}
	return errSyntax
}

// unquote returns the text of a JSON string. Half of a surrogate pair becomes U+FFFD, as JavaScript writes it to a database.
func unquote(s string) (string, error) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", errSyntax
	}
	s = s[1 : len(s)-1]
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		if utf8.ValidString(s) {
			return s, nil
		}
		return strings.ToValidUTF8(s, "\uFFFD"), nil
	}
	out := make([]byte, i, len(s))
	copy(out, s)
	for i < len(s) {
		if s[i] != '\\' {
			out = append(out, s[i])
			i++
			continue
		}
		if i+1 >= len(s) {
			return "", errSyntax
		}
		var err error
		if out, i, err = unescape(out, s, i+1); err != nil {
			return "", err
		}
	}
	return strings.ToValidUTF8(string(out), "\uFFFD"), nil
}

// unescape appends what the escape sequence at i, after its backslash, stands for.
func unescape(out []byte, s string, i int) ([]byte, int, error) {
	switch c := s[i]; c {
	case '"', '\\', '/':
		return append(out, c), i + 1, nil
	case 'b':
		return append(out, '\b'), i + 1, nil
	case 'f':
		return append(out, '\f'), i + 1, nil
	case 'n':
		return append(out, '\n'), i + 1, nil
	case 'r':
		return append(out, '\r'), i + 1, nil
	case 't':
		return append(out, '\t'), i + 1, nil
	case 'u':
		r, err := hex4(s, i+1)
		if err != nil {
			return nil, 0, err
		}
		i += 5
		if utf16.IsSurrogate(r) && strings.HasPrefix(s[i:], `\u`) {
			if low, err := hex4(s, i+2); err == nil {
				if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
					return utf8.AppendRune(out, pair), i + 6, nil
				}
			}
		}
		return utf8.AppendRune(out, r), i, nil
	}
	return nil, 0, errSyntax
}

func hex4(s string, i int) (rune, error) {
	if i+4 > len(s) {
		return 0, errSyntax
	}
	n, err := strconv.ParseUint(s[i:i+4], 16, 32)
	if err != nil {
		return 0, errSyntax
	}
	return rune(n), nil //nolint:gosec // four digits
}

// compact returns JSON text without the white space between its parts.
func compact(s string) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		if s[i] == '"' {
			end, err := skipString(s, i)
			if err != nil {
				return s
			}
			i = end - 1
			continue
		}
		clean = s[i] != ' ' && s[i] != '\n' && s[i] != '\r' && s[i] != '\t'
	}
	if clean {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ', '\n', '\r', '\t':
			continue
		case '"':
			end, err := skipString(s, i)
			if err != nil {
				return s
			}
			out = append(out, s[i:end]...)
			i = end - 1
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}
