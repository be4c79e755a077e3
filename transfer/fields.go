package transfer

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// fitEntity drops the fields of an entity that a destination with these models must not get: attributes that it does not know,
// which it would not store, and relations to the admin panel, for which Strapi refuses the whole transfer. It returns the entity
// itself when nothing is to be dropped, and the names of what it dropped. The data must be valid JSON.
func fitEntity(models map[string]model, e Entity) (Entity, []string, error) {
	if err := fits(models, e.Type, e.Data, 0); !errors.Is(err, errUnfit) {
		return e, nil, err
	}
	data, dropped, err := fitObject(models, e.Type, e.Data, 0)
	if err != nil || len(dropped) == 0 {
		return e, nil, err
	}
	return NewEntity(e.Type, e.ID, data), dropped, nil
}

var errUnfit = errors.New("something is to be dropped")

// fits returns errUnfit if something in an object is to be dropped, which is seldom: only then a text is made without it.
func fits(models map[string]model, uid string, raw []byte, depth int) error {
	m, known := models[uid]
	if !known || depth > maxComponentDepth {
		return nil
	}
	return walkMembers(raw, func(name string, value jsontext.Value) error {
		a, ok := m.Attributes[name]
		if unwanted(m, a, name, ok || depth > 0) {
			return errUnfit
		}
		if !a.nests() {
			return nil
		}
		return eachElement(value, func(_ int, item jsontext.Value) error {
			in, err := readInstance(a, item)
			if err != nil || in.uid == "" {
				return err
			}
			return fits(models, in.uid, item, depth+1)
		})
	})
}

// unwanted reports whether a destination must not get a field. known says that nothing is wrong with its name.
func unwanted(m model, a attribute, name string, known bool) bool {
	return !known && name != "documentId" || strings.HasPrefix(a.Target, "admin::") || protectedColumn(m, name)
}

func fitObject(models map[string]model, uid string, raw []byte, depth int) (json.RawMessage, []string, error) {
	m, known := models[uid]
	if !known || depth > maxComponentDepth {
		return raw, nil, nil
	}
	out := []byte{'{'}
	var dropped []string
	err := walkMembers(raw, func(name string, value jsontext.Value) error {
		a, ok := m.Attributes[name]
		if unwanted(m, a, name, ok || depth > 0) {
			dropped = append(dropped, name)
			return nil
		}
		text := json.RawMessage(value)
		if a.nests() {
			var inner []string
			var err error
			if text, inner, err = fitComponents(models, a, value, depth+1); err != nil {
				return err
			}
			for _, field := range inner {
				dropped = append(dropped, name+"."+field)
			}
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(out, quote(name)...), ':')
		out = append(out, text...)
		return nil
	})
	if err != nil || len(dropped) == 0 {
		return raw, nil, err
	}
	return append(out, '}'), dropped, nil
}

func fitComponents(models map[string]model, a attribute, value jsontext.Value, depth int) (json.RawMessage, []string, error) {
	var dropped []string
	var items []json.RawMessage
	err := eachElement(value, func(_ int, item jsontext.Value) error {
		in, err := readInstance(a, item)
		if err != nil {
			return err
		}
		text := json.RawMessage(item)
		if in.uid != "" {
			var inner []string
			if text, inner, err = fitObject(models, in.uid, item, depth); err != nil {
				return err
			}
			dropped = append(dropped, inner...)
		}
		items = append(items, text)
		return nil
	})
	if err != nil || len(dropped) == 0 {
		return json.RawMessage(value), nil, err
	}
	if value.Kind() != '[' {
		return items[0], dropped, nil
	}
	out := []byte{'['}
	for i, item := range items {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return append(out, ']'), dropped, nil
}

// protectedColumn reports whether name is the raw join column of a relation to the admin panel, such as created_by_id.
func protectedColumn(m model, name string) bool {
	base, ok := strings.CutSuffix(name, "_id")
	if !ok {
		return false
	}
	for attr, a := range m.Attributes {
		if strings.HasPrefix(a.Target, "admin::") && snakeCase(attr) == base {
			return true
		}
	}
	return false
}

func snakeCase(name string) string {
	var b strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
