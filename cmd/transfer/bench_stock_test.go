//go:build unix

package main_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// uploadMany is a script that uploads as many files of random bytes, of so many bytes each, as its arguments say.
const uploadMany = `
const { randomBytes } = require('crypto');
const { mkdtempSync, rmSync, writeFileSync } = require('fs');
const { tmpdir } = require('os');
const { join } = require('path');
require('./boot')(async (strapi) => {
  const [count, size] = process.argv.slice(2).map(Number);
  const folder = mkdtempSync(join(tmpdir(), 'strapitest-'));
  const filepath = join(folder, 'upload');
  for (let i = 0; i < count; i += 1) {
    writeFileSync(filepath, randomBytes(size));
    const name = 'large ' + i + '.bin';
    const file = { filepath, originalFilename: name, mimetype: 'application/octet-stream', size };
    await strapi.plugin('upload').service('upload').upload({ data: { fileInfo: { name } }, files: file });
  }
  rmSync(folder, { recursive: true });
});
`

// BenchmarkAgainstStock moves the same content with this command and with the stock ones, in turn, and tells wall time, CPU time and
// memory of the client of both. The content is the one of the conformance tests with 200 files of 1 MB.
func BenchmarkAgainstStock(b *testing.B) {
	strapitest.Require(b)
	source := strapitest.New(b, strapitest.Options{Seed: true})
	source.Script(b, uploadMany, "200", "1000000")
	token := source.Token(b, strapitest.Forever, "pull", "push")
	destination := source.Clone(b) // with the same content, so that every push replaces as much
	from := []string{"--from", source.URL(), "--from-token", token}
	to := []string{"--to", destination.URL(), "--to-token", token}
	archive := filepath.Join(b.TempDir(), "site.tar.gz")

	source.Start(b)
	measure(b, []string{"pull", "--quiet", "--to", archive}, from)
	export := func(b *testing.B, name string, flags ...string) {
		b.Helper()
		folder := b.TempDir()
		compare(b,
			func() usage {
				return measure(b, []string{"pull", "--quiet", "--yes", "--to", filepath.Join(folder, "ours"+name)}, from)
			},
			func() usage {
				return stock(b, source, args([]string{"export", "-f", filepath.Join(folder, "stock")}, flags)...)
			},
		)
	}
	b.Run("pull to .tar.gz", func(b *testing.B) { export(b, ".tar.gz", "--no-encrypt") })
	b.Run("pull to .tar", func(b *testing.B) { export(b, ".tar", "--no-encrypt", "--no-compress") })
	source.Stop(b)

	destination.Start(b)
	b.Run("push", func(b *testing.B) {
		compare(b,
			func() usage { return measure(b, []string{"push", "--quiet", "--yes", "--from", archive}, to) },
			func() usage { return stock(b, source, args([]string{"transfer", "--force"}, to)...) },
		)
	})
	destination.Stop(b)
	require.Empty(b, strapitest.Diff(source.Graph(b), destination.Graph(b)), "not everything was moved")
}

// stock runs the stock command line, which must succeed.
func stock(b *testing.B, instance *strapitest.Instance, args ...string) usage {
	b.Helper()
	result := instance.CLI(b, args...)
	require.NoError(b, result.Err, "strapi %s\n%s%s", args[0], result.Stdout, result.Stderr)
	u, err := usageOf(result.State, result.Elapsed)
	require.NoError(b, err)
	return u
}

// compare runs both in turn and reports the mean time and the largest memory of each, and how many times as much the stock takes.
func compare(b *testing.B, ours, theirs func() usage) {
	b.Helper()
	var own, other usage
	runs := 0
	for b.Loop() {
		for sum, transfer := range map[*usage]func() usage{&own: ours, &other: theirs} {
			u := transfer()
			sum.Elapsed += u.Elapsed
			sum.CPU += u.CPU
			sum.Peak = max(sum.Peak, u.Peak)
		}
		runs++
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(own.Elapsed.Seconds()/float64(runs), "s")
	b.ReportMetric(other.Elapsed.Seconds()/float64(runs), "stock-s")
	b.ReportMetric(other.Elapsed.Seconds()/own.Elapsed.Seconds(), "x-faster")
	b.ReportMetric(own.CPU.Seconds()/float64(runs), "cpu-s")
	b.ReportMetric(other.CPU.Seconds()/float64(runs), "stock-cpu-s")
	b.ReportMetric(mebibytes(own.Peak), "peak-MiB")
	b.ReportMetric(mebibytes(other.Peak), "stock-peak-MiB")
	b.ReportMetric(float64(other.Peak)/float64(own.Peak), "x-less-memory")
}
