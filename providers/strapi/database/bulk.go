package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"strings"
)

// statementBulk writes rows by a prepared statement that takes many of them.
type statementBulk struct {
	s       *driverSession
	head    string // INSERT INTO … VALUES
	columns int
	rows    int // that the statement takes
	full    *keptStmt
	values  []driver.NamedValue
	bytes   int
}

func (s *driverSession) bulk(_ context.Context, table string, columns []string) (Bulk, error) {
	names := make([]string, len(columns))
	for i, name := range columns {
		names[i] = s.kind.Quote(name)
	}
	rows := max(1, min(s.limits.rows, s.limits.binds/len(columns)))
	return &statementBulk{
		s: s, columns: len(columns), rows: rows,
		head: "INSERT INTO " + s.kind.Quote(table) + " (" + strings.Join(names, ", ") + ") VALUES ",
	}, nil
}

func (b *statementBulk) Add(values []any) bool {
	for _, v := range values {
		b.values = append(b.values, driver.NamedValue{Ordinal: len(b.values) + 1, Value: v})
		if text, ok := v.(string); ok {
			b.bytes += len(text)
		}
	}
	b.bytes += 9 * len(values)
	return len(b.values) >= b.rows*b.columns || b.bytes >= b.s.limits.bytes
}

func (b *statementBulk) Flush(ctx context.Context) error {
	rows := len(b.values) / b.columns
	if rows == 0 {
		return nil
	}
	stmt, err := b.statement(ctx, rows)
	if err != nil {
		return err
	}
	_, err = stmt.ExecContext(ctx, b.values)
	if rows != b.rows {
		err = errors.Join(err, stmt.Close())
	}
	clear(b.values) // lets go of the texts
	b.values, b.bytes = b.values[:0], 0
	return err
}

// statement returns a statement for so many rows: the one that is kept for the full number, or one for this time.
func (b *statementBulk) statement(ctx context.Context, rows int) (prepared, error) {
	if rows == b.rows && b.full != nil {
		return b.full, nil
	}
	if rows == b.rows {
		stmt, err := b.s.keep(ctx, b.text(rows))
		b.full = stmt
		return stmt, err
	}
	return b.s.prepare(ctx, b.text(rows))
}

func (b *statementBulk) text(rows int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", b.columns), ",") + ")"
	return b.head + strings.TrimSuffix(strings.Repeat(row+",", rows), ",")
}

func (b *statementBulk) Close() error {
	if b.full == nil {
		return nil
	}
	err := b.full.Close()
	b.full = nil
	return err
}
