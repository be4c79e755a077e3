package vault

import (
	"context"

	"github.com/transfer-runner/runner/transfer"
)

// successors finds the rows that come in the place of those that kept ones are linked with. A transfer of some content types carries no
// links to or from the others, so those of the snapshot before stay, as far as both ends do: a row that comes again is known by its
// documentId, locale and status. It costs some hundred bytes for each row at the far end of such a link.
type successors struct {
	wanted map[transfer.Identity]component // what the snapshot before called it
	types  map[string]bool                 // content types of wanted
	found  map[component]transfer.Ref      // what it is called now
	stray  int64                           // links that came for rows that did not
}

// expect finds out which of the rows that are replaced, and of their components, kept ones are linked with.
func (m *merge) expect(ctx context.Context) error {
	far := make(componentSet)
	err := m.links(ctx, func(l transfer.Link) error {
		switch left, right := m.keeps(l.Left), m.keeps(l.Right); {
		case left && !right:
			far.add(l.Right.Type, l.Right.Ref)
		case right && !left:
			far.add(l.Left.Type, l.Left.Ref)
		}
		return nil
	})
	if err != nil || len(far) == 0 {
		return err
	}
	m.wanted, m.types, m.found = make(map[transfer.Identity]component), make(map[string]bool), make(map[component]transfer.Ref)
	body := m.oldBody
	if body == nil {
		if body, err = transfer.NewAnatomy(nil); err != nil { // finds rows, which are most, and no components
			return err
		}
	}
	return m.rows(ctx, false, func(e transfer.Entity) error {
		return body.Identify(e, func(uid string, ref transfer.Ref, name transfer.Identity) {
			if id, ok := ref.Int(); ok && far.has(uid, id) {
				m.wanted[name] = component{uid, ref}
				m.types[e.Type] = true
			}
		})
	})
}

// meet looks whether a new row comes in the place of one that is wanted.
func (m *merge) meet(body *transfer.Anatomy, e transfer.Entity) error {
	if !m.types[e.Type] {
		return nil
	}
	return body.Identify(e, func(_ string, ref transfer.Ref, name transfer.Identity) {
		if was, ok := m.wanted[name]; ok {
			m.found[was] = ref
		}
	})
}

// strays reports whether a new link names a row that did not come, by an id that another row has here. Stock clients leave out links of
// content types that they leave out, but not those of the components of such rows.
func (m *merge) strays(l transfer.Link) bool {
	for _, e := range []transfer.End{l.Left, l.Right} {
		id, number := e.Ref.Int()
		if number && m.keeps(e) && (isContentType(e.Type) || !m.fresh.has(e.Type, id)) {
			m.stray++
			return true
		}
	}
	return false
}

// links calls visit for the links of the snapshot before.
func (m *merge) links(ctx context.Context, visit func(transfer.Link) error) error {
	for item, err := range m.d.parent.Read(ctx, transfer.StageLinks, 0) {
		if err != nil {
			return err
		}
		if l, ok := item.Record.(transfer.Link); ok {
			if err := visit(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepLinks takes over the links between kept rows, and those between a kept row and one that came again.
func (m *merge) keepLinks(ctx context.Context) error {
	var again, lost int64
	err := m.links(ctx, func(l transfer.Link) error {
		left, right := m.keeps(l.Left), m.keeps(l.Right)
		if !left && !right {
			return nil
		}
		from, ok := m.end(l.Left, left)
		to, known := m.end(l.Right, right)
		switch {
		case !ok || !known:
			lost++
			return nil
		case left != right:
			again++
		}
		l, err := l.WithRefs(from, to)
		if err != nil {
			return err
		}
		return m.d.add(ctx, l)
	})
	if err != nil {
		return err
	}
	if m.stray > 0 {
		m.d.note("%d links of rows that were not sent are not part of the new snapshot", m.stray)
	}
	if again > 0 {
		m.d.note("%d links between rows that were kept and rows that came again were kept", again)
	}
	if lost > 0 {
		m.d.warn("%d links between rows that were kept and rows that were replaced are not part of the new snapshot: "+
			"nothing of the same documentId, locale and status came in the place of those", lost)
	}
	return nil
}

// end returns what the row or component on a side of a link is called now, false if there is none any more.
func (m *merge) end(e transfer.End, kept bool) (transfer.Ref, bool) {
	if kept {
		return m.id(e.Type, e.Ref), true
	}
	if _, number := e.Ref.Int(); !number {
		return e.Ref, true // a documentId, which is the same everywhere
	}
	ref, ok := m.found[component{e.Type, e.Ref}]
	return ref, ok
}

// keeps reports whether the row or component on a side of a link is kept.
func (m *merge) keeps(e transfer.End) bool {
	if isContentType(e.Type) {
		return m.kept[e.Type]
	}
	id, ok := e.Ref.Int()
	return ok && m.old.has(e.Type, id)
}
