package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

const modelComponent = "component"

// New computes the layout of schemas. order is the uids as Strapi streams them; those that it doesn't name come after it, and nil
// sorts all of them. Content types come before components whatever it says.
func New(schemas transfer.Schemas, order []string) (*Model, error) {
	b := builder{schemas: make(map[string]schema, len(schemas)), model: &Model{byUID: make(map[string]*Type, len(schemas))}}
	for uid, s := range schemas {
		parsed, err := parse(uid, s)
		if err != nil {
			return nil, err
		}
		b.schemas[uid] = parsed
	}
	uids := ordered(b.schemas, order)
	for _, uid := range uids {
		if err := b.addTable(uid); err != nil {
			return nil, fmt.Errorf("type %s: %w", uid, err)
		}
	}
	for _, t := range b.model.Types {
		for _, a := range b.schemas[t.UID].Attributes {
			if err := b.addAttribute(t, a); err != nil {
				return nil, fmt.Errorf("type %s: attribute %s: %w", t.UID, a.name, err)
			}
		}
	}
	return b.model, nil
}

func ordered(schemas map[string]schema, order []string) []string {
	var uids []string
	for _, uid := range order {
		if _, ok := schemas[uid]; ok && !slices.Contains(uids, uid) {
			uids = append(uids, uid)
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(schemas)) {
		if !slices.Contains(uids, uid) {
			uids = append(uids, uid)
		}
	}
	slices.SortStableFunc(uids, func(a, b string) int {
		return boolean(isComponent(a, schemas[a])) - boolean(isComponent(b, schemas[b]))
	})
	return uids
}

// isComponent goes by the name where an old export has no model type: a component's uid has no "::".
func isComponent(uid string, s schema) bool {
	return s.ModelType == modelComponent || s.ModelType == "" && !strings.Contains(uid, "::")
}

type builder struct {
	schemas map[string]schema
	model   *Model
}

// addTable adds a type without its attributes.
func (b *builder) addTable(uid string) error {
	s := b.schemas[uid]
	table, err := tableName(s.CollectionName)
	if err != nil {
		return err
	}
	t := &Type{UID: uid, Component: isComponent(uid, s), Name: s.ModelName, Table: table, attributes: make(map[string]place)}
	if !t.Component {
		t.addColumn(Column{Attribute: "documentId", Name: DocumentID, Kind: String})
	}
	b.model.Types = append(b.model.Types, t)
	b.model.byUID[uid] = t
	return nil
}

func (b *builder) addAttribute(t *Type, a attribute) error {
	switch a.Type {
	case "relation":
		return b.addRelation(t, a)
	case "media":
		t.attributes[a.name] = place{class: Relative}
		return nil
	case modelComponent, "dynamiczone":
		return b.addZone(t, a)
	}
	kind := a.kind()
	if kind == "" {
		return fmt.Errorf("%w: type %q is unknown", transfer.ErrIncompatible, a.Type)
	}
	name, err := columnName(a.name)
	if err != nil {
		return err
	}
	if a.ColumnName != "" {
		name = a.ColumnName
	}
	t.addColumn(Column{Attribute: a.name, Name: name, Kind: kind, Default: a.Default})
	return nil
}

// addColumn adds a column, or takes the place of one with the same attribute.
func (t *Type) addColumn(c Column) {
	if p := t.attributes[c.Attribute]; p.class == Scalar {
		t.Columns[p.index] = c
		return
	}
	t.attributes[c.Attribute] = place{class: Scalar, index: len(t.Columns)}
	t.Columns = append(t.Columns, c)
}

func (b *builder) addZone(t *Type, a attribute) error {
	z := Zone{Attribute: a.name, Dynamic: a.Type == "dynamiczone", Components: a.Components}
	z.Repeatable = z.Dynamic || a.Repeatable == true
	if !z.Dynamic {
		z.Components = []string{a.Component}
	}
	for _, uid := range z.Components {
		if c := b.model.Type(uid); c == nil || !c.Component {
			return fmt.Errorf("%w: component %q is unknown", transfer.ErrIncompatible, uid)
		}
	}
	table, err := zoneTableName(b.schemas[t.UID].CollectionName)
	if err != nil {
		return err
	}
	t.ZoneTable = table
	t.attributes[a.name] = place{class: Nested, index: len(t.Zones)}
	t.Zones = append(t.Zones, z)
	return nil
}
