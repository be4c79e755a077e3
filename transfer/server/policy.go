package server

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// policy refuses what a push must never carry: anything of the admin panel, where users, roles and tokens are. The texts are Strapi's.
type policy struct {
	models map[string]model // nil when the site's schemas are not known
	strict bool             // types that the site does not know are refused
}

// model is the part of a schema that the policy must understand.
type model struct {
	Attributes map[string]attribute `json:"attributes"`
}

type attribute struct {
	Type       string   `json:"type"`
	Relation   string   `json:"relation"`
	Target     string   `json:"target"`
	Component  string   `json:"component"`
	Components []string `json:"components"`
	Repeatable bool     `json:"repeatable"`
}

func newPolicy(site transfer.Description) *policy {
	if site.Blank || len(site.Schemas) == 0 {
		return &policy{} // what is known of a site that takes any schema is of other content
	}
	p := &policy{models: make(map[string]model, len(site.Schemas)), strict: true}
	for uid, schema := range site.Schemas {
		var m model
		if json.Unmarshal(schema.AppendJSON(nil), &m) == nil {
			p.models[uid] = m
		}
	}
	return p
}

// protected reports whether a content type belongs to the admin panel.
func protected(uid string) bool { return strings.HasPrefix(uid, "admin::") }

func protectedType(uid, path string) error {
	return protocol.TransferError(fmt.Sprintf("Remote push cannot transfer protected type %q at %s", clip(uid), clip(path)), nil)
}

func invalidPayload(path, reason string) error {
	return protocol.TransferError(fmt.Sprintf("Remote push received invalid relation payload at %s: %s", clip(path), reason), nil)
}

// check looks at one item of a stage: at the record that it is, or, where it is none, at its text, because Strapi has words of its own
// for some that are none. It returns broken, the error with which the text was read, if there is nothing else to say.
func (p *policy) check(stage transfer.Stage, record transfer.Record, raw json.RawMessage, broken error) error {
	if broken != nil {
		if stage != transfer.StageEntities {
			return broken
		}
		return cmp.Or(brokenEntity(raw), broken)
	}
	switch r := record.(type) {
	case transfer.Entity:
		return p.entity(r)
	case transfer.Link:
		return link(r)
	case transfer.Schema, transfer.Asset, transfer.Setting:
	}
	return nil
}

func link(l transfer.Link) error {
	switch {
	case protected(l.Left.Type):
		return protectedType(l.Left.Type, "link.left")
	case protected(l.Right.Type):
		return protectedType(l.Right.Type, "link.right")
	}
	return nil
}

// brokenEntity says what Strapi says of the text of an entity that is none.
func brokenEntity(raw json.RawMessage) error {
	var e struct {
		Type string          `json:"type"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil //nolint:nilerr // the parser of entities says what is wrong with it
	}
	if protected(e.Type) {
		return protectedType(e.Type, e.Type)
	}
	if !isObject(e.Data) {
		return invalidPayload(e.Type, "expected entity data object")
	}
	return nil
}

func (p *policy) entity(e transfer.Entity) error {
	if protected(e.Type) {
		return protectedType(e.Type, e.Type)
	}
	if !isObject(e.Data) {
		return invalidPayload(e.Type, "expected entity data object")
	}
	if _, known := p.models[e.Type]; !known && !p.strict {
		return nil
	}
	return p.object(e.Type, e.Data, e.Type, 0)
}

// maxPolicyDepth bounds how deep components are looked into. Strapi's editor stops at far less.
const maxPolicyDepth = 64

// object looks at the fields of a row or a component.
func (p *policy) object(uid string, raw json.RawMessage, path string, depth int) error {
	m, known := p.models[uid]
	if !known {
		if !p.strict {
			return nil
		}
		return invalidPayload(path, fmt.Sprintf("unknown schema %q", clip(uid)))
	}
	if depth > maxPolicyDepth {
		return fmt.Errorf("%w: components nest deeper than %d at %s", transfer.ErrDamaged, maxPolicyDepth, clip(path))
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil //nolint:nilerr // the parser of entities says what is wrong with it
	}
	for name, a := range m.Attributes {
		at := path + "." + name
		if protected(a.Target) {
			if _, column := fields[snake(name)+"_id"]; column {
				return protectedType(a.Target, path+"."+snake(name)+"_id")
			}
		}
		value, sent := fields[name]
		if !sent {
			continue
		}
		if err := p.field(a, value, at, depth); err != nil {
			return err
		}
	}
	return nil
}

func (p *policy) field(a attribute, value json.RawMessage, path string, depth int) error {
	switch a.Type {
	case "relation":
		if protected(a.Target) && !isNull(value) {
			return protectedType(a.Target, path)
		}
		if strings.HasPrefix(a.Relation, "morph") {
			return morph(value, path)
		}
	case "component":
		return p.component(a, value, path, depth)
	case "dynamiczone":
		return p.zone(a, value, path, depth)
	}
	return nil
}

// morph looks at a relation whose target is named by the data.
func morph(value json.RawMessage, path string) error {
	if isNull(value) {
		return nil
	}
	return each(value, path, "expected component value", func(item json.RawMessage, at string) error {
		var target struct {
			Type string `json:"__type"`
		}
		if err := json.Unmarshal(item, &target); err != nil || target.Type == "" {
			return invalidPayload(at, `missing polymorphic discriminator "__type"`)
		}
		if protected(target.Type) {
			return protectedType(target.Type, at)
		}
		return nil
	})
}

func (p *policy) component(a attribute, value json.RawMessage, path string, depth int) error {
	if isNull(value) {
		return nil
	}
	if !a.Repeatable {
		if !isObject(value) {
			return invalidPayload(path, "expected component object")
		}
		return p.object(a.Component, value, path, depth+1)
	}
	if bytes.TrimSpace(value)[0] != '[' {
		return invalidPayload(path, "expected component value")
	}
	return each(value, path, "expected component value", func(item json.RawMessage, at string) error {
		if !isObject(item) {
			return invalidPayload(at, "expected component object")
		}
		return p.object(a.Component, item, at, depth+1)
	})
}

func (p *policy) zone(a attribute, value json.RawMessage, path string, depth int) error {
	if isNull(value) {
		return nil
	}
	if bytes.TrimSpace(value)[0] != '[' {
		return invalidPayload(path, "expected dynamic zone array")
	}
	return each(value, path, "expected dynamic zone array", func(item json.RawMessage, at string) error {
		if !isObject(item) {
			return invalidPayload(at, "expected component object")
		}
		var in struct {
			Component string `json:"__component"`
		}
		if err := json.Unmarshal(item, &in); err != nil || in.Component == "" {
			return invalidPayload(at, "missing dynamic zone component discriminator")
		}
		if slices.Contains(a.Components, in.Component) {
			return p.object(in.Component, item, at, depth+1)
		}
		return invalidPayload(at, fmt.Sprintf("unsupported dynamic zone component %q", clip(in.Component)))
	})
}

// each calls visit for the elements of an array, or for what is none.
func each(value json.RawMessage, path, reason string, visit func(item json.RawMessage, at string) error) error {
	if bytes.TrimSpace(value)[0] != '[' {
		return visit(value, path)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(value, &items); err != nil {
		return invalidPayload(path, reason)
	}
	for i, item := range items {
		if err := visit(item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
	}
	return nil
}

func isNull(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) == 0 || raw[0] == 'n'
}

func isObject(raw json.RawMessage) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) > 0 && raw[0] == '{'
}

// snake is the name of a field's column.
func snake(name string) string {
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
