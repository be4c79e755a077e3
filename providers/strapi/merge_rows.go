package strapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/rows"
	"github.com/transfer-runner/runner/transfer"
)

// changed is a row that is written over.
type changed struct {
	t   *rows.Type
	row rows.Row
	old []part // its components as they were
}

// write merges entities: those that are new are written, those that differ replace what is there.
func (m *merger) write(ctx context.Context, batch transfer.Batch) error {
	out, err := m.d.spareBatch(ctx)
	if err != nil {
		return err
	}
	var over []changed
	for _, r := range batch.Records {
		e, ok := r.(transfer.Entity)
		if !ok {
			return fmt.Errorf("%w: %T among entities", transfer.ErrDamaged, r)
		}
		c, err := m.entity(out, e)
		if err != nil {
			return err
		}
		if c != nil {
			over = append(over, *c)
		}
	}
	m.d.stored[transfer.StageEntities] += int64(len(batch.Records))
	return m.d.queue.submit(ctx, func(ctx context.Context) error {
		err := m.replace(ctx, over)
		if err == nil {
			err = m.d.writer.write(ctx, out.Rows)
		}
		out.Reset()
		m.d.spare <- out
		return err
	})
}

// entity decides what becomes of one entity, and adds the rows that are to be written.
func (m *merger) entity(out *rows.Batch, e transfer.Entity) (*changed, error) {
	identity, err := m.d.converter().Identify(e)
	if err != nil {
		return nil, err
	}
	t := m.d.builder.Type(e.Type)
	old, ok := e.ID.Int()
	if t == nil || !ok {
		return nil, m.d.entity(out, e) // which says what is wrong
	}
	p := m.have[m.hasher.Key(e.Type, identity, "")]
	if p == nil {
		return nil, m.add(out, e, t.IDs.Assign(old))
	}
	t.IDs.Alias(old, p.id)
	addTo(m.seen, e.Type, p.id)
	var look rows.Batch
	if err := m.theirs.Build(&look, e, p.id); err != nil {
		return nil, err
	}
	mine, theirs := partsOf(look.Rows), m.parts[p.parts:p.parts+p.n]
	if m.sum(look.Rows) == p.sum && len(mine) == len(theirs) {
		m.tally.same++
		m.same(e.Type, p, mine, theirs)
		return nil, nil
	}
	switch m.d.opts.Conflict {
	case ConflictFail:
		return nil, fmt.Errorf("%w: %s differs from row %d of the destination; choose with --conflict which of them is to be kept",
			transfer.ErrIncompatible, e.Key(), p.id)
	case ConflictDestination:
		m.stays(e.Type, p.id, mine)
		return nil, nil
	case ConflictNewer:
		if identity.Updated < p.updated {
			m.stays(e.Type, p.id, mine)
			return nil, nil
		}
	case ConflictSource:
	}
	return m.over(out, e, p)
}

// stays says that a row is the destination's, and so is its file. mine are the components that the source has of it.
func (m *merger) stays(uid string, id int64, mine []part) {
	m.tally.stay++
	addTo(m.stay, uid, id)
	for _, part := range mine {
		addTo(m.unwritten, part.uid, part.id)
	}
}

// add adds a row that the destination does not have.
func (m *merger) add(out *rows.Batch, e transfer.Entity, id int64) error {
	start := len(out.Rows)
	if err := m.d.builder.Build(out, e, id); err != nil {
		return err
	}
	m.changes++
	m.tally.added++
	m.win(e.Type, id, out.Rows[start:])
	addTo(m.fresh, e.Type, id)
	return nil
}

// win says that the links of a row and of its components are the source's.
func (m *merger) win(uid string, id int64, entity []rows.Row) {
	addTo(m.won, uid, id)
	addTo(m.seen, uid, id)
	if uid == typeFile {
		m.files.Add(id)
	}
	for _, p := range partsOf(entity) {
		addTo(m.won, p.uid, p.id)
		addTo(m.seen, p.uid, p.id)
		addTo(m.fresh, p.uid, p.id)
	}
}

// same ties the components of a row to those that are there.
func (m *merger) same(uid string, p *standing, mine, theirs []part) {
	for i := range mine {
		m.d.builder.Type(mine[i].uid).IDs.Alias(mine[i].id, theirs[i].id)
		addTo(m.seen, theirs[i].uid, theirs[i].id)
	}
	if m.d.opts.Conflict == ConflictDestination {
		return
	}
	addTo(m.won, uid, p.id)
	for _, part := range theirs {
		addTo(m.won, part.uid, part.id)
	}
}

// over writes a row over the one that is there. Its components are written anew.
func (m *merger) over(out *rows.Batch, e transfer.Entity, p *standing) (*changed, error) {
	start := len(out.Rows)
	if err := m.d.builder.Build(out, e, p.id); err != nil {
		return nil, err
	}
	m.changes++
	m.tally.changed++
	m.win(e.Type, p.id, out.Rows[start:])
	c := &changed{t: m.d.builder.Type(e.Type), row: out.Rows[start], old: m.parts[p.parts : p.parts+p.n]}
	c.row.Values = append([]any(nil), c.row.Values...)
	out.Rows = append(out.Rows[:start], out.Rows[start+1:]...)
	return c, nil
}

// replace takes away the components of rows that are written over, and changes the rows.
func (m *merger) replace(ctx context.Context, over []changed) error {
	if len(over) == 0 {
		return nil
	}
	c := newClearer(m.d)
	owners := make(map[*rows.Type]*rows.Set)
	for _, o := range over {
		for _, p := range o.old {
			addTo(c.gone, p.uid, p.id)
		}
		if o.t.Zones != nil {
			if owners[o.t] == nil {
				owners[o.t] = new(rows.Set)
			}
			id, _ := o.row.Values[0].(int64)
			owners[o.t].Add(id)
		}
	}
	for t, ids := range owners {
		if err := c.deleteIDs(ctx, t.Zones.Name, model.ZoneEntity, ids); err != nil {
			return err
		}
	}
	for _, step := range []func(context.Context) error{c.clearRelations, c.clearZones, c.clearTypes} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	for _, o := range over {
		if err := m.change(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// change changes one row.
func (m *merger) change(ctx context.Context, o changed) error {
	var set []string
	var values []any
	for i, col := range o.t.Model.Columns {
		if o.t.Model.UID == typeFile && ownField(col.Attribute) {
			continue // until the file itself arrives
		}
		set = append(set, m.d.quote(col.Name)+" = ?")
		values = append(values, o.row.Values[i+1])
	}
	_, err := m.d.tx.Exec(ctx, "UPDATE "+m.d.quote(o.t.Table.Name)+" SET "+strings.Join(set, ", ")+" WHERE "+m.d.quote(model.ID)+" = ?",
		append(values, o.row.Values[0])...)
	return err
}
