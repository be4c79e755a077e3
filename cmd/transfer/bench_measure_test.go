//go:build unix

package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// measureVariable names the file that a measuring process writes its result to.
	measureVariable = "TRANSFER_TEST_MEASURE"

	// measureTimeout is how long a measured transfer may take: it is to end tests that hang.
	measureTimeout = 15 * time.Minute
)

// usage is what one run of the command took.
type usage struct {
	Elapsed time.Duration
	CPU     time.Duration // of all cores
	Peak    int64         // resident memory at its largest, bytes
}

// measure runs the built command, which must succeed. The kernel lets a new process begin with the peak memory of the process that
// started it, so a small process of its own starts and measures it: this one may be large.
func measure(tb testing.TB, lists ...[]string) usage {
	tb.Helper()
	path, err := binary()
	require.NoError(tb, err)
	self, err := os.Executable()
	require.NoError(tb, err)
	ctx, cancel := context.WithTimeout(tb.Context(), measureTimeout)
	defer cancel()

	home := tb.TempDir()
	result := filepath.Join(home, "usage.json")
	cmd := exec.CommandContext(ctx, self, args([]string{"-test.run=^TestMeasuringProcess$", "--", path}, args(lists...))...)
	cmd.Dir = home
	cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + home, measureVariable + "=" + result}
	if value, ok := os.LookupEnv("GOMAXPROCS"); ok {
		cmd.Env = append(cmd.Env, "GOMAXPROCS="+value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal to ask on, and one group to end
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	output, err := cmd.CombinedOutput()
	require.NoError(tb, err, "transfer %s\n%s", lists[0][0], output)

	text, err := os.ReadFile(result)
	require.NoError(tb, err, "%s", output)
	var u usage
	require.NoError(tb, json.Unmarshal(text, &u))
	return u
}

// TestMeasuringProcess is no test but the process that measure starts.
func TestMeasuringProcess(t *testing.T) {
	result := os.Getenv(measureVariable)
	if result == "" {
		t.Skip("it measures for other tests")
	}
	command := os.Args[slices.Index(os.Args, "--")+1:]
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	started := time.Now()
	err := cmd.Run()
	elapsed := time.Since(started)
	require.NoError(t, err)
	u, err := usageOf(cmd.ProcessState, elapsed)
	require.NoError(t, err)
	text, err := json.Marshal(u)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(result, text, 0o600))
}

// usageOf returns what a process used that has ended.
func usageOf(state *os.ProcessState, elapsed time.Duration) (usage, error) {
	rusage, ok := state.SysUsage().(*syscall.Rusage)
	if !ok {
		return usage{}, errors.New("this system does not tell what a process used")
	}
	u := usage{Elapsed: elapsed, CPU: state.UserTime() + state.SystemTime(), Peak: rusage.Maxrss}
	if runtime.GOOS != "darwin" && runtime.GOOS != "ios" {
		u.Peak <<= 10
	}
	return u, nil
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }
