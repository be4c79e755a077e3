package sitetest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
)

// Grow adds articles to the tables of [Sample]'s site, from id first on: each with four components, one of them nested, a category,
// a related article, and an owner. It is fast enough for a million.
func Grow(tb testing.TB, config database.Config, m *model.Model, first, articles int) {
	tb.Helper()
	db, err := database.Open(tb.Context(), config)
	require.NoError(tb, err)
	tx, err := db.Begin(tb.Context(), database.TxOptions{Unchecked: true})
	require.NoError(tb, err)
	g := &grower{tb: tb, tx: tx, bulks: make(map[string]database.Bulk)}
	article, quote, seo := m.Type("api::article.article"), m.Type("shared.quote"), m.Type("shared.seo")
	g.open(article.Table, columns(article))
	g.open(quote.Table, columns(quote))
	g.open(seo.Table, columns(seo))
	zone := []string{model.ZoneEntity, model.ZoneComponent, model.ZoneType, model.ZoneField, model.ZoneOrder}
	g.open(article.ZoneTable, zone)
	g.open(seo.ZoneTable, zone)
	of, related := article.Relation("category"), article.Relation("related")
	g.open(of.Table, []string{of.Left, of.Right, of.InverseOrder})
	g.open(related.Table, []string{related.Left, related.Right, related.Order})

	body := `[{"type":"paragraph","children":[{"type":"text","text":"` + strings.Repeat("lantern ", 20) + `"}]}]`
	var at any = "2024-03-01 10:11:12.345"
	if config.Kind == database.SQLite {
		at = int64(1709287872345)
	}
	for id := int64(first); id < int64(first+articles); id++ {
		document := fmt.Sprintf("document%016d", id)
		g.add(article.Table, id, document, fmt.Sprintf("Article number %d", id), id<<40, body, 1.5*float64(id), 12.5, id%1000, true, "2024-02-29", "13:14:15.123", at, at, at, "en")
		g.add(seo.Table, id, "Search me")
		for n := range int64(3) {
			g.add(quote.Table, id*3+n, "Quoth the raven, nevermore, and flew away into the night")
		}
		g.add(article.ZoneTable, id, id, seo.UID, "seo", nil)
		g.add(article.ZoneTable, id, id*3+1, quote.UID, "sections", 1.0)
		g.add(article.ZoneTable, id, id*3+2, quote.UID, "sections", 2.0)
		g.add(seo.ZoneTable, id, id*3, quote.UID, "links", 1.0)
		g.add(of.Table, id, int64(1), float64(id))
		g.add(related.Table, id, int64(first)+(id*7919)%(id-int64(first)+1), 1.0)
	}
	g.close()
	require.NoError(tb, tx.Commit(tb.Context()))
	require.NoError(tb, tx.Close())
	require.NoError(tb, db.Close())
}

func columns(t *model.Type) []string {
	names := []string{model.ID}
	for _, c := range t.Columns {
		names = append(names, c.Name)
	}
	return names
}

type grower struct {
	tb    testing.TB
	tx    *database.Tx
	order []string
	bulks map[string]database.Bulk
}

func (g *grower) open(table string, columns []string) {
	g.tb.Helper()
	b, err := g.tx.Insert(g.tb.Context(), table, columns)
	require.NoError(g.tb, err)
	g.bulks[table] = b
	g.order = append(g.order, table)
}

func (g *grower) add(table string, values ...any) {
	g.tb.Helper()
	if g.bulks[table].Add(values) {
		g.flush()
	}
}

// flush hands everything over in the order in which tables refer to each other.
func (g *grower) flush() {
	g.tb.Helper()
	for _, table := range g.order {
		require.NoError(g.tb, g.bulks[table].Flush(g.tb.Context()))
	}
}

func (g *grower) close() {
	g.tb.Helper()
	g.flush()
	for _, b := range g.bulks {
		require.NoError(g.tb, b.Close())
	}
}
