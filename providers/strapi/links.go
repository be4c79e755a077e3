package strapi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/rows"
	"github.com/transfer-runner/runner/transfer"
)

// Why a link is left out.
const (
	reasonUnmapped = "a row that it points to was not transferred"
	reasonNoType   = "the destination has no such content type"
	reasonNoField  = "the destination has no such field"
	reasonAbsent   = "leads to content that the filters leave out, where the destination has no such row"
	reasonInverse  = "the destination keeps this relation at the other side"
)

// linkWriter turns links into rows of link tables and into changes of columns.
type linkWriter struct {
	d      *Destination
	tables map[*model.Relation]*rows.Table
	stmts  map[*model.Relation]*database.Stmt // of the queue's goroutine
}

func newLinkWriter(d *Destination) *linkWriter {
	return &linkWriter{d: d, tables: make(map[*model.Relation]*rows.Table), stmts: make(map[*model.Relation]*database.Stmt)}
}

// update is a link that is kept in the row at its left.
type update struct {
	t      *model.Type
	r      *model.Relation
	row    int64 // of the link table, whose positions change; 0 for a column of the row at the left
	values []any
}

// writeLinks decodes links while the database works on those before.
func (d *Destination) writeLinks(ctx context.Context, batch transfer.Batch) error {
	if d.merge != nil && d.merge.links == nil {
		err := d.queue.do(ctx, func(ctx context.Context) error {
			return errors.Join(d.writer.flush(ctx), d.merge.load(ctx))
		})
		if err != nil {
			return err
		}
	}
	out, err := d.spareBatch(ctx)
	if err != nil {
		return err
	}
	var updates []update
	for _, r := range batch.Records {
		l, ok := r.(transfer.Link)
		if !ok {
			return fmt.Errorf("%w: %T among links", transfer.ErrDamaged, r)
		}
		if updates, err = d.links.add(out, updates, l); err != nil {
			return err
		}
	}
	return d.queue.submit(ctx, func(ctx context.Context) error {
		err := d.writer.write(ctx, out.Rows)
		out.Reset()
		d.spare <- out
		for _, u := range updates {
			if err == nil {
				err = d.links.update(ctx, u)
			}
		}
		if err == nil && batch.Last && d.merge != nil {
			err = d.merge.links.prune(ctx)
		}
		return err
	})
}

// add finds where a link is kept and what it points at.
func (w *linkWriter) add(out *rows.Batch, updates []update, l transfer.Link) ([]update, error) {
	t, r, err := w.relation(l)
	if err != nil || r == nil {
		return updates, err
	}
	if r.Storage == model.JoinColumn && r.Referenced != model.ID {
		w.d.stored[transfer.StageLinks]++ // the row has it already
		return updates, nil
	}
	left, ok1 := w.id(l.Left)
	right, ok2 := w.id(l.Right)
	if !ok1 || !ok2 {
		if m := w.d.merge; m != nil && (ok1 || m.ofRowThatStays(l.Left)) && (ok2 || m.ofRowThatStays(l.Right)) {
			// The row that it belongs to stays as the destination has it, as was asked for: with its own components, and their links.
			m.tally.left++
			w.d.stored[transfer.StageLinks]++
			return updates, nil
		}
		w.unmapped(l, ok1, ok2)
		return updates, nil
	}
	w.d.stored[transfer.StageLinks]++
	if w.d.merge != nil {
		write, moved, err := w.d.merge.links.link(t, r, l, left, right)
		if err != nil || !write {
			return append(updates, moved...), err
		}
	}
	switch r.Storage {
	case model.JoinTable:
		err = w.join(out, r, l, left, right)
	case model.MorphTable:
		var pos any
		if pos, err = position(l.Right.Pos); err == nil {
			values := out.Add(w.table(r), 5)
			values[0], values[1], values[2], values[3], values[4] = left, right, l.Right.Type, orNull(l.Right.Field), pos
		}
	case model.JoinColumn:
		updates = append(updates, update{t: t, r: r, values: []any{right, left}})
	case model.MorphColumns:
		updates = append(updates, update{t: t, r: r, values: []any{right, l.Right.Type, left}})
	}
	if err != nil {
		return updates, fmt.Errorf("%w: link %s: %w", transfer.ErrDamaged, l.Key(), err)
	}
	return updates, nil
}

// unmapped leaves out a link that has no row at one of its sides. left and right say whether they have one.
func (w *linkWriter) unmapped(l transfer.Link, left, right bool) {
	var missing []string
	if !left {
		missing = append(missing, l.Left.Type+":"+l.Left.Ref.String())
	}
	if !right {
		missing = append(missing, l.Right.Type+":"+l.Right.Ref.String())
	}
	if !w.d.carries(l.Right.Type) {
		w.d.omit(transfer.Omission{Record: l, Reason: reasonAbsent, Missing: missing, Allowed: true})
		return
	}
	w.d.omit(transfer.Omission{Record: l, Reason: reasonUnmapped, Missing: missing})
}

// relation finds the relation that a link belongs to; nil if the link is left out.
func (w *linkWriter) relation(l transfer.Link) (*model.Type, *model.Relation, error) {
	t := w.d.catalogue.Model.Type(l.Left.Type)
	if t == nil || w.d.catalogue.Model.Type(l.Right.Type) == nil {
		w.d.omit(transfer.Omission{Record: l, Reason: reasonNoType, Allowed: true})
		return nil, nil, nil
	}
	switch t.Class(l.Left.Field) {
	case model.Owner:
		return t, t.Relation(l.Left.Field), nil
	case model.Unknown:
		w.d.omit(transfer.Omission{Record: l, Reason: reasonNoField, Allowed: true})
	case model.Relative:
		w.d.omit(transfer.Omission{Record: l, Reason: reasonInverse, Allowed: true})
	case model.Scalar, model.Nested:
		return nil, nil, fmt.Errorf("%w: link %s: at the destination %s is not a relation", transfer.ErrIncompatible, l.Key(), l.Left.Field)
	}
	return nil, nil, nil
}

// id returns the id that one side of a link has here.
func (w *linkWriter) id(e transfer.End) (int64, bool) {
	old, ok := sourceID(e)
	if !ok {
		return 0, false
	}
	return w.d.builder.Type(e.Type).IDs.Of(old)
}

// ofRowThatStays reports whether one side of a link is a component that the source has of a row which stays as the destination has it.
func (m *merger) ofRowThatStays(e transfer.End) bool {
	id, ok := sourceID(e)
	return ok && in(m.unwritten, e.Type, id)
}

// sourceID is the id that one side of a link has at the source.
func sourceID(e transfer.End) (int64, bool) {
	if id, ok := e.Ref.Int(); ok {
		return id, true
	}
	return quotedInt(e.Ref)
}

// quotedInt reads a row id that was written as text, as some drivers hand out big integers.
func quotedInt(r transfer.Ref) (int64, bool) {
	n, err := strconv.ParseInt(r.String(), 10, 64)
	return n, err == nil
}

func (w *linkWriter) join(out *rows.Batch, r *model.Relation, l transfer.Link, left, right int64) error {
	table := w.table(r)
	values := out.Add(table, len(table.Columns))
	values[0], values[1] = left, right
	i := 2
	var err, err2 error
	if r.Order != "" {
		values[i], err = position(l.Left.Pos)
		i++
	}
	if r.InverseOrder != "" {
		values[i], err2 = position(l.Right.Pos)
	}
	return errors.Join(err, err2)
}

// table is the table of a relation as its rows are written.
func (w *linkWriter) table(r *model.Relation) *rows.Table {
	t := w.tables[r]
	if t != nil {
		return t
	}
	t = &rows.Table{Name: r.Table}
	if r.Storage == model.MorphTable {
		t.Columns = []string{r.Left, r.IDColumn, r.TypeColumn, r.FieldColumn, r.Order}
	} else {
		t.Columns = []string{r.Left, r.Right}
		for _, column := range []string{r.Order, r.InverseOrder} {
			if column != "" {
				t.Columns = append(t.Columns, column)
			}
		}
	}
	w.tables[r] = t
	return t
}

// update changes the row at the left of a link.
func (w *linkWriter) update(ctx context.Context, u update) error {
	if u.row != 0 {
		return w.move(ctx, u)
	}
	stmt := w.stmts[u.r]
	if stmt == nil {
		set := w.d.quote(u.r.Column) + " = ?"
		if u.r.Storage == model.MorphColumns {
			set = w.d.quote(u.r.IDColumn) + " = ?, " + w.d.quote(u.r.TypeColumn) + " = ?"
		}
		var err error
		stmt, err = w.d.tx.Prepare(ctx, "UPDATE "+w.d.quote(u.t.Table)+" SET "+set+" WHERE "+w.d.quote(model.ID)+" = ?")
		if err != nil {
			return err
		}
		w.stmts[u.r] = stmt
	}
	_, err := stmt.Exec(ctx, u.values...)
	return err
}

// move changes the positions of a link that is there.
func (w *linkWriter) move(ctx context.Context, u update) error {
	var set []string
	var values []any
	inverse := u.r.InverseOrder
	if u.r.Storage == model.MorphTable {
		inverse = u.r.Order
	} else if u.r.Order != "" {
		set, values = append(set, w.d.quote(u.r.Order)+" = ?"), append(values, u.values[0])
	}
	if inverse != "" {
		set, values = append(set, w.d.quote(inverse)+" = ?"), append(values, u.values[1])
	}
	_, err := w.d.tx.Exec(ctx, "UPDATE "+w.d.quote(u.r.Table)+" SET "+strings.Join(set, ", ")+" WHERE "+w.d.quote(model.ID)+" = ?", append(values, u.row)...)
	return err
}

func (w *linkWriter) close() error {
	var errs []error
	for _, stmt := range w.stmts {
		errs = append(errs, stmt.Close())
	}
	w.stmts = nil
	return errors.Join(errs...)
}

// position reads where a link is among those of its row.
func position(pos string) (any, error) {
	if pos == "" || pos == "null" {
		return nil, nil //nolint:nilnil // NULL is a value
	}
	f, err := strconv.ParseFloat(pos, 64)
	if err != nil {
		return nil, fmt.Errorf("%q is not a position", pos)
	}
	return f, nil
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
