package strapi

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/rows"
	"github.com/transfer-runner/runner/transfer"
)

// keeper carries links over a restore that replaces some content types and keeps others: rows are known again by document, locale
// and status, and components by the way to them from their row.
//
// Strapi itself loses these links.
type keeper struct {
	d      *Destination
	hasher rows.Hasher

	known map[uint64]int64 // rows that stay, by identity
	links []keptLink       // of rows that stay, to rows that are replaced
	next  map[uint64]int64 // what they point at, by identity, and the ids that arrive for it
	whose map[part]owned   // components that go

	now rows.Identity // of the entity that is being built
}

// keptLink is a link of a row that stays.
type keptLink struct {
	t            *model.Type
	r            *model.Relation
	left         int64
	key          uint64
	uid          string // of the right side
	field        any
	pos, inverse any
}

// owned says to which row a component belongs, and the way to it from there.
type owned struct {
	uid  string
	row  rows.Identity
	path string
}

func newKeeper(d *Destination) *keeper {
	return &keeper{d: d, hasher: rows.NewHasher(), known: make(map[uint64]int64), next: make(map[uint64]int64), whose: make(map[part]owned)}
}

// remember reads what a restore would lose, before anything is deleted.
func (k *keeper) remember(ctx context.Context, c *clearer) error {
	for _, t := range c.model.Types {
		if err := k.know(ctx, c, t); err != nil {
			return err
		}
	}
	for _, t := range c.model.Types {
		for i := range t.Relations {
			if c.cleared[t.UID] || c.whole[t.UID] {
				continue
			}
			if err := k.rememberRelation(ctx, c, t, &t.Relations[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// know takes note of the rows of a type that stay and can be pointed at, or of the components of those that go.
func (k *keeper) know(ctx context.Context, c *clearer, t *model.Type) error {
	if t.Component || transfer.Protected(t.UID) || c.cleared[t.UID] && t.ZoneTable == "" {
		return nil
	}
	owners := make(map[int64]rows.Identity)
	err := k.each(ctx, "SELECT x.id, "+k.identity(t)+" FROM "+k.d.quote(t.Table)+" x", func(v []any) {
		id, _ := database.Int(v[0])
		if c.cleared[t.UID] {
			owners[id] = identityOf(v[1:])
		} else if key := k.hasher.Key(t.UID, identityOf(v[1:]), ""); key != 0 {
			k.known[key] = id
		}
	})
	if err != nil || !c.cleared[t.UID] {
		return err
	}
	return k.knowParts(ctx, c, t, func(id int64) (owned, bool) {
		row, ok := owners[id]
		return owned{t.UID, row, ""}, ok
	})
}

// knowParts finds the ways to the components of rows.
func (k *keeper) knowParts(ctx context.Context, c *clearer, t *model.Type, owner func(id int64) (owned, bool)) error {
	q := k.d.quote
	inner := make(map[string]bool)
	var before, field string
	n := 0
	err := k.each(ctx, fmt.Sprintf("SELECT %s, %s, %s, %s FROM %s ORDER BY %s, %s, %s, %s", q(model.ZoneEntity), q(model.ZoneField),
		q(model.ZoneType), q(model.ZoneComponent), q(t.ZoneTable), q(model.ZoneEntity), q(model.ZoneField), q(model.ZoneOrder), q(model.ID)),
		func(v []any) {
			id, _ := database.Int(v[0])
			if here := database.Text(v[0]) + " " + database.Text(v[1]); here != before {
				before, n = here, 0
			}
			field = database.Text(v[1])
			z := t.Zone(field)
			o, ok := owner(id)
			if z == nil || !ok {
				return
			}
			uid := z.Components[0]
			if z.Dynamic {
				uid = database.Text(v[2])
			}
			cmp, _ := database.Int(v[3])
			path := o.path + field + "."
			if z.Repeatable {
				path += strconv.Itoa(n) + "."
			}
			n++
			if _, seen := k.whose[part{uid, cmp}]; !seen {
				k.whose[part{uid, cmp}] = owned{o.uid, o.row, path}
				inner[uid] = true
			}
		})
	for uid := range inner {
		m := c.model.Type(uid)
		if err != nil || m == nil || m.ZoneTable == "" {
			continue
		}
		err = k.knowParts(ctx, c, m, func(id int64) (owned, bool) {
			o, ok := k.whose[part{uid, id}]
			return o, ok
		})
	}
	return err
}

func (k *keeper) rememberRelation(ctx context.Context, c *clearer, t *model.Type, r *model.Relation) error {
	switch r.Storage {
	case model.JoinTable:
		if !c.cleared[r.Target] {
			return nil
		}
		return k.rememberRows(ctx, c, t, r, c.model.Type(r.Target), r.Table, r.Left, r.Right, "")
	case model.JoinColumn:
		if !c.cleared[r.Target] || r.Referenced != model.ID {
			return nil
		}
		return k.rememberRows(ctx, c, t, r, c.model.Type(r.Target), t.Table, model.ID, r.Column, "")
	case model.MorphTable, model.MorphColumns:
		table, left := r.Table, r.Left
		if r.Storage == model.MorphColumns {
			table, left = t.Table, model.ID
		}
		for _, target := range c.model.Types {
			var err error
			switch {
			case c.cleared[target.UID]:
				err = k.rememberRows(ctx, c, t, r, target, table, left, r.IDColumn, " WHERE l."+k.d.quote(r.TypeColumn)+" = ?")
			case c.gone[target.UID] != nil:
				err = k.rememberParts(ctx, c, t, r, target, table, left)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// rememberRows remembers links to rows of a content type.
func (k *keeper) rememberRows(ctx context.Context, c *clearer, t *model.Type, r *model.Relation, target *model.Type, table, left, right, where string) error {
	q := k.d.quote
	statement := fmt.Sprintf("SELECT l.%s, %s, %s FROM %s l JOIN %s x ON x.id = l.%s%s", q(left), k.extras(r), k.identity(target), q(table), q(target.Table), q(right), where)
	var args []any
	if where != "" {
		args = append(args, target.UID)
	}
	return k.each(ctx, statement, func(v []any) {
		id, _ := database.Int(v[0])
		if t.Component && c.has(t.UID, id) {
			return
		}
		k.add(keptLink{t: t, r: r, left: id, uid: target.UID, pos: v[1], inverse: v[2], field: v[3], key: k.hasher.Key(target.UID, identityOf(v[4:]), "")})
	}, args...)
}

// rememberParts remembers links to components.
func (k *keeper) rememberParts(ctx context.Context, c *clearer, t *model.Type, r *model.Relation, target *model.Type, table, left string) error {
	q := k.d.quote
	statement := fmt.Sprintf("SELECT l.%s, %s, l.%s FROM %s l WHERE l.%s = ?", q(left), k.extras(r), q(r.IDColumn), q(table), q(r.TypeColumn))
	return k.each(ctx, statement, func(v []any) {
		id, _ := database.Int(v[0])
		right, _ := database.Int(v[4])
		o, ok := k.whose[part{target.UID, right}]
		if !ok || !c.has(target.UID, right) || t.Component && c.has(t.UID, id) {
			return
		}
		k.add(keptLink{t: t, r: r, left: id, uid: target.UID, pos: v[1], inverse: v[2], field: v[3], key: k.hasher.Key(o.uid, o.row, o.path)})
	}, target.UID)
}

func (k *keeper) add(l keptLink) {
	k.links = append(k.links, l)
	if l.key != 0 {
		k.next[l.key] = 0
	}
}

// extras are the expressions of a link's positions and its field.
func (k *keeper) extras(r *model.Relation) string {
	names := []string{r.Order, r.InverseOrder, r.FieldColumn}
	if r.Storage == model.JoinColumn || r.Storage == model.MorphColumns {
		names = []string{"", "", ""}
	}
	for i, name := range names {
		if name == "" {
			names[i] = "NULL"
		} else {
			names[i] = "l." + k.d.quote(name)
		}
	}
	return strings.Join(names, ", ")
}

// identity are the expressions of what tells a row from others.
func (k *keeper) identity(t *model.Type) string {
	out := []string{"x." + k.d.quote(model.DocumentID)}
	for _, attribute := range []string{"locale", "publishedAt"} {
		if col := t.Column(attribute); col != nil {
			out = append(out, "x."+k.d.quote(col.Name))
		} else {
			out = append(out, "NULL")
		}
	}
	return strings.Join(out, ", ")
}

func identityOf(v []any) rows.Identity {
	return rows.Identity{DocumentID: database.Text(v[0]), Locale: database.Text(v[1]), Published: v[2] != nil}
}

func (k *keeper) each(ctx context.Context, statement string, visit func([]any), args ...any) error {
	result, err := k.d.tx.Query(ctx, statement, args...)
	if err != nil {
		return err
	}
	for result.Next() {
		visit(result.Values())
	}
	return closing(result)
}

// arrive takes note of a row that arrives, if a link is waiting for it.
func (k *keeper) arrive(entity string) func(uid string, id int64, path string) {
	return func(_ string, id int64, path string) {
		key := k.hasher.Key(entity, k.now, path)
		if _, ok := k.next[key]; ok && key != 0 {
			k.next[key] = id
		}
	}
}

// attach ties the rows that stayed to those that took the place of what they pointed at.
func (k *keeper) attach(ctx context.Context) error {
	var batch rows.Batch
	lost := 0
	for _, l := range k.links {
		right := k.next[l.key]
		switch {
		case right == 0:
			lost++
			continue
		case l.r.Storage == model.JoinColumn:
			if err := k.d.links.update(ctx, update{t: l.t, r: l.r, values: []any{right, l.left}}); err != nil {
				return err
			}
		case l.r.Storage == model.MorphColumns:
			if err := k.d.links.update(ctx, update{t: l.t, r: l.r, values: []any{right, l.uid, l.left}}); err != nil {
				return err
			}
		default:
			k.row(&batch, l, right)
		}
	}
	if lost > 0 {
		k.d.warn(fmt.Sprintf("%d links of rows that stay led to rows that are not there any more", lost))
	}
	if err := k.d.writer.write(ctx, batch.Rows); err != nil {
		return err
	}
	return k.d.writer.flush(ctx)
}

func (k *keeper) row(batch *rows.Batch, l keptLink, right int64) {
	table := k.d.links.table(l.r)
	values := batch.Add(table, len(table.Columns))
	values[0], values[1] = l.left, right
	if l.r.Storage == model.MorphTable {
		values[2], values[3], values[4] = l.uid, l.field, l.pos
		return
	}
	i := 2
	if l.r.Order != "" {
		values[i] = l.pos
		i++
	}
	if l.r.InverseOrder != "" {
		values[i] = l.inverse
	}
}

// ResolvesLinks implements [transfer.LinkResolver]: rows that stay are found by their identity.
func (d *Destination) ResolvesLinks(uid string) bool {
	if transfer.Protected(uid) {
		return false
	}
	return d.catalogue == nil || d.catalogue.Model.Type(uid) != nil
}

// Recognise implements [transfer.LinkResolver].
func (d *Destination) Recognise(e transfer.Entity) error {
	if d.builder == nil || d.builder.Type(e.Type) == nil {
		return nil
	}
	old, ok := e.ID.Int()
	if !ok {
		return nil
	}
	identity, err := d.converter().Identify(e)
	if err != nil {
		return err
	}
	ids := d.builder.Type(e.Type).IDs
	switch {
	case d.merge != nil:
		if p := d.merge.have[d.merge.hasher.Key(e.Type, identity, "")]; p != nil {
			ids.Alias(old, p.id)
		}
	case d.keeper != nil:
		if id, ok := d.keeper.known[d.keeper.hasher.Key(e.Type, identity, "")]; ok {
			ids.Alias(old, id)
		}
	}
	return nil
}
