package archive_test

import (
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/archive"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// forms are the names that an archive can have, with options that serve both ends.
func forms(tb testing.TB) map[string]archive.Options {
	tb.Helper()
	pair, err := age.GenerateX25519Identity()
	require.NoError(tb, err)
	keys := archive.Options{Recipients: []string{pair.Recipient().String()}, Identities: []string{pair.String()}}
	stock := archive.Quick(archive.Options{Key: "pass wörd"})
	return map[string]archive.Options{
		"site.tar":        {},
		"site.tar.gz":     {},
		"site.tar.enc":    stock,
		"site.tar.gz.enc": stock,
		"site.tar.age":    keys,
		"site.tar.gz.age": keys,
	}
}

func TestArchiveIsASource(t *testing.T) {
	t.Parallel()
	for name, opts := range forms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transfertest.TestSource(t, func(t *testing.T, site *transfertest.Site) transfer.Source {
				path := filepath.Join(t.TempDir(), name)
				write(t, path, opts, site)
				return open(t, path, opts)
			})
		})
	}
}

func TestArchiveIsADestination(t *testing.T) {
	t.Parallel()
	for name, opts := range forms(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transfertest.TestDestination(t, func(t *testing.T) (transfer.Destination, func(*testing.T) *transfertest.Site) {
				path := filepath.Join(t.TempDir(), name)
				dst, err := archive.Create(path, opts)
				require.NoError(t, err)
				return dst, func(t *testing.T) *transfertest.Site { return readBack(t, path, opts) }
			})
		})
	}
}

// readBack returns the content of an archive, nil if there is none. Nothing else may be in its folder once it is there.
func readBack(t *testing.T, path string, opts archive.Options) *transfertest.Site {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		require.ErrorIs(t, err, os.ErrNotExist)
		return nil
	}
	require.Equal(t, []string{filepath.Base(path)}, names(t, filepath.Dir(path)))
	src := open(t, path, opts)
	require.NoError(t, src.Check(t.Context()))
	return transfertest.ReadSite(t, src)
}

// open opens an archive until the end of the test.
func open(tb testing.TB, path string, opts archive.Options) *archive.Source {
	tb.Helper()
	src, err := archive.Open(path, opts)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, src.Close()) })
	return src
}

// write writes an archive of a site.
func write(tb testing.TB, path string, opts archive.Options, site *transfertest.Site) {
	tb.Helper()
	dst, err := archive.Create(path, opts)
	require.NoError(tb, err)
	send(tb, transfertest.NewMemory(site), dst)
	require.NoError(tb, dst.Commit(tb.Context()))
	require.NoError(tb, dst.Close())
}

// send hands all of a source to a destination, without committing.
func send(tb testing.TB, src transfer.Source, dst transfer.Destination) {
	tb.Helper()
	d, err := src.Describe(tb.Context())
	require.NoError(tb, err)
	_, err = dst.Begin(tb.Context(), transfer.Plan{Source: d, Stages: transfer.Stages()})
	require.NoError(tb, err)
	for _, stage := range transfer.Stages() {
		for item, err := range src.Read(tb.Context(), stage, 0) {
			require.NoError(tb, err)
			batch := transfer.Batch{Stage: stage, Records: []transfer.Record{item.Record}, Cursor: item.Cursor}
			require.NoError(tb, dst.Write(tb.Context(), batch))
		}
		require.NoError(tb, dst.Write(tb.Context(), transfer.Batch{Stage: stage, Last: true}))
	}
}

func names(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(tb, err)
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.Name()
	}
	return list
}
