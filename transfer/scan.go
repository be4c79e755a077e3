package transfer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// The scanner walks over JSON text that was found valid before: records are looked at several times, and only the first look has to
// check every character. On other text it may be wrong, or fail, but does nothing worse.

// fewMembers is up to how many members are compared with each other one by one.
const fewMembers = 32

// walkMembers calls visit for each member of an object that is known to be valid JSON. The values are parts of raw.
func walkMembers(raw []byte, visit func(name string, value jsontext.Value) error) error {
	i := skipSpace(raw, 0)
	if i >= len(raw) || raw[i] != '{' {
		return fmt.Errorf("%w: not an object", ErrInvalidJSON)
	}
	var room [fewMembers]string
	seen := names{few: room[:0]}
	for i = skipSpace(raw, i+1); i < len(raw) && raw[i] == '"'; i = skipSpace(raw, i+1) {
		end := skipString(raw, i)
		if end < 0 {
			break
		}
		name := memberName(raw[i:end])
		if !seen.add(name) {
			return fmt.Errorf("%w: the member %q comes twice", ErrInvalidJSON, name)
		}
		if i = skipSpace(raw, end); i >= len(raw) || raw[i] != ':' {
			break
		}
		i = skipSpace(raw, i+1)
		if end = skipValue(raw, i); end < 0 {
			break
		}
		if err := visit(name, jsontext.Value(raw[i:end:end])); err != nil {
			return err
		}
		if i = skipSpace(raw, end); i >= len(raw) || raw[i] != ',' {
			break
		}
	}
	if i >= len(raw) || raw[i] != '}' {
		return fmt.Errorf("%w: the object does not end", ErrInvalidJSON)
	}
	return nil
}

// eachElement calls visit for each element of an array, or once for anything else. The text must be valid JSON.
func eachElement(raw jsontext.Value, visit func(i int, item jsontext.Value) error) error {
	if raw.Kind() != '[' {
		return visit(0, raw)
	}
	i := skipSpace(raw, skipSpace(raw, 0)+1)
	if i < len(raw) && raw[i] == ']' {
		return nil
	}
	for n := 0; i < len(raw); n++ {
		end := skipValue(raw, i)
		if end < 0 {
			break
		}
		if err := visit(n, raw[i:end:end]); err != nil {
			return err
		}
		if i = skipSpace(raw, end); i < len(raw) && raw[i] == ']' {
			return nil
		}
		if i >= len(raw) || raw[i] != ',' {
			break
		}
		i = skipSpace(raw, i+1)
	}
	return fmt.Errorf("%w: the array does not end", ErrInvalidJSON)
}

// names are those of one object.
type names struct {
	few  []string
	many map[string]bool
}

// add reports whether the name is new.
func (n *names) add(name string) bool {
	if n.many != nil {
		known := n.many[name]
		n.many[name] = true
		return !known
	}
	if slices.Contains(n.few, name) {
		return false
	}
	if n.few = append(n.few, name); len(n.few) == fewMembers {
		n.many = make(map[string]bool, 2*fewMembers)
		for _, other := range n.few {
			n.many[other] = true
		}
	}
	return true
}

// memberName is the text of a name in its quotes.
func memberName(quoted []byte) string {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1])
	}
	text, _ := jsontext.AppendUnquote(nil, quoted) // half a surrogate pair becomes U+FFFD
	return string(text)
}

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\r' || raw[i] == '\t') {
		i++
	}
	return i
}

// skipValue returns the end of the value that begins at i, -1 if there is none.
func skipValue(raw []byte, i int) int {
	if i >= len(raw) {
		return -1
	}
	switch raw[i] {
	case '"':
		return skipString(raw, i)
	case '{', '[':
		return skipNested(raw, i)
	}
	start := i
	for i < len(raw) && strings.IndexByte(",]} \n\r\t", raw[i]) < 0 {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

func skipString(raw []byte, i int) int {
	quote := i
	for i++; i <= len(raw); {
		if quote < i {
			n := bytes.IndexByte(raw[i:], '"')
			if n < 0 {
				return -1
			}
			quote = i + n
		}
		slash := bytes.IndexByte(raw[i:quote], '\\')
		if slash < 0 {
			return quote + 1
		}
		i += slash + 2 // what is escaped does not count
	}
	return -1
}

func skipNested(raw []byte, i int) int {
	for depth := 0; i < len(raw); i++ {
		switch raw[i] {
		case '"':
			end := skipString(raw, i)
			if end < 0 {
				return -1
			}
			i = end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}
