package layout_test

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/internal/layout"
)

func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestPartsThatNobodyWorksOnAreSwept(t *testing.T) {
	t.Parallel()
	switch runtime.GOOS {
	case "darwin", "dragonfly", "freebsd", "linux", "netbsd", "openbsd":
	default:
		t.Skip("here nobody can tell")
	}
	dir := t.TempDir()
	target := filepath.Join(dir, "site.tar")
	left := []string{".site.tar.123.part"}
	others := []string{
		".other.tar.1.part", ".site.tar..part", ".site.tar.1.part.old", ".site.tar.1a.part", ".site.tar.gz.1.part", "site.tar", "site.tar.1.part",
	}
	for _, name := range append(left, others...) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".site.tar.9.part"), 0o700))
	first, file, err := layout.NewPartFile(target)
	require.NoError(t, err)
	second, another, err := layout.NewPartFile(target)
	require.NoError(t, err)
	require.FileExists(t, first.Path(), "somebody works on it")
	require.ElementsMatch(t, append(others, ".site.tar.9.part", filepath.Base(first.Path()), filepath.Base(second.Path())), names(t, dir))

	require.NoError(t, file.Close())
	require.NoError(t, first.Release())
	require.NoError(t, first.Release(), "twice")
	require.NoError(t, another.Close())
	folder, err := layout.NewPartFolder(target)
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(dir, ".site.tar.9.part"))
	require.FileExists(t, first.Path(), "a folder's writer leaves files alone")
	require.NoError(t, folder.Release())
	third, last, err := layout.NewPartFile(target)
	require.NoError(t, err)
	require.NoFileExists(t, first.Path())
	require.FileExists(t, second.Path())
	require.NoError(t, last.Close())
	require.NoError(t, third.Release())
	require.NoError(t, second.Release())
}

func TestWritersOfOneTargetLeaveEachOtherAlone(t *testing.T) {
	t.Parallel()
	target := filepath.Join(t.TempDir(), "site")
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 50 {
				part, err := layout.NewPartFolder(target)
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(part.Path(), "file"), nil, 0o600); err != nil {
					t.Error(err)
				}
				if err := part.Release(); err != nil { // as if it were killed
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	require.LessOrEqual(t, len(names(t, filepath.Dir(target))), 8)
}
