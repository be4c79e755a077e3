package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/transfer"
)

// What a project leaves out of a push ends it in the same way whether it is written directly or through a server: with the same account
// and the same exit code, and it is committed or not.
func TestAServerTellsWhatItsProjectLeavesOut(t *testing.T) {
	t.Parallel()
	const lessFriends = `UPDATE strapi_core_store_settings SET value = json_remove(value, '$."api::rel-a.rel-a".attributes.friends') WHERE key = 'strapi_content_types_schema'`
	for name, test := range map[string]struct {
		target []string // statements on its database
		bare   bool     // the destination is a database without its files
		flags  []string
		code   int
		stage  transfer.Stage
		reason string
	}{
		"links of a field that it does not have": {
			target: []string{lessFriends}, flags: []string{"--schema-strategy", "ignore"},
			code: exitSkipped, stage: transfer.StageLinks, reason: "no such field",
		},
		"files when it is not known where they go": {bare: true, code: exitDamaged, stage: transfer.StageAssets, reason: "not known where"},
		"the same, accepted":                       {bare: true, flags: []string{"--allow-skipped", "1000"}, code: exitSkipped, stage: transfer.StageAssets, reason: "not known where"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := labProject(t)
			var results [2]summary
			for i := range results {
				target := labProjectOn(t, database.SQLite)
				target.execute(test.target...)
				to := target.dir
				before := contentOf(t, to)
				site, args := to, []string(nil)
				if test.bare {
					site = "sqlite:" + filepath.Join(to, ".tmp", "data.db")
					args = []string{"--schemas", to}
				}
				s, line := &served{t: t}, append([]string{"push", "--from", from, "--to", site, "--yes", "--json"}, test.flags...)
				if i == 1 {
					s = startServe(t, filepath.Join(t.TempDir(), "data"), append([]string{"--site", "shop=" + site}, args...)...)
					line[4] = strings.Replace(s.url, "/admin", "/shop/admin", 1)
					line = append(line, "--to-token", s.token)
				} else if test.bare {
					line = append(line, "--to-schemas", to)
				}
				code, out, said := s.command(line...)
				require.Equal(t, test.code, code, out+said)
				lines := strings.Split(strings.TrimSpace(out), "\n")
				require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &results[i]), out+said)
				if test.code == exitDamaged {
					require.Contains(t, results[i].Error, "--allow-skipped")
					require.Equal(t, transfer.StateRolledBack, results[i].State)
					require.Empty(t, before.Compare(contentOf(t, to), 20), "nothing was committed")
				} else {
					require.Equal(t, transfer.StateCommitted, results[i].State)
				}
			}
			local, remote := results[0].Report, results[1].Report
			require.NotEmpty(t, local.Skipped)
			require.True(t, slices.ContainsFunc(local.Skipped, func(s transfer.Skip) bool { return s.Stage == test.stage && strings.Contains(s.Reason, test.reason) }), "%v", local.Skipped)
			require.Equal(t, local.Skipped, remote.Skipped)
			for _, stage := range transfer.Stages() {
				require.Equal(t, results[0].stage(stage).Stored, results[1].stage(stage).Stored, stage)
			}
		})
	}
}
