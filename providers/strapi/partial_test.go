package strapi_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
)

// TestLinksOutliveAPartialRestore replaces one content type of a copy of the golden site, whose links lead to and from all others: by
// identity every one of them must be there afterwards, although the ids of what stays are others than at the source.
func TestLinksOutliveAPartialRestore(t *testing.T) {
	t.Parallel()
	for name, filter := range map[string]transfer.Filter{
		"a type that links to others":        {OnlyTypes: []string{"api::rel-a.rel-a"}},
		"a type that others link to":         {OnlyTypes: []string{"api::rel-b.rel-b"}},
		"all but the library, with pictures": {Exclude: []transfer.Group{transfer.GroupMediaLibrary}},
		"a type with components":             {OnlyTypes: []string{"api::kitchen-sink.kitchen-sink"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databasetest.Each(t, func(t *testing.T, config database.Config) {
				a, b := labProject(t, config.Kind), labProject(t, config.Kind)
				a.exact(t)
				b.exact(t)
				b.renumber(t)
				want := digest(t, a)
				require.Empty(t, want.Compare(digest(t, b), 100))
				report, err := run(t, a, b, transfer.Options{Filter: filter}, strapi.WriteOptions{})
				require.NoError(t, err, "%v", report.Skipped)
				require.Empty(t, report.Skipped)
				if config.Kind == database.SQLite {
					require.Empty(t, violations(t, b.options.Database))
				}
				require.Empty(t, want.Compare(digest(t, b), 100))
			})
		})
	}
}

// renumber gives the rows of an SQLite site other ids, and everything that points at them.
func (p project) renumber(t *testing.T) {
	t.Helper()
	if p.options.Database.Kind != database.SQLite {
		return
	}
	m, err := model.New(sitetest.LabSchemas(t), nil)
	require.NoError(t, err)
	moved := []string{"api::rel-a.rel-a", "api::rel-b.rel-b", "api::kitchen-sink.kitchen-sink", "plugin::upload.file"}
	var script strings.Builder
	script.WriteString("PRAGMA foreign_keys = OFF;\n")
	shift := func(table, column, where string) {
		fmt.Fprintf(&script, "UPDATE %q SET %q = -%q - 1000%s;\nUPDATE %q SET %q = -%q WHERE %q < 0;\n", table, column, column, where, table, column, column, column)
	}
	for _, owner := range m.Types {
		if slices.Contains(moved, owner.UID) {
			shift(owner.Table, "id", "")
			if owner.ZoneTable != "" {
				shift(owner.ZoneTable, model.ZoneEntity, "")
			}
		}
		for _, r := range owner.Relations {
			if r.Table != "" && slices.Contains(moved, owner.UID) {
				shift(r.Table, r.Left, "")
			}
			switch table := cmp.Or(r.Table, owner.Table); {
			case r.TypeColumn != "":
				for _, uid := range moved {
					shift(table, r.IDColumn, fmt.Sprintf(" WHERE %q = '%s'", r.TypeColumn, uid))
				}
			case slices.Contains(moved, r.Target) && r.Storage == model.JoinTable:
				shift(table, r.Right, "")
			case slices.Contains(moved, r.Target) && r.Referenced == model.ID:
				shift(table, r.Column, "")
			}
		}
	}
	sitetest.Exec(t, p.options.Database, script.String())
}
