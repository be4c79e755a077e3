package strapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/rows"
	"github.com/transfer-runner/runner/transfer"
)

// linkMerger compares links with those that are there.
type linkMerger struct {
	m      *merger
	held   map[linkKey]*held
	owners map[*model.Relation]*model.Type
	taken  map[*model.Relation]*rows.Set // rights that belong to one left at most, and now do: Strapi sees to that where they show it
}

// linkKey tells a link from others. A relation that a row itself keeps has but one, whose right is part of what is held.
type linkKey struct {
	r           *model.Relation
	left, right int64
	uid, field  string
}

// held is a link that the destination has.
type held struct {
	row          int64 // of the link table
	pos, inverse any
	right        int64  // of a relation that the row keeps
	uid          string // of a polymorphic one
	kept         bool   // the source has it too
}

// load reads the links of everything that the plan moves.
func (m *merger) load(ctx context.Context) error {
	m.links = &linkMerger{m: m, held: make(map[linkKey]*held), owners: make(map[*model.Relation]*model.Type), taken: make(map[*model.Relation]*rows.Set)}
	for _, t := range m.d.catalogue.Model.Types {
		for i := range t.Relations {
			r := &t.Relations[i]
			if r.Storage == model.JoinColumn && r.Referenced != model.ID || transfer.Protected(t.UID) || transfer.Protected(r.Target) {
				continue
			}
			m.links.owners[r] = t
			if err := m.links.read(ctx, t, r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *linkMerger) read(ctx context.Context, t *model.Type, r *model.Relation) error {
	quote := l.m.d.quote
	columns, table, where := []string{quote(model.ID)}, r.Table, ""
	add := func(name string) {
		if name == "" {
			columns = append(columns, "NULL")
			return
		}
		columns = append(columns, quote(name))
	}
	switch r.Storage {
	case model.JoinTable:
		for _, name := range []string{r.Left, r.Right, r.Order, r.InverseOrder, "", ""} {
			add(name)
		}
	case model.MorphTable:
		for _, name := range []string{r.Left, r.IDColumn, "", r.Order, r.TypeColumn, r.FieldColumn} {
			add(name)
		}
	case model.JoinColumn:
		table, where = t.Table, " WHERE "+quote(r.Column)+" IS NOT NULL"
		for _, name := range []string{model.ID, r.Column, "", "", "", ""} {
			add(name)
		}
	case model.MorphColumns:
		table, where = t.Table, " WHERE "+quote(r.IDColumn)+" IS NOT NULL"
		for _, name := range []string{model.ID, r.IDColumn, "", "", r.TypeColumn, ""} {
			add(name)
		}
	}
	result, err := l.m.d.tx.Query(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+quote(table)+where)
	if err != nil {
		return err
	}
	for result.Next() {
		v := result.Values()
		row, ok1 := database.Int(v[0])
		left, ok2 := database.Int(v[1])
		right, ok3 := database.Int(v[2])
		if !ok1 || !ok2 || !ok3 {
			continue
		}
		h := &held{row: row, pos: number(v[3]), inverse: number(v[4]), right: right, uid: database.Text(v[5])}
		l.held[keyOf(r, left, right, h.uid, database.Text(v[6]))] = h
	}
	return closing(result)
}

func keyOf(r *model.Relation, left, right int64, uid, field string) linkKey {
	if r.Storage == model.JoinColumn || r.Storage == model.MorphColumns {
		return linkKey{r: r, left: left}
	}
	return linkKey{r, left, right, uid, field}
}

func number(v any) any {
	if n, ok := v.(int64); ok {
		return float64(n)
	}
	return v
}

// link decides what becomes of one link. It reports whether it is to be written; what is only changed is part of updates.
func (l *linkMerger) link(t *model.Type, r *model.Relation, link transfer.Link, left, right int64) (write bool, changes []update, err error) {
	uid := ""
	if r.Storage == model.MorphTable || r.Storage == model.MorphColumns {
		uid = link.Right.Type
	}
	field := ""
	if r.Storage == model.MorphTable {
		field = link.Right.Field
	}
	pos, err := position(link.Left.Pos)
	if err != nil {
		return false, nil, err
	}
	inverse, err := position(link.Right.Pos)
	if err != nil {
		return false, nil, err
	}
	if r.Order == "" || r.Storage == model.MorphTable {
		pos = nil
	}
	if r.Storage == model.JoinTable && r.InverseOrder == "" {
		inverse = nil
	}
	key := keyOf(r, left, right, uid, field)
	h := l.held[key]
	same := h != nil && h.right == right && h.uid == uid && h.pos == pos && h.inverse == inverse
	may := in(l.m.won, link.Left.Type, left) || in(l.m.won, link.Right.Type, right)
	if h != nil && (same || !may) {
		h.kept = true
		return false, nil, nil
	}
	if !may {
		return false, nil, nil // both rows are the destination's, and so is what is between them
	}
	if l.m.d.opts.Conflict == ConflictFail && !in(l.m.fresh, link.Left.Type, left) && !in(l.m.fresh, link.Right.Type, right) {
		return false, nil, fmt.Errorf("%w: the destination does not have the link %s, or has it otherwise; choose with --conflict which side is to be kept",
			transfer.ErrIncompatible, link.Key())
	}
	l.m.changes++
	l.m.tally.links++
	if r.Inverse != "" && (r.Relation == "oneToOne" || r.Relation == "oneToMany") {
		if l.taken[r] == nil {
			l.taken[r] = new(rows.Set)
		}
		l.taken[r].Add(right)
	}
	if h == nil {
		l.held[key] = &held{right: right, uid: uid, pos: pos, inverse: inverse, kept: true}
		return true, nil, nil
	}
	h.kept, h.right, h.uid = true, right, uid
	if r.Storage == model.JoinColumn || r.Storage == model.MorphColumns {
		return true, nil, nil
	}
	return false, []update{{t: t, r: r, row: h.row, values: []any{pos, inverse}}}, nil
}

// prune deletes the links that the source no longer has, of rows that are the source's now.
func (l *linkMerger) prune(ctx context.Context) error {
	gone := make(map[*model.Relation]*rows.Set)
	for key, h := range l.held {
		if h.kept || !l.pruned(key, h) {
			continue
		}
		if l.m.d.opts.Conflict == ConflictFail {
			return fmt.Errorf("%w: %s %d has a link in %s at the destination that the source does not have; choose with --conflict which "+
				"side is to be kept", transfer.ErrIncompatible, l.owners[key.r].UID, key.left, key.r.Attribute)
		}
		if gone[key.r] == nil {
			gone[key.r] = new(rows.Set)
		}
		gone[key.r].Add(h.row)
		l.m.changes++
		l.m.tally.links++
	}
	c := newClearer(l.m.d)
	for r, ids := range gone {
		var err error
		switch r.Storage {
		case model.JoinTable, model.MorphTable:
			err = c.deleteIDs(ctx, r.Table, model.ID, ids)
		case model.JoinColumn:
			err = l.blank(ctx, r, ids, r.Column)
		case model.MorphColumns:
			err = l.blank(ctx, r, ids, r.IDColumn, r.TypeColumn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *linkMerger) blank(ctx context.Context, r *model.Relation, ids *rows.Set, columns ...string) error {
	var set []string
	for _, name := range columns {
		set = append(set, l.m.d.quote(name)+" = NULL")
	}
	return eachChunk(ids, func(list string) error {
		_, err := l.m.d.tx.Exec(ctx, "UPDATE "+l.m.d.quote(l.owners[r].Table)+" SET "+strings.Join(set, ", ")+
			" WHERE "+l.m.d.quote(model.ID)+" IN ("+list+")")
		return err
	})
}

// pruned reports whether a link that the source did not send goes.
func (l *linkMerger) pruned(key linkKey, h *held) bool {
	r, owner := key.r, l.owners[key.r]
	target := r.Target
	if h.uid != "" {
		target = h.uid
	}
	if !l.m.d.carries(owner.UID) || !l.m.d.carries(target) {
		return false // such links were not even sent
	}
	left, right := in(l.m.won, owner.UID, key.left), in(l.m.won, target, h.right)
	if r.Storage == model.MorphTable || r.Storage == model.MorphColumns {
		return left && right
	}
	if set := l.taken[r]; set != nil && set.Has(h.right) {
		return true
	}
	single := r.Relation == "oneToOne" || r.Relation == "manyToOne"
	return left && (single || in(l.m.seen, target, h.right))
}

// carries reports whether rows of a type come with the transfer.
func (d *Destination) carries(uid string) bool {
	t := d.catalogue.Model.Type(uid)
	if t == nil {
		return false
	}
	return t.Component || replaces(d.plan.Restore, uid)
}
