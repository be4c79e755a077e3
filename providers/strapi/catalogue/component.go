package catalogue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// configurationPrefix begins the keys under which the content manager keeps a row for every component that Strapi has.
const configurationPrefix = "plugin_content_manager_configuration_components::"

// addComponents adds the components of the project and makes sure that none is missing.
func (r *reading) addComponents(ctx context.Context) error {
	configured, err := r.configured(ctx)
	if err != nil {
		return err
	}
	if err := r.findFresh(configured); err != nil {
		return err
	}
	for _, uid := range slices.Sorted(maps.Keys(r.opts.Components)) {
		if r.fresh[uid] {
			continue
		}
		if err := r.addComponent(uid, r.opts.Components[uid]); err != nil {
			return err
		}
	}
	named, err := r.named()
	if err != nil {
		return err
	}
	var missing []string
	for _, uid := range append(configured, named...) {
		if _, ok := r.Schemas[uid]; !ok && !slices.Contains(missing, uid) {
			missing = append(missing, uid)
		}
	}
	slices.Sort(missing)
	switch {
	case len(missing) == 0:
		r.orderComponents(configured)
		return nil
	case slices.ContainsFunc(missing, func(uid string) bool { return r.fresh[uid] }):
		return fmt.Errorf("%w: the database has no tables yet for components that its content types have (%s): start Strapi once, or give the schemas with --schemas", transfer.ErrIncompatible, some(missing))
	case r.opts.Components == nil:
		return fmt.Errorf("%w: the site has components (%s), whose schemas are in the project's files only: name the project's folder, or give the schemas with --schemas (transfer inspect --schemas makes that file)", transfer.ErrUsage, some(missing))
	}
	return fmt.Errorf("%w: the project has no file in src/components for %s: a plugin may bring them along, so give the schemas with --schemas (transfer inspect --schemas makes that file from a running server)", transfer.ErrUsage, some(missing))
}

// orderComponents lists the components in the order in which Strapi has come to know them.
func (r *reading) orderComponents(configured []string) {
	for _, uid := range configured {
		if !slices.Contains(r.Order, uid) {
			r.Order = append(r.Order, uid)
		}
	}
}

func some(uids []string) string {
	const most = 5
	if len(uids) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(uids[:most], ", "), len(uids)-most)
	}
	return strings.Join(uids, ", ")
}

// componentFile is what is read of a component's file.
type componentFile struct {
	GlobalID       string `json:"globalId"`
	CollectionName string `json:"collectionName"`
}

func parseComponent(uid string, raw json.RawMessage) (file componentFile, err error) {
	if err := json.Unmarshal(raw, &file); err != nil {
		return file, fmt.Errorf("%w: component %s: %w", transfer.ErrDamaged, uid, err)
	}
	if file.CollectionName == "" {
		return file, fmt.Errorf("%w: component %s: its file has no collectionName", transfer.ErrDamaged, uid)
	}
	return file, nil
}

// addComponent makes a schema of a component's file.
func (r *reading) addComponent(uid string, raw json.RawMessage) error {
	file, err := parseComponent(uid, raw)
	if err != nil {
		return err
	}
	if raw, err = r.known(uid, file.CollectionName, raw); err != nil {
		return err
	}
	_, name, _ := strings.Cut(uid, ".")
	derived := map[string]string{"modelType": "component", "modelName": name, "uid": uid, "globalId": file.GlobalID}
	if file.GlobalID == "" {
		camel := model.Camel("component_" + uid)
		derived["globalId"] = strings.ToUpper(camel[:1]) + camel[1:]
	}
	resolved, err := r.resolve(uid, raw)
	if err != nil {
		return err
	}
	return r.addSchema(uid, resolved, derived)
}

// resolve replaces custom fields by the types that they are stored as, which the tables tell.
func (r *reading) resolve(uid string, raw json.RawMessage) (json.RawMessage, error) {
	if !bytes.Contains(raw, []byte(`"customField"`)) {
		return raw, nil
	}
	parts, err := members(raw)
	if err != nil {
		return nil, fmt.Errorf("component %s: %w", uid, err)
	}
	var collection string
	for _, m := range parts {
		if m.name == "collectionName" {
			_ = json.Unmarshal(m.value, &collection) // addComponent has read it
		}
	}
	return rewrite(parts, func(m member) (json.RawMessage, error) {
		if m.name != "attributes" {
			return m.value, nil
		}
		attributes, err := members(m.value)
		if err != nil {
			return nil, fmt.Errorf("component %s: %w", uid, err)
		}
		return rewrite(attributes, func(a member) (json.RawMessage, error) { return r.resolveField(uid, collection, a) })
	})
}

// resolveField resolves one attribute if it is a custom field.
func (r *reading) resolveField(uid, collection string, a member) (json.RawMessage, error) {
	var field struct{ Type, CustomField string }
	if err := json.Unmarshal(a.value, &field); err != nil {
		return nil, fmt.Errorf("%w: component %s: attribute %s: %w", transfer.ErrDamaged, uid, a.name, err)
	}
	if field.Type != "customField" {
		return a.value, nil
	}
	base, err := r.layout.scalar(collection, a.name)
	if err != nil {
		return nil, fmt.Errorf("component %s: custom field %s (%s): %w", uid, a.name, field.CustomField, err)
	}
	parts, err := members(a.value)
	if err != nil {
		return nil, fmt.Errorf("component %s: attribute %s: %w", uid, a.name, err)
	}
	return rewrite(parts, func(m member) (json.RawMessage, error) {
		if m.name == "type" {
			return json.RawMessage(`"` + base + `"`), nil
		}
		return m.value, nil
	})
}

// rewrite writes an object with other values for its members.
func rewrite(parts []member, value func(member) (json.RawMessage, error)) (json.RawMessage, error) {
	out := []byte{'{'}
	for i, m := range parts {
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		text, err := value(m)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, name...), ':'), text...)
	}
	return append(out, '}'), nil
}

// configured returns the components that Strapi had at its last boot.
func (r *reading) configured(ctx context.Context) ([]string, error) {
	statement := fmt.Sprintf("SELECT %s FROM %s ORDER BY %s", r.quote("key"), r.quote(model.CoreStore), r.quote(model.ID))
	rows, err := r.db.All(ctx, statement)
	if err != nil {
		return nil, fmt.Errorf("read the keys of %s: %w", model.CoreStore, err)
	}
	var uids []string
	for _, row := range rows {
		if uid, ok := strings.CutPrefix(database.Text(row[0]), configurationPrefix); ok {
			uids = append(uids, uid)
		}
	}
	return uids, nil
}

// named returns the components that attributes name.
func (r *reading) named() ([]string, error) {
	var uids []string
	for _, uid := range slices.Sorted(maps.Keys(r.Schemas)) {
		var schema struct {
			Attributes map[string]struct {
				Type       string
				Component  string
				Components []string
			}
		}
		if err := json.Unmarshal(r.Schemas[uid].AppendJSON(nil), &schema); err != nil {
			return nil, fmt.Errorf("%w: schema %s: %w", transfer.ErrDamaged, uid, err)
		}
		for _, a := range schema.Attributes {
			switch a.Type {
			case "component":
				uids = append(uids, a.Component)
			case "dynamiczone":
				uids = append(uids, a.Components...)
			}
		}
	}
	return uids, nil
}
