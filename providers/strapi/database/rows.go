package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Rows is the result of a query. It must be closed.
type Rows struct {
	rows   rows
	values []any
	err    error
	closed bool
	fault  func(error) error
}

// Next reads the next row; false means that there is none, or that [Rows.Err] says why.
func (r *Rows) Next() bool {
	if r.closed || r.err != nil {
		return false
	}
	var err error
	if r.values, err = r.rows.next(); err != nil {
		r.values = nil
		if !errors.Is(err, io.EOF) {
			r.err = r.fault(err)
		}
		return false
	}
	return true
}

// Values returns the row: text, int64, float64 or nil each. The slice is valid until Next is called again.
func (r *Rows) Values() []any { return r.values }

// Err says what ended the rows before their end.
func (r *Rows) Err() error { return r.err }

// Close lets go of the result. It may be called twice.
func (r *Rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	return r.rows.close()
}

// Querier is what a [Snapshot] and a [Tx] have in common.
type Querier interface {
	Query(ctx context.Context, statement string, args ...any) (*Rows, error)
	All(ctx context.Context, statement string, args ...any) ([][]any, error)
	Tables(ctx context.Context) ([]string, error)
	Columns(ctx context.Context) (map[string][]Column, error)
}

// querier is what snapshots and transactions share.
type querier struct {
	db *DB
	s  session
}

// Query runs a statement that returns rows. Values are bound in the order of their question marks: text, int64, float64, bool
// or nil.
func (q *querier) Query(ctx context.Context, statement string, args ...any) (*Rows, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	result, err := q.s.query(ctx, statement, args)
	if err != nil {
		return nil, q.fault(ctx, err)
	}
	return &Rows{rows: result, fault: func(err error) error { return q.fault(ctx, err) }}, nil
}

// All runs a query and returns its rows at once; for results that are known to be short.
func (q *querier) All(ctx context.Context, statement string, args ...any) ([][]any, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	all, err := collect(q.s.query(ctx, statement, args))
	if err != nil {
		return nil, q.fault(ctx, err)
	}
	return all, nil
}

func (q *querier) fault(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return q.db.config.explain(err, "use")
}

func collect(r rows, err error) ([][]any, error) {
	if err != nil {
		return nil, err
	}
	var all [][]any
	for {
		values, err := r.next()
		if errors.Is(err, io.EOF) {
			return all, r.close()
		}
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		all = append(all, append([]any(nil), values...))
	}
}

// Text returns a stored value as text, "" for NULL.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}

// Int returns a stored value as an integer; false if it is none.
func Int(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case float64:
		n := int64(v)
		return n, float64(n) == v
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil
	}
	return 0, false
}
