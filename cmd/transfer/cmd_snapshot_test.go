package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
)

// snapshotWorld is a world with a data folder and two snapshots of a site, of which the second has no files.
func snapshotWorld(t *testing.T) (w *world, first, second string) {
	t.Helper()
	w = newWorld(t)
	w.env["TRANSFER_DATA"] = w.path("data")
	backup := w.archive("backup.tar.gz")
	require.Equal(t, exitOK, w.run("push", "--from", backup, "--to", "vault:site"), w.err.String())
	require.Contains(t, w.err.String(), "vault:site")
	empty := w.path("empty")
	require.NoError(t, unpackSample(empty))
	require.NoError(t, os.RemoveAll(filepath.Join(empty, "assets")))
	require.NoError(t, os.WriteFile(filepath.Join(empty, "links", "links_00001.jsonl"), nil, 0o600))
	require.Equal(t, exitOK, w.run("push", "--from", "dir:"+empty, "--to", "vault:site"), w.err.String())

	require.Equal(t, exitOK, w.run("snapshot", "list", "--json"), w.err.String())
	var list snapshotList
	require.NoError(t, json.Unmarshal([]byte(w.out.String()), &list))
	require.Len(t, list.Snapshots, 2)
	require.EqualValues(t, 2, list.Stat.Snapshots)
	require.Less(t, list.Snapshots[1].AddedBytes, list.Snapshots[0].AddedBytes/4, "what was there is not kept twice")
	return w, list.Snapshots[0].ID, list.Snapshots[1].ID
}

func TestSnapshotsAreListedShownAndCompared(t *testing.T) {
	t.Parallel()
	w, first, second := snapshotWorld(t)
	require.Equal(t, exitOK, w.run("snapshot", "list", "site"))
	require.Contains(t, w.out.String(), "site@"+first)
	require.Contains(t, w.out.String(), "2 snapshots of 1 site")
	require.Equal(t, exitUsage, w.run("snapshot", "list", "site@"+first))
	require.Equal(t, exitUsage, w.run("snapshot", "list", "sight"))
	require.Contains(t, w.err.String(), `the vault has no site "sight"; it has site`)

	require.Equal(t, exitOK, w.run("snapshot", "show", "site@"+first))
	require.Contains(t, w.out.String(), "vault:site@"+first)
	require.Contains(t, w.out.String(), "plugin::upload.file")
	require.Equal(t, exitOK, w.run("snapshot", "show", "vault:site", "--json"))
	var s vault.Snapshot
	require.NoError(t, json.Unmarshal([]byte(w.out.String()), &s))
	require.Equal(t, second, s.ID)
	require.Equal(t, exitUsage, w.run("snapshot", "show", "other"))
	require.Contains(t, w.err.String(), "it has site")

	require.Equal(t, exitDifferent, w.run("snapshot", "diff", "site@"+first, "site"))
	require.Contains(t, w.out.String(), "only in A")
	require.Equal(t, exitDifferent, w.run("snapshot", "diff", "--json", "site@"+first, "site"))
	var d vault.Diff
	require.NoError(t, json.Unmarshal([]byte(w.out.String()), &d))
	require.Len(t, d.Files.Removed, 5)
	require.Equal(t, exitOK, w.run("snapshot", "diff", "site", "site"))
	require.Contains(t, w.out.String(), "the same content")
}

func TestASnapshotIsAnEndpoint(t *testing.T) {
	t.Parallel()
	w, first, _ := snapshotWorld(t)
	require.Equal(t, exitOK, w.run("inspect", "vault:site@"+first), w.err.String())
	require.Contains(t, w.out.String(), "vault:site@"+first)
	require.Equal(t, exitOK, w.run("diff", "--content", "vault:site@"+first, w.path("backup.tar.gz")), w.out.String())
	require.Equal(t, exitDifferent, w.run("diff", "--content", "vault:site", w.path("backup.tar.gz")))
	require.Equal(t, exitOK, w.run("snapshot", "export", "site@"+first, w.path("out.tar.gz")), w.err.String())
	require.Equal(t, exitOK, w.run("diff", "--content", w.path("out.tar.gz"), w.path("backup.tar.gz")), w.out.String())
	require.Equal(t, exitRefused, w.run("snapshot", "export", "site@"+first, w.path("out.tar.gz")), "it is there already")
	require.Equal(t, exitOK, w.run("snapshot", "export", "site@"+first, w.path("out.tar.gz"), "--yes", "--json"), w.err.String())
	require.Contains(t, w.out.String(), `"event":"summary"`)

	require.Equal(t, exitUsage, w.run("push", "--from", w.path("backup.tar.gz"), "--to", "vault:site@"+first))
	require.Contains(t, w.err.String(), "a snapshot is never changed")
	require.Equal(t, exitOK, w.run("push", "--from", "vault:site@"+first, "--to", "vault:site", "--verify"), w.err.String())
	require.Equal(t, exitOK, w.run("snapshot", "diff", "site@"+first, "site"), "the old one is the newest again")

	// A file of the site's name is none of the vault's business.
	require.NoError(t, os.WriteFile(w.path("site"), nil, 0o600))
	require.Equal(t, exitOK, w.run("push", "--from", w.path("backup.tar.gz"), "--to", "vault:site", "--only", "files"), w.err.String())
}

func TestTheVaultTakesABackupOfAServer(t *testing.T) {
	t.Parallel()
	w, _, _ := snapshotWorld(t)
	w.servers["staging.example.org"] = &server{site: fresh()}
	require.Equal(t, exitOK, w.run("push", "--from", "vault:site", "--to", staging, "--to-token", fullToken, "--yes", "--schema-strategy", "ignore",
		"--version-strategy", "ignore", "--orphans", "skip", "--allow-skipped", "99", "--backup", "vault:staging", "--exclude", "content"), w.err.String())
	require.Contains(t, w.err.String(), "backup: vault:staging")
	require.Equal(t, exitOK, w.run("snapshot", "show", "staging"))
}

func TestDamageInTheVaultHasItsExitCode(t *testing.T) {
	t.Parallel()
	w, _, _ := snapshotWorld(t)
	require.Equal(t, exitOK, w.run("snapshot", "check", "--read-data"), w.err.String())
	require.Contains(t, w.out.String(), "everything was read")
	paths, err := filepath.Glob(w.path("data/blobs/*/*"))
	require.NoError(t, err)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		data[0] ^= 1
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	require.Equal(t, exitOK, w.run("snapshot", "check"), "sizes are right")
	require.Equal(t, exitDamaged, w.run("snapshot", "check", "--read-data"))
	require.Contains(t, w.out.String(), "part of site@")
	require.Equal(t, exitDamaged, w.run("snapshot", "check", "--read-data", "--json"))
	var r vault.CheckReport
	require.NoError(t, json.Unmarshal([]byte(w.out.String()), &r))
	require.Len(t, r.Problems, len(paths))
	require.Equal(t, exitDamaged, w.run("pull", "--from", "vault:site", "--to", w.path("never.tar")))
	require.NoFileExists(t, w.path("never.tar"))
}

func TestSnapshotsAreForgottenByRules(t *testing.T) {
	t.Parallel()
	w, first, second := snapshotWorld(t)
	require.Equal(t, exitUsage, w.run("snapshot", "forget"))
	require.Contains(t, w.err.String(), "--keep-last")
	require.Equal(t, exitUsage, w.run("snapshot", "forget", "--keep-last", "1", "--site", "other"))
	require.Equal(t, exitOK, w.run("snapshot", "forget", "--keep-last", "1", "--dry-run"))
	require.Contains(t, w.out.String(), "1 snapshot would be forgotten, 1 kept")
	require.Equal(t, exitOK, w.run("snapshot", "forget", "--keep-last", "1", "--json"))
	var r forgetResult
	require.NoError(t, json.Unmarshal([]byte(w.out.String()), &r))
	require.Positive(t, r.Freed.Bytes)
	require.Equal(t, exitOK, w.run("snapshot", "list"))
	require.NotContains(t, w.out.String(), first)
	require.Contains(t, w.out.String(), second)
	require.Equal(t, exitOK, w.run("snapshot", "check", "--read-data"))
}

func TestThereIsNoVaultBeforeItIsWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, args := range [][]string{{"list"}, {"check"}, {"show", "x"}, {"diff", "x", "y"}, {"forget", "--keep-last", "1"}} {
		require.Equal(t, exitUsage, w.run(append([]string{"snapshot", "--data", w.path("none")}, args...)...), "%v", args)
		require.Contains(t, w.err.String(), "there is no vault")
	}
	require.NoDirExists(t, w.path("none"))
	require.Equal(t, exitUsage, w.run("snapshot", "frobnicate"))
	require.Equal(t, exitOK, w.run("snapshot"))
	require.True(t, strings.Contains(w.out.String(), "forget"))
}
