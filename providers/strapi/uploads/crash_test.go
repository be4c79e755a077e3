//go:build linux

package uploads_test

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/uploads"
)

// childVariable makes the test binary a writer that is killed: folder, step, and whether it replaces.
const childVariable = "TRANSFER_TEST_UPLOADS_CHILD"

// TestTheChild is the child.
func TestTheChild(t *testing.T) {
	task := strings.Split(os.Getenv(childVariable), "|")
	if len(task) != 3 {
		t.Skip("only for the test that kills it")
	}
	t.Parallel()
	store := uploads.NewFolder(task[0], uploads.FolderOptions{Fault: func(at string) error {
		if at == task[1] {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		if at == "beside" && task[2] == "inside" {
			return syscall.EACCES
		}
		return nil
	}})
	c, err := store.Begin(t.Context(), uploads.BeginOptions{Replace: task[2] != "add"})
	require.NoError(t, err)
	stageNew(t, c)
	require.NoError(t, c.Apply(t.Context()))
	require.NoError(t, c.Finish(t.Context()))
}

func TestKilledAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"stage", "swap", "swapped", "move", "one moved", "moved", "finish"} {
		for _, mode := range []string{"replace", "inside", "add"} {
			for _, committed := range []bool{false, true} {
				if committed && step != "finish" {
					continue // a database is committed after Apply only
				}
				dir := folder(t)
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheChild$")
				cmd.Env = append(os.Environ(), childVariable+"="+dir+"|"+step+"|"+mode)
				out, err := cmd.CombinedOutput()
				if err == nil {
					continue // the step is not one of this mode
				}
				require.Contains(t, err.Error(), "killed", string(out))
				store := uploads.NewFolder(dir, uploads.FolderOptions{})
				for range 2 {
					_, err = store.Recover(t.Context(), func(context.Context, string) (bool, error) { return committed, nil })
					require.NoError(t, err)
				}
				want := oldContent()
				if committed {
					want = newContent()
					if mode == "add" {
						want["uploads/b_2.txt"], want["uploads/sub/c.txt"] = "old b", "old c"
					}
				}
				got := content(t, dir)
				delete(got, ".transfer-uploads-lock") // of the process that was killed; the next writer takes it over
				require.Equal(t, want, got, "%s, %s, committed %v", step, mode, committed)
			}
		}
	}
}
