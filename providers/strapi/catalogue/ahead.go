package catalogue

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// findFresh finds the components that have come into the project since Strapi was last started: they have no table, and Strapi has not
// written down how to edit them. The database holds nothing of them.
func (r *reading) findFresh(configured []string) error {
	r.fresh = make(map[string]bool)
	if r.layout == nil { // which tells what Strapi had
		return nil
	}
	for _, uid := range slices.Sorted(maps.Keys(r.opts.Components)) {
		file, err := parseComponent(uid, r.opts.Components[uid])
		if err != nil {
			return err
		}
		table, _, err := model.ColumnOf(file.CollectionName, model.ID)
		if err != nil {
			return err
		}
		if !r.HasTable(table) && r.layout[table] == nil && !slices.Contains(configured, uid) {
			r.fresh[uid] = true
			r.Ahead = append(r.Ahead, uid)
		}
	}
	return nil
}

// known returns a component's file without the attributes that have come into it since Strapi was last started: those of one column,
// which is not there, and those that hold a component which is new itself. If it was an old attribute that got a new name, its column
// is still there and does not pass the comparison with the tables. Relations have tables of their own, of which that cannot be told.
func (r *reading) known(uid, collection string, raw json.RawMessage) (json.RawMessage, error) {
	if r.layout == nil {
		return raw, nil
	}
	parts, err := members(raw)
	if err != nil {
		return nil, fmt.Errorf("component %s: %w", uid, err)
	}
	return rewrite(parts, func(m member) (json.RawMessage, error) {
		if m.name != "attributes" {
			return m.value, nil
		}
		attributes, err := members(m.value)
		if err != nil {
			return nil, fmt.Errorf("component %s: %w", uid, err)
		}
		kept := attributes[:0]
		for _, a := range attributes {
			fresh, err := r.isFresh(collection, a)
			if err != nil {
				return nil, fmt.Errorf("component %s: attribute %s: %w", uid, a.name, err)
			}
			if fresh {
				r.Ahead = append(r.Ahead, uid+"."+a.name)
				continue
			}
			kept = append(kept, a)
		}
		return rewrite(kept, func(a member) (json.RawMessage, error) { return a.value, nil })
	})
}

// isFresh reports whether an attribute of a component is not in the database yet.
func (r *reading) isFresh(collection string, a member) (bool, error) {
	var attribute struct{ Type, Component string }
	if err := json.Unmarshal(a.value, &attribute); err != nil {
		return false, fmt.Errorf("%w: %w", transfer.ErrDamaged, err)
	}
	switch attribute.Type {
	case "component":
		return r.fresh[attribute.Component], nil
	case "relation", "media", "dynamiczone":
		return false, nil
	}
	table, column, err := model.ColumnOf(collection, a.name)
	if err != nil {
		return false, err
	}
	return r.HasTable(table) && !r.HasColumn(table, column) && r.layout[table][column] == "", nil
}

// compareFiles finds what the project's content types have and the database does not.
func (r *reading) compareFiles() error {
	for _, uid := range slices.Sorted(maps.Keys(r.opts.ContentTypes)) {
		schema, ok := r.Schemas[uid]
		if !ok {
			r.Ahead = append(r.Ahead, uid)
			continue
		}
		var file, stored struct {
			Attributes map[string]json.RawMessage `json:"attributes"`
		}
		if err := json.Unmarshal(schema.AppendJSON(nil), &stored); err != nil {
			return fmt.Errorf("%w: schema %s: %w", transfer.ErrDamaged, uid, err)
		}
		if json.Unmarshal(r.opts.ContentTypes[uid], &file) != nil {
			continue // Strapi will tell
		}
		for _, name := range slices.Sorted(maps.Keys(file.Attributes)) {
			if _, ok := stored.Attributes[name]; !ok {
				r.Ahead = append(r.Ahead, uid+"."+name)
			}
		}
	}
	return nil
}
