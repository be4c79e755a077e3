package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// driverSession speaks to a driver of database/sql directly.
type driverSession struct {
	kind   Kind
	conn   driver.Conn
	limits limits
	kept   map[*keptStmt]bool
}

// limits is what one statement may hold.
type limits struct{ binds, bytes, rows int }

func (s *driverSession) exec(ctx context.Context, statement string, args []any) (int64, error) {
	values := named(args)
	if x, ok := s.conn.(driver.ExecerContext); ok {
		if res, err := x.ExecContext(ctx, statement, values); !errors.Is(err, driver.ErrSkip) {
			return affected(res, err)
		}
	}
	stmt, err := s.prepare(ctx, statement)
	if err != nil {
		return 0, err
	}
	n, err := affected(stmt.ExecContext(ctx, values))
	return n, errors.Join(err, stmt.Close())
}

func affected(res driver.Result, err error) (int64, error) {
	if err != nil || res == nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (s *driverSession) query(ctx context.Context, statement string, args []any) (rows, error) {
	values := named(args)
	if x, ok := s.conn.(driver.QueryerContext); ok {
		if res, err := x.QueryContext(ctx, statement, values); !errors.Is(err, driver.ErrSkip) {
			return newDriverRows(res, nil, err)
		}
	}
	stmt, err := s.prepare(ctx, statement)
	if err != nil {
		return nil, err
	}
	res, err := stmt.QueryContext(ctx, values)
	return newDriverRows(res, stmt, err)
}

// prepared is what both drivers' statements can do.
type prepared interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func (s *driverSession) prepare(ctx context.Context, statement string) (prepared, error) {
	p, ok := s.conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, fmt.Errorf("the driver %T prepares no statements", s.conn)
	}
	stmt, err := p.PrepareContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	full, ok := stmt.(prepared)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the driver's %T takes no context", stmt), stmt.Close())
	}
	return full, nil
}

// keptStmt is a statement that is kept until it is closed, or its connection is.
type keptStmt struct {
	prepared
	s *driverSession
}

func (s *driverSession) keep(ctx context.Context, statement string) (*keptStmt, error) {
	p, err := s.prepare(ctx, statement)
	if err != nil {
		return nil, err
	}
	k := &keptStmt{p, s}
	if s.kept == nil {
		s.kept = make(map[*keptStmt]bool)
	}
	s.kept[k] = true
	return k, nil
}

// Close may come after the end of the connection, which has closed the statement then.
func (k *keptStmt) Close() error {
	if !k.s.kept[k] {
		return nil
	}
	delete(k.s.kept, k)
	return k.prepared.Close()
}

func (s *driverSession) close() error {
	var errs []error
	for k := range s.kept {
		errs = append(errs, k.Close())
	}
	return errors.Join(append(errs, s.conn.Close())...)
}

func named(args []any) []driver.NamedValue {
	if len(args) == 0 {
		return nil
	}
	values := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	return values
}

// driverRows reads a driver's rows.
type driverRows struct {
	rows   driver.Rows
	stmt   driver.Stmt // to be closed with them; nil when there is none
	buffer []driver.Value
	values []any
}

func newDriverRows(res driver.Rows, stmt driver.Stmt, err error) (rows, error) {
	if err != nil {
		if stmt != nil {
			err = errors.Join(err, stmt.Close())
		}
		return nil, err
	}
	n := len(res.Columns())
	return &driverRows{rows: res, stmt: stmt, buffer: make([]driver.Value, n), values: make([]any, n)}, nil
}

func (r *driverRows) next() ([]any, error) {
	if err := r.rows.Next(r.buffer); err != nil {
		return nil, err
	}
	for i, v := range r.buffer {
		r.values[i] = plain(v)
	}
	return r.values, nil
}

func (r *driverRows) close() error {
	err := r.rows.Close()
	if r.stmt != nil {
		err = errors.Join(err, r.stmt.Close())
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// plain reduces what drivers return to text, int64, float64 and nil.
func plain(v any) any {
	switch v := v.(type) {
	case nil, string, int64, float64:
		return v
	case []byte:
		return string(v)
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case float32: // the shortest text of a single, read as a double, is what was stored
		f, _ := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
		return f
	case uint64:
		if v > math.MaxInt64 {
			return strconv.FormatUint(v, 10)
		}
		return int64(v)
	}
	return fmt.Sprint(v)
}
