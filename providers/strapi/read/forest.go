package read

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// forest is the components inside the rows of one portion, by type.
type forest struct {
	r     *Reader
	nodes map[*model.Type]*node
}

// node is rows of one type, in the order of their ids, and what they hold.
type node struct {
	*shape
	rows   []row
	buffer []byte
	kids   []kid // by owner, in the order in which their zones show them
}

// kid is a component as a row of another one, or of a content type, holds it.
type kid struct {
	owner int64
	id    int64
	zone  int
	typ   *model.Type
}

func newForest(r *Reader) *forest { return &forest{r: r, nodes: make(map[*model.Type]*node)} }

// add takes a row that a query yielded.
func (n *node) add(r *Reader, values []any) error {
	id, ok := database.Int(values[0])
	if !ok {
		return fmt.Errorf("%w: table %s: %q is no id", transfer.ErrDamaged, n.t.Table, shown(values[0]))
	}
	from := len(n.buffer)
	n.buffer = r.appendScalars(n.buffer, n.shape, values)
	n.rows = append(n.rows, row{id, from, len(n.buffer)})
	return nil
}

func (f *forest) size() (bytes int) {
	for _, n := range f.nodes {
		bytes += len(n.buffer) + len(n.rows)*(24+24*len(n.zones)) + 48*len(n.kids)
	}
	return bytes
}

// grow reads all components inside of the rows of root. A type comes after all those that may hold it, so that each is read once.
func (f *forest) grow(ctx context.Context, root *node) error {
	if len(root.t.Zones) == 0 {
		return nil
	}
	order, err := f.r.descend(root.t)
	if err != nil {
		return err
	}
	f.nodes[root.t] = root
	for _, t := range order {
		n := f.nodes[t]
		if n == nil {
			n = &node{shape: f.r.shape(t)}
			f.nodes[t] = n
			if err := f.readRows(ctx, n, f.wanted(t)); err != nil {
				return fmt.Errorf("component %s: %w", t.UID, err)
			}
		}
		if err := f.readKids(ctx, n); err != nil {
			return fmt.Errorf("components of %s: %w", t.UID, err)
		}
	}
	return nil
}

// wanted returns the ids of the components of a type, sorted, each once.
func (f *forest) wanted(t *model.Type) []int64 {
	var ids []int64
	for _, n := range f.nodes {
		for _, k := range n.kids {
			if k.typ == t {
				ids = append(ids, k.id)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (f *forest) readRows(ctx context.Context, n *node, ids []int64) error {
	return eachList(ids, func(ids []int64) error {
		statement := fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s", n.list, f.r.quote(n.t.Table), f.r.where(model.ID, ids), f.r.quote(model.ID))
		return f.r.each(ctx, statement, func(values []any) error {
			if id, ok := database.Int(values[0]); ok && !in(ids, id) {
				return nil
			}
			return n.add(f.r, values)
		})
	})
}

// readKids finds out which components the rows of n hold.
func (f *forest) readKids(ctx context.Context, n *node) error {
	if n.t.ZoneTable == "" || len(n.rows) == 0 {
		return nil
	}
	ids := make([]int64, len(n.rows))
	for i, row := range n.rows {
		ids[i] = row.id
	}
	q := f.r.quote
	list := strings.Join([]string{q(model.ZoneEntity), q(model.ZoneComponent), q(model.ZoneType), q(model.ZoneField)}, ", ")
	order := strings.Join([]string{q(model.ZoneEntity), q(model.ZoneOrder), q(model.ID)}, ", ")
	return eachList(ids, func(ids []int64) error {
		statement := fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s", list, q(n.t.ZoneTable), f.r.where(model.ZoneEntity, ids), order)
		return f.r.each(ctx, statement, func(values []any) error {
			if k, ok := f.kid(n.t, values); ok && in(ids, k.owner) {
				n.kids = append(n.kids, k)
			}
			return nil
		})
	})
}

// kid reads a row of a zone table. It is none if its attribute is gone, or doesn't admit it; the type of a component attribute is
// the schema's, whatever the row says.
func (f *forest) kid(t *model.Type, values []any) (k kid, ok bool) {
	owner, ok1 := database.Int(values[0])
	id, ok2 := database.Int(values[1])
	field, _ := values[3].(string)
	z := t.Zone(field)
	if !ok1 || !ok2 || z == nil {
		return k, false
	}
	k = kid{owner: owner, id: id, zone: t.Index(field)}
	uid := z.Components
	if z.Dynamic {
		typ, _ := values[2].(string)
		if !slices.Contains(z.Components, typ) {
			return k, false
		}
		uid = []string{typ}
	}
	k.typ = f.r.catalogue.Model.Type(uid[0])
	return k, k.typ != nil
}

// appendZones appends the zones of the row with the given id.
func (f *forest) appendZones(dst []byte, n *node, owner int64) []byte {
	if len(n.zones) == 0 {
		return dst
	}
	from, _ := slices.BinarySearchFunc(n.kids, owner, func(k kid, owner int64) int { return compare(k.owner, owner) })
	to := from
	for to < len(n.kids) && n.kids[to].owner == owner {
		to++
	}
	for i, key := range n.zones {
		dst = f.appendZone(append(dst, key...), &n.t.Zones[i], i, n.kids[from:to])
	}
	return dst
}

func (f *forest) appendZone(dst []byte, z *model.Zone, index int, kids []kid) []byte {
	if z.Repeatable {
		dst = append(dst, '[')
	}
	count := 0
	for _, k := range kids {
		if k.zone != index {
			continue
		}
		n := f.nodes[k.typ]
		at, found := slices.BinarySearchFunc(n.rows, k.id, func(r row, id int64) int { return compare(r.id, id) })
		if !found {
			continue
		}
		if count++; count > 1 {
			dst = append(dst, ',')
		}
		dst = f.appendComponent(dst, n, n.rows[at], z.Dynamic)
		if !z.Repeatable {
			return dst
		}
	}
	if z.Repeatable {
		return append(dst, ']')
	}
	return append(dst, "null"...)
}

func (f *forest) appendComponent(dst []byte, n *node, r row, named bool) []byte {
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendInt(dst, r.id, 10)
	dst = append(dst, n.buffer[r.from:r.to]...)
	dst = f.appendZones(dst, n, r.id)
	if named {
		dst = append(dst, `,"__component":`...)
		dst = append(dst, n.name...)
	}
	return append(dst, '}')
}

func compare(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// descend returns a type and the component types that it may hold at any depth, each after all that may hold it.
func (r *Reader) descend(t *model.Type) ([]*model.Type, error) {
	const open, done = 1, 2
	state := make(map[*model.Type]int)
	var order []*model.Type
	var visit func(*model.Type) error
	visit = func(t *model.Type) error {
		switch state[t] {
		case open:
			return fmt.Errorf("%w: the component %s can hold itself, which Strapi does not allow", transfer.ErrDamaged, t.UID)
		case done:
			return nil
		}
		state[t] = open
		for _, z := range t.Zones {
			for _, uid := range z.Components {
				if inner := r.catalogue.Model.Type(uid); inner != nil {
					if err := visit(inner); err != nil {
						return err
					}
				}
			}
		}
		state[t] = done
		order = append(order, t)
		return nil
	}
	err := visit(t)
	slices.Reverse(order)
	return order, err
}
