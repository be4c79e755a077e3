package strapi_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

var errInjected = errors.New("the database is on fire")

// snapshotOf is all that a project holds, files included, as text.
func snapshotOf(t *testing.T, p project) []string {
	t.Helper()
	lines := readBack(t, p, true).Lines()
	entries, err := os.ReadDir(p.folder)
	require.NoError(t, err)
	for _, e := range entries {
		body, err := os.ReadFile(filepath.Join(p.folder, e.Name()))
		require.NoError(t, err)
		lines = append(lines, e.Name()+": "+string(body))
	}
	return lines
}

// TestFailureAtEveryStatement lets each statement fail in turn, and each step of the files: then the old site must be there, whole, and
// when nothing failed, the new one.
func TestFailureAtEveryStatement(t *testing.T) {
	t.Parallel()
	for _, merge := range []bool{false, true} {
		t.Run(fmt.Sprintf("merge=%v", merge), func(t *testing.T) {
			t.Parallel()
			for _, kind := range databasetest.Kinds() {
				t.Run(string(kind), func(t *testing.T) {
					t.Parallel()
					failEverywhere(t, kind, merge)
				})
			}
		})
	}
}

// stride is how many statements are passed over between two that fail. The short run takes a sample, another one on each database.
func stride(kind database.Kind) int64 {
	if !testing.Short() {
		return 1
	}
	return map[database.Kind]int64{database.SQLite: 5, database.Postgres: 7, database.MySQL: 7}[kind]
}

func failEverywhere(t *testing.T, kind database.Kind, merge bool) {
	t.Helper()
	p := load(t, kind, former())
	before := snapshotOf(t, p)
	failures := 0
	for n := int64(1); ; n += stride(kind) {
		var count atomic.Int64 // rows and files are written side by side
		fault := func(string) error {
			if count.Add(1) == n {
				return errInjected
			}
			return nil
		}
		faulty := p
		faulty.options.Database.Hook = fault
		faulty.options.Uploads = uploads.NewFolder(p.folder, uploads.FolderOptions{Fault: fault})
		dst, err := faulty.site(t).Destination("test", strapi.WriteOptions{Merge: merge})
		require.NoError(t, err)
		_, err = transfer.Run(t.Context(), transfertest.NewMemory(movable()), dst, transfer.Options{})
		state := dst.State()
		closed := dst.Close()
		if count.Load() < n {
			require.NoError(t, errors.Join(err, closed))
			break
		}
		if err == nil { // what failed was to clear away the old files
			require.Equal(t, transfer.StateCommitted, state)
			failures++
			p = load(t, kind, former())
			continue
		}
		failures++
		require.ErrorIs(t, err, errInjected, "statement %d", n)
		require.Contains(t, []transfer.State{transfer.StateUntouched, transfer.StateRolledBack}, state, "statement %d", n)
		require.Equal(t, before, snapshotOf(t, p), "statement %d", n)
	}
	require.Greater(t, failures, 30/int(stride(kind)))
	require.NotEqual(t, before, snapshotOf(t, p))
}
