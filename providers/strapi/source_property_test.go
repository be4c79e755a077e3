package strapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// TestSourceReadsAnySite writes sites of any schemas and content into tables, and reads back the same words.
func TestSourceReadsAnySite(t *testing.T) {
	t.Parallel()
	anySite(t, 1, func(t *testing.T, rt *rapid.T, opts strapi.Options, site *transfertest.Site) {
		sitetest.Load(t, opts.Database, site)
		s, err := strapi.Open(t.Context(), opts)
		require.NoError(rt, err)
		src, err := s.Source(t.Context())
		require.NoError(rt, err)
		got := transfertest.ReadSite(t, src)
		require.NoError(rt, src.Close())
		require.NoError(rt, s.Close())
		for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageLinks} {
			require.Equal(rt, sortedLines(site.Records[stage]), sortedLines(got.Records[stage]))
		}
		require.Empty(rt, src.Skipped())
	})
}
