package read

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/transfer-runner/runner/providers/strapi/catalogue"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/internal/render"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

const (
	portionBytes = 2 << 20 // that a portion of rows aims at
	portionLimit = 8 << 20 // at which the rest of a portion is left for the next
	portionRows  = 2000
	firstRows    = 200 // of a portion before the size of rows is known
	linkRows     = 4000
	listed       = 2000 // ids in one statement
)

// Reader reads one snapshot. Its methods may be called concurrently: they take turns.
type Reader struct {
	db        *database.DB
	q         database.Querier
	catalogue *catalogue.Catalogue
	render    render.Renderer
	shapes    map[*model.Type]*shape
	mu        sync.Mutex // while a query runs
}

// Visit takes a portion of records. Returning an error ends the reading with it.
type Visit func(records []transfer.Record) error

// New returns a reader.
func New(db *database.DB, q database.Querier, c *catalogue.Catalogue) *Reader {
	r := &Reader{
		db: db, q: q, catalogue: c, shapes: make(map[*model.Type]*shape),
		render: render.Renderer{Database: db.Kind(), Zone: db.Zone()},
	}
	for _, t := range c.Model.Types {
		r.shapes[t] = r.newShape(t)
	}
	return r
}

// Repaired is the number of texts so far that were not UTF-8 and had bad bytes replaced.
func (r *Reader) Repaired() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.render.Repaired
}

var errEnough = errors.New("enough")

// each runs a query and calls visit with each row, whose values are valid until the next. visit may return errEnough.
func (r *Reader) each(ctx context.Context, statement string, visit func(values []any) error) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rows, err := r.q.Query(ctx, statement)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := visit(rows.Values()); err != nil {
			if errors.Is(err, errEnough) {
				return nil
			}
			return err
		}
	}
	return rows.Err()
}

// one returns the integer that a query yields, 0 when it yields none.
func (r *Reader) one(ctx context.Context, statement string) (n int64, err error) {
	err = r.each(ctx, statement, func(values []any) error {
		n, _ = database.Int(values[0])
		return nil
	})
	return n, err
}

func (r *Reader) quote(name string) string { return r.db.Quote(name) }

// column is a column of an aliased table, as an expression that keeps the value as it is stored.
func (r *Reader) column(alias, name string) string {
	if r.db.Kind() == database.SQLite {
		return "+" + alias + "." + r.quote(name)
	}
	return alias + "." + r.quote(name)
}

// where is a condition that holds for all ids, which are sorted, and for few others: those in between when there are few.
func (r *Reader) where(column string, ids []int64) string {
	low, high := ids[0], ids[len(ids)-1]
	if high-low < int64(4*len(ids)) {
		return r.quote(column) + " BETWEEN " + strconv.FormatInt(low, 10) + " AND " + strconv.FormatInt(high, 10)
	}
	var b strings.Builder
	b.WriteString(r.quote(column) + " IN (")
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(id, 10))
	}
	b.WriteByte(')')
	return b.String()
}

// eachList calls visit with a bounded number of ids at a time.
func eachList(ids []int64, visit func(ids []int64) error) error {
	for part := range slices.Chunk(ids, listed) {
		if err := visit(part); err != nil {
			return err
		}
	}
	return nil
}

// in reports whether sorted ids hold id.
func in(ids []int64, id int64) bool {
	_, found := slices.BinarySearch(ids, id)
	return found
}
