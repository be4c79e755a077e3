package strapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/rows"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
)

// projectSettings is the row of the core store that may bring along the pictures it speaks of.
const projectSettings = "core_admin_project-settings"

// writeSettings writes rows of the core store, and webhooks.
func (d *Destination) writeSettings(ctx context.Context, batch transfer.Batch) error {
	if d.merge != nil && d.merge.config == nil {
		if err := d.queue.do(ctx, d.merge.loadSettings); err != nil {
			return err
		}
	}
	var out rows.Batch
	for _, r := range batch.Records {
		s, ok := r.(transfer.Setting)
		if !ok {
			return fmt.Errorf("%w: %T among settings", transfer.ErrDamaged, r)
		}
		if d.merge != nil {
			write, err := d.merge.wants(ctx, s)
			if err != nil {
				return err
			}
			if !write {
				d.stored[batch.Stage]++
				continue
			}
		}
		if err := d.setting(ctx, &out, s); err != nil {
			return fmt.Errorf("%w: %s: %w", transfer.ErrDamaged, s.Key(), err)
		}
		d.stored[batch.Stage]++
	}
	return d.queue.submit(ctx, func(ctx context.Context) error { return d.writer.write(ctx, out.Rows) })
}

func (d *Destination) setting(ctx context.Context, out *rows.Batch, s transfer.Setting) error {
	fields, err := rows.Members(string(s.Value))
	if err != nil {
		return err
	}
	switch s.Type {
	case "core-store":
		if s.Name == schemaKey {
			return nil // this database's own stays
		}
		value := fields["value"]
		if s.Name == projectSettings {
			if value, err = d.logos(ctx, value); err != nil {
				return err
			}
		}
		return d.coreStore(out, fields, value)
	case "webhook":
		return d.webhook(out, fields)
	}
	return fmt.Errorf("settings of type %q are unknown", s.Type)
}

func (d *Destination) coreStore(out *rows.Batch, fields map[string]string, value string) error {
	row := out.Add(d.tables.coreStore, 5)
	if value != "" {
		row[1] = rows.Compact(value)
	}
	for i, name := range []string{"key", "", "type", "environment", "tag"} {
		if name == "" || fields[name] == "" {
			continue
		}
		text, err := d.converter().Convert(model.String, fields[name])
		if err != nil {
			return err
		}
		row[i] = text
	}
	return nil
}

func (d *Destination) webhook(out *rows.Batch, fields map[string]string) error {
	row := out.Add(d.tables.webhooks, 5)
	for i, f := range []struct {
		name string
		kind model.Kind
	}{{"name", model.String}, {"url", model.String}, {"headers", model.JSON}, {"events", model.JSON}, {"enabled", model.Boolean}} {
		if fields[f.name] == "" {
			continue
		}
		v, err := d.converter().Convert(f.kind, fields[f.name])
		if err != nil {
			return fmt.Errorf("field %s: %w", f.name, err)
		}
		row[i] = v
	}
	return nil
}

// systemTables are the tables of the configuration as their rows are written.
type systemTables struct{ coreStore, webhooks *rows.Table }

func newSystemTables() systemTables {
	return systemTables{
		coreStore: &rows.Table{Name: model.CoreStore, Columns: []string{"key", "value", "type", "environment", "tag"}},
		webhooks:  &rows.Table{Name: model.Webhooks, Columns: []string{"name", "url", "headers", "events", "enabled"}},
	}
}

// logos writes the pictures that come with the settings of the admin panel, and says where they are here.
func (d *Destination) logos(ctx context.Context, value string) (string, error) {
	if value == "" || value[0] != '{' {
		return value, nil
	}
	out := []byte{'{'}
	err := rows.EachMember(value, func(name, value string) error {
		var err error
		if name == "menuLogo" || name == "authLogo" {
			value, err = d.logo(ctx, value)
		}
		out = appendMember(out, name, value)
		return err
	})
	return string(append(out, '}')), err
}

func (d *Destination) logo(ctx context.Context, value string) (string, error) {
	if value[0] != '{' {
		return value, nil
	}
	fields, err := rows.Members(value)
	if err != nil || fields["__transferBuffer"] == "" {
		return value, err
	}
	encoded, err := rows.Unquote(fields["__transferBuffer"])
	if err != nil {
		return "", err
	}
	body, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", fmt.Errorf("picture: %w", err)
	}
	if d.change == nil {
		d.warn("a logo of the admin panel was left out, because it is not known where this site keeps its files")
		return "null", nil
	}
	hash, err := rows.Unquote(fields["hash"])
	if err != nil {
		return "", fmt.Errorf("picture: hash: %w", err)
	}
	ext := ""
	if fields["ext"] != "" && fields["ext"] != "null" {
		if ext, err = rows.Unquote(fields["ext"]); err != nil {
			return "", fmt.Errorf("picture: ext: %w", err)
		}
	}
	url, err := d.change.Stage(ctx, uploads.File{Hash: hash, Ext: ext}, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	fields["url"], fields["provider"] = rows.Quote(url), rows.Quote(d.site.opts.Uploads.Provider())
	out := []byte{'{'}
	for _, name := range []string{"name", "hash", "url", "width", "height", "ext", "size", "provider"} {
		if fields[name] != "" {
			out = appendMember(out, name, fields[name])
		}
	}
	return string(append(out, '}')), nil
}

// appendMember appends a member to an object that has been begun.
func appendMember(dst []byte, name, value string) []byte {
	if len(dst) > 1 {
		dst = append(dst, ',')
	}
	dst, _ = jsontext.AppendQuote(dst, name)
	return append(append(dst, ':'), value...)
}
