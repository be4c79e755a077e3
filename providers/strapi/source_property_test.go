package strapi_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// TestSourceReadsAnySite writes sites of any schemas and content into tables, and reads back the same words.
func TestSourceReadsAnySite(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		site := sitetest.Generate(rt)
		n++
		path := filepath.Join(folder, "data.db")
		require.NoError(rt, os.WriteFile(path, nil, 0o600))
		config := database.Config{Kind: database.SQLite, Path: path}
		sitetest.Load(t, config, site)
		s, err := strapi.Open(t.Context(), strapi.Options{Database: config, Schemas: site.Schemas(t), Version: site.Version})
		require.NoError(rt, err)
		src, err := s.Source(t.Context())
		require.NoError(rt, err)
		got := transfertest.ReadSite(t, src)
		require.NoError(rt, src.Close())
		require.NoError(rt, s.Close())
		require.NoError(rt, os.Remove(path))
		for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageLinks} {
			require.Equal(rt, sortedLines(site.Records[stage]), sortedLines(got.Records[stage]))
		}
		require.Empty(rt, src.Skipped())
	})
	require.Positive(t, n)
}

func sortedLines(records []string) []string {
	records = append([]string{}, records...)
	slices.Sort(records)
	return records
}
