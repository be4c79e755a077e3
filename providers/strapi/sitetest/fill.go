package sitetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// Fill puts records into the tables that [Create] made, with the ids that they have: entities with their components, links and
// settings. It is plain and slow, and shares nothing with what it is there to test. Values are such as the database keeps them.
func Fill(tb testing.TB, config database.Config, m *model.Model, records map[transfer.Stage][]string) {
	tb.Helper()
	db, err := database.Open(tb.Context(), config)
	require.NoError(tb, err)
	tx, err := db.Begin(tb.Context(), database.TxOptions{Unchecked: true})
	require.NoError(tb, err)
	f := &filler{tb: tb, tx: tx, m: m, config: config}
	for _, text := range records[transfer.StageEntities] {
		e, err := transfer.ParseEntity([]byte(text))
		require.NoError(tb, err)
		id, _ := e.ID.Int()
		f.row(e.Type, id, f.decode(e.Data))
	}
	for _, text := range records[transfer.StageLinks] {
		l, err := transfer.ParseLink([]byte(text))
		require.NoError(tb, err)
		f.link(l)
	}
	for _, text := range records[transfer.StageConfiguration] {
		f.setting(text)
	}
	f.continueIDs()
	require.NoError(tb, tx.Commit(tb.Context()))
	require.NoError(tb, tx.Close())
	require.NoError(tb, db.Close())
}

type filler struct {
	tb     testing.TB
	tx     *database.Tx
	m      *model.Model
	config database.Config
}

// continueIDs makes PostgreSQL go on behind the ids that were given, as a site does that gave them itself. The other two have seen them.
func (f *filler) continueIDs() {
	f.tb.Helper()
	if f.config.Kind != database.Postgres {
		return
	}
	tables := []string{model.CoreStore, model.Webhooks}
	for _, t := range f.m.Types {
		tables = append(tables, t.Table)
	}
	for _, table := range tables {
		name := f.config.Kind.Quote(table)
		_, err := f.tx.All(f.tb.Context(), "SELECT setval(pg_get_serial_sequence(?, 'id'), max(id)) FROM "+name+" HAVING max(id) > 0", name)
		require.NoError(f.tb, err, "table %s", table)
	}
}

func (f *filler) insert(table string, columns []string, values ...any) {
	f.tb.Helper()
	insert(f.tb, f.tx, f.config.Kind, table, columns, values...)
}

func (f *filler) decode(raw []byte) map[string]json.RawMessage {
	f.tb.Helper()
	var all map[string]json.RawMessage
	require.NoError(f.tb, json.Unmarshal(raw, &all))
	return all
}

// row inserts a row and the components in it.
func (f *filler) row(uid string, id int64, data map[string]json.RawMessage) {
	f.tb.Helper()
	t := f.m.Type(uid)
	require.NotNil(f.tb, t, uid)
	columns, values := []string{model.ID}, []any{id}
	for _, c := range t.Columns {
		if raw, ok := data[c.Attribute]; ok {
			columns, values = append(columns, c.Name), append(values, f.value(c.Kind, raw))
		}
	}
	f.insert(t.Table, columns, values...)
	for _, z := range t.Zones {
		var items []json.RawMessage
		switch raw := data[z.Attribute]; {
		case raw == nil || string(raw) == "null":
		case z.Repeatable:
			require.NoError(f.tb, json.Unmarshal(raw, &items))
		default:
			items = append(items, raw)
		}
		for i, item := range items {
			f.component(t, z, id, item, i)
		}
	}
}

func (f *filler) component(t *model.Type, z model.Zone, owner int64, item json.RawMessage, i int) {
	f.tb.Helper()
	inner := f.decode(item)
	uid := z.Components[0]
	if z.Dynamic {
		require.NoError(f.tb, json.Unmarshal(inner["__component"], &uid))
	}
	id, err := strconv.ParseInt(string(inner["id"]), 10, 64)
	require.NoError(f.tb, err)
	f.row(uid, id, inner)
	var order any
	if z.Repeatable {
		order = float64(i + 1)
	}
	f.insert(t.ZoneTable, []string{model.ZoneEntity, model.ZoneComponent, model.ZoneType, model.ZoneField, model.ZoneOrder}, owner, id, uid, z.Attribute, order)
}

// value is how the database keeps a value.
func (f *filler) value(kind model.Kind, raw json.RawMessage) any {
	f.tb.Helper()
	if string(raw) == "null" {
		return nil
	}
	var text string
	_ = json.Unmarshal(raw, &text) // stays "" for what is no text
	switch kind {
	case model.String, model.Date, model.Time:
		return text
	case model.JSON:
		var out bytes.Buffer
		require.NoError(f.tb, json.Compact(&out, raw))
		return out.String()
	case model.Integer:
		text = string(raw)
		fallthrough
	case model.BigInteger:
		n, err := strconv.ParseInt(text, 10, 64)
		require.NoError(f.tb, err)
		return n
	case model.Float, model.Decimal:
		n, err := strconv.ParseFloat(string(raw), 64)
		require.NoError(f.tb, err)
		return n
	case model.Boolean:
		return string(raw) == "true"
	case model.Datetime:
		at, err := time.Parse(time.RFC3339, text)
		require.NoError(f.tb, err)
		return f.moment(at)
	case model.Timestamp:
		ms, err := strconv.ParseInt(text, 10, 64)
		require.NoError(f.tb, err)
		return f.moment(time.UnixMilli(ms))
	}
	f.tb.Fatalf("no value of kind %s", kind)
	return nil
}

func (f *filler) moment(at time.Time) any {
	if f.config.Kind == database.SQLite {
		return at.UnixMilli()
	}
	zone := f.config.Zone
	if zone == nil {
		zone = time.Local
	}
	return at.In(zone).Format("2006-01-02 15:04:05.000")
}

func (f *filler) link(l transfer.Link) {
	f.tb.Helper()
	t := f.m.Type(l.Left.Type)
	require.NotNil(f.tb, t, l.Left.Type)
	r := t.Relation(l.Left.Field)
	require.NotNil(f.tb, r, "%s.%s", t.UID, l.Left.Field)
	left, _ := l.Left.Ref.Int()
	right, numeric := l.Right.Ref.Int()
	switch r.Storage {
	case model.JoinColumn:
		if numeric {
			f.update(t.Table, left, []string{r.Column}, right)
		}
	case model.MorphColumns:
		f.update(t.Table, left, []string{r.IDColumn, r.TypeColumn}, right, l.Right.Type)
	case model.MorphTable:
		var field any
		if l.Right.Field != "" {
			field = l.Right.Field
		}
		f.insert(r.Table, []string{r.Left, r.IDColumn, r.TypeColumn, r.FieldColumn, r.Order}, left, right, l.Right.Type, field, f.position(l.Right.Pos))
	case model.JoinTable:
		columns, values := []string{r.Left, r.Right}, []any{left, right}
		if r.Order != "" {
			columns, values = append(columns, r.Order), append(values, f.position(l.Left.Pos))
		}
		if r.InverseOrder != "" {
			columns, values = append(columns, r.InverseOrder), append(values, f.position(l.Right.Pos))
		}
		f.insert(r.Table, columns, values...)
	}
}

func (f *filler) position(pos string) any {
	f.tb.Helper()
	if pos == "" {
		return nil
	}
	n, err := strconv.ParseFloat(pos, 64)
	require.NoError(f.tb, err)
	return n
}

func (f *filler) update(table string, id int64, columns []string, values ...any) {
	f.tb.Helper()
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = f.config.Kind.Quote(c) + " = ?"
	}
	statement := fmt.Sprintf("UPDATE %s SET %s WHERE id = %d", f.config.Kind.Quote(table), strings.Join(parts, ", "), id)
	_, err := f.tx.Exec(f.tb.Context(), statement, values...)
	require.NoError(f.tb, err)
}

func (f *filler) setting(text string) {
	f.tb.Helper()
	outer := f.decode([]byte(text))
	row := f.decode(outer["value"])
	table, columns := model.CoreStore, []string{model.ID}
	kinds := map[string]model.Kind{"key": model.String, "value": model.JSON, "type": model.String, "environment": model.String, "tag": model.String}
	if string(outer["type"]) == `"webhook"` {
		table = model.Webhooks
		kinds = map[string]model.Kind{"name": model.String, "url": model.String, "headers": model.JSON, "events": model.JSON, "enabled": model.Boolean}
	}
	id, err := strconv.ParseInt(string(row[model.ID]), 10, 64)
	require.NoError(f.tb, err)
	values := []any{id}
	for name, kind := range kinds {
		columns = append(columns, name)
		if kind == model.JSON && table == model.CoreStore {
			values = append(values, string(row[name])) // text, in which null is a value
			continue
		}
		values = append(values, f.value(kind, row[name]))
	}
	f.insert(table, columns, values...)
}
