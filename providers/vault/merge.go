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

// merge takes rows of the content types that a plan does not replace over from the snapshot before, with the links among them and those
// to rows that come again.
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
	successors
}

// prepareMerge finds out whether there is something to take over row by row, and whether that can be done.
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
	if err != nil {
		return err
	}
	if old != nil {
		if d.merge.oldBody, err = transfer.NewAnatomy(old); err != nil {
			return err
		}
	}
	if err := d.merge.survey(ctx); err != nil {
		return err
	}
	return d.merge.expect(ctx)
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
		default: // then no kept row holds a component, or survey has refused it
			m.newBody, err = transfer.NewAnatomy(nil)
		}
		if err != nil {
			return err
		}
	}
	if err := m.newBody.Components(e, m.fresh.add); err != nil {
		return err
	}
	return m.meet(m.newBody, e)
}

// keep adds what is kept to a stage that was written to its end.
func (m *merge) keep(ctx context.Context, stage transfer.Stage) error {
	switch stage {
	case transfer.StageEntities:
		m.makeRoom()
		return m.keepRows(ctx)
	case transfer.StageLinks:
		return m.keepLinks(ctx)
	case transfer.StageSchemas, transfer.StageAssets, transfer.StageConfiguration:
	}
	return nil
}

// rows calls visit for the rows of the snapshot before, either those that are kept or the others.
func (m *merge) rows(ctx context.Context, kept bool, visit func(transfer.Entity) error) error {
	for item, err := range m.d.parent.Read(ctx, transfer.StageEntities, 0) {
		if err != nil {
			return err
		}
		if e, ok := item.Record.(transfer.Entity); ok && m.kept[e.Type] == kept {
			if err := visit(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// survey finds the components of the kept rows.
func (m *merge) survey(ctx context.Context) error {
	return m.rows(ctx, true, func(e transfer.Entity) error {
		if m.oldBody != nil {
			return m.oldBody.Components(e, m.old.add)
		}
		if mayHoldComponents(e.Data) {
			return fmt.Errorf("%w: rows of %s are to be kept, and snapshot %s does not know their schemas, which stock clients do not send: "+
				"without them its components cannot be told from the new ones. Push the whole site instead of some of its content types, "+
				"or push it once with \"transfer push\" from a server or archive, which sends the schemas; from then on parts can be pushed",
				transfer.ErrUsage, e.Type, m.d.parent.snap.ID)
		}
		return nil
	})
}

// makeRoom finds new ids for those components of kept rows whose ids new rows have too.
func (m *merge) makeRoom() {
	for uid, ids := range m.old {
		next := max(ids.most, m.fresh.most(uid))
		for _, id := range ids.sorted() {
			if m.fresh.has(uid, id) {
				next++
				m.moved[component{uid, transfer.IntRef(id)}] = transfer.IntRef(next)
			}
		}
	}
}

// id returns the id under which a component of a kept row is kept.
func (m *merge) id(uid string, old transfer.Ref) transfer.Ref {
	if moved, ok := m.moved[component{uid, old}]; ok {
		return moved
	}
	return old
}

func (m *merge) keepRows(ctx context.Context) error {
	return m.rows(ctx, true, func(e transfer.Entity) error {
		if len(m.moved) > 0 {
			var err error
			if e, err = m.oldBody.Renumber(e, m.id); err != nil {
				return err
			}
		}
		return m.d.add(ctx, e)
	})
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
