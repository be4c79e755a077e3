package main

import (
	"context"
	"crypto/rand"
	"database/sql"
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
	"github.com/transfer-runner/runner/transfer"
)

// assetSize is the size of each file of the source: far more than all that is said about it.
const assetSize = 100 << 10

// labDatabase opens the database of a project beside whoever else has it open.
func labDatabase(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(dir, ".tmp", "data.db"))
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func execute(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err, statement)
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
	from, to := labProject(t), labProject(t)
	files := bigFiles(t, from)
	require.Positive(t, files)
	s := startServe(t, filepath.Join(t.TempDir(), "data"), "--site", "shop="+to)
	db := labDatabase(t, to)
	// What Strapi has rounded is not what differs here.
	for _, one := range []*sql.DB{db, labDatabase(t, from)} {
		execute(t, one, "UPDATE kitchen_sinks SET a_bigint = 9007199254740993", "UPDATE components_lab_leaves SET big = 9007199254740993")
	}
	code, _, said := s.merge(from, "/shop", "--yes")
	require.Equal(t, exitOK, code, said)
	require.Empty(t, contentOf(t, from).Compare(contentOf(t, to), 20))
	moved := s.received()
	require.Greater(t, moved, files*assetSize)

	var first, second int64
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT min(id), max(id) FROM rel_bs").Scan(&first, &second))
	require.NotEqual(t, first, second)
	execute(t, db,
		"UPDATE rel_bs SET name = 'mine', updated_at = 4070908800000 WHERE id = "+strconv.FormatInt(first, 10),
		"UPDATE rel_bs SET name = 'mine' WHERE id = "+strconv.FormatInt(second, 10),
		"INSERT INTO rel_bs (id, document_id, name) VALUES (1000, 'onlyhere', 'only here')")
	count := func(name string) (n int) {
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM rel_bs WHERE name = ?", name).Scan(&n))
		return n
	}
	version := func() (n int) { // changes whenever somebody else has committed
		require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA data_version").Scan(&n))
		return n
	}
	before := version()
	for _, step := range []struct {
		conflict   string
		code, mine int
		note       string
	}{
		{"fail", exitIncompatible, 2, ""},
		{"destination", exitOK, 2, "2 rows kept that differ at the source"},
		{"newer", exitOK, 1, "1 rows changed, 1 rows kept that differ at the source"},
		{"source", exitOK, 0, "1 rows changed"},
	} {
		code, result, said := s.merge(from, "/shop", "--yes", "--conflict", step.conflict)
		require.Equal(t, step.code, code, said)
		require.Equal(t, step.mine, count("mine"), step.conflict)
		require.Equal(t, 1, count("only here"), step.conflict)
		if step.code != exitOK {
			require.Contains(t, result.Error, "--conflict", "it says what to do")
			require.Equal(t, transfer.StateRolledBack, result.State)
			continue
		}
		require.Contains(t, result.notes(), "merged: "+step.note+"; ", step.conflict)
		if step.mine == 2 {
			require.Equal(t, before, version(), "nothing was written")
		}
	}

	execute(t, db, "DELETE FROM rel_bs WHERE id = 1000")
	require.Empty(t, contentOf(t, from).Compare(contentOf(t, to), 20))
	before, moved = version(), s.received()
	code, result, said := s.merge(from, "/shop", "--yes")
	require.Equal(t, exitOK, code, said)
	require.Contains(t, result.notes(), "merged: nothing to change; ")
	require.Equal(t, before, version(), "a second run writes nothing")
	assets := result.stage(transfer.StageAssets)
	require.Equal(t, files, assets.Stored)
	require.Zero(t, assets.Bytes, "no file was even read")
	require.Less(t, s.received()-moved, int64(assetSize), "no file has travelled")

	// A file that is gone or another one is sent, and no other.
	entries, err := os.ReadDir(filepath.Join(to, "public", "uploads"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(to, "public", "uploads", entries[0].Name())))
	require.NoError(t, os.WriteFile(filepath.Join(to, "public", "uploads", entries[1].Name()), []byte("other"), 0o600))
	code, result, said = s.merge(from, "/shop", "--yes")
	require.Equal(t, exitOK, code, said)
	require.Contains(t, result.notes(), "merged: 2 files written; ")
	require.EqualValues(t, 2*assetSize, result.stage(transfer.StageAssets).Bytes)
	require.Empty(t, contentOf(t, from).Compare(contentOf(t, to), 20))
}

// The plan says that content is merged, and how; whoever cannot merge is not touched.
func TestMergingIsPlannedAndRefused(t *testing.T) {
	t.Parallel()
	from, to := labProject(t), labProject(t)
	s := startServe(t, filepath.Join(t.TempDir(), "data"), "--site", "shop="+to)
	shop := strings.Replace(s.url, "/admin", "/shop/admin", 1)
	execute(t, labDatabase(t, to), "UPDATE rel_bs SET name = 'mine'")
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

// A row of the media library that stays as the destination has it keeps its file: that of the source is another one.
func TestARowThatStaysKeepsItsFile(t *testing.T) {
	t.Parallel()
	from, to := labProject(t), labProject(t)
	require.Positive(t, bigFiles(t, from))
	s := startServe(t, filepath.Join(t.TempDir(), "data"), "--site", "shop="+to)
	db := labDatabase(t, to)
	execute(t, db, "UPDATE files SET hash = 'theirs', ext = '.bin', url = '/uploads/theirs.bin', formats = NULL WHERE id = (SELECT min(id) FROM files)")
	write(t, filepath.Join(to, "public", "uploads", "theirs.bin"), "theirs")
	code, result, said := s.merge(from, "/shop", "--yes", "--conflict", "destination")
	require.Equal(t, exitOK, code, said)
	require.Contains(t, result.notes(), "1 rows kept that differ at the source")
	var hash, url string
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT hash, url FROM files WHERE id = (SELECT min(id) FROM files)").Scan(&hash, &url))
	require.Equal(t, []string{"theirs", "/uploads/theirs.bin"}, []string{hash, url})
	text, err := os.ReadFile(filepath.Join(to, "public", "uploads", "theirs.bin"))
	require.NoError(t, err)
	require.Equal(t, "theirs", string(text))
}
