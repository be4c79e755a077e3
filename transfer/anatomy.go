package transfer

import (
	"encoding/json"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// Anatomy knows where the rows of a site hold components. A destination that keeps some rows and takes others needs it: ids of
// components are given by the database that a row came from, so that those of kept and of new rows can meet.
type Anatomy struct{ models map[string]model }

// NewAnatomy returns the anatomy of rows with these schemas.
func NewAnatomy(schemas Schemas) (*Anatomy, error) {
	models, err := schemas.models()
	if err != nil {
		return nil, err
	}
	return &Anatomy{models: models}, nil
}

// Components calls visit for each component inside a row, outer before inner, with the component's type and id. Components
// without an id are left out.
func (a *Anatomy) Components(e Entity, visit func(uid string, id Ref)) error {
	err := components(a.models, e.Type, e.Data, func(in instance) error {
		if in.id != "" {
			visit(in.uid, in.id)
		}
		return nil
	})
	if err != nil {
		return wrapRecord("entity", e.Key(), err)
	}
	return nil
}

// Renumber gives the components of a row the ids that id returns for them. A row in which nothing changes is returned as it is.
func (a *Anatomy) Renumber(e Entity, id func(uid string, old Ref) Ref) (Entity, error) {
	data, changed, err := a.renumberObject(e.Type, "", e.Data, 0, id)
	if err != nil {
		return e, wrapRecord("entity", e.Key(), err)
	}
	if !changed {
		return e, nil
	}
	return NewEntity(e.Type, e.ID, data), nil
}

// renumberObject rewrites a row, or a component whose new id is given.
func (a *Anatomy) renumberObject(uid string, own Ref, raw []byte, depth int, id func(string, Ref) Ref) (json.RawMessage, bool, error) {
	if depth > maxComponentDepth {
		return nil, false, fmt.Errorf("components nest deeper than %d", maxComponentDepth)
	}
	m, changed := a.models[uid], false
	out := []byte{'{'}
	err := eachMember(raw, func(name string, value jsontext.Value) error {
		text := json.RawMessage(value)
		switch attr := m.Attributes[name]; {
		case own != "" && name == "id":
			changed = changed || string(own) != string(value)
			text = json.RawMessage(own)
		case attr.nests():
			inner, did, err := a.renumberValue(attr, value, depth+1, id)
			if err != nil {
				return err
			}
			text, changed = inner, changed || did
		}
		out = appendMember(out, name, text)
		return nil
	})
	if err != nil || !changed {
		return raw, false, err
	}
	return append(out, '}'), true, nil
}

// renumberValue rewrites the components that an attribute holds.
func (a *Anatomy) renumberValue(attr attribute, value jsontext.Value, depth int, id func(string, Ref) Ref) (json.RawMessage, bool, error) {
	changed, many := false, value.Kind() == '['
	var out []byte
	if many {
		out = append(out, '[')
	}
	err := eachElement(value, func(i int, item jsontext.Value) error {
		in, err := readInstance(attr, item)
		if err != nil {
			return err
		}
		text := json.RawMessage(item)
		if in.uid != "" {
			var own Ref
			if in.id != "" {
				own = id(in.uid, in.id)
			}
			var did bool
			if text, did, err = a.renumberObject(in.uid, own, item, depth, id); err != nil {
				return err
			}
			changed = changed || did
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, text...)
		return nil
	})
	if err != nil || !changed {
		return json.RawMessage(value), false, err
	}
	if many {
		out = append(out, ']')
	}
	return out, true, nil
}

// WithRefs returns the link between two other rows of the same types.
func (l Link) WithRefs(left, right Ref) (Link, error) {
	if left == l.Left.Ref && right == l.Right.Ref {
		return l, nil
	}
	out := []byte{'{'}
	err := eachMember(l.raw, func(name string, value jsontext.Value) error {
		text := json.RawMessage(value)
		var err error
		switch name {
		case "left":
			text, err = withRef(value, left)
		case "right":
			text, err = withRef(value, right)
		}
		out = appendMember(out, name, text)
		return err
	})
	if err != nil {
		return l, wrapRecord("link", l.Key(), err)
	}
	return ParseLink(append(out, '}'))
}

func withRef(end jsontext.Value, ref Ref) (json.RawMessage, error) {
	out := []byte{'{'}
	err := eachMember(end, func(name string, value jsontext.Value) error {
		text := json.RawMessage(value)
		if name == "ref" {
			text = json.RawMessage(ref)
		}
		out = appendMember(out, name, text)
		return nil
	})
	return append(out, '}'), err
}

// appendMember appends a member to an object that has been begun.
func appendMember(dst []byte, name string, value []byte) []byte {
	if len(dst) > 1 {
		dst = append(dst, ',')
	}
	dst = append(append(dst, quote(name)...), ':')
	return append(dst, value...)
}
