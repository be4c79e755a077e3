package vault_test

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}

// sortedSchemas is the site with its schemas in the order in which a vault keeps them.
func sortedSchemas(site *transfertest.Site) *transfertest.Site {
	out := site.Clone()
	uid := func(text string) string {
		_, rest, _ := strings.Cut(text, `"uid":"`)
		uid, _, _ := strings.Cut(rest, `"`)
		return uid
	}
	slices.SortFunc(out.Records[transfer.StageSchemas], func(a, b string) int { return strings.Compare(uid(a), uid(b)) })
	return out
}

func snapshots(tb testing.TB, v *vault.Vault, site string) []vault.Snapshot {
	tb.Helper()
	list, err := v.Snapshots(tb.Context(), site)
	require.NoError(tb, err)
	return list
}

func TestTheSameSiteTwiceCostsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openVault(t, dir)
	first := put(t, v, "site", wide(1000, 20))
	require.Positive(t, first.AddedBlobs)
	before := blobs(t, dir)
	require.Equal(t, total(before), first.AddedBytes)

	second := put(t, v, "site", wide(1000, 20))
	require.Zero(t, second.AddedBlobs)
	require.Zero(t, second.AddedBytes)
	require.Equal(t, before, blobs(t, dir))
	require.Equal(t, lines(get(t, v, "site", first.ID)), lines(get(t, v, "site", second.ID)))

	third := put(t, v, "other", wide(1000, 20))
	require.Zero(t, third.AddedBlobs, "sites share pieces")
	require.Empty(t, third.Parent)
}

func TestASmallChangeCostsLittle(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir())
	site := wide(10_000, 0)
	site.Records[transfer.StageLinks] = nil
	base := site.Records[transfer.StageEntities]
	first := put(t, v, "site", site)
	for name, change := range map[string]func(rows []string) []string{
		"a row is changed":          func(rows []string) []string { return replaceAt(rows, 5000) },
		"the first row is changed":  func(rows []string) []string { return replaceAt(rows, 0) },
		"the last row is changed":   func(rows []string) []string { return replaceAt(rows, len(rows)-1) },
		"a row is added in between": func(rows []string) []string { return slices.Insert(rows, 3000, rows[17]) },
		"a row is taken out":        func(rows []string) []string { return slices.Delete(rows, 7000, 7001) },
		"a row is added at the end": func(rows []string) []string { return append(rows, rows[0]) },
		"a row of another type came": func(rows []string) []string {
			return slices.Insert(rows, 0, strings.Replace(rows[0], "article.article", "page.page", 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			site.Records[transfer.StageEntities] = change(slices.Clone(base))
			second, err := push(t, v, "site", transfertest.NewMemory(site), transfer.Filter{})
			require.NoError(t, err)
			require.Less(t, second.AddedBytes*100, first.AddedBytes*5, "%d of %d bytes", second.AddedBytes, first.AddedBytes)
			require.Positive(t, second.AddedBytes)
			require.Equal(t, site.Records[transfer.StageEntities], get(t, v, "site", "").Records[transfer.StageEntities])
		})
	}
}

func replaceAt(rows []string, i int) []string {
	rows[i] = strings.Replace(rows[i], "Article", "Changed", 1)
	return rows
}

func TestASourceThatMixesItsTypesDoesNotMakeAFileOfEachRow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openVault(t, dir)
	site := wide(2500, 0)
	for i, row := range site.Records[transfer.StageEntities] {
		site.Records[transfer.StageEntities][i] = strings.Replace(row, "article.article", fmt.Sprintf("article.type%d", i%2), 1)
	}
	site.Records[transfer.StageLinks] = nil
	put(t, v, "site", site)
	require.Less(t, len(blobs(t, dir)), 1500)
	require.Equal(t, site.Records[transfer.StageEntities], get(t, v, "site", "").Records[transfer.StageEntities])
}

func TestOneWriterASite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, second := openVault(t, dir), openVault(t, dir)
	plan := transfer.Plan{Stages: transfer.Stages()}
	a, err := first.Destination("site", vault.WriteOptions{Who: "token ci"})
	require.NoError(t, err)
	_, err = a.Begin(t.Context(), plan)
	require.NoError(t, err)
	for _, v := range []*vault.Vault{first, second} {
		b, err := v.Destination("site", vault.WriteOptions{})
		require.NoError(t, err)
		_, err = b.Begin(t.Context(), plan)
		require.ErrorIs(t, err, vault.ErrBusy)
		require.ErrorIs(t, err, transfer.ErrUnwritable)
		require.ErrorContains(t, err, "token ci")
		require.ErrorContains(t, err, fmt.Sprintf("process %d", os.Getpid()))
		require.NoError(t, b.Close())
		require.Equal(t, transfer.StateUntouched, b.State())
	}
	put(t, second, "another", smallSite())
	require.NoError(t, a.Close())
	put(t, second, "site", smallSite())
}

func TestASnapshotIsFoundByTheBeginningOfItsID(t *testing.T) {
	t.Parallel()
	c := &clock{time.Date(2026, 11, 21, 9, 30, 0, 0, time.UTC)}
	v, err := vault.Open(t.Context(), t.TempDir(), vault.Options{Now: c.now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	var ids []string
	for _, step := range []time.Duration{0, time.Millisecond, 31 * time.Millisecond, time.Hour, 24 * time.Hour} {
		c.at = c.at.Add(step)
		ids = append(ids, put(t, v, "site", smallSite()).ID)
	}
	require.True(t, slices.IsSorted(ids), "%v", ids)
	for text, want := range map[string]struct {
		id, err string
	}{
		"site":                 {id: ids[4]},
		"site@latest":          {id: ids[4]},
		"site@" + ids[1]:       {id: ids[1]},
		"site@20261122":        {id: ids[4]},
		"site@20261121-1030":   {id: ids[3]},
		"site@20261121":        {err: "4 snapshots of site begin with"},
		"site@2025":            {err: "no snapshot of site begins with"},
		"nosite":               {err: `the vault has no site "nosite"; it has site`},
		"site@" + ids[1] + "x": {err: "no snapshot of site begins with"},
	} {
		ref, err := vault.ParseReference(text)
		require.NoError(t, err, text)
		got, err := v.Resolve(t.Context(), ref)
		if want.err != "" {
			require.ErrorIs(t, err, transfer.ErrUsage)
			require.ErrorContains(t, err, want.err, text)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want.id, got.ID, text)
	}
	sites, err := v.Sites(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"site"}, sites)
}

func TestASnapshotSaysWhereItCameFrom(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir())
	snap := put(t, v, "site", transfertest.Sample())
	require.Equal(t, "memory", snap.SourceKind)
	require.Equal(t, "5.54.0", snap.Version)
	require.True(t, snap.SchemasKnown)
	require.Equal(t, transfertest.Sample().CreatedAt, snap.SourceCreatedAt)
	list := snapshots(t, v, "")
	require.Len(t, list, 1)
	require.Equal(t, snap, list[0], "what was written is what is read")
	require.EqualValues(t, 8, snap.Counts[transfer.StageEntities].Records)
	require.EqualValues(t, 4, snap.Counts[transfer.StageEntities].ByType["plugin::upload.file"])
	var size int64
	for _, f := range transfertest.Sample().Files {
		size += int64(len(f.Body))
	}
	require.Equal(t, size, snap.Counts[transfer.StageAssets].Bytes)
	stat, err := v.Stat(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, stat.Snapshots)
	require.Equal(t, snap.AddedBytes, stat.Bytes)
	require.Equal(t, snap.AddedBlobs, stat.Blobs)
}

func TestWhatIsNotThereIsNotMadeByReading(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "none")
	_, err := vault.Open(t.Context(), dir, vault.Options{Existing: true})
	require.ErrorIs(t, err, transfer.ErrUsage)
	require.NoDirExists(t, dir)
}

func TestAnIndexOfANewerProgramIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v, err := vault.Open(t.Context(), dir, vault.Options{})
	require.NoError(t, err)
	require.NoError(t, v.Close())
	db, err := sql.Open("sqlite", filepath.Join(dir, "index.db"))
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "PRAGMA user_version = 99")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = vault.Open(t.Context(), dir, vault.Options{})
	require.ErrorIs(t, err, transfer.ErrIncompatible)
}

func TestAFileThatIsNoIndexIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.db"), []byte(strings.Repeat("this is no database ", 500)), 0o600))
	_, err := vault.Open(t.Context(), dir, vault.Options{})
	require.Error(t, err)
}

func TestCommitNeedsEveryPlannedStage(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir())
	dst, err := v.Destination("site", vault.WriteOptions{})
	require.NoError(t, err)
	_, err = dst.Begin(t.Context(), transfer.Plan{Stages: transfer.Stages()})
	require.NoError(t, err)
	require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageEntities, Last: true}))
	require.Error(t, dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageEntities}), "after the last batch")
	require.Error(t, dst.Commit(t.Context()))
	require.NoError(t, dst.Close())
	require.Empty(t, snapshots(t, v, ""))

	dst, err = v.Destination("site", vault.WriteOptions{})
	require.NoError(t, err)
	_, err = dst.Begin(t.Context(), transfer.Plan{Stages: transfer.Stages()})
	require.NoError(t, err)
	for _, stage := range transfer.Stages()[1:4] {
		require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: stage, Last: true}))
	}
	require.ErrorIs(t, dst.Commit(t.Context()), transfer.ErrDamaged)
	require.NoError(t, dst.Close())
	require.Empty(t, snapshots(t, v, ""))
}

func TestAWriterOutlivesTheContextOfItsFirstBatch(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir())
	dst, err := v.Destination("site", vault.WriteOptions{})
	require.NoError(t, err)
	stages := []transfer.Stage{transfer.StageSchemas, transfer.StageEntities}
	_, err = dst.Begin(t.Context(), transfer.Plan{Stages: stages})
	require.NoError(t, err)
	for item, err := range transfertest.NewMemory(wide(300, 0)).Read(t.Context(), transfer.StageEntities, 0) {
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context()) // as a server has one for each message
		require.NoError(t, dst.Write(ctx, transfer.Batch{Stage: transfer.StageEntities, Records: []transfer.Record{item.Record}}))
		cancel()
	}
	require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageEntities, Last: true}))
	require.NoError(t, dst.Commit(t.Context()))
	require.NoError(t, dst.Close())
	require.Len(t, get(t, v, "site", "").Records[transfer.StageEntities], 300)
}

func TestWhatAVaultIsMadeOfBelongsToItsOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openVault(t, dir)
	put(t, v, "site", transfertest.Sample())
	index := filepath.Join(dir, "index.db")
	require.NoError(t, v.Close())
	require.NoError(t, os.Chmod(index, 0o644)) // as it once was made
	v = openVault(t, dir)
	put(t, v, "site", edited())
	n := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		if n++; path != dir {
			require.Zero(t, info.Mode().Perm()&0o077, path)
		}
		return nil
	}))
	require.Greater(t, n, 10)
	require.FileExists(t, index+"-wal")
}
