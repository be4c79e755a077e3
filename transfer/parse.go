package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// ParseSchema reads the JSON text of a schema. uid is used if the text does not name one.
func ParseSchema(raw []byte, uid string) (Schema, error) {
	s := Schema{UID: uid, raw: raw}
	err := eachMember(raw, func(name string, value jsontext.Value) error {
		switch name {
		case "uid":
			return parseString(value, &s.UID)
		case "modelType":
			return parseString(value, &s.ModelType)
		}
		return nil
	})
	if err == nil && s.UID == "" {
		err = errors.New("no uid")
	}
	return s, wrapRecord("schema", s.UID, err)
}

// ParseEntity reads the JSON text of an entity. The result keeps raw.
func ParseEntity(raw []byte) (Entity, error) {
	e := Entity{raw: raw, parsed: true}
	err := eachMember(raw, func(name string, value jsontext.Value) error {
		switch name {
		case "type":
			return parseString(value, &e.Type)
		case "id":
			return parseRef(value, &e.ID)
		case "data":
			if value.Kind() != '{' {
				return fmt.Errorf("data is %s, not an object", value.Kind())
			}
			e.Data = json.RawMessage(value)
		}
		return nil
	})
	switch {
	case err != nil:
	case e.Type == "":
		err = errors.New("no type")
	case e.ID == "":
		err = errors.New("no id")
	case e.Data == nil:
		err = errors.New("no data")
	}
	return e, wrapRecord("entity", strings.TrimSpace(e.Type+" "+e.ID.String()), err)
}

// NewEntity returns an entity with the given row.
func NewEntity(typ string, id Ref, data json.RawMessage) Entity {
	raw := append([]byte(`{"type":`), quote(typ)...)
	raw = append(append(raw, `,"id":`...), id...)
	raw = append(raw, `,"data":`...)
	at := len(raw)
	raw = append(append(raw, data...), '}')
	return Entity{Type: typ, ID: id, Data: raw[at : len(raw)-1], raw: raw}
}

// ParseLink reads the JSON text of a link. The result keeps raw.
func ParseLink(raw []byte) (Link, error) {
	l := Link{raw: raw}
	err := eachMember(raw, func(name string, value jsontext.Value) error {
		switch name {
		case "kind":
			return parseString(value, &l.Kind)
		case "relation":
			return parseString(value, &l.Relation)
		case "left":
			return parseEnd(name, value, &l.Left)
		case "right":
			return parseEnd(name, value, &l.Right)
		}
		return nil
	})
	switch {
	case err != nil:
	case l.Left.Type == "" || l.Left.Ref == "":
		err = errors.New("no left side")
	case l.Right.Type == "" || l.Right.Ref == "":
		err = errors.New("no right side")
	}
	return l, wrapRecord("link", strings.TrimSpace(l.Left.Type+" "+l.Left.Ref.String()), err)
}

// ParseSetting reads the JSON text of a configuration row. The result keeps raw.
func ParseSetting(raw []byte) (Setting, error) {
	s := Setting{raw: raw}
	err := eachMember(raw, func(name string, value jsontext.Value) error {
		switch name {
		case "type":
			return parseString(value, &s.Type)
		case "value":
			s.Value = json.RawMessage(value)
		}
		return nil
	})
	if err == nil && s.Type == "" {
		err = errors.New("no type")
	}
	if err == nil && jsontext.Value(s.Value).Kind() == '{' {
		err = walkMembers(s.Value, func(name string, value jsontext.Value) error {
			if (name == "key" || name == "name") && s.Name == "" && value.Kind() == '"' {
				return parseString(value, &s.Name)
			}
			return nil
		})
	}
	return s, wrapRecord("setting", strings.TrimSpace(s.Type+" "+s.Name), err)
}

// ParseRecord reads the JSON text of a record of stage, which must not be [StageAssets].
func ParseRecord(stage Stage, raw []byte) (Record, error) {
	switch stage {
	case StageSchemas:
		return ParseSchema(raw, "")
	case StageEntities:
		return ParseEntity(raw)
	case StageLinks:
		return ParseLink(raw)
	case StageConfiguration:
		return ParseSetting(raw)
	case StageAssets:
	}
	return nil, fmt.Errorf("stage %q has no records of JSON text", stage)
}
