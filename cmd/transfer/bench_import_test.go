//go:build unix

package main_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// benchmarkImport replaces the content of a project by that of an archive of the same size, with this command and with the stock one, in
// turn, and tells how much faster it is as a whole and in the stages in which rows are written.
func benchmarkImport(b *testing.B, project *strapitest.Instance) {
	b.Helper()
	folder := b.TempDir()
	archive, report := filepath.Join(folder, "site.tar.gz"), filepath.Join(folder, "report.json")
	measure(b, []string{"push", "--quiet", "--yes", "--from", project.Path(), "--to", archive, "--no-encrypt"})
	own, stock := make(stageSeconds), make(stageSeconds)
	compare(b,
		func() usage {
			u := measure(b, []string{"push", "--quiet", "--yes", "--from", archive, "--to", project.Path(), "--report", report})
			own.add(reportedStages(b, report))
			return u
		},
		func() usage {
			result := project.CLI(b, "import", "-f", archive, "--force")
			require.NoError(b, result.Err, "strapi import\n%s%s", result.Stdout, result.Stderr)
			stock.add(printedStages(b, result.Stdout+result.Stderr))
			u, err := usageOf(result.State, result.Elapsed)
			require.NoError(b, err)
			return u
		},
	)
	for _, stage := range []string{"entities", "assets", "links"} {
		b.ReportMetric(own[stage]/float64(b.N), stage+"-s")
		b.ReportMetric(stock[stage]/float64(b.N), "stock-"+stage+"-s")
	}
	b.ReportMetric(stock.rows()/own.rows(), "rows-x-faster")
}

// add adds what the stages of another transfer took.
func (s stageSeconds) add(other stageSeconds) {
	for stage, seconds := range other {
		s[stage] += seconds
	}
}
