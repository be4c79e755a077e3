package transfer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Difference is one place in which two schemas do not agree.
type Difference struct {
	UID  string         `json:"uid"`
	Path []string       `json:"path"` // below the schema; empty when the whole schema is on one side only
	Kind DifferenceKind `json:"kind"`

	Source      any `json:"source,omitempty"`
	Destination any `json:"destination,omitempty"`
}

// DifferenceKind says on which side a difference is, seen from the source.
type DifferenceKind string

// The kinds, as Strapi's engine names them.
const (
	DifferenceAdded    DifferenceKind = "added"   // only the destination has it
	DifferenceDeleted  DifferenceKind = "deleted" // only the source has it
	DifferenceModified DifferenceKind = "modified"
)

func (d Difference) String() string {
	at := strings.Join(append([]string{d.UID}, d.Path...), ".")
	switch d.Kind {
	case DifferenceAdded:
		return at + " exists at the destination only"
	case DifferenceDeleted:
		return at + " exists at the source only; what it holds would be lost"
	case DifferenceModified:
	}
	return fmt.Sprintf("%s is %s at the source and %s at the destination", at, short(d.Source), short(d.Destination))
}

func short(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("%v", v)
	}
	if len(text) > 60 {
		return string(text[:60]) + "…"
	}
	return string(text)
}

// CompareSchemas returns where source and destination differ as far as strategy cares. The rules are those of Strapi's engine:
// with [SchemaStrict] an attribute's private, required, configurable and default do not matter, nor do the audit logs that only
// some editions have. Unknown schemas on either side equal everything.
func CompareSchemas(source, destination Schemas, strategy SchemaStrategy) ([]Difference, error) {
	if source == nil || destination == nil || strategy == SchemaIgnore {
		return nil, nil
	}
	uids := maps.Clone(source)
	maps.Copy(uids, destination)
	var out []Difference
	for _, uid := range slices.Sorted(maps.Keys(uids)) {
		a, err := decodeSchema(source, uid)
		if err != nil {
			return nil, err
		}
		b, err := decodeSchema(destination, uid)
		if err != nil {
			return nil, err
		}
		for _, d := range compare(uid, nil, a, b) {
			if strategy == SchemaExact || !d.ignorable() {
				out = append(out, d)
			}
		}
	}
	return out, nil
}

// missing stands for what JavaScript calls undefined.
type missing struct{}

func decodeSchema(schemas Schemas, uid string) (any, error) {
	schema, ok := schemas[uid]
	if !ok {
		return missing{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(schema.raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: schema %s: %w", ErrDamaged, uid, err)
	}
	return v, nil
}

func compare(uid string, path []string, a, b any) []Difference {
	am, bm := members(a), members(b)
	if am == nil || bm == nil {
		return compareLeaf(uid, path, a, b)
	}
	keys := maps.Clone(am)
	maps.Copy(keys, bm)
	var out []Difference
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		out = append(out, compare(uid, append(slices.Clone(path), key), member(am, key), member(bm, key))...)
	}
	return out
}

func compareLeaf(uid string, path []string, a, b any) []Difference {
	d := Difference{UID: uid, Path: path, Source: a, Destination: b}
	switch {
	case reflect.DeepEqual(a, b):
		return nil
	case a == any(missing{}):
		d.Kind, d.Source = DifferenceAdded, nil
	case b == any(missing{}):
		d.Kind, d.Destination = DifferenceDeleted, nil
	default:
		d.Kind = DifferenceModified
	}
	return []Difference{d}
}

// members returns what an object or an array holds, nil for anything else. Strapi compares arrays item by item too.
func members(v any) map[string]any {
	switch v := v.(type) {
	case map[string]any:
		return v
	case []any:
		m := make(map[string]any, len(v))
		for i, item := range v {
			m[strconv.Itoa(i)] = item
		}
		return m
	}
	return nil
}

func member(m map[string]any, key string) any {
	if v, ok := m[key]; ok {
		return v
	}
	return missing{}
}

// ignorable reports whether the strict strategy overlooks the difference.
func (d Difference) ignorable() bool {
	if len(d.Path) == 3 && d.Path[0] == "attributes" {
		switch d.Path[2] {
		case "private", "required", "configurable", "default":
			return true
		}
	}
	return auditLog(d.Source) || auditLog(d.Destination)
}

func auditLog(v any) bool {
	schema, _ := v.(map[string]any)
	info, _ := schema["info"].(map[string]any)
	return info["singularName"] == "audit-log"
}
