package database

import (
	"context"
	"database/sql/driver"
)

// Stmt is a statement that is run many times.
type Stmt struct {
	tx        *Tx
	statement string
	full      *keptStmt // nil where preparing gains nothing
}

// Prepare prepares a statement that changes something.
func (t *Tx) Prepare(ctx context.Context, statement string) (*Stmt, error) {
	s := &Stmt{tx: t, statement: statement}
	if d, ok := t.s.(*driverSession); ok {
		p, err := d.keep(ctx, statement)
		if err != nil {
			return nil, t.fault(ctx, err)
		}
		s.full = p
	}
	return s, nil
}

// Exec runs the statement; see [Tx.Exec].
func (s *Stmt) Exec(ctx context.Context, args ...any) (int64, error) {
	if s.full == nil {
		return s.tx.Exec(ctx, s.statement, args...)
	}
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	if err := s.tx.db.hook(s.statement); err != nil {
		return 0, err
	}
	values := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	n, err := affected(s.full.ExecContext(ctx, values))
	if err != nil {
		return 0, s.tx.fault(ctx, err)
	}
	return n, nil
}

// Close lets go of the statement. It may come after the end of the transaction, and twice.
func (s *Stmt) Close() error {
	if s.full == nil {
		return nil
	}
	return s.full.Close()
}
