package rows

import (
	"fmt"
	"time"

	"github.com/transfer-runner/runner/providers/strapi/model"
)

// Table is a table that rows are written to.
type Table struct {
	Name    string
	Columns []string
	Parent  *Table // whose rows these refer to by a foreign key; nil without
	Type    *Type  // whose rows these are; nil for tables that tie them together
}

// Type is a content type or component as rows are built of it.
type Type struct {
	Model *model.Type
	Table *Table
	Zones *Table // nil without components
	IDs   *IDs

	uid      any // boxed once
	fields   []any
	defaults []fallback
	lengths  []int // of text columns, 0 without a limit
}

// fallback is what a column gets when its attribute is missing.
type fallback struct {
	value any
	make  func() any // nil: value
}

// Options are the options of [NewBuilder].
type Options struct {
	Convert Converter
	Now     func() time.Time
	// Length returns how many characters a column takes, 0 for any number. nil means that there are no limits.
	Length func(table, column string) int
}

// NewBuilder returns a builder for the types of a model.
func NewBuilder(m *model.Model, opts Options) (*Builder, error) {
	b := &Builder{convert: opts.Convert, types: make(map[string]*Type, len(m.Types))}
	now := opts.Now
	if now == nil {
		now = time.Now
	}
	shared := make(map[string]*Type) // two types may share a table, which then has one sequence of ids
	for _, t := range m.Types {
		c, err := b.compile(t, opts, now)
		if err != nil {
			return nil, fmt.Errorf("type %s: %w", t.UID, err)
		}
		if first := shared[t.Table]; first != nil {
			c.IDs = first.IDs
		} else {
			shared[t.Table] = c
		}
		b.types[t.UID] = c
	}
	return b, nil
}

func (b *Builder) compile(t *model.Type, opts Options, now func() time.Time) (*Type, error) {
	c := &Type{Model: t, Table: &Table{Name: t.Table, Columns: []string{model.ID}}, IDs: new(IDs), uid: t.UID}
	c.Table.Type = c
	for _, col := range t.Columns {
		c.Table.Columns = append(c.Table.Columns, col.Name)
		f, err := b.fallback(t, col, now)
		if err != nil {
			return nil, fmt.Errorf("default of %s: %w", col.Attribute, err)
		}
		c.defaults = append(c.defaults, f)
		limit := 0
		if opts.Length != nil && col.Kind == model.String {
			limit = opts.Length(t.Table, col.Name)
		}
		c.lengths = append(c.lengths, limit)
	}
	if t.ZoneTable != "" {
		c.Zones = &Table{Name: t.ZoneTable, Parent: c.Table, Columns: []string{
			model.ZoneEntity, model.ZoneComponent, model.ZoneType, model.ZoneField, model.ZoneOrder,
		}}
	}
	for _, z := range t.Zones {
		c.fields = append(c.fields, z.Attribute)
	}
	return c, nil
}

// fallback returns what Strapi writes when an attribute is missing. Two defaults are functions there, which no schema shows.
func (b *Builder) fallback(t *model.Type, col model.Column, now func() time.Time) (fallback, error) {
	if !t.Component {
		switch col.Attribute {
		case "documentId":
			return fallback{make: func() any { return NewDocumentID() }}, nil
		case "publishedAt":
			return fallback{make: func() any { return b.convert.Moment(now()) }}, nil
		}
	}
	if col.Default == nil {
		return fallback{}, nil
	}
	value, err := b.convert.Convert(col.Kind, string(col.Default))
	return fallback{value: value}, err
}
