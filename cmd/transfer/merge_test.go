package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/transfer"
)

// assetSize is the size of each file of the source: far more than all that is said about it.
const assetSize = 100 << 10

// eachKind runs a test for every kind of database.
func eachKind(t *testing.T, test func(t *testing.T, kind database.Kind)) {
	t.Helper()
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}

// bigFiles gives the files of a project content of their own, and returns their number.
func bigFiles(t *testing.T, dir string) (n int64) {
	t.Helper()
	content := make([]byte, assetSize)
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, "public", "uploads"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		n++
		_, err = rand.Read(content)
		require.NoError(t, err)
		return os.WriteFile(path, content, 0o600)
	}))
	return n
}

// received is how many bytes of messages the server got in pushes so far.
func (s *served) received() (n int64) {
	s.t.Helper()
	text, err := s.get("/metrics")
	require.NoError(s.t, err)
	found := regexp.MustCompile(`bytes_total\{direction="push",way="in"\} (\S+)`).FindStringSubmatch(text)
	if found == nil {
		return 0
	}
	f, err := strconv.ParseFloat(found[1], 64)
	require.NoError(s.t, err)
	return int64(f)
}

// contentOf sums up what a project holds.
func contentOf(t *testing.T, dir string) *transfer.Digest {
	t.Helper()
	endpoint, err := providers.Parse("strapi:" + dir)
	require.NoError(t, err)
	src, err := providers.New(providers.Config{}).OpenSource(context.WithoutCancel(t.Context()), endpoint, providers.Access{})
	require.NoError(t, err)
	digest, err := transfer.Collect(t.Context(), src, transfer.Filter{})
	require.NoError(t, err)
	require.NoError(t, src.Close())
	return digest
}

// merge pushes one project into the other through the server.
func (s *served) merge(from, site string, args ...string) (code int, r summary, said string) {
	s.t.Helper()
	line := append([]string{"push", "--from", from, "--to", strings.Replace(s.url, "/admin", site+"/admin", 1), "--to-token", s.token, "--strategy", "merge", "--json"}, args...)
	code, out, said := s.command(line...)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.NoError(s.t, json.Unmarshal([]byte(lines[len(lines)-1]), &r), out+said)
	return code, r, said
}

func (s summary) notes() string {
	var b strings.Builder
	for _, note := range s.Report.Notes {
		b.WriteString(note.Message + "\n")
	}
	return b.String()
}

func (s summary) stage(stage transfer.Stage) transfer.StageReport {
	for _, r := range s.Report.Stages {
		if r.Stage == stage {
			return r
		}
	}
	return transfer.StageReport{}
}

// What differs between the two is settled by the policy, what only the server's project has stays, and when nothing differs any more
// nothing is written and no file travels.
func TestAPushMergesIntoAServedProject(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, kind database.Kind) {
		from, to := labProjectOn(t, kind), labProjectOn(t, kind)
		files := bigFiles(t, from.dir)
		require.Positive(t, files)
		s := startServe(t, filepath.Join(t.TempDir(), "data"), "--site", "shop="+to.dir)
		// What Strapi has rounded is not what differs here.
		for _, one := range []*lab{from, to} {
			one.execute("UPDATE kitchen_sinks SET a_bigint = 9007199254740993", "UPDATE components_lab_leaves SET big = 9007199254740993")
		}
		code, _, said := s.merge(from.dir, "/shop", "--yes")
		require.Equal(t, exitOK, code, said)
		require.Empty(t, contentOf(t, from.dir).Compare(contentOf(t, to.dir), 20))
		require.Greater(t, s.received(), files*assetSize)

		written := to.watch()
		conflicts(t, s, from, to, written)

		to.execute("DELETE FROM rel_bs WHERE id = 1000")
		require.Empty(t, contentOf(t, from.dir).Compare(contentOf(t, to.dir), 20))
		before, moved := written(), s.received()
		code, result, said := s.merge(from.dir, "/shop", "--yes")
		require.Equal(t, exitOK, code, said)
		require.Contains(t, result.notes(), "merged: nothing to change; ")
		require.Equal(t, before, written(), "a second run writes nothing")
		assets := result.stage(transfer.StageAssets)
		require.Equal(t, files, assets.Stored)
		require.Zero(t, assets.Bytes, "no file was even read")
		require.Less(t, s.received()-moved, int64(assetSize), "no file has travelled")

		// A file that is gone or another one is sent, and no other.
		entries, err := os.ReadDir(filepath.Join(to.dir, "public", "uploads"))
		require.NoError(t, err)
		require.NoError(t, os.Remove(filepath.Join(to.dir, "public", "uploads", entries[0].Name())))
		require.NoError(t, os.WriteFile(filepath.Join(to.dir, "public", "uploads", entries[1].Name()), []byte("other"), 0o600))
		code, result, said = s.merge(from.dir, "/shop", "--yes")
		require.Equal(t, exitOK, code, said)
		require.Contains(t, result.notes(), "merged: 2 files written; ")
		require.EqualValues(t, 2*assetSize, result.stage(transfer.StageAssets).Bytes)
		require.Greater(t, written(), before)
		require.Empty(t, contentOf(t, from.dir).Compare(contentOf(t, to.dir), 20))
	})
}

// conflicts merges the one into the other by each policy. Each finds what the one before has left.
func conflicts(t *testing.T, s *served, from, to *lab, written func() int64) {
	t.Helper()
	first, second := to.number("SELECT min(id) FROM rel_bs"), to.number("SELECT max(id) FROM rel_bs")
	require.NotEqual(t, first, second)
	later := "'2099-01-01 00:00:00.000'"
	if to.config.Kind == database.SQLite {
		later = "4070908800000"
	}
	to.execute(
		"UPDATE rel_bs SET name = 'mine', updated_at = "+later+" WHERE id = "+strconv.FormatInt(first, 10),
		"UPDATE rel_bs SET name = 'mine' WHERE id = "+strconv.FormatInt(second, 10),
		"INSERT INTO rel_bs (id, document_id, name) VALUES (1000, 'onlyhere', 'only here')")
	for _, step := range []struct {
		conflict string
		code     int
		mine     int64
		note     string
	}{
		{"fail", exitIncompatible, 2, ""},
		{"destination", exitOK, 2, "2 rows kept that differ at the source"},
		{"newer", exitOK, 1, "1 rows changed, 1 rows kept that differ at the source"},
		{"source", exitOK, 0, "1 rows changed"},
	} {
		before := written()
		code, result, said := s.merge(from.dir, "/shop", "--yes", "--conflict", step.conflict)
		require.Equal(t, step.code, code, said)
		require.Equal(t, step.mine, to.number("SELECT count(*) FROM rel_bs WHERE name = 'mine'"), step.conflict)
		require.EqualValues(t, 1, to.number("SELECT count(*) FROM rel_bs WHERE name = 'only here'"), step.conflict)
		require.Equal(t, step.mine < 2, written() > before, step.conflict)
		if step.code != exitOK {
			require.Contains(t, result.Error, "--conflict", "it says what to do")
			require.Equal(t, transfer.StateRolledBack, result.State)
			continue
		}
		require.Contains(t, result.notes(), "merged: "+step.note+"; ", step.conflict)
	}
}

// The plan says that content is merged, and how; whoever cannot merge is not touched.
func TestMergingIsPlannedAndRefused(t *testing.T) {
	t.Parallel()
	from, changed := labProject(t), labProjectOn(t, database.SQLite)
	to := changed.dir
	s := startServe(t, filepath.Join(t.TempDir(), "data"), "--site", "shop="+to)
	shop := strings.Replace(s.url, "/admin", "/shop/admin", 1)
	changed.execute("UPDATE rel_bs SET name = 'mine'")
	before := contentOf(t, to)
	line := []string{"push", "--from", from, "--to", shop, "--to-token", s.token, "--strategy", "merge", "--conflict", "newer"}
	code, _, said := s.command(append(line, "--dry-run")...)
	require.Equal(t, exitOK, code, said)
	for _, words := range []string{"merged", "what only the destination has stays", "the one that was changed last"} {
		require.Contains(t, strings.Join(strings.Fields(said), " "), words)
	}
	require.NotContains(t, said, "replaced")
	require.NotContains(t, said, "are deleted")
	code, _, said = s.command(line...)
	require.Equal(t, exitRefused, code, said)
	code, _, said = s.command(append(line, "--yes", "--verify")...)
	require.Equal(t, exitUsage, code, said)
	require.Contains(t, said, "transfer diff")
	require.Empty(t, before.Compare(contentOf(t, to), 20))

	line[4] = s.url // the vault, whose snapshots are what they are
	code, _, said = s.command(append(line, "--yes")...)
	require.Equal(t, exitUsage, code, said)
	require.Contains(t, said, "use --strategy replace")
	line[4] = filepath.Join(t.TempDir(), "a.tar.gz")
	code, _, said = s.command(append(line, "--yes")...)
	require.Equal(t, exitUsage, code, said)
}

// A row that stays as the destination has it keeps its components and what those lead to. That is what was asked for, and nothing that a
// nightly run would have to fail for.
func TestARowThatStaysKeepsItsComponents(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, kind database.Kind) {
		from, to := labProjectOn(t, kind), labProjectOn(t, kind)
		to.execute("UPDATE kitchen_sinks SET a_string = 'mine'")
		before := contentOf(t, to.dir)
		s := startServe(t, filepath.Join(t.TempDir(), "data"), "--site", "shop="+to.dir)
		code, result, said := s.merge(from.dir, "/shop", "--yes", "--conflict", "destination")
		require.Equal(t, exitOK, code, said)
		require.Empty(t, result.Report.Skipped)
		require.Regexp(t, `[1-9]\d* links of their components left as they are`, result.notes())
		require.Empty(t, before.Compare(contentOf(t, to.dir), 20))
	})
}

// A row of the media library that stays as the destination has it keeps its file: that of the source is another one.
func TestARowThatStaysKeepsItsFile(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, kind database.Kind) {
		from, to := labProjectOn(t, kind), labProjectOn(t, kind)
		require.Positive(t, bigFiles(t, from.dir))
		s := startServe(t, filepath.Join(t.TempDir(), "data"), "--site", "shop="+to.dir)
		first := strconv.FormatInt(to.number("SELECT min(id) FROM files"), 10)
		to.execute("UPDATE files SET hash = 'theirs', ext = '.bin', url = '/uploads/theirs.bin', formats = NULL WHERE id = " + first)
		file := filepath.Join(to.dir, "public", "uploads", "theirs.bin")
		write(t, file, "theirs")
		code, result, said := s.merge(from.dir, "/shop", "--yes", "--conflict", "destination")
		require.Equal(t, exitOK, code, said)
		require.Contains(t, result.notes(), "1 rows kept that differ at the source")
		require.Equal(t, [][]any{{"theirs", "/uploads/theirs.bin"}}, to.rows("SELECT hash, url FROM files WHERE id = "+first))
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, "theirs", string(text))
	})
}
