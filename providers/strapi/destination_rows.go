package strapi

import (
	"context"
	"errors"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/rows"
)

// rowWriter writes rows in bulk. It belongs to the queue's goroutine.
type rowWriter struct {
	tx      *database.Tx
	ordered bool // the database insists on a table's parent before the table itself
	open    map[*rows.Table]*openTable
	list    []*openTable // parents first, if that matters
}

type openTable struct {
	bulk   database.Bulk
	parent *openTable
}

func newRowWriter(tx *database.Tx, ordered bool) *rowWriter {
	return &rowWriter{tx: tx, ordered: ordered, open: make(map[*rows.Table]*openTable)}
}

// write takes rows. Their texts are kept until they are flushed, their slices are not.
func (w *rowWriter) write(ctx context.Context, batch []rows.Row) error {
	for _, row := range batch {
		t, err := w.table(ctx, row.Table)
		if err != nil {
			return err
		}
		if t.bulk.Add(row.Values) {
			if err := t.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *rowWriter) table(ctx context.Context, t *rows.Table) (*openTable, error) {
	if o := w.open[t]; o != nil {
		return o, nil
	}
	o := new(openTable)
	var err error
	if t.Parent != nil && w.ordered {
		if o.parent, err = w.table(ctx, t.Parent); err != nil {
			return nil, err
		}
	}
	if o.bulk, err = w.tx.Insert(ctx, t.Name, t.Columns); err != nil {
		return nil, err
	}
	w.open[t] = o
	w.list = append(w.list, o)
	return o, nil
}

func (o *openTable) flush(ctx context.Context) error {
	if o.parent != nil {
		if err := o.parent.flush(ctx); err != nil {
			return err
		}
	}
	return o.bulk.Flush(ctx)
}

// flush writes what was kept back.
func (w *rowWriter) flush(ctx context.Context) error {
	for _, o := range w.list {
		if err := o.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *rowWriter) close() error {
	var errs []error
	for _, o := range w.list {
		errs = append(errs, o.bulk.Close())
	}
	w.list, w.open = nil, nil
	return errors.Join(errs...)
}
