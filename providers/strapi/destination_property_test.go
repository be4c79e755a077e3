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

// TestDestinationKeepsAnySite restores sites of any schemas and content, also over themselves, and reads back the same words. Merging
// one into itself writes nothing.
func TestDestinationKeepsAnySite(t *testing.T) {
	t.Parallel()
	anySite(t, 3, func(t *testing.T, rt *rapid.T, opts strapi.Options, site *transfertest.Site) {
		sitetest.Tables(t, opts.Database, site.Schemas(t), nil)
		var r recorder
		for i, write := range []strapi.WriteOptions{{}, {}, {Merge: true}} {
			if i == 2 {
				opts.Database.Hook = r.hook
			}
			writeSite(t, rt, opts, site, write, transfer.Options{})
			got := sourceOf(t, opts, func(src transfer.Source) *transfertest.Site { return transfertest.ReadSite(t, src) })
			for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageLinks} {
				require.Equal(rt, sortedLines(site.Records[stage]), sortedLines(got.Records[stage]))
			}
		}
		require.Empty(rt, r.statements)
	})
}

// writeSite writes a site into a database, and looks whether every foreign key holds afterwards.
func writeSite(t *testing.T, rt *rapid.T, opts strapi.Options, site *transfertest.Site, write strapi.WriteOptions, run transfer.Options) {
	t.Helper()
	s, err := strapi.Open(t.Context(), opts)
	require.NoError(rt, err)
	dst, err := s.Destination("test", write)
	require.NoError(rt, err)
	_, err = transfer.Run(t.Context(), transfertest.NewMemory(site), dst, run)
	require.NoError(rt, err)
	require.NoError(rt, dst.Close())
	require.NoError(rt, s.Close())
	require.Empty(rt, violations(t, opts.Database))
}

// sourceOf reads what a database holds.
func sourceOf[T any](t *testing.T, opts strapi.Options, read func(transfer.Source) T) T {
	t.Helper()
	opts.Database.Hook = nil
	s, err := strapi.Open(t.Context(), opts)
	require.NoError(t, err)
	src, err := s.Source(t.Context())
	require.NoError(t, err)
	got := read(src)
	require.NoError(t, src.Close())
	require.NoError(t, s.Close())
	return got
}
