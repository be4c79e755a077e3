//go:build unix

package strapi_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
)

// restoreStream moves what a source yields into a site, and returns how much memory it took at its peak.
func restoreStream(tb testing.TB, site *strapi.Site, src transfer.Source) (report transfer.Report, peak uint64) {
	tb.Helper()
	dst, err := site.Destination("test", strapi.WriteOptions{})
	require.NoError(tb, err)
	report, err = transfer.Run(tb.Context(), src, dst, transfer.Options{
		Orphans: transfer.OrphansSkip, Versions: transfer.VersionIgnore,
		Filter:  transfer.Filter{Only: []transfer.Group{transfer.GroupContent}},
		Observe: func(transfer.Event) { peak = max(peak, heap()) },
	})
	require.NoError(tb, err)
	peak = max(peak, heap())
	require.NoError(tb, dst.Close())
	return report, peak
}

// emptySite is the sample's site, whose content is replaced.
func emptySite(tb testing.TB, config database.Config) *strapi.Site {
	tb.Helper()
	sample := sitetest.Sample()
	sitetest.Load(tb, config, sample)
	site, err := strapi.Open(tb.Context(), strapi.Options{Database: config, Schemas: sample.Schemas(tb), Version: sample.Version})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, site.Close()) })
	return site
}

// TestRestoreMemoryIsFlat moves many rows from one database into another and looks at the heap.
func TestRestoreMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100,000 rows")
	}
	src := openGrown(t, database.SQLite, 20_000)
	report, peak := restoreStream(t, emptySite(t, databasetest.New(t, database.SQLite)), src)
	require.Greater(t, stored(report), int64(60_000))
	require.Less(t, peak, uint64(128<<20), "%d MiB", peak>>20)
}

func stored(report transfer.Report) (n int64) {
	for _, s := range report.Stages {
		n += s.Stored
	}
	return n
}

// BenchmarkRestoreMany moves 100,000 articles with 400,000 components, and their links, from one SQLite database into another, which
// holds as many from the second time on; TRANSFER_BENCH_ARTICLES makes it more. It tells how much memory that takes, of which the heap must
// not grow with the articles.
func BenchmarkRestoreMany(b *testing.B) {
	articles := 100_000
	if text := os.Getenv("TRANSFER_BENCH_ARTICLES"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(b, err)
		articles = n
	}
	src := openGrown(b, database.SQLite, articles)
	site := emptySite(b, databasetest.New(b, database.SQLite))
	before := processor()
	var most uint64
	var rows int64
	for b.Loop() {
		report, peak := restoreStream(b, site, src)
		most, rows = max(most, peak), rows+stored(report)
	}
	b.ReportMetric((processor()-before).Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(most)/(1<<20), "heap-MiB")
	require.Less(b, most, uint64(128<<20), "%d MiB", most>>20)
}
