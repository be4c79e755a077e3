//go:build linux

package strapi_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestALockedDatabaseIsNamedBeforeAnythingIsDeleted(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		p := load(t, config.Kind, former())
		before := snapshotOf(t, p)
		db, err := database.Open(t.Context(), p.options.Database)
		require.NoError(t, err)
		other, err := db.Begin(t.Context(), database.TxOptions{})
		require.NoError(t, err)
		_, err = other.Exec(t.Context(), "UPDATE "+db.Quote("Articles")+" SET "+db.Quote("title")+" = 'somebody is at work'")
		require.NoError(t, err)

		p.options.Database.BusyTimeout = 200 * time.Millisecond
		report, err := runMemory(t, p)
		require.ErrorIs(t, err, transfer.ErrUnwritable)
		require.ErrorContains(t, err, "locked by another process")
		require.Contains(t, []transfer.State{transfer.StateUntouched, transfer.StateRolledBack}, report.State)
		require.NoError(t, other.Close())
		require.Equal(t, before, snapshotOf(t, p))

		// Who waits long enough gets through.
		other, err = db.Begin(t.Context(), database.TxOptions{})
		require.NoError(t, err)
		p.options.Database.BusyTimeout = 20 * time.Second
		done := make(chan error, 1)
		go func() {
			timer := time.NewTimer(time.Second)
			defer timer.Stop()
			<-timer.C
			done <- other.Close()
		}()
		_, err = runMemory(t, p)
		require.NoError(t, err)
		require.NoError(t, <-done)
	})
}

func TestAReadOnlyDatabaseIsUnwritable(t *testing.T) {
	t.Parallel()
	p := load(t, database.Postgres, former())
	before := snapshotOf(t, p)
	require.NoError(t, database.RunAlone(t.Context(), p.options.Database,
		"ALTER DATABASE "+database.Postgres.Quote(p.options.Database.Name)+" SET default_transaction_read_only = on"))
	_, err := runMemory(t, p)
	require.ErrorIs(t, err, transfer.ErrUnwritable)
	require.Equal(t, before, snapshotOf(t, p))
}

const fullVariable = "TRANSFER_TEST_FULL"

// TestTheFullDisk is a writer that cannot write files beyond a size.
func TestTheFullDisk(t *testing.T) {
	text := os.Getenv(fullVariable)
	if text == "" {
		t.Skip("only of use for TestAFullDiskLeavesTheOldSite")
	}
	var v victim
	require.NoError(t, json.Unmarshal([]byte(text), &v))
	limit := uint64(v.At)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}))
	p := v.project(t)
	dst, err := p.site(t).Destination("test", strapi.WriteOptions{})
	require.NoError(t, err)
	_, err = transfer.Run(t.Context(), transfertest.NewMemory(movable()), dst, transfer.Options{})
	require.ErrorIs(t, err, transfer.ErrUnwritable)
	_ = dst.Close() // what else goes wrong on a full disk is not the point
}

func TestAFullDiskLeavesTheOldSite(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{0, 600, 4 << 10, 20 << 10} {
		t.Run(strconv.Itoa(limit), func(t *testing.T) {
			t.Parallel()
			p := load(t, database.SQLite, former())
			before := snapshotOf(t, p)
			text, err := json.Marshal(victim{Database: p.options.Database, Folder: p.folder, At: limit})
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheFullDisk$")
			cmd.Env = append(os.Environ(), fullVariable+"="+string(text), "TMPDIR="+filepath.Dir(p.folder))
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			p.recover(t)
			require.Equal(t, before, snapshotOf(t, p))
		})
	}
}
