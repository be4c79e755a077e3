//go:build unix

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	manyRows  = 100_000
	largeFile = 2 << 30
)

// trip is a way of content through the command: from a server into a file or folder, and from there into a server.
type trip struct {
	name    string
	content bulk
	to      string // file name, or "dir:" and a name
}

// BenchmarkPeakMemory moves one file of 2 GiB, and 100,000 entities of 1 KiB with 100,000 links, from and to a server that makes and
// discards them, and tells the memory that the command needed.
func BenchmarkPeakMemory(b *testing.B) {
	for _, t := range []trip{
		{name: "asset=2GiB/tar.gz", content: bulk{asset: largeFile}, to: "site.tar.gz"},
		{name: "asset=2GiB/folder", content: bulk{asset: largeFile}, to: "dir:site"},
		{name: "rows=100000/tar.gz", content: bulk{rows: manyRows}, to: "site.tar.gz"},
		{name: "rows=100000/folder", content: bulk{rows: manyRows}, to: "dir:site"},
		{name: "rows=100000/tar.gz.age", content: bulk{rows: manyRows}, to: "site.tar.gz.age"},
	} {
		b.Run(t.name, func(b *testing.B) {
			runner := startBulk(b, t.content)
			endpoint := t.endpoint(b.TempDir())
			b.Run("pull", func(b *testing.B) {
				benchmarkTransfer(b, t.content, func() usage {
					return measure(b, []string{"pull", "--quiet", "--yes", "--to", endpoint}, runner.from(), t.key())
				})
			})
			b.Run("push", func(b *testing.B) {
				benchmarkTransfer(b, t.content, func() usage {
					u := measure(b, []string{"push", "--quiet", "--yes", "--from", endpoint}, runner.to(), t.key())
					runner.requirePushed(b)
					return u
				})
			})
		})
	}
	b.Run("rows=100000/remote to remote with --verify", func(b *testing.B) {
		content := bulk{rows: manyRows}
		source, destination := startBulk(b, content), startBulk(b, content)
		benchmarkTransfer(b, content, func() usage {
			u := measure(b, []string{"push", "--quiet", "--yes", "--verify"}, source.from(), destination.to())
			destination.requirePushed(b)
			return u
		})
	})
}

// endpoint names the trip's file or folder below dir.
func (t trip) endpoint(dir string) string {
	if name, ok := strings.CutPrefix(t.to, "dir:"); ok {
		return "dir:" + filepath.Join(dir, name)
	}
	return filepath.Join(dir, t.to)
}

func (t trip) key() []string {
	if filepath.Ext(t.to) == ".age" {
		return []string{"--key", archiveKey}
	}
	return nil
}

func benchmarkTransfer(b *testing.B, content bulk, transfer func() usage) {
	b.Helper()
	var worst, total usage
	runs := 0
	for b.Loop() {
		u := transfer()
		worst.Peak = max(worst.Peak, u.Peak)
		total.Elapsed += u.Elapsed
		runs++
	}
	seconds := total.Elapsed.Seconds() / float64(runs)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(seconds, "s")
	b.ReportMetric(mebibytes(worst.Peak), "peak-MiB")
	if content.asset > 0 {
		b.ReportMetric(mebibytes(content.asset)/seconds, "MiB/s")
	} else {
		b.ReportMetric(float64(2*content.rows)/seconds, "rows/s")
	}
}

// maxPeak is the memory that no transfer may need more of, whatever it moves.
const maxPeak = 96 << 20

// TestConformancePeakMemory moves much with little memory: real transfers by the built command, each from a server into an archive
// and from there into a server. It needs no Strapi, but is too slow for every day with the race detector.
func TestConformancePeakMemory(t *testing.T) {
	if os.Getenv("TRANSFER_CONFORMANCE") == "" {
		t.Skip("set TRANSFER_CONFORMANCE=1 to measure memory")
	}
	t.Parallel()
	for _, trip := range []trip{
		{name: "one large file", content: bulk{asset: 512 << 20}, to: "site.tar"},
		{name: "many rows", content: bulk{rows: manyRows}, to: "site.tar.gz"},
	} {
		t.Run(trip.name, func(t *testing.T) {
			runner := startBulk(t, trip.content)
			endpoint := trip.endpoint(t.TempDir())
			pull := measure(t, []string{"pull", "--quiet", "--to", endpoint}, runner.from())
			push := measure(t, []string{"push", "--quiet", "--yes", "--from", endpoint}, runner.to())
			runner.requirePushed(t)
			t.Logf("pull %.1f MiB in %s, push %.1f MiB in %s", mebibytes(pull.Peak), pull.Elapsed, mebibytes(push.Peak), push.Elapsed)
			require.Less(t, pull.Peak, int64(maxPeak), "bytes of memory to pull")
			require.Less(t, push.Peak, int64(maxPeak), "bytes of memory to push")
		})
	}
}
