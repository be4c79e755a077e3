package strapi_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// TestMergeUnitesAnySites draws two parts of a site, which may overlap and number their rows differently, and merges the one into the
// other: what it holds then is what either held, but for links of which a row has one at most and the source none. Once more writes
// nothing.
func TestMergeUnitesAnySites(t *testing.T) {
	t.Parallel()
	anySite(t, 5, func(t *testing.T, rt *rapid.T, opts strapi.Options, site *transfertest.Site) {
		sitetest.Tables(t, opts.Database, site.Schemas(t), nil)
		p := newParts(t, rt, site)
		mine, theirs := p.draw("mine"), p.draw("theirs")
		want := p.part(func(i int) bool { return mine[i] || theirs[i] }, func(left, right int, single bool) bool {
			return mine[left] && mine[right] || theirs[left] && theirs[right] && (!mine[left] || !single)
		})
		both := func(part map[int]bool) *transfertest.Site {
			return p.part(func(i int) bool { return part[i] }, func(left, right int, _ bool) bool { return part[left] && part[right] })
		}
		source := p.renumbered(both(mine))

		writeSite(t, rt, opts, both(theirs), strapi.WriteOptions{}, transfer.Options{})
		var r recorder
		opts.Database.Hook = r.hook
		for range 2 {
			r.statements = nil
			writeSite(t, rt, opts, source, strapi.WriteOptions{Merge: true}, transfer.Options{})
			got := sourceOf(t, opts, func(src transfer.Source) *transfer.Digest { return digestOf(t, rt, src) })
			require.Empty(rt, digestOf(t, rt, transfertest.NewMemory(want)).Compare(got, 10))
		}
		require.Empty(rt, r.statements)
	})
}

// row is a row of a content type or a component.
type row struct {
	uid string
	id  transfer.Ref
}

// parts makes parts of a site.
type parts struct {
	rt      *rapid.T
	site    *transfertest.Site
	schemas transfer.Schemas
	anatomy *transfer.Anatomy
	owner   map[row]int // the entity that a row is, or is within
}

func newParts(t *testing.T, rt *rapid.T, site *transfertest.Site) *parts {
	t.Helper()
	schemas := site.Schemas(t)
	anatomy, err := transfer.NewAnatomy(schemas)
	require.NoError(rt, err)
	p := &parts{rt: rt, site: site, schemas: schemas, anatomy: anatomy, owner: make(map[row]int)}
	for i, text := range site.Records[transfer.StageEntities] {
		e := p.entity(text)
		p.owner[row{e.Type, e.ID}] = i
		require.NoError(rt, anatomy.Components(e, func(uid string, id transfer.Ref) { p.owner[row{uid, id}] = i }))
	}
	return p
}

func (p *parts) entity(text string) transfer.Entity {
	e, err := transfer.ParseEntity([]byte(text))
	require.NoError(p.rt, err)
	return e
}

func (p *parts) link(text string) transfer.Link {
	l, err := transfer.ParseLink([]byte(text))
	require.NoError(p.rt, err)
	return l
}

// draw draws which entities belong to a part.
func (p *parts) draw(name string) map[int]bool {
	out := make(map[int]bool)
	for i := range p.site.Records[transfer.StageEntities] {
		out[i] = rapid.Bool().Draw(p.rt, name)
	}
	return out
}

// part is the site with some of its entities and links. Links are told by the entities that they lead from and to.
func (p *parts) part(has func(entity int) bool, linked func(left, right int, single bool) bool) *transfertest.Site {
	out := *p.site
	out.Records = maps.Clone(p.site.Records)
	i := -1
	out.Records[transfer.StageEntities] = slices.DeleteFunc(slices.Clone(p.site.Records[transfer.StageEntities]), func(string) bool {
		i++
		return !has(i)
	})
	out.Records[transfer.StageLinks] = slices.DeleteFunc(slices.Clone(p.site.Records[transfer.StageLinks]), func(text string) bool {
		l := p.link(text)
		single := l.Relation == "oneToOne" || l.Relation == "manyToOne"
		return !linked(p.owner[row{l.Left.Type, l.Left.Ref}], p.owner[row{l.Right.Type, l.Right.Ref}], single)
	})
	return &out
}

// renumbered gives the rows of each type other numbers, which rows of the other part may have.
func (p *parts) renumbered(site *transfertest.Site) *transfertest.Site {
	shifts := make(map[string]int64)
	for _, uid := range slices.Sorted(maps.Keys(p.schemas)) {
		shifts[uid] = rapid.Int64Range(0, 3).Draw(p.rt, "shift")
	}
	shift := func(uid string, id transfer.Ref) transfer.Ref {
		n, ok := id.Int()
		require.True(p.rt, ok)
		return transfer.IntRef(n + shifts[uid])
	}
	out := *site
	out.Records = maps.Clone(site.Records)
	change := func(stage transfer.Stage, one func(string) (transfer.Record, error)) {
		out.Records[stage] = slices.Clone(site.Records[stage])
		for i, text := range out.Records[stage] {
			r, err := one(text)
			require.NoError(p.rt, err)
			out.Records[stage][i] = string(r.AppendJSON(nil))
		}
	}
	change(transfer.StageEntities, func(text string) (transfer.Record, error) {
		e, err := p.anatomy.Renumber(p.entity(text), shift)
		return transfer.NewEntity(e.Type, shift(e.Type, e.ID), e.Data), err
	})
	change(transfer.StageLinks, func(text string) (transfer.Record, error) {
		l := p.link(text)
		return l.WithRefs(shift(l.Left.Type, l.Left.Ref), shift(l.Right.Type, l.Right.Ref))
	})
	return &out
}
