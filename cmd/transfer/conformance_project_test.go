//go:build unix

package main_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// serveProject runs our server for the project of an instance and returns it as a site with the tokens of the instance.
func serveProject(t *testing.T, of *site) *site {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, path, "serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--site", of.Path())
	cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "TZ=" + os.Getenv("TZ")}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = promptly
	said, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	url := make(chan string, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			if found := regexp.MustCompile(`^serving .* at (http://\S+/admin)$`).FindStringSubmatch(lines.Text()); found != nil {
				url <- found[1]
			}
		}
		_, _ = io.Copy(io.Discard, said)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		_ = cmd.Wait()
	})
	select {
	case at := <-url:
		return &site{Instance: of.Instance, token: of.token, at: at}
	case <-time.After(promptly):
		require.Fail(t, "the server did not start")
	}
	return nil
}

// eachDatabase runs a test for each kind of database that is there.
func eachDatabase(t *testing.T, test func(t *testing.T, kind strapitest.Database)) {
	t.Helper()
	for _, kind := range strapitest.Databases() {
		t.Run(kind.String(), func(t *testing.T) { test(t, kind) })
	}
}

// named leaves out uploads that no row knows: no transfer carries them.
func named(_ strapitest.Section, key string) bool { return !strings.HasPrefix(key, "only_here") }

// The stock transfer command uses our server as if it were Strapi, with the project's own tokens, on every database.
func TestConformanceServedProject(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	eachDatabase(t, func(t *testing.T, kind strapitest.Database) {
		source := newSite(t, strapitest.Options{Seed: true, Database: kind})
		want := source.Graph(t)
		served := serveProject(t, source)
		other := newSite(t, strapitest.Options{})
		result := other.CLI(t, "transfer", "--from", served.URL(), "--from-token", served.token, "--force")
		require.NoError(t, result.Err, result.Stdout+result.Stderr)
		requireSame(t, want, other.Graph(t))

		other.Alter(t)
		want = other.Graph(t).Filter(named)
		require.NotEmpty(t, strapitest.Diff(want, source.Graph(t)))
		result = other.CLI(t, "transfer", "--to", served.URL(), "--to-token", served.token, "--force")
		require.NoError(t, result.Err, result.Stdout+result.Stderr)
		requireSame(t, want, source.Graph(t))
		require.Empty(t, source.Backups(t))

		result = other.CLI(t, "transfer", "--from", served.URL(), "--from-token", served.token+"0", "--force")
		require.Error(t, result.Err)
		require.Contains(t, result.Stdout+result.Stderr, "Authentication Error")
	})
}

// Production onto a laptop, and back, with real Strapi servers at the other end.
func TestConformanceProject(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	eachDatabase(t, func(t *testing.T, kind strapitest.Database) {
		production := startSite(t, strapitest.Options{Seed: true, Database: kind})
		want := production.Graph(t)
		laptop := newSite(t, strapitest.Options{Database: kind})
		must(t, []string{"pull", "--to", laptop.Path(), "--yes"}, production.from())
		requireSame(t, want, laptop.Graph(t))

		laptop.Alter(t)
		want = laptop.Graph(t).Filter(named)
		must(t, []string{"push", "--from", laptop.Path(), "--yes"}, production.to())
		requireSame(t, want, production.Graph(t))

		// Strapi starts on what we wrote, and hands it out. A push into its database while it runs is taken.
		laptop.Start(t)
		archive := filepath.Join(t.TempDir(), "laptop.tar.gz")
		must(t, []string{"pull", "--to", archive}, laptop.from())
		must(t, []string{"push", "--from", archive, "--to", laptop.Path(), "--yes"})
		requireSame(t, want, laptop.Graph(t))
	})
}

// skipsShown finds what the stock client shows of links that were left out.
var skipsShown = regexp.MustCompile(`(Skipping link|Further detailed|Links restore).*`)

// Of links that lead to components of nobody, which are not transferred, the stock client shows the same, word for word and in the same
// order, whether a Strapi server leaves them out or ours.
func TestConformanceSkippedLinksAreShown(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := newSite(t, strapitest.Options{Seed: true})
	source.Script(t, `require('./boot')(async (strapi) => {
		const { id } = await strapi.db.query('api::gardener.gardener').findOne({});
		for (let i = 0; i < 12; i += 1) {
			await strapi.db.query('blocks.quotation').create({ data: { text: 'of nobody', speaker: id } });
		}
	})`)
	shown := func(to *site) []string {
		result := source.CLI(t, "transfer", "--to", to.URL(), "--to-token", to.token, "--force")
		require.NoError(t, result.Err, result.Stdout+result.Stderr)
		return skipsShown.FindAllString(result.Stdout+result.Stderr, -1)
	}
	want := shown(startSite(t, strapitest.Options{}))
	require.Len(t, want, 12, "ten links, that there are more, and how many")
	require.Equal(t, want, shown(serveProject(t, newSite(t, strapitest.Options{}))))
}
