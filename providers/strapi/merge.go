package strapi

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/read"
	"github.com/transfer-runner/runner/providers/strapi/rows"
	"github.com/transfer-runner/runner/transfer"
)

// merger finds out what of a transfer the destination has already.
//
// It reads the destination through once, in the same words in which entities arrive, and keeps a short sum of each row: what is the
// same needs no write, and what is not is replaced row by row.
type merger struct {
	d      *Destination
	hasher rows.Hasher
	theirs *rows.Builder // builds the destination's own rows, only to look at them

	have      map[uint64]*standing // by identity
	parts     []part               // of all of them
	won       map[string]*rows.Set // rows whose links are the source's, by type and the id here
	seen      map[string]*rows.Set // rows that the source has too
	fresh     map[string]*rows.Set // rows that only the source had
	stay      map[string]*rows.Set // rows that both have in different forms, of which the destination's won
	unwritten map[string]*rows.Set // components that the source has of rows that stay, by type and the id there
	files     rows.Set             // rows of the media library that were written, whose files are too

	changes int64 // rows and files written, changed or deleted
	tally   mergeTally
	links   *linkMerger
	config  *settingMerger
}

// standing is a row that the destination has.
type standing struct {
	id      int64
	sum     uint64
	updated int64
	parts   int32 // where its components begin in merger.parts
	n       int32
}

// part is a component of a row, in the order of their paths.
type part struct {
	uid string
	id  int64
}

func newMerger(d *Destination) *merger {
	return &merger{
		d: d, hasher: rows.NewHasher(), have: make(map[uint64]*standing), won: make(map[string]*rows.Set), seen: make(map[string]*rows.Set), fresh: make(map[string]*rows.Set),
		stay: make(map[string]*rows.Set), unwritten: make(map[string]*rows.Set),
	}
}

// survey reads what the destination has of the types that the plan moves, and takes note of every id that is in use.
func (m *merger) survey(ctx context.Context) error {
	var err error
	if m.theirs, err = m.d.newBuilder(ctx); err != nil {
		return err
	}
	m.theirs.Verbatim = true
	for _, t := range m.d.catalogue.Model.Types {
		if t.Component { // also those that belong to nothing
			if err := m.take(ctx, t); err != nil {
				return err
			}
		}
	}
	var batch rows.Batch
	reader := read.New(m.d.site.db, m.d.tx, m.d.catalogue)
	return reader.Entities(ctx, 0, func(records []transfer.Record) error {
		for _, r := range records {
			e, ok := r.(transfer.Entity)
			if !ok {
				continue
			}
			if err := m.look(&batch, e); err != nil {
				return err
			}
		}
		return context.Cause(ctx)
	})
}

// take takes note of the ids that a table has given away.
func (m *merger) take(ctx context.Context, t *model.Type) error {
	result, err := m.d.tx.Query(ctx, "SELECT "+m.d.quote(model.ID)+" FROM "+m.d.quote(t.Table))
	if err != nil {
		return err
	}
	for result.Next() {
		if id, ok := database.Int(result.Values()[0]); ok {
			m.d.builder.Type(t.UID).IDs.Take(id)
		}
	}
	return closing(result)
}

// look takes note of one row of the destination.
func (m *merger) look(batch *rows.Batch, e transfer.Entity) error {
	id, ok := e.ID.Int()
	if !ok {
		return nil
	}
	m.d.builder.Type(e.Type).IDs.Take(id)
	batch.Reset()
	if err := m.theirs.Build(batch, e, id); err != nil {
		return fmt.Errorf("the destination's own row: %w", err)
	}
	identity, err := m.d.converter().Identify(e)
	if err != nil {
		return err
	}
	parts := partsOf(batch.Rows)
	key := m.hasher.Key(e.Type, identity, "")
	if key == 0 || m.have[key] != nil {
		return nil // without an identity, or with that of another: nothing is the same as this
	}
	m.have[key] = &standing{
		id: id, sum: m.sum(batch.Rows), updated: identity.Updated, parts: int32(len(m.parts)), n: int32(len(parts)), //nolint:gosec // bounded by memory
	}
	m.parts = append(m.parts, parts...)
	return nil
}

// partsOf lists the components of an entity in the order of their paths.
func partsOf(entity []rows.Row) []part {
	type at struct {
		path string
		part
	}
	var all []at
	for _, row := range entity {
		if row.Table.Type == nil || row.Path == "" {
			continue
		}
		id, _ := row.Values[0].(int64)
		all = append(all, at{row.Path, part{row.Table.Type.Model.UID, id}})
	}
	slices.SortStableFunc(all, func(a, b at) int { return strings.Compare(a.path, b.path) })
	out := make([]part, len(all))
	for i := range all {
		out[i] = all[i].part
	}
	return out
}

// sum is a short sum of what the database holds of an entity. Where a file is kept is a matter of each site.
func (m *merger) sum(entity []rows.Row) uint64 {
	return m.hasher.Sum(m.d.converter(), entity, func(t *model.Type, attribute string) bool {
		return t.UID == typeFile && ownField(attribute)
	}, func(t *model.Type, attribute, text string) string {
		if t.UID == typeFile && attribute == "formats" {
			return withoutURLs(text)
		}
		return text
	})
}

// ownField reports whether a field of a file says where this site keeps it.
func ownField(attribute string) bool {
	switch attribute {
	case "url", "provider", "provider_metadata":
		return true
	}
	return false
}

// withoutURLs removes the urls from the formats of a file.
func withoutURLs(formats string) string {
	if formats == "" || formats[0] != '{' {
		return formats
	}
	out := []byte{'{'}
	err := rows.EachMember(formats, func(name, value string) error {
		if value[0] == '{' {
			inner := []byte{'{'}
			err := rows.EachMember(value, func(name, value string) error {
				if name != "url" && name != "path" {
					inner = appendMember(inner, name, value)
				}
				return nil
			})
			if err != nil {
				return err
			}
			value = string(append(inner, '}'))
		}
		out = appendMember(out, name, value)
		return nil
	})
	if err != nil {
		return formats
	}
	return string(append(out, '}'))
}

func addTo(sets map[string]*rows.Set, uid string, id int64) {
	if sets[uid] == nil {
		sets[uid] = new(rows.Set)
	}
	sets[uid].Add(id)
}

func in(sets map[string]*rows.Set, uid string, id int64) bool {
	return sets[uid] != nil && sets[uid].Has(id)
}
