//go:build unix

package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// ours is a running "transfer serve", the built binary.
type ours struct {
	base  string // the address, without a site's path
	token string

	stop   func() (code int)
	stderr *lockedText
}

// lockedText is output that is read while it is written.
type lockedText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var servingAt = regexp.MustCompile(`serving the vault's site default at (https?://127\.0\.0\.1:\d+)/admin`)

// startOurs starts the server on a data folder and stops it at the end of the test. token is "" after the first start.
func startOurs(t *testing.T, data string, flags ...string) *ours {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	stdout := &lockedText{}
	s := &ours{stderr: &lockedText{}}
	// It outlives a subtest that starts it, and ends with the test that it is given.
	cmd := exec.Command(path, args([]string{"serve", "--listen", "127.0.0.1:0", "--data", data, "--grace", "1s"}, flags)...)
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = stdout, s.stderr
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { // joined by stop
		defer close(ended)
		_ = cmd.Wait() // the code tells
	}()
	s.stop = sync.OnceValue(func() int {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
		case <-time.After(promptly):
			_ = cmd.Process.Kill()
			<-ended
		}
		return cmd.ProcessState.ExitCode()
	})
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("transfer serve said:\n%s", s.stderr)
		}
	})
	require.Eventually(t, func() bool {
		select {
		case <-ended:
			return true
		default:
		}
		found := servingAt.FindStringSubmatch(s.stderr.String())
		if found != nil {
			s.base = found[1]
		}
		return found != nil
	}, promptly, 10*time.Millisecond)
	require.NotEmpty(t, s.base, s.stderr.String())
	if strings.Contains(s.stderr.String(), "This is the first start") {
		require.Eventually(t, func() bool { return strings.HasSuffix(stdout.String(), "\n") }, promptly, 10*time.Millisecond)
	}
	s.token = strings.TrimSpace(stdout.String())
	return s
}

// url is the address of a site, "" for the default one.
func (s *ours) url(site string) string {
	if site == "" {
		return s.base + "/admin"
	}
	return s.base + "/" + site + "/admin"
}

// stockTransfer runs the stock "strapi transfer" in a project, and says what it exited with.
func stockTransfer(t *testing.T, project *site, flags ...string) strapitest.Result {
	t.Helper()
	result := project.CLI(t, args([]string{"transfer", "--force"}, flags)...)
	require.NotEqual(t, -1, result.ExitCode, "%v\n%s%s", result.Err, result.Stdout, result.Stderr)
	return result
}

func mustStockTransfer(t *testing.T, project *site, flags ...string) strapitest.Result {
	t.Helper()
	result := stockTransfer(t, project, flags...)
	require.NoError(t, result.Err, result.Stdout+result.Stderr)
	return result
}

// The stock client stores a project in our server, and restores it from there into another one. Both then hold the same content.
func TestConformanceStockClientOfOurServer(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := newSite(t, strapitest.Options{Seed: true})
	want := source.Graph(t)
	blank := newSite(t, strapitest.Options{})
	require.NotEmpty(t, strapitest.Diff(want, blank.Graph(t)), "the test would not notice")
	server := startOurs(t, filepath.Join(t.TempDir(), "data"), "--site", "shop=vault:shop")

	for name, test := range map[string]struct {
		site  string
		flags []string
	}{
		"as it is":                              {},
		"slowed down, without checksums, named": {"shop", []string{"--no-checksums", "--throttle", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			pushed := mustStockTransfer(t, source, args([]string{"--to", server.url(test.site), "--to-token", server.token}, test.flags)...)
			require.Contains(t, pushed.Stdout, "Transfer process has been completed successfully!")
			destination := &site{Instance: blank.Clone(t)}
			mustStockTransfer(t, destination, args([]string{"--from", server.url(test.site), "--from-token", server.token}, test.flags)...)
			requireSame(t, want, destination.Graph(t))
		})
	}
	requireSame(t, want, source.Graph(t))

	t.Run("our client reads what the stock client wrote", func(t *testing.T) {
		archive := filepath.Join(t.TempDir(), "site.tar")
		must(t, []string{"pull", "--from", server.url(""), "--from-token", server.token, "--to", archive, "--json"})
		destination := &site{Instance: blank.Clone(t)}
		stockImport(t, destination, archive)
		requireSame(t, want, destination.Graph(t))
	})
	require.Zero(t, server.stop(), server.stderr.String())
}

// What the stock client is told to leave out stays as it was, in our server and in the project.
func TestConformanceStockClientFiltersAtOurServer(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	const rows, files, config = strapitest.Rows, strapitest.Files, strapitest.Config
	seeded := newSite(t, strapitest.Options{Seed: true})
	want := seeded.Graph(t)
	altered := newSite(t, strapitest.Options{Seed: true})
	altered.Alter(t)
	old := altered.Graph(t)
	blank := newSite(t, strapitest.Options{})
	server := startOurs(t, filepath.Join(t.TempDir(), "data"), "--site", "seeded=vault:seeded")
	to := func(name string) []string { return []string{"--to", server.url(name), "--to-token", server.token} }
	from := func(name string) []string { return []string{"--from", server.url(name), "--from-token", server.token} }
	mustStockTransfer(t, seeded, to("seeded")...)
	requireSections := func(t *testing.T, got strapitest.Graph, replaced map[strapitest.Section]strapitest.Graph) {
		t.Helper()
		for section, expected := range replaced {
			require.NotEmpty(t, strapitest.Diff(want.Only(section), old.Only(section)), "the test would not notice")
			require.Empty(t, strapitest.Diff(expected.Only(section), got.Only(section)), section)
		}
		require.Empty(t, got[strapitest.Strays])
	}

	for name, test := range map[string]struct {
		flags    []string
		replaced map[strapitest.Section]strapitest.Graph // what each section is of after it
	}{
		"--only content":          {[]string{"--only", "content"}, map[strapitest.Section]strapitest.Graph{rows: want, files: old, config: old}},
		"--exclude content,files": {[]string{"--exclude", "content,files"}, map[strapitest.Section]strapitest.Graph{rows: old, files: old, config: want}},
		"--exclude config":        {[]string{"--exclude", "config"}, map[strapitest.Section]strapitest.Graph{rows: want, files: want, config: old}},
	} {
		t.Run("push "+name, func(t *testing.T) {
			mustStockTransfer(t, altered, to("")...)
			mustStockTransfer(t, seeded, args(to(""), test.flags)...)
			destination := &site{Instance: blank.Clone(t)}
			mustStockTransfer(t, destination, from("")...)
			requireSections(t, destination.Graph(t), test.replaced)
		})
		t.Run("pull "+name, func(t *testing.T) {
			destination := &site{Instance: altered.Clone(t)}
			mustStockTransfer(t, destination, args(from("seeded"), test.flags)...)
			requireSections(t, destination.Graph(t), test.replaced)
		})
	}

	t.Run("content types of a site whose schemas are not known", func(t *testing.T) {
		refused := stockTransfer(t, altered, args(to("seeded"), []string{"--only-content-types", "api::bed.bed"})...)
		require.Equal(t, 1, refused.ExitCode)
		require.Contains(t, refused.Stdout+refused.Stderr, "Push the whole site")
		destination := &site{Instance: blank.Clone(t)}
		mustStockTransfer(t, destination, from("seeded")...)
		requireSame(t, want, destination.Graph(t))
	})
	require.Zero(t, server.stop(), server.stderr.String())
}
