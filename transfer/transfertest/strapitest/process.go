//go:build unix

package strapitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Result is what a finished command left.
type Result struct {
	Command  string
	Stdout   string
	Stderr   string
	ExitCode int   // -1 when a signal ended it
	Err      error // nil exactly when the command ran and exited with 0

	Elapsed time.Duration
	State   *os.ProcessState // tells what the process used; nil if it did not run
}

// err returns nil, or an error with the end of the output.
func (r Result) err() error {
	if r.Err == nil {
		return nil
	}
	return fmt.Errorf("run %s: %w\n%s", r.Command, r.Err, tail(r.Stderr+r.Stdout))
}

// killDelay is how long a process may take to end after it was asked to.
const killDelay = 10 * time.Second

// child is a process of our own that ends with us: it has its own group, so that its children can be reached, and a leash,
// a pipe that closes when this process is gone however that happens (see scripts/leash.js).
type child struct {
	cmd   *exec.Cmd
	leash *os.File
}

func startChild(ctx context.Context, dir string, env []string, stdout, stderr io.Writer, command ...string) (*child, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a leash: %w", err)
	}
	defer func() { _ = read.Close() }()

	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.ExtraFiles = []*os.File{read}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return signalGroup(cmd, syscall.SIGKILL) }
	cmd.WaitDelay = killDelay
	if err := cmd.Start(); err != nil {
		_ = write.Close()
		return nil, fmt.Errorf("start %s: %w", command[0], err)
	}
	return &child{cmd: cmd, leash: write}, nil
}

// wait waits for the end of the process. It is called once.
func (c *child) wait() error {
	err := c.cmd.Wait()
	_ = c.leash.Close()
	return err
}

// signalGroup reaches a process and its children. Only groups that startChild made are ever signalled.
func signalGroup(cmd *exec.Cmd, signal syscall.Signal) error {
	err := syscall.Kill(-cmd.Process.Pid, signal)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// run runs a command to its end.
func run(ctx context.Context, dir string, env []string, command ...string) Result {
	var stdout, stderr bytes.Buffer
	result := Result{Command: strings.Join(command, " "), ExitCode: -1}
	started := time.Now()
	process, err := startChild(ctx, dir, env, &stdout, &stderr, command...)
	if err != nil {
		result.Err = err
		return result
	}
	result.Err = process.wait()
	result.Elapsed, result.State = time.Since(started), process.cmd.ProcessState
	result.ExitCode = result.State.ExitCode()
	result.Stdout, result.Stderr = stdout.String(), stderr.String()
	if ctx.Err() != nil {
		result.Err = errors.Join(result.Err, context.Cause(ctx))
	}
	return result
}

// tail returns the end of a log, which is where the reason is.
func tail(text string) string {
	const keep = 4000
	if len(text) > keep {
		text = "…" + text[len(text)-keep:]
	}
	return strings.ToValidUTF8(text, "")
}
