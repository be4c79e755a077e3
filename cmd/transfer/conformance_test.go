//go:build unix

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// The conformance tests drive the built binary against real Strapi servers and compare what arrived as a graph. Package
// strapitest says what they need; without it they are skipped.

const (
	archiveKey = "correct horse battery staple"

	// transferTimeout is how long one transfer of the test content may take on a slow machine, and promptly how long the
	// binary may take to end after its peer died or its user interrupted it.
	transferTimeout = 2 * time.Minute
	promptly        = 15 * time.Second
)

// binary returns the path of the command, built as it is shipped. TRANSFER_BINARY names one that has been built before.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("TRANSFER_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path, err := filepath.Abs(filepath.Join("..", "..", ".cache", "conformance", "transfer"))
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-trimpath", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", errors.Join(err, errors.New(string(output)))
	}
	return path, nil
})

// site is a Strapi server with the tokens that tests use.
type site struct {
	*strapitest.Instance

	token string
	at    string // where it is served instead, if it is
}

// URL is where the site is served.
func (s *site) URL() string {
	if s.at != "" {
		return s.at
	}
	return s.Instance.URL()
}

func newSite(t *testing.T, opts strapitest.Options) *site {
	t.Helper()
	instance := strapitest.New(t, opts)
	return &site{Instance: instance, token: instance.Token(t, strapitest.Forever, "push", "pull")}
}

func startSite(t *testing.T, opts strapitest.Options) *site {
	t.Helper()
	s := newSite(t, opts)
	s.Start(t)
	return s
}

// from and to are the flags that name the site.
func (s *site) from() []string { return []string{"--from", s.URL(), "--from-token", s.token} }
func (s *site) to() []string   { return []string{"--to", s.URL(), "--to-token", s.token} }

// args joins lists of flags.
func args(lists ...[]string) []string {
	var all []string
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// event is what the tests read of a line that --json prints.
type event struct {
	Event            string
	Stage            transfer.Stage
	Records          int64
	Item             string
	ExitCode         int
	Error            string
	DestinationState transfer.State
	Advice           string
	Report           *transfer.Report
}

// outcome is what a run of the command left.
type outcome struct {
	code    int
	events  []event
	stdout  string
	stderr  string
	elapsed time.Duration // since the last call of an event hook that returned true, or since the start
}

func (o outcome) summary(t *testing.T) event {
	t.Helper()
	require.NotEmpty(t, o.events, o.stderr)
	last := o.events[len(o.events)-1]
	require.Equal(t, "summary", last.Event)
	require.Equal(t, o.code, last.ExitCode)
	return last
}

// command is one run of the binary.
type command struct {
	args []string
	env  []string // besides what every run gets
	// hook sees each event as it is printed. When it returns true, the clock of outcome.elapsed starts anew.
	hook func(process *os.Process, e event) bool
}

func (c command) run(t *testing.T) outcome {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), transferTimeout)
	defer cancel()

	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, c.args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"HOME=" + cmd.Dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
	cmd.Env = append(cmd.Env, c.env...)
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal to ask on
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	started := time.Now()
	require.NoError(t, cmd.Start())

	o := outcome{}
	lines := json.NewDecoder(io.TeeReader(pipe, &stdout))
	for {
		var e event
		if lines.Decode(&e) != nil {
			break // the end, or a run without --json
		}
		o.events = append(o.events, e)
		if c.hook != nil && c.hook(cmd.Process, e) {
			started = time.Now()
		}
	}
	_, err = io.Copy(io.Discard, io.TeeReader(pipe, &stdout))
	require.NoError(t, err)
	err = cmd.Wait()
	require.NoError(t, ctx.Err(), "the command did not end\n%s", &stderr)
	var exit *exec.ExitError
	if err != nil {
		require.ErrorAs(t, err, &exit, "%s", &stderr)
	}
	o.code, o.elapsed = cmd.ProcessState.ExitCode(), time.Since(started)
	o.stdout, o.stderr = stdout.String(), stderr.String()
	c.requireNoSecrets(t, o)
	requireEmptyFolder(t, strings.TrimPrefix(cmd.Env[2], "TMPDIR="))
	return o
}

// requireNoSecrets looks for the values of all flags that carry one.
func (c command) requireNoSecrets(t *testing.T, o outcome) {
	t.Helper()
	for i, arg := range c.args {
		if strings.HasSuffix(arg, "-token") || arg == "--key" {
			require.NotContains(t, o.stdout+o.stderr, c.args[i+1], "%s was printed", arg)
		}
	}
}

func requireEmptyFolder(t *testing.T, folder string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Empty(t, entries, "temporary files were left behind")
}

// must runs the command and requires that it succeeds.
func must(t *testing.T, lists ...[]string) outcome {
	t.Helper()
	o := command{args: args(lists...)}.run(t)
	require.Zero(t, o.code, "transfer %s\n%s%s", lists[0][0], o.stdout, o.stderr)
	return o
}

func requireSame(t *testing.T, want, got strapitest.Graph) {
	t.Helper()
	require.Empty(t, strapitest.Diff(want, got))
}

// stockExport makes an archive or a folder with the stock command line and returns what it is called.
func stockExport(t *testing.T, s *site, name string, flags ...string) string {
	t.Helper()
	base := filepath.Join(t.TempDir(), "stock")
	result := s.CLI(t, args([]string{"export", "-f", base}, flags)...)
	require.NoError(t, result.Err, result.Stdout+result.Stderr)
	return filepath.Join(filepath.Dir(base), name)
}

func stockImport(t *testing.T, s *site, path string, flags ...string) {
	t.Helper()
	result := s.CLI(t, args([]string{"import", "--force", "-f", path}, flags)...)
	require.NoError(t, result.Err, result.Stdout+result.Stderr)
}
