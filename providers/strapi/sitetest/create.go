package sitetest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// Create makes an empty database that of a site without content: the tables that Strapi would make for schemas, with foreign keys and
// unique indexes, and the copy of the content types that it keeps. Components are in schemas too; what a database does not say of them
// is for the project's files, see [Components]. order is that of the stored content types; nil sorts them.
func Create(tb testing.TB, config database.Config, schemas transfer.Schemas, order []string) *model.Model {
	tb.Helper()
	m := Tables(tb, config, schemas, order)
	db, err := database.Open(tb.Context(), config)
	require.NoError(tb, err)
	tx, err := db.Begin(tb.Context(), database.TxOptions{})
	require.NoError(tb, err)
	store := func(key, value string) {
		insert(tb, tx, config.Kind, model.CoreStore, []string{"key", "value", "type"}, key, value, "object")
	}
	store("strapi_content_types_schema", stored(m, schemas))
	for _, t := range m.Types {
		if t.Component {
			store("plugin_content_manager_configuration_components::"+t.UID, `{"uid":"`+t.UID+`"}`)
		}
	}
	require.NoError(tb, tx.Commit(tb.Context()))
	require.NoError(tb, tx.Close())
	require.NoError(tb, db.Close())
	return m
}

// Tables makes the tables of [Create] and leaves them empty, but for what Strapi writes down of the tables themselves.
func Tables(tb testing.TB, config database.Config, schemas transfer.Schemas, order []string) *model.Model {
	tb.Helper()
	m, err := model.New(schemas, order)
	require.NoError(tb, err)
	db, err := database.Open(tb.Context(), config)
	require.NoError(tb, err)
	tx, err := db.Begin(tb.Context(), database.TxOptions{})
	require.NoError(tb, err)
	b := &builder{kind: config.Kind}
	b.system()
	for _, t := range m.Types {
		b.own(t, longTexts(tb, schemas[t.UID]))
	}
	for _, t := range m.Types {
		b.links(m, t)
	}
	for _, statement := range b.statements() {
		_, err := tx.Exec(tb.Context(), statement)
		require.NoError(tb, err, "%s", statement)
	}
	insert(tb, tx, config.Kind, model.DatabaseSchema, []string{"schema", "time", "hash"}, b.layout(tb), nil, "0")
	require.NoError(tb, tx.Commit(tb.Context()))
	require.NoError(tb, tx.Close())
	require.NoError(tb, db.Close())
	return m
}

// Components returns the component files of schemas, as a project would have them.
func Components(schemas transfer.Schemas) map[string]json.RawMessage {
	files := make(map[string]json.RawMessage)
	for uid, s := range schemas {
		if s.ModelType == "component" {
			files[uid] = s.AppendJSON(nil)
		}
	}
	return files
}

func insert(tb testing.TB, tx *database.Tx, kind database.Kind, table string, columns []string, values ...any) {
	tb.Helper()
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = kind.Quote(c)
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ")
	_, err := tx.Exec(tb.Context(), fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", kind.Quote(table), strings.Join(names, ", "), marks), values...)
	require.NoError(tb, err, "table %s", table)
}

// stored is the row in which Strapi keeps the content types, with parts in it that it does not hand out.
func stored(m *model.Model, schemas transfer.Schemas) string {
	out := []byte{'{'}
	for _, t := range m.Types {
		if t.Component {
			continue
		}
		text := schemas[t.UID].AppendJSON(nil)
		text = append(text[:len(text)-1:len(text)-1], `,"__schema__":{"attributes":{}},"actions":{},"lifecycles":{}}`...)
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(out, `"`+t.UID+`":`...), text...)
	}
	return string(append(out, '}'))
}

// builder gathers the tables.
type builder struct {
	kind   database.Kind
	tables []*table
}

type table struct {
	name    string
	columns []column
	unique  [][]string
	keys    []foreignKey
}

type column struct{ name, kind string }

type foreignKey struct{ column, table, referenced, action string }

func (b *builder) add(name string, columns ...column) *table {
	t := &table{name: name, columns: append([]column{{model.ID, "increments"}}, columns...)}
	b.tables = append(b.tables, t)
	return t
}

// has reports whether a table was added; relations may share one.
func (b *builder) has(name string) bool {
	return slices.ContainsFunc(b.tables, func(t *table) bool { return t.name == name })
}

func (b *builder) system() {
	b.add(model.CoreStore, column{"key", "string"}, column{"value", "text"}, column{"type", "string"}, column{"environment", "string"}, column{"tag", "string"})
	b.add(model.Webhooks, column{"name", "string"}, column{"url", "text"}, column{"headers", "json"}, column{"events", "json"}, column{"enabled", "boolean"})
	b.add("strapi_history_versions", column{"content_type", "string"}, column{"related_document_id", "string"}, column{"data", "json"}, column{"created_at", "datetime"})
	b.add("strapi_ai_metadata_jobs", column{"status", "string"})
	b.add("strapi_ai_localization_jobs", column{"status", "string"})
	b.add(model.Migrations, column{"name", "string"}, column{"time", "datetime"})
	b.add(model.MigrationsInternal, column{"name", "string"}, column{"time", "datetime"})
	b.add(model.DatabaseSchema, column{"schema", "json"}, column{"time", "datetime"}, column{"hash", "string"})
}

// longTexts are the attributes whose text has no limit.
func longTexts(tb testing.TB, s transfer.Schema) map[string]bool {
	tb.Helper()
	var schema struct {
		Attributes map[string]struct{ Type string }
	}
	require.NoError(tb, json.Unmarshal(s.AppendJSON(nil), &schema))
	out := make(map[string]bool)
	for name, a := range schema.Attributes {
		out[name] = a.Type == "text" || a.Type == "richtext"
	}
	return out
}

// own adds the type's own table.
func (b *builder) own(t *model.Type, long map[string]bool) {
	out := b.add(t.Table)
	for _, c := range t.Columns {
		kind := string(c.Kind)
		if long[c.Attribute] {
			kind = "text"
		}
		out.columns = append(out.columns, column{c.Name, kind})
	}
	for _, r := range t.Relations {
		if r.Storage == model.MorphColumns && !slices.Contains(out.columns, column{r.IDColumn, "reference"}) {
			out.columns = append(out.columns, column{r.IDColumn, "reference"}, column{r.TypeColumn, "string"})
		}
	}
}

// links adds what hangs on the type: component and relation tables, and the columns that refer to other tables.
func (b *builder) links(m *model.Model, t *model.Type) {
	if t.ZoneTable != "" {
		z := b.add(t.ZoneTable, column{model.ZoneEntity, "reference"}, column{model.ZoneComponent, "reference"}, column{model.ZoneType, "string"}, column{model.ZoneField, "string"}, column{model.ZoneOrder, "order"})
		z.unique = [][]string{{model.ZoneEntity, model.ZoneComponent, model.ZoneField, model.ZoneType}}
		z.keys = []foreignKey{{model.ZoneEntity, t.Table, model.ID, "CASCADE"}}
	}
	own := b.tables[slices.IndexFunc(b.tables, func(x *table) bool { return x.name == t.Table })]
	for _, r := range t.Relations {
		switch r.Storage {
		case model.JoinTable:
			if !b.has(r.Table) {
				b.joinTable(m, t, r)
			}
		case model.MorphTable:
			if b.has(r.Table) {
				continue
			}
			j := b.add(r.Table, column{r.Left, "reference"}, column{r.IDColumn, "reference"}, column{r.TypeColumn, "string"}, column{r.FieldColumn, "string"}, column{r.Order, "order"})
			j.keys = []foreignKey{{r.Left, t.Table, model.ID, "CASCADE"}}
		case model.JoinColumn:
			if r.Column != model.DocumentID {
				own.columns = append(own.columns, column{r.Column, "reference"})
				own.keys = append(own.keys, foreignKey{r.Column, m.Type(r.Target).Table, r.Referenced, "SET NULL"})
			}
		case model.MorphColumns:
		}
	}
}

func (b *builder) joinTable(m *model.Model, t *model.Type, r model.Relation) {
	j := b.add(r.Table, column{r.Left, "reference"}, column{r.Right, "reference"})
	for _, order := range []string{r.Order, r.InverseOrder} {
		if order != "" {
			j.columns = append(j.columns, column{order, "order"})
		}
	}
	j.unique = [][]string{{r.Left, r.Right}}
	j.keys = []foreignKey{{r.Left, t.Table, model.ID, "CASCADE"}, {r.Right, m.Type(r.Target).Table, model.ID, "CASCADE"}}
}

// layout is what Strapi writes down of the tables.
func (b *builder) layout(tb testing.TB) string {
	tb.Helper()
	type name struct {
		Name string `json:"name"`
		Type string `json:"type,omitempty"`
	}
	type entry struct {
		Name    string `json:"name"`
		Columns []name `json:"columns"`
	}
	var out struct {
		Tables []entry `json:"tables"`
	}
	kinds := map[string]string{"json": "jsonb", "biginteger": "bigInteger", "float": "double", "order": "double", "reference": "integer"}
	for _, t := range b.tables {
		if t.name == model.DatabaseSchema || t.name == model.Migrations || t.name == model.MigrationsInternal {
			continue
		}
		e := entry{Name: t.name}
		for _, c := range t.columns {
			kind := c.kind
			if k, ok := kinds[kind]; ok {
				kind = k
			}
			e.Columns = append(e.Columns, name{c.name, kind})
		}
		out.Tables = append(out.Tables, e)
	}
	text, err := json.Marshal(out)
	require.NoError(tb, err)
	return string(text)
}

// statements creates the tables. SQLite cannot add foreign keys later, and doesn't mind tables that are not there yet.
func (b *builder) statements() []string {
	var tables, keys []string
	for _, t := range b.tables {
		lines := t.lines(b.kind)
		for i, k := range t.keys {
			line := fmt.Sprintf("CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s) ON DELETE %s",
				b.kind.Quote(fmt.Sprintf("%s_fk%d", t.name, i)), b.kind.Quote(k.column), b.kind.Quote(k.table), b.kind.Quote(k.referenced), k.action)
			if b.kind == database.SQLite {
				lines = append(lines, line)
			} else {
				keys = append(keys, fmt.Sprintf("ALTER TABLE %s ADD %s", b.kind.Quote(t.name), line))
			}
		}
		tables = append(tables, fmt.Sprintf("CREATE TABLE %s (\n  %s\n)", b.kind.Quote(t.name), strings.Join(lines, ",\n  ")))
		if b.kind == database.SQLite { // the other databases index foreign keys, or do not need it
			for i, k := range t.keys {
				tables = append(tables, fmt.Sprintf("CREATE INDEX %s ON %s (%s)", b.kind.Quote(fmt.Sprintf("%s_ix%d", t.name, i)), b.kind.Quote(t.name), b.kind.Quote(k.column)))
			}
		}
	}
	return append(tables, keys...)
}

func (t *table) lines(kind database.Kind) []string {
	var lines []string
	for _, c := range t.columns {
		lines = append(lines, kind.Quote(c.name)+" "+columnTypes(kind)[c.kind])
	}
	for i, u := range t.unique {
		names := make([]string, len(u))
		for k, n := range u {
			names[k] = kind.Quote(n)
		}
		lines = append(lines, fmt.Sprintf("CONSTRAINT %s UNIQUE (%s)", kind.Quote(fmt.Sprintf("%s_uq%d", t.name, i)), strings.Join(names, ", ")))
	}
	return lines
}

// columnTypes are the types of columns as Strapi creates them.
func columnTypes(kind database.Kind) map[string]string {
	var text string
	switch kind {
	case database.SQLite:
		text = "increments integer not null primary key autoincrement|string varchar(255)|text text|json json|integer integer|biginteger bigint|float float|decimal float|boolean boolean|date date|time time|datetime datetime|timestamp datetime|reference integer|order float"
	case database.Postgres:
		text = "increments serial primary key|string varchar(255)|text text|json jsonb|integer integer|biginteger bigint|float double precision|decimal numeric(10,2)|boolean boolean|date date|time time|datetime timestamp(6)|timestamp timestamp(6)|reference integer|order double precision"
	case database.MySQL:
		text = "increments int unsigned not null auto_increment primary key|string varchar(255)|text longtext|json json|integer int|biginteger bigint|float double|decimal decimal(10,2)|boolean tinyint(1)|date date|time time(3)|datetime datetime(6)|timestamp timestamp(6) null|reference int unsigned|order double unsigned"
	}
	types := make(map[string]string)
	for entry := range strings.SplitSeq(text, "|") {
		name, sql, _ := strings.Cut(entry, " ")
		types[name] = sql
	}
	return types
}
