package database

import (
	"cmp"
	"context"
)

// Column is a column as the database describes it.
type Column struct {
	Name   string
	Type   string // in the database's words, lower case
	Length int    // of text, in characters; 0 without a limit that the database would insist on
}

// Tables returns the names of the tables.
func (q *querier) Tables(ctx context.Context) ([]string, error) {
	statement, args := "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite@_%' ESCAPE '@' ORDER BY name", []any(nil)
	switch q.db.Kind() {
	case Postgres:
		statement = "SELECT table_name FROM information_schema.tables WHERE table_schema = ? AND table_type = 'BASE TABLE' ORDER BY table_name"
		args = []any{q.db.schema()}
	case MySQL:
		statement = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY table_name"
	case SQLite:
	}
	all, err := q.All(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(all))
	for i, row := range all {
		names[i] = Text(row[0])
	}
	return names, nil
}

// Columns returns the columns of every table.
func (q *querier) Columns(ctx context.Context) (map[string][]Column, error) {
	statement, args := "SELECT m.name, p.name, lower(p.type), 0 FROM sqlite_schema m JOIN pragma_table_info(m.name) p WHERE m.type = 'table' ORDER BY m.name, p.cid", []any(nil)
	switch q.db.Kind() {
	case Postgres:
		statement = "SELECT table_name, column_name, lower(data_type), coalesce(character_maximum_length, 0) FROM information_schema.columns WHERE table_schema = ? ORDER BY table_name, ordinal_position"
		args = []any{q.db.schema()}
	case MySQL:
		statement = "SELECT table_name, column_name, lower(column_type), CASE WHEN data_type LIKE '%char' THEN character_maximum_length ELSE 0 END FROM information_schema.columns WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position"
	case SQLite:
	}
	all, err := q.All(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	tables := make(map[string][]Column)
	for _, row := range all {
		table := Text(row[0])
		length, _ := Int(row[3])
		tables[table] = append(tables[table], Column{Name: Text(row[1]), Type: Text(row[2]), Length: int(length)})
	}
	return tables, nil
}

func (db *DB) schema() string { return cmp.Or(db.config.Schema, "public") }
