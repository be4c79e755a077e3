package vault_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// names are the pieces of a vault and what is in its folder for temporary files.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	for _, part := range []string{"blobs", "tmp"} {
		for path := range files(t, filepath.Join(dir, part)) {
			rel, err := filepath.Rel(dir, path)
			require.NoError(t, err)
			out = append(out, rel)
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "tmp"))
	require.NoError(t, err)
	require.Empty(t, entries)
	return sorted(out)
}

func TestAWriteThatFailsAnywhereLeavesTheOldSite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openVault(t, dir)
	put(t, v, "site", transfertest.Sample())
	before, want := names(t, dir), lines(get(t, v, "site", ""))
	failed := 0
	for n := 0; ; n++ {
		dst, err := v.Destination("site", vault.WriteOptions{})
		require.NoError(t, err)
		_, err = transfer.Run(t.Context(), transfertest.NewMemory(wide(300, 5)), transfertest.FailAfter(dst, n), transfer.Options{})
		require.NoError(t, dst.Close())
		if err == nil {
			break
		}
		failed++
		require.ErrorIs(t, err, transfertest.ErrPlanted)
		require.Equal(t, want, lines(get(t, v, "site", "")), "after %d calls", n)
		require.Equal(t, before, names(t, dir), "after %d calls", n)
	}
	require.Greater(t, failed, 15)
	require.Equal(t, lines(sortedSchemas(wide(300, 5))), lines(get(t, v, "site", "")))
}

func TestAFailingSourceLeavesTheOldSite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openVault(t, dir)
	put(t, v, "site", transfertest.Sample())
	before := names(t, dir)
	for _, stage := range transfer.Stages()[1:] {
		src := &transfertest.FailingSource{Source: transfertest.NewMemory(wide(300, 5)), Stage: stage, After: 1}
		_, err := push(t, v, "site", src, transfer.Filter{})
		require.ErrorIs(t, err, transfertest.ErrPlanted)
		require.Equal(t, before, names(t, dir), "%s", stage)
	}
	require.Len(t, snapshots(t, v, "site"), 1)
}

var errStop = errors.New("told to stop")

func TestACommitThatIsStoppedHalfwayLeavesTheOldSite(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		point   string
		reading bool // somebody is, so that nothing can be swept at once
	}{
		"when all is written":             {point: "written"},
		"between two pieces":              {point: "moved"},
		"when all pieces are in place":    {point: "published"},
		"between two pieces, with reader": {point: "moved", reading: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, openVault(t, dir), "site", transfertest.Sample())
			before := names(t, dir)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			v, err := vault.Open(t.Context(), dir, vault.WithFault(vault.Options{}, func(point string) {
				if point == tt.point {
					cancel(errStop)
				}
			}))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, v.Close()) })
			var src *vault.Source
			if tt.reading {
				src, err = v.Source(t.Context(), "site", "")
				require.NoError(t, err)
			}
			dst, err := v.Destination("site", vault.WriteOptions{})
			require.NoError(t, err)
			report, err := transfer.Run(ctx, transfertest.NewMemory(wide(500, 40)), dst, transfer.Options{})
			require.ErrorIs(t, err, errStop)
			require.Equal(t, transfer.StateRolledBack, report.State)
			require.NoError(t, dst.Close())
			if tt.reading {
				require.Greater(t, len(blobs(t, dir)), len(before))
				require.NoError(t, src.Close())
				openVault(t, dir)
			}
			require.Equal(t, before, names(t, dir))
			require.Equal(t, lines(sortedSchemas(transfertest.Sample())), lines(get(t, v, "site", "")))
			put(t, v, "site", smallSite())
		})
	}
}

func TestManyReadersAndAWriter(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir())
	put(t, v, "site", wide(500, 5))
	want := lines(sortedSchemas(wide(500, 5)))
	id := snapshots(t, v, "site")[0].ID
	done := make(chan string)
	for range 20 {
		go func() {
			src, err := v.Source(t.Context(), "site", id)
			if err != nil {
				done <- err.Error()
				return
			}
			text := lines(transfertest.ReadSite(t, src))
			if err := src.Close(); err != nil {
				text = err.Error()
			}
			done <- text
		}()
	}
	put(t, v, "site", smallSite())
	put(t, v, "other", wide(500, 6))
	for range 20 {
		require.Equal(t, want, <-done)
	}
}
