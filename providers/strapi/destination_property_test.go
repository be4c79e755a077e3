package strapi_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// TestDestinationKeepsAnySite restores sites of any schemas and content and reads back the same words; merging one into what is left
// of it gives it back too, and once more changes nothing.
func TestDestinationKeepsAnySite(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		site := sitetest.Generate(rt)
		path := filepath.Join(folder, "data.db")
		require.NoError(rt, os.WriteFile(path, nil, 0o600))
		config := database.Config{Kind: database.SQLite, Path: path}
		sitetest.Tables(t, config, site.Schemas(t), nil)
		opts := strapi.Options{Database: config, Schemas: site.Schemas(t), Version: site.Version}
		check := func(write strapi.WriteOptions) {
			s, err := strapi.Open(t.Context(), opts)
			require.NoError(rt, err)
			dst, err := s.Destination("test", write)
			require.NoError(rt, err)
			_, err = transfer.Run(t.Context(), transfertest.NewMemory(site), dst, transfer.Options{})
			require.NoError(rt, err)
			require.NoError(rt, dst.Close())
			require.Empty(rt, violations(t, config))
			src, err := s.Source(t.Context())
			require.NoError(rt, err)
			got := transfertest.ReadSite(t, src)
			require.NoError(rt, src.Close())
			require.NoError(rt, s.Close())
			for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageLinks} {
				require.Equal(rt, sortedLines(site.Records[stage]), sortedLines(got.Records[stage]))
			}
		}
		check(strapi.WriteOptions{})
		check(strapi.WriteOptions{}) // over itself
		var r recorder
		opts.Database.Hook = r.hook
		check(strapi.WriteOptions{Merge: true})
		require.Empty(rt, r.statements)
		require.NoError(rt, os.Remove(path))
	})
}

// violations are the rows of an SQLite database that refer to rows which are not there: a restore turns its foreign keys off.
func violations(t *testing.T, config database.Config) [][]any {
	t.Helper()
	config.Hook = nil
	db, err := database.Open(t.Context(), config)
	require.NoError(t, err)
	snap, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	all, err := snap.All(t.Context(), "PRAGMA foreign_key_check")
	require.NoError(t, err)
	require.NoError(t, errors.Join(snap.Close(), db.Close()))
	return all
}
