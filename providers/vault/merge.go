package vault

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/transfer-runner/runner/transfer"
)

// merge takes rows of the content types that a plan does not replace over from the snapshot before, and the links among them.
//
// A content type is kept or replaced as a whole, so ids of rows cannot meet. Ids of components can: a kept row and a new one may both
// hold the component shared.seo 5. Links name components by those ids, so the kept one is given another.
type merge struct {
	d       *Destination
	kept    map[string]bool // content types
	fresh   componentSet    // in new rows
	old     componentSet    // in kept rows, by their old ids
	moved   map[component]transfer.Ref
	oldBody *transfer.Anatomy // nil when the old schemas are unknown
	newBody *transfer.Anatomy
}

// prepareMerge finds out whether there is something to take over row by row.
func (d *Destination) prepareMerge(ctx context.Context) error {
	if d.parent == nil || !d.plan.Has(transfer.StageEntities) {
		return nil
	}
	kept := make(map[string]bool)
	for uid := range d.parent.snap.Counts[transfer.StageEntities].ByType {
		if !replaced(d.plan.Restore, uid) {
			kept[uid] = true
		}
	}
	if len(kept) == 0 {
		return nil
	}
	d.merge = &merge{d: d, kept: kept, fresh: make(componentSet), old: make(componentSet), moved: make(map[component]transfer.Ref)}
	old, err := d.parent.schemas(ctx)
	if err != nil || old == nil {
		return err
	}
	d.merge.oldBody, err = transfer.NewAnatomy(old)
	return err
}

// replaced reports whether a plan replaces the rows of a content type.
func replaced(r transfer.Restore, uid string) bool {
	return !slices.Contains(r.Exclude, uid) && (r.Include == nil || slices.Contains(r.Include, uid))
}

// isContentType tells content types from components by their uids: only the former have a "::".
func isContentType(uid string) bool { return strings.Contains(uid, "::") }

// see notes the components of a new row.
func (m *merge) see(e transfer.Entity) error {
	if m.kept[e.Type] {
		return fmt.Errorf("%w: rows of %s came, but the plan keeps those of the snapshot before; a content type is replaced as a whole or not at all",
			transfer.ErrUsage, e.Type)
	}
	if m.newBody == nil {
		var err error
		switch schemas := m.d.freshSchemas(); {
		case schemas != nil:
			m.newBody, err = transfer.NewAnatomy(schemas)
		case m.oldBody != nil:
			m.newBody = m.oldBody
		default:
			return nil // then no kept row holds a component, or keepRows refuses it
		}
		if err != nil {
			return err
		}
	}
	return m.newBody.Components(e, m.fresh.add)
}

// keep adds what is kept to a stage that was written to its end.
func (m *merge) keep(ctx context.Context, stage transfer.Stage) error {
	switch stage {
	case transfer.StageEntities:
		if err := m.survey(ctx); err != nil {
			return err
		}
		return m.keepRows(ctx)
	case transfer.StageLinks:
		return m.keepLinks(ctx)
	case transfer.StageSchemas, transfer.StageAssets, transfer.StageConfiguration:
	}
	return nil
}

// rows calls visit for each kept row.
func (m *merge) rows(ctx context.Context, visit func(transfer.Entity) error) error {
	for item, err := range m.d.parent.Read(ctx, transfer.StageEntities, 0) {
		if err != nil {
			return err
		}
		if e, ok := item.Record.(transfer.Entity); ok && m.kept[e.Type] {
			if err := visit(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// survey finds the components of the kept rows, and new ids for those that new rows have too.
func (m *merge) survey(ctx context.Context) error {
	err := m.rows(ctx, func(e transfer.Entity) error {
		if m.oldBody != nil {
			return m.oldBody.Components(e, m.old.add)
		}
		if mayHoldComponents(e.Data) {
			return fmt.Errorf("%w: rows of %s are to be kept, and snapshot %s does not know its schemas, by which components would be found in them; "+
				"transfer everything once, from an endpoint that knows its schemas", transfer.ErrUsage, e.Type, m.d.parent.snap.ID)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for uid, ids := range m.old {
		next := max(ids.most, m.fresh.most(uid))
		for _, id := range ids.sorted() {
			if m.fresh.has(uid, id) {
				next++
				m.moved[component{uid, transfer.IntRef(id)}] = transfer.IntRef(next)
			}
		}
	}
	return nil
}

// id returns the id under which a component of a kept row is kept.
func (m *merge) id(uid string, old transfer.Ref) transfer.Ref {
	if moved, ok := m.moved[component{uid, old}]; ok {
		return moved
	}
	return old
}

func (m *merge) keepRows(ctx context.Context) error {
	return m.rows(ctx, func(e transfer.Entity) error {
		if len(m.moved) > 0 {
			var err error
			if e, err = m.oldBody.Renumber(e, m.id); err != nil {
				return err
			}
		}
		return m.d.add(ctx, e)
	})
}

// keepLinks takes over the links between kept rows. Links between a kept and a replaced row are lost: nothing says which new row has
// taken the place of the old one.
func (m *merge) keepLinks(ctx context.Context) error {
	var lost int64
	for item, err := range m.d.parent.Read(ctx, transfer.StageLinks, 0) {
		if err != nil {
			return err
		}
		l, ok := item.Record.(transfer.Link)
		if !ok {
			continue
		}
		left, right := m.keeps(l.Left), m.keeps(l.Right)
		if !left || !right {
			if left || right {
				lost++
			}
			continue
		}
		if l, err = l.WithRefs(m.id(l.Left.Type, l.Left.Ref), m.id(l.Right.Type, l.Right.Ref)); err != nil {
			return err
		}
		if err := m.d.add(ctx, l); err != nil {
			return err
		}
	}
	if lost > 0 {
		m.d.warn("%d links between rows that were kept and rows that were replaced are not part of the new snapshot", lost)
	}
	return nil
}

// keeps reports whether the row or component on a side of a link is kept.
func (m *merge) keeps(e transfer.End) bool {
	if isContentType(e.Type) {
		return m.kept[e.Type]
	}
	id, ok := e.Ref.Int()
	return ok && m.old.has(e.Type, id)
}

// component names one instance of a component.
type component struct {
	uid string
	id  transfer.Ref
}

// componentSet is a set of components. Ids are small and dense, so each costs about a bit.
type componentSet map[string]*idSet

type idSet struct {
	words map[int64]uint64
	most  int64
}

func (s componentSet) add(uid string, ref transfer.Ref) {
	id, ok := ref.Int()
	if !ok || id < 0 {
		return
	}
	ids := s[uid]
	if ids == nil {
		ids = &idSet{words: make(map[int64]uint64)}
		s[uid] = ids
	}
	ids.words[id>>6] |= 1 << (id & 63)
	ids.most = max(ids.most, id)
}

func (s componentSet) has(uid string, id int64) bool {
	ids := s[uid]
	return ids != nil && ids.words[id>>6]&(1<<(id&63)) != 0
}

func (s componentSet) most(uid string) int64 {
	if ids := s[uid]; ids != nil {
		return ids.most
	}
	return 0
}

// sorted returns the ids in order, so that the same transfer gives the same ids.
func (s *idSet) sorted() (out []int64) {
	for word, bits := range s.words {
		for bit := range int64(64) {
			if bits&(1<<bit) != 0 {
				out = append(out, word<<6|bit)
			}
		}
	}
	slices.Sort(out)
	return out
}

// mayHoldComponents reports whether a row could hold a component, for all that can be told without its schema: an object with an id,
// or one that names its component.
func mayHoldComponents(data []byte) bool {
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return false // the end: the text has been parsed before
		}
		kind, length := dec.StackIndex(dec.StackDepth())
		if dec.StackDepth() < 2 || kind != '{' || length%2 == 0 || tok.Kind() != '"' {
			continue
		}
		if name := tok.String(); name == "id" || name == "__component" {
			return true
		}
	}
}
