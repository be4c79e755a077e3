package strapi

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/read"
	"github.com/transfer-runner/runner/providers/strapi/rows"
	"github.com/transfer-runner/runner/transfer"
)

// settingMerger compares settings with those that are there.
type settingMerger struct {
	have map[string]string // what they say, by what names them
}

// selfWritten is a setting that every Strapi draws by lot when it boots.
const selfWritten = "plugin_upload_metrics"

func (m *merger) loadSettings(ctx context.Context) error {
	m.config = &settingMerger{have: make(map[string]string)}
	return read.New(m.d.site.db, m.d.tx, m.d.catalogue).Settings(ctx, markerKey, func(all []read.Setting) error {
		for _, one := range all {
			r, err := one.Record(one.Value)
			if err != nil {
				return err
			}
			s, ok := r.(transfer.Setting)
			if !ok {
				continue
			}
			name, text, err := describeSetting(s)
			if err != nil {
				return err
			}
			m.config.have[name] = text
		}
		return nil
	})
}

// describeSetting returns what names a setting, and what it says in a form that can be compared.
func describeSetting(s transfer.Setting) (name, text string, err error) {
	fields, err := rows.Members(string(s.Value))
	if err != nil {
		return "", "", err
	}
	name = s.Type + "\x00" + s.Name
	if s.Type == "core-store" {
		name += "\x00" + fields["environment"] + "\x00" + fields["tag"]
	}
	delete(fields, "id")
	if s.Name == projectSettings {
		if fields["value"], err = plainLogos(fields["value"]); err != nil {
			return "", "", err
		}
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		value := jsontext.Value(fields[field])
		if value.Format(jsontext.ReorderRawObjects(true), jsontext.AllowInvalidUTF8(true)) != nil {
			value = jsontext.Value(fields[field])
		}
		text += field + "=" + string(value) + "\n"
	}
	return name, text, nil
}

// plainLogos leaves of the logos in the settings of the admin panel what does not depend on the site.
func plainLogos(value string) (string, error) {
	if value == "" || value[0] != '{' {
		return value, nil
	}
	out := []byte{'{'}
	err := rows.EachMember(value, func(name, value string) error {
		if (name == "menuLogo" || name == "authLogo") && value[0] == '{' {
			fields, err := rows.Members(value)
			if err != nil {
				return err
			}
			value = "[" + fields["hash"] + "]"
		}
		out = appendMember(out, name, value)
		return nil
	})
	return string(append(out, '}')), err
}

// wants reports whether a setting is to be written, and deletes the one that it replaces.
func (m *merger) wants(ctx context.Context, s transfer.Setting) (bool, error) {
	name, text, err := describeSetting(s)
	if err != nil {
		return false, err
	}
	switch have, ok := m.config.have[name]; {
	case s.Name == schemaKey, ok && (have == text || s.Name == selfWritten || m.d.opts.Conflict == ConflictDestination):
		return false, nil
	case ok && m.d.opts.Conflict == ConflictFail:
		return false, fmt.Errorf("%w: %s differs at the destination; choose with --conflict which of them is to be kept", transfer.ErrIncompatible, s.Key())
	case ok:
		if err := m.d.queue.submit(ctx, func(ctx context.Context) error { return m.deleteSetting(ctx, s) }); err != nil {
			return false, err
		}
	}
	m.changes++
	m.tally.settings++
	return true, nil
}

func (m *merger) deleteSetting(ctx context.Context, s transfer.Setting) error {
	if s.Type == "webhook" {
		_, err := m.d.tx.Exec(ctx, "DELETE FROM "+m.d.quote(model.Webhooks)+" WHERE "+m.d.quote("name")+" = ?", s.Name)
		return err
	}
	fields, err := rows.Members(string(s.Value))
	if err != nil {
		return err
	}
	where, args := m.d.quote("key")+" = ?", []any{s.Name}
	for _, name := range []string{"environment", "tag"} {
		if text := plainText(fields[name]); text != "" {
			where, args = where+" AND "+m.d.quote(name)+" = ?", append(args, text)
			continue
		}
		where += " AND (" + m.d.quote(name) + " IS NULL OR " + m.d.quote(name) + " = '')"
	}
	_, err = m.d.tx.Exec(ctx, "DELETE FROM "+m.d.quote(model.CoreStore)+" WHERE "+where, args...)
	return err
}
