package read

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

const settingRows = 100

// Setting is a row of the configuration, before files are put into it.
type Setting struct {
	Key   string // of a core-store value; "" for webhooks
	Value json.RawMessage
	Head  []byte // the record's text before Value
	Tail  []byte // and after it
}

// Record makes a record of the setting with a value in the place of its own.
func (s Setting) Record(value json.RawMessage) (transfer.Record, error) {
	return transfer.ParseSetting(append(append(append(make([]byte, 0, len(s.Head)+len(value)+len(s.Tail)), s.Head...), value...), s.Tail...))
}

// Settings reads the core store and the webhooks. The core-store key hidden is left out.
func (r *Reader) Settings(ctx context.Context, hidden string, visit func([]Setting) error) error {
	for _, t := range settingTables() {
		if !r.catalogue.HasTable(t.name) {
			continue
		}
		for after := int64(-1); ; {
			settings, last, err := r.settings(ctx, t, after, hidden)
			if err != nil {
				return fmt.Errorf("read %s: %w", t.name, err)
			}
			if err := visit(settings); err != nil {
				return err
			}
			if last < 0 {
				break
			}
			after = last
		}
	}
	return nil
}

// CountSettings counts the rows.
func (r *Reader) CountSettings(ctx context.Context, hidden string) (total int64, err error) {
	for _, t := range settingTables() {
		if r.catalogue.HasTable(t.name) {
			n, err := r.one(ctx, "SELECT count(*) FROM "+r.quote(t.name)+r.unhidden(t, " WHERE ", hidden))
			if err != nil {
				return 0, fmt.Errorf("count %s: %w", t.name, err)
			}
			total += n
		}
	}
	return total, nil
}

// settingTable is a table of the configuration.
type settingTable struct {
	name, kind string
	columns    []model.Column
	value      int // the column that is JSON by its meaning, -1 without
}

func settingTables() []settingTable {
	of := func(name string, kind model.Kind) model.Column {
		return model.Column{Attribute: name, Name: name, Kind: kind}
	}
	text := func(name string) model.Column { return of(name, model.String) }
	return []settingTable{
		{model.CoreStore, "core-store", []model.Column{text("key"), text("value"), text("type"), text("environment"), text("tag")}, 1},
		{model.Webhooks, "webhook", []model.Column{
			text("name"), text("url"), of("headers", model.JSON), of("events", model.JSON), of("enabled", model.Boolean),
		}, -1},
	}
}

func (r *Reader) unhidden(t settingTable, word, hidden string) string {
	if t.value < 0 || hidden == "" {
		return ""
	}
	return word + r.quote("key") + " <> '" + hidden + "'"
}

// settings reads the next rows; last is -1 if there are no more.
func (r *Reader) settings(ctx context.Context, t settingTable, after int64, hidden string) (out []Setting, last int64, err error) {
	columns := []string{r.quote(model.ID)}
	for _, c := range t.columns {
		columns = append(columns, r.db.Expr(c.Name))
	}
	statement := fmt.Sprintf("SELECT %s FROM %s WHERE %s > %d%s ORDER BY %s LIMIT %d", strings.Join(columns, ", "), r.quote(t.name), r.quote(model.ID), after,
		r.unhidden(t, " AND ", hidden), r.quote(model.ID), settingRows)
	err = r.each(ctx, statement, func(values []any) error {
		s, err := r.setting(t, values)
		if err != nil {
			return err
		}
		out = append(out, s)
		last, _ = database.Int(values[0])
		return nil
	})
	if len(out) < settingRows {
		last = -1
	}
	return out, last, err
}

func (r *Reader) setting(t settingTable, values []any) (Setting, error) {
	id, _ := database.Int(values[0])
	text := append([]byte(`{"type":"`+t.kind+`","value":{"id":`), strconv.FormatInt(id, 10)...)
	var s Setting
	for i, c := range t.columns {
		text = append(append(append(text, ',', '"'), c.Attribute...), '"', ':')
		if i != t.value {
			text = r.render.Append(text, c.Kind, values[i+1])
			continue
		}
		s.Key = database.Text(values[1])
		value, err := jsonValue(values[i+1])
		if err != nil {
			return s, fmt.Errorf("%w: the value of %q is not JSON: %w", transfer.ErrDamaged, s.Key, err)
		}
		s.Head, s.Value, text = text, value, nil
	}
	text = append(text, '}', '}')
	if t.value < 0 {
		s.Head = text
		return s, nil
	}
	s.Tail = text
	return s, nil
}

// jsonValue is the JSON text that a column of text holds.
func jsonValue(value any) (json.RawMessage, error) {
	if value == nil {
		return json.RawMessage("null"), nil
	}
	var out bytes.Buffer
	err := json.Compact(&out, []byte(database.Text(value)))
	return out.Bytes(), err
}
