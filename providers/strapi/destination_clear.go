package strapi

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/rows"
	"github.com/transfer-runner/runner/transfer"
)

// clearer deletes what a restore replaces: the rows of content types, the components that belong to them, and what points at either.
//
// Strapi leaves polymorphic links to deleted rows behind. They would come to life again here, where new rows take the ids of old
// ones, so they go too.
type clearer struct {
	d       *Destination
	tx      *database.Tx
	model   *model.Model
	cleared map[string]bool      // content types
	gone    map[string]*rows.Set // ids of components
	whole   map[string]bool      // components of which no row stays
}

func newClearer(d *Destination) *clearer {
	return &clearer{
		d: d, tx: d.tx, model: d.catalogue.Model,
		cleared: make(map[string]bool), gone: make(map[string]*rows.Set), whole: make(map[string]bool),
	}
}

// replaces reports whether a restore deletes the rows of a content type, or of a table that Strapi keeps for itself.
func replaces(r transfer.Restore, uid string) bool {
	return (r.Include == nil || slices.Contains(r.Include, uid)) && !slices.Contains(r.Exclude, uid)
}

func (c *clearer) run(ctx context.Context) error {
	for _, t := range c.model.Types {
		if !t.Component && replaces(c.d.plan.Restore, t.UID) {
			c.cleared[t.UID] = true
		}
	}
	for _, step := range []func(context.Context) error{
		c.lock, c.collect, c.count, c.remember, c.clearRelations, c.clearZones, c.clearTypes, c.clearUnknown, c.clearSystem, c.keepIDs,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// remember looks at what points from content that stays to content that goes, and the other way round.
func (c *clearer) remember(ctx context.Context) error {
	for _, t := range c.model.Types {
		if len(c.cleared) > 0 && !t.Component && !c.cleared[t.UID] && !transfer.Protected(t.UID) {
			c.d.keeper = newKeeper(c.d)
			return c.d.keeper.remember(ctx, c)
		}
	}
	return nil
}

// lock keeps others from writing to the tables, though not from reading them. Elsewhere the deletions do that.
func (c *clearer) lock(ctx context.Context) error {
	if c.d.site.db.Kind() != database.Postgres || len(c.cleared) == 0 {
		return nil
	}
	var tables []string
	for _, t := range c.model.Types {
		if !t.Component && !c.cleared[t.UID] {
			continue
		}
		tables = append(tables, t.Table, t.ZoneTable)
		for _, r := range t.Relations {
			tables = append(tables, r.Table)
		}
	}
	slices.Sort(tables)
	var names []string
	for _, table := range slices.Compact(tables) {
		if table != "" {
			names = append(names, c.quote(table))
		}
	}
	_, err := c.tx.Exec(ctx, "LOCK TABLE "+strings.Join(names, ", ")+" IN SHARE ROW EXCLUSIVE MODE")
	return err
}

// collect finds the components that belong to what is cleared, whatever component they are nested in.
func (c *clearer) collect(ctx context.Context) error {
	var next []*model.Type
	for _, t := range c.model.Types {
		if c.cleared[t.UID] && t.ZoneTable != "" {
			next = append(next, t)
		}
	}
	for len(next) > 0 {
		grown := make(map[string]bool)
		for _, t := range next {
			if err := c.collectFrom(ctx, t, grown); err != nil {
				return err
			}
		}
		next = next[:0]
		for _, t := range c.model.Types {
			if grown[t.UID] && t.ZoneTable != "" {
				next = append(next, t)
			}
		}
	}
	return nil
}

// collectFrom reads which components the rows of a type hold that are going to be deleted.
func (c *clearer) collectFrom(ctx context.Context, t *model.Type, grown map[string]bool) error {
	result, err := c.tx.Query(ctx, fmt.Sprintf("SELECT %s, %s, %s, %s FROM %s", c.quote(model.ZoneEntity), c.quote(model.ZoneField),
		c.quote(model.ZoneType), c.quote(model.ZoneComponent), c.quote(t.ZoneTable)))
	if err != nil {
		return err
	}
	for result.Next() {
		row := result.Values()
		owner, ok1 := database.Int(row[0])
		id, ok2 := database.Int(row[3])
		z := t.Zone(database.Text(row[1]))
		if !ok1 || !ok2 || z == nil || t.Component && !c.has(t.UID, owner) {
			continue
		}
		uid := z.Components[0]
		if z.Dynamic {
			uid = database.Text(row[2])
		}
		if m := c.model.Type(uid); m == nil || !m.Component {
			continue // a component that the site no longer has
		}
		if c.gone[uid] == nil {
			c.gone[uid] = new(rows.Set)
		}
		if c.gone[uid].Add(id) {
			grown[uid] = true
		}
	}
	return closing(result)
}

func (c *clearer) has(uid string, id int64) bool { return c.gone[uid] != nil && c.gone[uid].Has(id) }

// count finds out of which components nothing stays: their tables can be emptied at once.
func (c *clearer) count(ctx context.Context) error {
	for uid, ids := range c.gone {
		all, err := c.tx.All(ctx, "SELECT count(*) FROM "+c.quote(c.model.Type(uid).Table))
		if err != nil {
			return err
		}
		n, _ := database.Int(all[0][0])
		c.whole[uid] = n <= ids.Len()
	}
	return nil
}

// clearRelations deletes the links from and to what is cleared.
func (c *clearer) clearRelations(ctx context.Context) error {
	for _, t := range c.model.Types {
		for i := range t.Relations {
			if err := c.clearRelation(ctx, t, &t.Relations[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *clearer) clearRelation(ctx context.Context, t *model.Type, r *model.Relation) error {
	switch r.Storage {
	case model.JoinTable:
		if c.cleared[r.Target] {
			return c.empty(ctx, r.Table)
		}
		return c.clearOwned(ctx, t, r.Table, r.Left)
	case model.MorphTable:
		if err := c.clearOwned(ctx, t, r.Table, r.Left); err != nil || c.cleared[t.UID] {
			return err
		}
		return c.clearPointers(ctx, r, func(where string, args ...any) error {
			_, err := c.tx.Exec(ctx, "DELETE FROM "+c.quote(r.Table)+" WHERE "+where, args...)
			return err
		})
	case model.JoinColumn:
		if r.Referenced != model.ID || !c.cleared[r.Target] || c.cleared[t.UID] {
			return nil
		}
		column := c.quote(r.Column)
		_, err := c.tx.Exec(ctx, "UPDATE "+c.quote(t.Table)+" SET "+column+" = NULL WHERE "+column+" IS NOT NULL")
		return err
	case model.MorphColumns:
		if c.cleared[t.UID] {
			return nil
		}
		return c.clearPointers(ctx, r, func(where string, args ...any) error {
			_, err := c.tx.Exec(ctx, fmt.Sprintf("UPDATE %s SET %s = NULL, %s = NULL WHERE %s", c.quote(t.Table),
				c.quote(r.IDColumn), c.quote(r.TypeColumn), where), args...)
			return err
		})
	}
	return nil
}

// clearOwned deletes the rows of a table that belong to the rows of a type that go.
func (c *clearer) clearOwned(ctx context.Context, t *model.Type, table, column string) error {
	switch ids := c.gone[t.UID]; {
	case c.cleared[t.UID], c.whole[t.UID]:
		return c.empty(ctx, table)
	case ids != nil:
		return c.deleteIDs(ctx, table, column, ids)
	}
	return nil
}

// clearPointers calls change with the conditions under which a polymorphic link points at something that goes.
func (c *clearer) clearPointers(ctx context.Context, r *model.Relation, change func(where string, args ...any) error) error {
	kind := c.quote(r.TypeColumn)
	for _, t := range c.model.Types {
		if c.cleared[t.UID] || c.whole[t.UID] {
			if err := change(kind+" = ?", t.UID); err != nil {
				return err
			}
		} else if ids := c.gone[t.UID]; ids != nil {
			err := eachChunk(ids, func(list string) error {
				return change(kind+" = ? AND "+c.quote(r.IDColumn)+" IN ("+list+")", t.UID)
			})
			if err != nil {
				return err
			}
		}
	}
	return context.Cause(ctx)
}

func (c *clearer) clearZones(ctx context.Context) error {
	for _, t := range c.model.Types {
		if t.ZoneTable == "" {
			continue
		}
		if err := c.clearOwned(ctx, t, t.ZoneTable, model.ZoneEntity); err != nil {
			return err
		}
	}
	return nil
}

func (c *clearer) clearTypes(ctx context.Context) error {
	for _, t := range c.model.Types {
		if err := c.clearOwned(ctx, t, t.Table, model.ID); err != nil {
			return err
		}
	}
	return nil
}

// keepIDs finds the ids of the components that stay: those of other content types, and those that belong to nothing.
func (c *clearer) keepIDs(ctx context.Context) error {
	for _, t := range c.model.Types {
		if !t.Component {
			continue
		}
		all, err := c.tx.All(ctx, "SELECT max("+c.quote(model.ID)+") FROM "+c.quote(t.Table))
		if err != nil {
			return err
		}
		if top, ok := database.Int(all[0][0]); ok {
			c.d.builder.Type(t.UID).IDs.Keep(top)
		}
	}
	return nil
}

func (c *clearer) empty(ctx context.Context, table string) error {
	_, err := c.tx.Exec(ctx, "DELETE FROM "+c.quote(table))
	return err
}

func (c *clearer) deleteIDs(ctx context.Context, table, column string, ids *rows.Set) error {
	return eachChunk(ids, func(list string) error {
		_, err := c.tx.Exec(ctx, "DELETE FROM "+c.quote(table)+" WHERE "+c.quote(column)+" IN ("+list+")")
		return err
	})
}

func (c *clearer) quote(name string) string { return c.d.quote(name) }

// eachChunk calls visit with lists of ids that a statement can hold.
func eachChunk(ids *rows.Set, visit func(list string) error) error {
	const most = 1000
	var list []byte
	n := 0
	for id := range ids.All() {
		if n > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendInt(list, id, 10)
		if n++; n == most {
			if err := visit(string(list)); err != nil {
				return err
			}
			list, n = list[:0], 0
		}
	}
	if n == 0 {
		return nil
	}
	return visit(string(list))
}

func closing(result *database.Rows) error {
	if err := result.Err(); err != nil {
		_ = result.Close() // what went wrong is said already
		return err
	}
	return result.Close()
}
