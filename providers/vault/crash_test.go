//go:build unix

package vault_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// childVariable makes the test binary a writer that is killed: folder, point, how often that is to be passed, and the database and the
// endpoint of the bucket if those are shared.
const childVariable = "TRANSFER_TEST_VAULT_CHILD"

// newContent is what the child writes over the sample.
func newContent() *transfertest.Site {
	site := wide(300, 40)
	site.Files = append(site.Files, transfertest.File{Name: "large_1.bin", Metadata: `{"id":99}`, Body: repeat(7, 3<<20)})
	return site
}

// TestTheChild is the child.
func TestTheChild(t *testing.T) {
	task := os.Getenv(childVariable)
	if task == "" {
		t.Skip("only for the test that kills it")
	}
	t.Parallel()
	require.NoError(t, child(t.Context(), strings.Split(task, "|")))
}

func child(ctx context.Context, task []string) error {
	left, err := strconv.Atoi(task[2])
	if err != nil {
		return err
	}
	var opts vault.Options
	if len(task) > 4 {
		bucket := sharedBucket(task[4])
		opts = vault.Options{Database: task[3], Blobs: &bucket}
	}
	opts = vault.WithFault(opts, func(point string) {
		if point != task[1] {
			return
		}
		if left--; left <= 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
	v, err := vault.Open(ctx, task[0], opts)
	if err != nil {
		return err
	}
	if task[1] == "pruned" {
		_, _, err := v.Forget(ctx, "site", vault.Policy{Last: 1}, vault.DoIt)
		return errors.Join(err, v.Close())
	}
	dst, err := v.Destination("site", vault.WriteOptions{Who: "the child"})
	if err != nil {
		return err
	}
	_, err = transfer.Run(ctx, transfertest.NewMemory(newContent()), dst, transfer.Options{})
	return errors.Join(err, dst.Close(), v.Close())
}

// killAt runs a child that is killed at a point.
func killAt(t *testing.T, dir, point string, nth int, shared ...string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestTheChild$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s", childVariable, strings.Join(append([]string{dir, point, strconv.Itoa(nth)}, shared...), "|")))
	out, err := cmd.CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	require.True(t, ok, "the child came to its end: %v %s", err, out)
	status, ok := exit.Sys().(syscall.WaitStatus)
	require.True(t, ok)
	require.True(t, status.Signaled(), "%s", out)
}

func TestAWriterKilledAtAnyPointLeavesOldOrNew(t *testing.T) {
	t.Parallel()
	// What a vault holds that was written without any accident, for comparison of the files.
	clean := filepath.Join(t.TempDir(), "clean")
	v := openVault(t, clean)
	put(t, v, "site", transfertest.Sample())
	oldFiles := names(t, clean)
	put(t, v, "site", newContent())
	newFiles := names(t, clean)

	for name, tt := range map[string]struct {
		point string
		nth   int
		after string // the site that a reader sees
	}{
		"before anything is written":       {"segment", 1, "old"},
		"in the middle of the files":       {"asset", 20, "old"},
		"in the middle of the links":       {"segment", 6, "old"},
		"when all is written":              {"written", 1, "old"},
		"after the first piece was moved":  {"moved", 1, "old"},
		"when half the pieces were moved":  {"moved", 25, "old"},
		"when all pieces are in place":     {"published", 1, "old"},
		"just before the record":           {"before the record", 1, "old"},
		"inside the transaction":           {"in the record", 1, "old"},
		"just after the record":            {"recorded", 1, "new"},
		"while what is forgotten is swept": {"pruned", 1, "old"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "vault")
			v, err := vault.Open(t.Context(), dir, vault.Options{})
			require.NoError(t, err)
			if tt.point == "pruned" {
				put(t, v, "site", newContent())
			}
			put(t, v, "site", transfertest.Sample())
			require.NoError(t, v.Close())

			killAt(t, dir, tt.point, tt.nth)

			v = openVault(t, dir)
			want, wantFiles := transfertest.Sample(), oldFiles
			if tt.after == "new" {
				want, wantFiles = newContent(), newFiles
			}
			require.Equal(t, lines(sortedSchemas(want)), lines(get(t, v, "site", "")))
			require.Equal(t, wantFiles, names(t, dir), "nothing is left behind")
			for path := range files(t, filepath.Join(dir, "locks")) {
				require.NotContains(t, path, ".holder")
			}
			report, err := v.Check(t.Context(), vault.CheckOptions{ReadData: true})
			require.NoError(t, err)
			require.Empty(t, report.Problems)

			put(t, v, "site", newContent())
			require.Equal(t, lines(sortedSchemas(newContent())), lines(get(t, v, "site", "")), "the lock is free and the vault works")
		})
	}
}

func TestAServerThatIsKilledLeavesOldOrNewToTheOthers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		point string
		nth   int
		after string // the site that the others see
	}{
		"in the middle of the files":       {"asset", 20, "old"},
		"when all is sent":                 {"published", 1, "old"},
		"inside the transaction":           {"in the record", 1, "old"},
		"just after the record":            {"recorded", 1, "new"},
		"while what is forgotten is swept": {"pruned", 1, "old"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := share(t)
			v := s.open(t)
			if tt.point == "pruned" {
				put(t, v, "site", newContent())
			}
			put(t, v, "site", transfertest.Sample())
			dir := t.TempDir()

			killAt(t, dir, tt.point, tt.nth, s.database, s.bucket.Endpoint)

			want := transfertest.Sample()
			if tt.after == "new" {
				want = newContent()
			}
			require.Equal(t, lines(sortedSchemas(want)), lines(get(t, v, "site", "")))
			s.settle(t)
			swept, err := v.Sweep(t.Context())
			require.NoError(t, err)
			require.False(t, swept.Busy, "the locks are free")
			report, err := v.Check(t.Context(), vault.CheckOptions{ReadData: true})
			require.NoError(t, err)
			require.Empty(t, report.Problems)
			require.Len(t, s.pieces(t), int(report.Blobs-s.empty(t)), "nothing is left behind")

			put(t, v, "site", smallSite())
			require.Equal(t, lines(sortedSchemas(smallSite())), lines(get(t, v, "site", "")))
		})
	}
}
