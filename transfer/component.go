package transfer

import (
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxComponentDepth bounds how deep components nest in components. Strapi's editor stops at far less.
const maxComponentDepth = 64

// instance is one component inside an entity.
type instance struct {
	uid  string
	id   Ref            // "" when the source gave none
	path string         // of the attribute that holds it, with its index: "sections.2.actions.0"
	data jsontext.Value // a part of the entity's text

	listed bool // it is one of several that its attribute holds
}

// components calls visit for every component in the data of a row of type uid, outer before inner. The data must be valid JSON.
func components(models map[string]model, uid string, data []byte, visit func(instance) error) error {
	return walkComponents(models, uid, data, "", 0, visit)
}

func walkComponents(models map[string]model, uid string, data []byte, path string, depth int, visit func(instance) error) error {
	if depth > maxComponentDepth {
		return fmt.Errorf("%w: components nest deeper than %d at %s", ErrDamaged, maxComponentDepth, path)
	}
	m := models[uid]
	if !m.nests {
		return nil
	}
	return walkMembers(data, func(name string, value jsontext.Value) error {
		a := m.Attributes[name]
		if !a.nests() {
			return nil
		}
		return eachElement(value, func(i int, item jsontext.Value) error {
			in, err := readInstance(a, item)
			if err != nil || in.uid == "" {
				return err
			}
			in.path, in.listed = path+name+"."+strconv.Itoa(i), value.Kind() == '['
			if err := visit(in); err != nil {
				return err
			}
			return walkComponents(models, in.uid, in.data, in.path+".", depth+1, visit)
		})
	})
}

// readInstance reads a component's id and type. Anything but an object has none: null, or what a relation left behind.
func readInstance(a attribute, item jsontext.Value) (instance, error) {
	in := instance{uid: a.Component, data: item}
	if item.Kind() != '{' {
		return instance{}, nil
	}
	err := walkMembers(item, func(name string, value jsontext.Value) error {
		switch {
		case name == "id" && (value.Kind() == '0' || value.Kind() == '"'):
			in.id = Ref(value)
		case name == "__component" && value.Kind() == '"' && a.Type == "dynamiczone":
			return parseString(value, &in.uid)
		}
		return nil
	})
	return in, err
}
