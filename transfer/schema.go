package transfer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

const modelComponent = "component"

// Schemas are content types and components by uid.
type Schemas map[string]Schema

// contentTypes returns the uids of the content types, sorted.
func (s Schemas) contentTypes() []string {
	var uids []string
	for _, uid := range slices.Sorted(maps.Keys(s)) {
		if !s[uid].component() {
			uids = append(uids, uid)
		}
	}
	return uids
}

// component reports whether the schema is that of a component. Exports before Strapi 4.10 have no modelType; a component's uid
// has no "::".
func (s Schema) component() bool {
	return s.ModelType == modelComponent || s.ModelType == "" && !strings.Contains(s.UID, "::")
}

// model is the part of a schema that the engine must understand.
type model struct {
	Attributes map[string]attribute `json:"attributes"`

	nests bool // one of them holds components
}

type attribute struct {
	Type       string   `json:"type"`
	Component  string   `json:"component"`
	Components []string `json:"components"`
	Target     string   `json:"target"`
}

// nests reports whether values of the attribute hold components.
func (a attribute) nests() bool { return a.Type == "component" || a.Type == "dynamiczone" }

// models decodes schemas for the engine.
func (s Schemas) models() (map[string]model, error) {
	out := make(map[string]model, len(s))
	for uid, schema := range s {
		var m model
		if err := json.Unmarshal(schema.raw, &m); err != nil {
			return nil, fmt.Errorf("%w: schema %s: %w", ErrDamaged, uid, err)
		}
		for _, a := range m.Attributes {
			m.nests = m.nests || a.nests()
		}
		out[uid] = m
	}
	return out, nil
}
