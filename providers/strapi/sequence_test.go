package strapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// TestIDsGoOnAfterwards lets the database give an id in each of its tables, as Strapi does for whatever is made next: after a restore
// into a site whose ids are lower, and after a merge with one whose rows are others.
func TestIDsGoOnAfterwards(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]strapi.WriteOptions{"replace": {}, "merge": {Merge: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			databasetest.Each(t, func(t *testing.T, config database.Config) {
				p := load(t, config.Kind, former())
				for range 2 { // what a second one finds, the first has given out
					dst, err := p.site(t).Destination("test", opts)
					require.NoError(t, err)
					_, err = transfer.Run(t.Context(), transfertest.NewMemory(movable()), dst, transfer.Options{})
					require.NoError(t, err)
					require.NoError(t, dst.Close())
				}
				require.Empty(t, violations(t, p.options.Database))
				insertEverywhere(t, p.options.Database)
			})
		})
	}
}

// insertEverywhere inserts a row without values into each table.
func insertEverywhere(t *testing.T, config database.Config) {
	t.Helper()
	db, err := database.Open(t.Context(), config)
	require.NoError(t, err)
	snap, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	tables, err := snap.Tables(t.Context())
	require.NoError(t, err)
	require.NoError(t, snap.Close())
	require.GreaterOrEqual(t, len(tables), 15)
	nothing := " DEFAULT VALUES"
	if config.Kind == database.MySQL {
		nothing = " () VALUES ()"
	}
	for _, table := range tables {
		sitetest.Exec(t, config, "INSERT INTO "+db.Quote(table)+nothing+";\n")
	}
	require.NoError(t, db.Close())
}
