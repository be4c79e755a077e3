//go:build unix

package strapi_test

import (
	"context"
	"iter"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
)

// replay is a source whose records were read before.
type replay struct {
	described transfer.Description
	records   map[transfer.Stage][]transfer.Record
}

func newReplay(tb testing.TB, src transfer.Source) *replay {
	tb.Helper()
	r := &replay{records: make(map[transfer.Stage][]transfer.Record)}
	var err error
	r.described, err = src.Describe(tb.Context())
	require.NoError(tb, err)
	for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageLinks} {
		for item, err := range src.Read(tb.Context(), stage, 0) {
			require.NoError(tb, err)
			r.records[stage] = append(r.records[stage], item.Record)
		}
	}
	return r
}

func (r *replay) Describe(context.Context) (transfer.Description, error) { return r.described, nil }

func (r *replay) Read(_ context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		for i := int(after); i < len(r.records[stage]); i++ {
			if !yield(transfer.Item{Record: r.records[stage][i], Cursor: transfer.Cursor(i + 1)}, nil) {
				return
			}
		}
	}
}

func (r *replay) Close() error { return nil }

// BenchmarkRestore writes 10,000 articles with 40,000 components, and their links, over a site of the same size;
// TRANSFER_BENCH_ARTICLES makes it more. The processor time is that of this process: a busy machine does not change it.
func BenchmarkRestore(b *testing.B) {
	articles := 10_000
	if text := os.Getenv("TRANSFER_BENCH_ARTICLES"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(b, err)
		articles = n
	}
	src := newReplay(b, openGrown(b, database.SQLite, articles))
	for _, kind := range databasetest.Kinds() {
		b.Run(string(kind), func(b *testing.B) {
			config := databasetest.New(b, kind)
			sample := sitetest.Sample()
			sitetest.Load(b, config, sample)
			site, err := strapi.Open(b.Context(), strapi.Options{Database: config, Schemas: sample.Schemas(b), Version: sample.Version})
			require.NoError(b, err)
			b.ReportAllocs()
			before := processor()
			stages := make(map[transfer.Stage]time.Duration)
			for b.Loop() {
				dst, err := site.Destination("bench", strapi.WriteOptions{})
				require.NoError(b, err)
				report, err := transfer.Run(b.Context(), src, dst, transfer.Options{
					Orphans: transfer.OrphansSkip, Versions: transfer.VersionIgnore,
					Filter: transfer.Filter{Only: []transfer.Group{transfer.GroupContent}},
				})
				require.NoError(b, err)
				require.NoError(b, dst.Close())
				for _, s := range report.Stages {
					stages[s.Stage] += s.Elapsed
				}
			}
			b.ReportMetric((processor()-before).Seconds()/float64(b.N), "cpu-s/op")
			for stage, elapsed := range stages {
				if elapsed > time.Millisecond {
					b.ReportMetric(elapsed.Seconds()/float64(b.N), string(stage)+"-s/op")
				}
			}
			require.NoError(b, site.Close())
		})
	}
}

// processor is how long this process has been computing.
func processor() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
