package catalogue

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// layout is what Strapi wrote down of its tables when it last booted: the type of each column by table. No transfer changes it.
type layout map[string]map[string]string

// readLayout reads it; nil if the database has none.
func (r *reading) readLayout(ctx context.Context) (layout, error) {
	if !r.HasTable(model.DatabaseSchema) {
		return nil, nil
	}
	rows, err := r.db.All(ctx, fmt.Sprintf("SELECT %s FROM %s ORDER BY %s DESC LIMIT 1", r.quote("schema"), r.quote(model.DatabaseSchema), r.quote(model.ID)))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", model.DatabaseSchema, err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	var stored struct {
		Tables []struct {
			Name    string
			Columns []struct{ Name, Type string }
		}
	}
	if err := json.Unmarshal([]byte(database.Text(rows[0][0])), &stored); err != nil {
		return nil, fmt.Errorf("%w: read %s: %w", transfer.ErrDamaged, model.DatabaseSchema, err)
	}
	out := make(layout, len(stored.Tables))
	for _, t := range stored.Tables {
		out[t.Name] = make(map[string]string, len(t.Columns))
		for _, c := range t.Columns {
			out[t.Name][c.Name] = c.Type
		}
	}
	return out, nil
}

// scalar returns the attribute type that a custom field is stored as.
func (l layout) scalar(collection, attribute string) (string, error) {
	table, column, err := model.ColumnOf(collection, attribute)
	if err != nil {
		return "", err
	}
	switch stored := l[table][column]; stored {
	case "":
		return "", fmt.Errorf("%w: the database does not say how it is stored: start Strapi once, or give the schemas with --schemas", transfer.ErrUsage)
	case "jsonb":
		return "json", nil
	case "bigInteger":
		return "biginteger", nil
	case "double":
		return "float", nil
	default: // string, text, integer, decimal, date, time, datetime, timestamp and boolean are types of attributes too
		return stored, nil
	}
}

// check compares the tables that the schemas call for with those that there are.
func (r *reading) check() error {
	for _, t := range r.Model.Types {
		expected := t.OwnColumns()
		if err := r.checkTable(t.UID, t.Table, expected); err != nil {
			return err
		}
		for column := range r.layout[t.Table] {
			if !expected[column] {
				return r.stale(t.UID, fmt.Sprintf("table %s has a column %s that they do not have", t.Table, column))
			}
		}
		for table, columns := range t.LinkTables() {
			if err := r.checkTable(t.UID, table, columns); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reading) checkTable(uid, table string, columns map[string]bool) error {
	if !r.HasTable(table) {
		return r.stale(uid, fmt.Sprintf("they call for a table %s, which is not there", table))
	}
	for column := range columns {
		if !r.HasColumn(table, column) {
			return r.stale(uid, fmt.Sprintf("they call for a column %s in table %s, which is not there", column, table))
		}
	}
	return nil
}

// stale explains schemas that are not those of the tables.
func (r *reading) stale(uid, difference string) error {
	if len(r.opts.Schemas) > 0 {
		return fmt.Errorf("%w: the given schemas are not those of the database: of %s: %s", transfer.ErrIncompatible, uid, difference)
	}
	return fmt.Errorf("%w: the schemas that the database keeps are not those of its tables: of %s: %s. A transfer has replaced them and Strapi has not started since, or the project's files have changed: start Strapi once, or give the schemas with --schemas",
		transfer.ErrIncompatible, uid, difference)
}
