//go:build unix

package main_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// slow are the flags that make a stage last long enough to be interrupted, and no other stage longer than it must be.
func slow(stage transfer.Stage) []string {
	switch stage {
	case transfer.StageEntities:
		return []string{"--throttle", "40"}
	case transfer.StageAssets:
		return []string{"--only", "content,files", "--max-rate", "700KiB/s"}
	case transfer.StageLinks:
		return []string{"--throttle", "4"}
	case transfer.StageConfiguration:
		return []string{"--only", "config", "--throttle", "80"}
	case transfer.StageSchemas:
	}
	return nil
}

// during calls strike once, when a stage is well under way.
func during(stage transfer.Stage, strike func(*os.Process)) func(*os.Process, event) bool {
	struck := false
	return func(process *os.Process, e event) bool {
		under := e.Event == string(transfer.EventStageProgress) && e.Records > 0 || stage == transfer.StageAssets && e.Event == string(transfer.EventStageStarted)
		if struck || e.Stage != stage || !under {
			return false
		}
		struck = true
		strike(process)
		return true
	}
}

var contentStages = []transfer.Stage{transfer.StageEntities, transfer.StageAssets, transfer.StageLinks, transfer.StageConfiguration}

// requireOldContent requires the rows and the configuration from before, and the uploaded files as far as a stock server keeps
// them: they are not part of its transaction. It moves them to a backup folder at the start, and deletes that once it has
// all files of the transfer.
func requireOldContent(t *testing.T, s *site, before strapitest.Graph, stage transfer.Stage) {
	t.Helper()
	after := s.Graph(t)
	sections := []strapitest.Section{strapitest.Rows, strapitest.Config, strapitest.Strays}
	if slices.Contains(slow(stage), "config") {
		sections = append(sections, strapitest.Files) // nothing was to happen to them
	}
	requireSame(t, before.Only(sections...), after.Only(sections...))
	if stage != transfer.StageEntities && stage != transfer.StageAssets {
		return
	}
	folders := append([]string{"uploads"}, s.Backups(t)...)
	for name := range before[strapitest.Files] {
		require.True(t, slices.ContainsFunc(folders, func(folder string) bool {
			_, err := os.Stat(s.Path("public", folder, name))
			return err == nil
		}), "%s is in none of %v", name, folders)
	}
}

// A server that dies in a stage of a push is reported within seconds, and holds the old content when it is back.
func TestConformanceDestinationKilled(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	archive, seeded, old := archiveAndAltered(t)
	for _, stage := range contentStages {
		t.Run(string(stage), func(t *testing.T) {
			destination := &site{Instance: old.Clone(t), token: old.token}
			before := destination.Graph(t)
			destination.Start(t)
			o := command{
				args: args([]string{"push", "--from", archive, "--yes", "--json"}, destination.to(), slow(stage)),
				hook: during(stage, func(*os.Process) { destination.Kill(t) }),
			}.run(t)
			require.Equal(t, 6, o.code, o.stderr)
			require.Less(t, o.elapsed, promptly)
			require.Contains(t, []transfer.State{transfer.StateUncertain, transfer.StateFilesGone, transfer.StateNewFiles}, o.summary(t).DestinationState)
			require.NotEmpty(t, o.summary(t).Advice)

			destination.Start(t)
			requireOldContent(t, destination, before, stage)
		})
	}

	t.Run("commit", func(t *testing.T) {
		destination := &site{Instance: old.Clone(t), token: old.token}
		before := destination.Graph(t)
		destination.Start(t)
		o := command{
			args: args([]string{"push", "--from", archive, "--yes", "--json"}, destination.to()),
			hook: func(_ *os.Process, e event) bool {
				if e.Event == string(transfer.EventPhase) && e.Item == "committing" {
					destination.Kill(t)
					return true
				}
				return false
			},
		}.run(t)
		require.Contains(t, []int{0, 6, 11}, o.code, o.stderr)
		require.Less(t, o.elapsed, promptly)

		destination.Start(t)
		if o.code == 6 || o.code == 11 && strapitest.Diff(before.Only(strapitest.Rows), destination.Graph(t).Only(strapitest.Rows)) == "" {
			requireOldContent(t, destination, before, "")
			return
		}
		requireSame(t, seeded, destination.Graph(t))
	})
}

// archiveAndAltered makes an archive of the seeded content, and a stopped site whose content is another.
func archiveAndAltered(t *testing.T) (archive string, seeded strapitest.Graph, old *site) {
	t.Helper()
	source := newSite(t, strapitest.Options{Seed: true})
	archive = stockExport(t, source, "stock.tar", "--no-encrypt", "--no-compress")
	old = newSite(t, strapitest.Options{Seed: true})
	old.Alter(t)
	return archive, source.Graph(t), old
}

// A server that dies in a stage of a pull is reported within seconds, and leaves no archive.
func TestConformanceSourceKilled(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := newSite(t, strapitest.Options{Seed: true})
	before := source.Graph(t)
	for _, stage := range contentStages {
		t.Run(string(stage), func(t *testing.T) {
			source.Start(t)
			folder := t.TempDir()
			o := command{
				args: args([]string{"pull", "--to", filepath.Join(folder, "site.tar.gz"), "--json"}, source.from(), slow(stage)),
				hook: during(stage, func(*os.Process) { source.Kill(t) }),
			}.run(t)
			require.Equal(t, 6, o.code, o.stderr)
			require.Less(t, o.elapsed, promptly)
			requireEmptyFolder(t, folder)
		})
	}
	requireSame(t, before, source.Graph(t))
}

// An interrupted push is rolled back by a server that goes on, and takes the next push as if nothing had been.
func TestConformanceInterrupted(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	archive, seeded, old := archiveAndAltered(t)
	for _, stage := range contentStages {
		t.Run(string(stage), func(t *testing.T) {
			destination := &site{Instance: old.Clone(t), token: old.token}
			before := destination.Graph(t)
			destination.Start(t)
			o := command{
				args: args([]string{"push", "--from", archive, "--yes", "--json"}, destination.to(), slow(stage)),
				hook: during(stage, func(process *os.Process) { require.NoError(t, process.Signal(os.Interrupt)) }),
			}.run(t)
			require.Equal(t, 130, o.code, o.stderr)
			require.Less(t, o.elapsed, promptly)
			require.True(t, destination.Running())
			requireOldContent(t, destination, before, stage)

			must(t, []string{"push", "--from", archive, "--yes", "--json"}, destination.to())
			requireSame(t, seeded, destination.Graph(t))
		})
	}

	t.Run("pull", func(t *testing.T) {
		old.Start(t)
		folder := t.TempDir()
		o := command{
			args: args([]string{"pull", "--to", filepath.Join(folder, "site.tar.gz"), "--json"}, old.from(), slow(transfer.StageEntities)),
			hook: during(transfer.StageEntities, func(process *os.Process) { require.NoError(t, process.Signal(os.Interrupt)) }),
		}.run(t)
		require.Equal(t, 130, o.code, o.stderr)
		require.Less(t, o.elapsed, promptly)
		requireEmptyFolder(t, folder)
	})
}
