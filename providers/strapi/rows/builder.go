package rows

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// Builder builds rows. It is used by one goroutine.
type Builder struct {
	convert Converter
	types   map[string]*Type

	// Trace, if there is one, is called with each row: its type, its id and the way to it from the entity, "" for itself.
	Trace func(uid string, id int64, path string)

	// Verbatim leaves components the ids that they have, for rows that are only looked at.
	Verbatim bool
}

// Type returns a content type or component, nil for one that is not known.
func (b *Builder) Type(uid string) *Type { return b.types[uid] }

// Row is one row of a table, its values in the order of the columns.
type Row struct {
	Table  *Table
	Values []any
	Path   string // the way to it from the entity, "" for the entity itself
}

// Batch collects rows. It may be used again after Reset.
type Batch struct {
	Rows  []Row
	arena []any
}

// Reset empties the batch. The values of its rows are void from then on.
func (b *Batch) Reset() {
	clear(b.Rows)
	clear(b.arena)
	b.Rows, b.arena = b.Rows[:0], b.arena[:0]
}

// Add makes room for a row of n values, which the caller fills in.
func (b *Batch) Add(t *Table, n int) []any { return b.add(t, n, "") }

func (b *Batch) add(t *Table, n int, path string) []any {
	const chunk = 4096
	if len(b.arena)+n > cap(b.arena) {
		b.arena = make([]any, 0, max(n, chunk)) // the old one belongs to the rows in it
	}
	start := len(b.arena)
	b.arena = b.arena[:start+n]
	values := b.arena[start : start+n : start+n]
	b.Rows = append(b.Rows, Row{Table: t, Values: values, Path: path})
	return values
}

// Build adds the rows of an entity and of its components, under an id that the caller got from the type's [IDs].
func (b *Builder) Build(batch *Batch, e transfer.Entity, id int64) error {
	t := b.types[e.Type]
	if t == nil || t.Model.Component {
		return fmt.Errorf("%w: %s: there is no such content type", transfer.ErrIncompatible, e.Key())
	}
	if err := b.object(batch, t, string(e.Data), id, ""); err != nil {
		return fmt.Errorf("%w: %s: %w", transfer.ErrDamaged, e.Key(), err)
	}
	return nil
}

// object adds the row of an entity or component.
func (b *Builder) object(batch *Batch, t *Type, data string, id int64, path string) error {
	if strings.Count(path, ".") > 2*maxDepth {
		return fmt.Errorf("components nest deeper than %d", maxDepth)
	}
	if b.Trace != nil {
		b.Trace(t.Model.UID, id, path)
	}
	columns := t.Model.Columns
	values := batch.add(t.Table, len(columns)+1, path)
	values[0] = id
	for i := range columns {
		values[i+1] = missing{}
	}
	err := eachMember(data, func(name, value string) error {
		switch t.Model.Class(name) {
		case model.Scalar:
			i := t.Model.Index(name)
			v, err := b.scalar(t, i, value)
			if err != nil {
				return fmt.Errorf("field %s%s: %w", path, name, err)
			}
			values[i+1] = v
		case model.Nested:
			return b.zone(batch, t, t.Model.Zone(name), value, id, path)
		case model.Unknown, model.Owner, model.Relative:
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range columns {
		if values[i+1] != any(missing{}) {
			continue
		}
		values[i+1] = t.defaults[i].value
		if t.defaults[i].make != nil {
			values[i+1] = t.defaults[i].make()
		}
	}
	return nil
}

// missing marks a value that the data did not have.
type missing struct{}

func (b *Builder) scalar(t *Type, i int, value string) (any, error) {
	v, err := b.convert.Convert(t.Model.Columns[i].Kind, value)
	if err != nil {
		return nil, err
	}
	if text, ok := v.(string); ok && t.lengths[i] > 0 && len(text) > t.lengths[i] && utf8.RuneCountInString(text) > t.lengths[i] {
		return nil, fmt.Errorf("a text of %d characters, the column takes %d", utf8.RuneCountInString(text), t.lengths[i])
	}
	return v, nil
}

// zone adds the components that an attribute holds.
func (b *Builder) zone(batch *Batch, t *Type, z *model.Zone, value string, owner int64, path string) error {
	where := path + z.Attribute
	switch {
	case value == "null" && !z.Dynamic:
		return nil
	case z.Repeatable && value[0] != '[':
		return fmt.Errorf("field %s: %s is not a list of components", where, short(value))
	case !z.Repeatable:
		return b.component(batch, t, z, value, owner, where+".", nil)
	}
	return eachElement(value, func(i int, item string) error {
		return b.component(batch, t, z, item, owner, where+"."+strconv.Itoa(i)+".", float64(i+1))
	})
}

// component adds one component and the row that ties it to its owner.
func (b *Builder) component(batch *Batch, t *Type, z *model.Zone, value string, owner int64, path string, order any) error {
	if value == "" || value[0] != '{' {
		return fmt.Errorf("field %s: %s is not a component", path, short(value))
	}
	uid, old, err := instance(value)
	if err != nil {
		return fmt.Errorf("field %s: %w", path, err)
	}
	if !z.Dynamic {
		uid = z.Components[0]
	}
	c := b.types[uid]
	if c == nil || !slices.Contains(z.Components, uid) {
		return fmt.Errorf("field %s: component %q does not belong there", path, uid)
	}
	var id int64
	switch n, err := strconv.ParseInt(old, 10, 64); {
	case b.Verbatim:
		id = n
	case err == nil:
		id = c.IDs.Assign(n)
	default:
		id = c.IDs.New()
	}
	row := batch.add(t.Zones, 5, path)
	row[0], row[1], row[2], row[3], row[4] = owner, id, c.uid, t.fields[t.Model.Index(z.Attribute)], order
	return b.object(batch, c, value, id, path)
}

// instance reads what a component says of itself: its type, which only dynamic zones need, and its id.
func instance(value string) (uid, id string, err error) {
	err = eachMember(value, func(name, value string) error {
		switch name {
		case "id":
			id = value
		case "__component":
			var err error
			if uid, err = unquote(value); err != nil {
				return errors.New("__component is not a text")
			}
		}
		return nil
	})
	return uid, id, err
}
