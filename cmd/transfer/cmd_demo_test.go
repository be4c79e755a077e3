package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
)

// stage is a demo that a test runs, in a folder for temporary files of its own.
type stage struct {
	t        *testing.T
	folder   string
	out, err lockedBuffer
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, folder: t.TempDir()}
	t.Setenv("TMPDIR", s.folder)
	return s
}

func (s *stage) run(ctx context.Context, args ...string) int {
	a := &app{in: strings.NewReader(""), out: &s.out, err: &s.err, getenv: func(string) string { return "" }, now: time.Now}
	return run(ctx, a, append([]string{"demo"}, args...))
}

func (s *stage) requireClean() {
	s.t.Helper()
	left, err := os.ReadDir(s.folder)
	require.NoError(s.t, err)
	require.Empty(s.t, left, "the demo cleans up")
}

func TestDemo(t *testing.T) {
	s := newStage(t)
	require.Equal(t, exitOK, s.run(t.Context()), s.err.String())
	for _, want := range []string{
		"$ transfer push --from dir:", "$ transfer pull --from http://127.0.0.1:", "verified: the destination holds what was sent",
		"default@20", "1 snapshot of 1 site", "\nthe same\n", "entities         31    31      31",
	} {
		require.Contains(t, s.out.String()+s.err.String(), want)
	}
	s.requireClean()
}

func TestDemoForPrograms(t *testing.T) {
	s := newStage(t)
	require.Equal(t, exitOK, s.run(t.Context(), "--json"), s.err.String())
	require.Empty(t, s.err.String())
	var got struct {
		Event    string
		URL      string
		Same     bool
		Snapshot struct {
			Counts map[transfer.Stage]transfer.Count
		}
		Push, Pull struct {
			ExitCode         int
			DestinationState transfer.State
			Report           transfer.Report
		}
	}
	require.NoError(t, json.Unmarshal([]byte(s.out.String()), &got), s.out.String())
	require.Equal(t, "demo", got.Event)
	require.Regexp(t, `^http://127\.0\.0\.1:\d+/admin$`, got.URL)
	require.True(t, got.Same)
	require.EqualValues(t, 31, got.Snapshot.Counts[transfer.StageEntities].Records)
	for _, report := range []transfer.Report{got.Push.Report, got.Pull.Report} {
		require.Len(t, report.Stages, 5)
		require.EqualValues(t, 63, report.Stages[3].Stored)
	}
	require.Equal(t, transfer.StateCommitted, got.Push.DestinationState)
	s.requireClean()
}

// The server that is kept can be used with what was printed, until it is interrupted.
func TestDemoKeep(t *testing.T) {
	for name, tt := range map[string]struct {
		args    []string
		printed string
		address *regexp.Regexp
		token   *regexp.Regexp
	}{
		"for people":   {[]string{"--keep"}, "npx strapi transfer", regexp.MustCompile(`address  (\S+)`), regexp.MustCompile(`token    (\S+)`)},
		"for programs": {[]string{"--keep", "--json"}, `"event":"serving"`, regexp.MustCompile(`"url":"([^"]+)"`), regexp.MustCompile(`"token":"([^"]+)"`)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			done := make(chan int, 1)
			go func() { done <- s.run(ctx, tt.args...) }()
			require.Eventually(t, func() bool {
				return strings.Contains(s.out.String(), tt.printed) || len(done) > 0
			}, 20*time.Second, 5*time.Millisecond)
			address, token := tt.address.FindStringSubmatch(s.out.String()), tt.token.FindStringSubmatch(s.out.String())
			require.NotNil(t, address, s.out.String()+s.err.String())
			require.NotNil(t, token)
			user := &served{t: t}
			pulled := filepath.Join(t.TempDir(), "pulled.tar")
			code, _, said := user.command("pull", "--from", address[1], "--from-token", token[1], "--to", pulled)
			require.Equal(t, exitOK, code, said)
			code, out, said := user.command("diff", "--content", "dir:sample", pulled)
			require.Equal(t, exitOK, code, out+said)
			require.Empty(t, done, "the server goes on")
			cancel(errInterrupted)
			require.Equal(t, exitOK, <-done, s.err.String())
			s.requireClean()
		})
	}
}

// cue ends a context when a text is written.
type cue struct {
	lockedBuffer
	text   string
	cancel func()
}

func (c *cue) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.text) {
		c.cancel()
	}
	return c.lockedBuffer.Write(p)
}

// Ctrl-C leaves nothing behind, wherever it comes.
func TestDemoInterrupted(t *testing.T) {
	for _, at := range []string{"$ transfer inspect", "Push it", "$ transfer push", "preparing the destination", "committing", "$ transfer snapshot", "$ transfer pull", "$ transfer diff"} {
		t.Run(at, func(t *testing.T) {
			s := newStage(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			c := &cue{text: at, cancel: func() { cancel(errInterrupted) }}
			a := &app{in: strings.NewReader(""), out: c, err: c, getenv: func(string) string { return "" }, now: time.Now}
			require.Equal(t, exitInterrupted, run(ctx, a, []string{"demo"}), c.String())
			require.NotContains(t, c.String(), "Everything of this is deleted")
			s.requireClean()
		})
	}
}

func TestDemoIsForThisMachine(t *testing.T) {
	s := newStage(t)
	require.Equal(t, exitUsage, s.run(t.Context(), "--listen", "0.0.0.0:0"))
	require.Contains(t, s.err.String(), "can be reached from other machines")
	s.requireClean()
}
