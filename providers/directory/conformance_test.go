package directory_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/directory"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestDirectoryIsASource(t *testing.T) {
	t.Parallel()
	transfertest.TestSource(t, func(t *testing.T, site *transfertest.Site) transfer.Source {
		path := filepath.Join(t.TempDir(), "site")
		write(t, path, site)
		return open(t, path)
	})
}

func TestDirectoryIsADestination(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*testing.T, string){
		"a folder that is not there":         func(*testing.T, string) {},
		"an empty folder":                    func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) },
		"a former export, which is replaced": func(t *testing.T, path string) { write(t, path, former()) },
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transfertest.TestDestination(t, func(t *testing.T) (transfer.Destination, func(*testing.T) *transfertest.Site) {
				path := filepath.Join(t.TempDir(), "site")
				prepare(t, path)
				dst, err := directory.Create(path, directory.Options{})
				require.NoError(t, err)
				t.Cleanup(func() {
					for _, left := range names(t, filepath.Dir(path)) {
						require.Equal(t, "site", left)
					}
				})
				return dst, func(t *testing.T) *transfertest.Site { return readBack(t, path) }
			})
		})
	}
}

// former is a site that differs from the sample in everything.
func former() *transfertest.Site {
	site := transfertest.Sample()
	site.Version = "5.0.0"
	site.Files = site.Files[:1]
	delete(site.Records, transfer.StageLinks)
	return site
}

// readBack returns the content of an export, nil if there is none.
func readBack(t *testing.T, path string) *transfertest.Site {
	t.Helper()
	if !directory.IsExport(path) {
		return nil
	}
	src := open(t, path)
	require.NoError(t, src.Check(t.Context()))
	return transfertest.ReadSite(t, src)
}

func open(tb testing.TB, path string) *directory.Source {
	tb.Helper()
	src, err := directory.Open(path, directory.Options{})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, src.Close()) })
	return src
}

// write writes an export of a site.
func write(tb testing.TB, path string, site *transfertest.Site) {
	tb.Helper()
	dst, err := directory.Create(path, directory.Options{})
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
