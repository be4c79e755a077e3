package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/transfer"
)

// What a project lacks itself ends a pull in the same way whether it is read directly or through a server.
func TestAServerTellsWhatItsProjectLacks(t *testing.T) {
	t.Parallel()
	project := labProjectOn(t, database.SQLite)
	from := project.dir
	entries, err := os.ReadDir(filepath.Join(from, "public", "uploads"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(from, "public", "uploads", entries[0].Name())))
	project.execute("PRAGMA foreign_keys = OFF", "INSERT INTO rel_as_friends_lnk (rel_a_id, inv_rel_a_id) SELECT min(id), 9000 FROM rel_as")
	s := startServe(t, filepath.Join(t.TempDir(), "data"), "--site", "shop="+from)
	for _, allowed := range []string{"0", "5"} {
		var results [2]summary
		for i, line := range [][]string{
			{"--from", from}, {"--from", strings.Replace(s.url, "/admin", "/shop/admin", 1), "--from-token", s.token},
		} {
			line = append(line, "--to", filepath.Join(t.TempDir(), "a.tar.gz"), "--json", "--allow-skipped", allowed)
			code, out, said := s.command(append([]string{"pull"}, line...)...)
			lines := strings.Split(strings.TrimSpace(out), "\n")
			require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &results[i]), out+said)
			require.Equal(t, map[string]int{"0": exitDamaged, "5": exitSkipped}[allowed], code, out+said)
		}
		require.Equal(t, results[0].Report.Skipped, results[1].Report.Skipped)
		require.NotEmpty(t, dangling(results[0].Report))
		require.Equal(t, dangling(results[0].Report), dangling(results[1].Report))
		for _, stage := range transfer.Stages() {
			require.Equal(t, results[0].stage(stage).Stored, results[1].stage(stage).Stored, stage)
		}
	}
}

// dangling are the links that a copy does without, because the original lacks their rows.
func dangling(r *transfer.Report) []transfer.Skip {
	return slices.DeleteFunc(slices.Clone(r.Excluded), func(s transfer.Skip) bool {
		return s.Stage != transfer.StageLinks || !strings.Contains(s.Reason, "not the row at its end")
	})
}
