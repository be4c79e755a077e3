package model

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/transfer-runner/runner/transfer"
)

// schema is the part of a schema that the layout depends on.
type schema struct {
	CollectionName string     `json:"collectionName"`
	ModelType      string     `json:"modelType"`
	ModelName      string     `json:"modelName"`
	Attributes     attributes `json:"attributes"`
	Info           struct {
		SingularName string `json:"singularName"`
	} `json:"info"`
}

// attributes are in the order of the schema, which decides on the order of values and links.
type attributes []attribute

type attribute struct {
	name string

	Type       string          `json:"type"`
	Default    json.RawMessage `json:"default"`
	Component  string          `json:"component"`
	Components []string        `json:"components"`
	Repeatable any             `json:"repeatable"` // only true itself counts

	Relation     string       `json:"relation"`
	Target       string       `json:"target"`
	MappedBy     *string      `json:"mappedBy"`
	InversedBy   *string      `json:"inversedBy"`
	MorphBy      string       `json:"morphBy"`
	UseJoinTable any          `json:"useJoinTable"` // only false itself counts
	Virtual      bool         `json:"unstable_virtual"`
	JoinColumn   *joinColumn  `json:"joinColumn"`
	JoinTable    *joinTable   `json:"joinTable"`
	MorphColumn  *morphColumn `json:"morphColumn"`
	ColumnName   string       `json:"columnName"`
}

type joinColumn struct {
	Name       string `json:"name"`
	Referenced string `json:"referencedColumn"`
}

type joinTable struct {
	Name         string       `json:"name"`
	Internal     bool         `json:"__internal__"`
	JoinColumn   joinColumn   `json:"joinColumn"`
	Inverse      joinColumn   `json:"inverseJoinColumn"`
	MorphColumn  *morphColumn `json:"morphColumn"`
	Order        string       `json:"orderColumnName"`
	InverseOrder string       `json:"inverseOrderColumnName"`
}

type morphColumn struct {
	Type joinColumn `json:"typeColumn"`
	ID   joinColumn `json:"idColumn"`
}

// parse reads one schema.
func parse(uid string, s transfer.Schema) (schema, error) {
	var out schema
	if err := json.Unmarshal(s.AppendJSON(nil), &out); err != nil {
		return out, fmt.Errorf("%w: schema %s: %w", transfer.ErrDamaged, uid, err)
	}
	if out.ModelName == "" {
		out.ModelName = out.Info.SingularName
	}
	if out.CollectionName == "" || out.ModelName == "" {
		return out, fmt.Errorf("%w: schema %s: no collectionName or no modelName", transfer.ErrDamaged, uid)
	}
	return out, nil
}

// UnmarshalJSON reads an object's members in their order.
func (a *attributes) UnmarshalJSON(raw []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return err
		}
		one := attribute{name: name.String()}
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if err := json.Unmarshal(value, &one); err != nil {
			return fmt.Errorf("attribute %s: %w", one.name, err)
		}
		*a = append(*a, one)
	}
	return nil
}

// kind returns how the values of an attribute are stored, "" if it is no scalar.
func (a attribute) kind() Kind {
	switch a.Type {
	case "string", "text", "richtext", "uid", "email", "password", "enumeration":
		return String
	case "json", "blocks":
		return JSON
	case "integer", "biginteger", "float", "decimal", "boolean", "date", "time", "datetime", "timestamp":
		return Kind(a.Type)
	}
	return ""
}

func (a attribute) bidirectional() bool { return a.InversedBy != nil || a.MappedBy != nil }

// owns reports whether the attribute is the side of its relation that stores it.
func (a attribute) owns() bool { return a.MappedBy == nil && a.MorphBy == "" }
