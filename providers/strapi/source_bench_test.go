package strapi_test

import (
	"fmt"
	"os"
	"runtime/metrics"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
)

// BenchmarkRead reads 10,000 articles with 40,000 components, and their links; TRANSFER_BENCH_ARTICLES makes it more.
func BenchmarkRead(b *testing.B) {
	articles := 10_000
	if text := os.Getenv("TRANSFER_BENCH_ARTICLES"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(b, err)
		articles = n
	}
	for _, kind := range databasetest.Kinds() {
		b.Run(string(kind), func(b *testing.B) {
			src := openGrown(b, kind, articles)
			for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageLinks} {
				b.Run(string(stage), func(b *testing.B) { benchmarkStage(b, src, stage) })
			}
		})
	}
}

func openGrown(tb testing.TB, kind database.Kind, articles int) *strapi.Source {
	tb.Helper()
	config := databasetest.New(tb, kind)
	sample := sitetest.Sample()
	m := sitetest.Load(tb, config, sample)
	sitetest.Grow(tb, config, m, 1000, articles)
	site, err := strapi.Open(tb.Context(), strapi.Options{Database: config, Schemas: sample.Schemas(tb)})
	require.NoError(tb, err)
	src, err := site.Source(tb.Context())
	require.NoError(tb, err)
	tb.Cleanup(func() {
		require.NoError(tb, src.Close())
		require.NoError(tb, site.Close())
	})
	return src
}

func benchmarkStage(b *testing.B, src transfer.Source, stage transfer.Stage) {
	b.Helper()
	b.ReportAllocs()
	var records, bytes int64
	var peak uint64
	for b.Loop() {
		records, bytes = 0, 0
		for item, err := range src.Read(b.Context(), stage, 0) {
			require.NoError(b, err)
			records++
			bytes += item.Record.Size()
			if records%1000 == 0 {
				peak = max(peak, heap())
			}
		}
	}
	b.SetBytes(bytes)
	b.ReportMetric(float64(records*int64(b.N))/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
}

// heap is how much memory the process holds.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64() + sample[1].Value.Uint64()
}

// TestSourceMemoryIsFlat reads many rows and looks at the heap.
func TestSourceMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 60,000 rows")
	}
	src := openGrown(t, database.SQLite, 60_000)
	var peak uint64
	records := 0
	for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageLinks} {
		for _, err := range src.Read(t.Context(), stage, 0) {
			require.NoError(t, err)
			if records++; records%1000 == 0 {
				peak = max(peak, heap())
			}
		}
	}
	require.Greater(t, records, 200_000)
	require.Less(t, peak, uint64(96<<20), fmt.Sprintf("%d MiB", peak>>20))
}
