package strapi_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

const killVariable = "TRANSFER_TEST_KILLED"

// victim is what the process that is killed has to know.
type victim struct {
	Database database.Config
	Folder   string
	At       int
}

func (v victim) project(t *testing.T) project {
	t.Helper()
	v.Database.Zone = time.FixedZone("somewhere", -5*60*60)
	return project{folder: v.Folder, options: strapi.Options{
		Database: v.Database, Schemas: movable().Schemas(t), Version: movable().Version, Name: "a site",
		Uploads: uploads.NewFolder(v.Folder, uploads.FolderOptions{}),
	}}
}

// TestVictim is the process that kills itself: it is of use for TestKilledAtAnyTime only.
func TestVictim(t *testing.T) {
	text := os.Getenv(killVariable)
	if text == "" {
		t.Skip("only of use for TestKilledAtAnyTime")
	}
	var v victim
	require.NoError(t, json.Unmarshal([]byte(text), &v))
	var count atomic.Int64 // rows and files are written side by side
	fault := func(string) error {
		if count.Add(1) == int64(v.At) {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		return nil
	}
	p := v.project(t)
	p.options.Database.Hook = fault
	p.options.Uploads = uploads.NewFolder(v.Folder, uploads.FolderOptions{Fault: fault})
	dst, err := p.site(t).Destination("test", strapi.WriteOptions{})
	require.NoError(t, err)
	_, err = transfer.Run(t.Context(), transfertest.NewMemory(movable()), dst, transfer.Options{})
	require.NoError(t, err)
	require.NoError(t, dst.Close())
}

// TestKilledAtAnyTime kills a transfer with signal 9 at each statement and each step of the files. What the next transfer finds, after
// it has looked for what was left, must be the old site or the new one, whole.
func TestKilledAtAnyTime(t *testing.T) {
	t.Parallel()
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			p := load(t, kind, former())
			before := snapshotOf(t, p)
			fresh := load(t, kind, former())
			_, err := runMemory(t, fresh)
			require.NoError(t, err)
			after := snapshotOf(t, fresh)
			step := map[database.Kind]int{database.SQLite: 3, database.Postgres: 11, database.MySQL: 11}[kind]
			if testing.Short() {
				step *= 3
			}
			for n := 1; ; n += step {
				killed := kill(t, p, n)
				p.recover(t)
				now := snapshotOf(t, p)
				if !killed || now[len(now)-1] == after[len(after)-1] {
					require.Equal(t, after, now, "killed at %d", n)
					if !killed {
						return
					}
					p = load(t, kind, former())
					continue
				}
				require.Equal(t, before, now, "killed at %d", n)
			}
		})
	}
}

// kill runs a transfer in a process of its own and reports whether it was killed.
func kill(t *testing.T, p project, n int) bool {
	t.Helper()
	config := p.options.Database
	config.Hook, config.Zone = nil, nil
	text, err := json.Marshal(victim{Database: config, Folder: p.folder, At: n})
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$")
	cmd.Env = append(os.Environ(), killVariable+"="+string(text))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	require.Equal(t, "signal: killed", err.Error(), "%s", out)
	return true
}

// recover does what the next transfer does first, and then gives up.
func (p project) recover(t *testing.T) {
	t.Helper()
	dst, err := p.site(t).Destination("test", strapi.WriteOptions{})
	require.NoError(t, err)
	d, err := dst.Describe(t.Context())
	require.NoError(t, err)
	for attempt := 0; ; attempt++ { // a server notices only after a while that its client is gone
		_, err = dst.Begin(t.Context(), transfer.Plan{Source: d, Stages: transfer.Stages(), Restore: transfer.Filter{}.Restore(d.Schemas)})
		if err == nil || attempt == 20 {
			break
		}
		require.NoError(t, dst.Close())
		dst, err = p.site(t).Destination("test "+strconv.Itoa(attempt), strapi.WriteOptions{})
		require.NoError(t, err)
	}
	require.NoError(t, err)
	require.NoError(t, dst.Close())
}

func runMemory(t *testing.T, p project) (transfer.Report, error) {
	t.Helper()
	dst, err := p.site(t).Destination("test", strapi.WriteOptions{})
	require.NoError(t, err)
	report, err := transfer.Run(t.Context(), transfertest.NewMemory(movable()), dst, transfer.Options{})
	if cerr := dst.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		err = fmt.Errorf("restore: %w", err)
	}
	return report, err
}
