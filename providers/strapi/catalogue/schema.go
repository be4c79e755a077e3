package catalogue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// schemaKey is where Strapi keeps the content types of its last boot.
const schemaKey = "strapi_content_types_schema"

// keys are the parts of a schema that Strapi hands out, in its order.
func keys() []string {
	return []string{"collectionName", "info", "options", "pluginOptions", "attributes", "kind", "modelType", "modelName", "uid", "plugin", "globalId"}
}

// member is a member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// members returns the members of an object in their order.
func members(raw []byte) ([]member, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if kind := dec.PeekKind(); kind != '{' {
		return nil, fmt.Errorf("%w: %s instead of an object", transfer.ErrDamaged, kind)
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, fmt.Errorf("%w: %w", transfer.ErrDamaged, err)
	}
	out := []member{}
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", transfer.ErrDamaged, err)
		}
		m := member{name: name.String()}
		value, err := dec.ReadValue()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", transfer.ErrDamaged, err)
		}
		m.value = json.RawMessage(bytes.Clone(value))
		out = append(out, m)
	}
	return out, nil
}

// readStored reads the content types that the database keeps; nil if it keeps none.
func (r *reading) readStored(ctx context.Context) ([]member, error) {
	statement := fmt.Sprintf("SELECT %s FROM %s WHERE %s = ? AND %s IS NULL AND %s IS NULL ORDER BY %s",
		r.quote("value"), r.quote(model.CoreStore), r.quote("key"), r.quote("environment"), r.quote("tag"), r.quote(model.ID))
	rows, err := r.db.All(ctx, statement, schemaKey)
	if err != nil {
		return nil, fmt.Errorf("read the schemas: %w", err)
	}
	if len(rows) == 0 || rows[0][0] == nil {
		return nil, nil
	}
	r.stored = database.Text(rows[0][0])
	stored, err := members([]byte(r.stored))
	if err != nil {
		return nil, fmt.Errorf("read the schemas in %s: %w", model.CoreStore, err)
	}
	return stored, nil
}

// addSchema adds a schema reduced to what Strapi hands out. derived are members that it must have.
func (r *reading) addSchema(uid string, raw json.RawMessage, derived map[string]string) error {
	parts, err := members(raw)
	if err != nil {
		return fmt.Errorf("schema %s: %w", uid, err)
	}
	byName := make(map[string]json.RawMessage, len(parts))
	for _, m := range parts {
		byName[m.name] = m.value
	}
	for name, value := range derived {
		if byName[name], err = json.Marshal(value); err != nil {
			return err
		}
	}
	if _, ok := byName["uid"]; !ok {
		byName["uid"] = json.RawMessage(`"` + uid + `"`)
	}
	var text bytes.Buffer
	for _, key := range keys() {
		value, ok := byName[key]
		if !ok {
			continue
		}
		text.WriteString(separator(text.Len()) + `"` + key + `":`)
		if err := json.Compact(&text, value); err != nil {
			return fmt.Errorf("%w: schema %s: %w", transfer.ErrDamaged, uid, err)
		}
	}
	text.WriteByte('}')
	schema, err := transfer.ParseSchema(text.Bytes(), uid)
	if err != nil {
		return err
	}
	r.Schemas[uid] = schema
	return nil
}

func separator(written int) string {
	if written == 0 {
		return "{"
	}
	return ","
}
