//go:build unix

package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// sample is the endpoint of the sample content.
func sample(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("sample")
	require.NoError(t, err)
	return "dir:" + path
}

// api are the flags with which commands reach the API of a server.
func api(base, token string) []string { return []string{"--server", base, "--token", token} }

// decode reads JSON lines.
func decode[T any](t *testing.T, text string) (list []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var v T
		require.NoError(t, json.Unmarshal([]byte(line), &v), line)
		list = append(list, v)
	}
	return list
}

// requireSample requires that what is served holds the sample.
func (c *cluster) requireSample(from ...string) {
	c.t.Helper()
	pulled := filepath.Join(c.t.TempDir(), "pulled.tar")
	c.must([]string{"pull", "--to", pulled, "--json"}, from)
	c.must([]string{"diff", "--content", sample(c.t), pulled})
}

// Two servers that share a database, a Redis and a bucket are one server to who uses them, and to the commands that work beside them.
func TestTwoServersAreOne(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	servers := c.begin(2, "--site", "shop=vault:shop")
	a, b := servers[0], servers[1]
	token := c.first(servers)

	// What is pushed through either is pulled through both.
	push := []string{"push", "--from", sample(t), "--yes", "--json"}
	for range 2 {
		c.must(push, []string{"--to", c.proxy + "/admin", "--to-token", token})
	}
	require.Positive(t, a.carried.Load())
	require.Positive(t, b.carried.Load())
	for _, base := range []string{a.base, b.base, c.proxy} {
		c.requireSample("--from", base+"/admin", "--from-token", token)
	}

	// Their jobs are the same, whoever ran them.
	list := func(m *member, token string) []jobs.Job {
		return decode[jobs.Job](t, c.must([]string{"job", "list", "--json", "--limit", "100"}, api(m.base, token)).stdout)
	}
	require.Len(t, list(a, token), 5)
	require.Equal(t, list(a, token), list(b, token))

	c.walkSnapshots(a, token)
	c.walkTokens(servers)
	c.walkFeeds(servers, token)
	require.Zero(t, c.stray())
}

// walkSnapshots uses the vault beside the servers: with flags, and with variables alone.
func (c *cluster) walkSnapshots(a *member, token string) {
	t := c.t
	type listed struct {
		Snapshots []struct {
			ID, Site string
		}
	}
	flags := command{args: []string{"snapshot", "list", "--json", "--database", c.database, "--blobs", c.blobs()}, env: c.env()[3:]}.run(t)
	require.Zero(t, flags.code, flags.stderr)
	variables := c.must([]string{"snapshot", "list", "--json"})
	require.Equal(t, decode[listed](t, flags.stdout), decode[listed](t, variables.stdout))
	require.Len(t, decode[listed](t, variables.stdout)[0].Snapshots, 2)
	c.must([]string{"snapshot", "check"})

	c.requireSample("--from", "vault:default")
	c.must([]string{"push", "--from", sample(t), "--to", "vault:shop", "--yes", "--json"})
	c.requireSample("--from", a.url("shop"), "--from-token", token)
	c.must([]string{"snapshot", "forget", "--site", "default", "--keep-last", "1"})
	require.Len(t, decode[listed](t, c.must([]string{"snapshot", "list", "--json"}).stdout)[0].Snapshots, 2)
	c.must([]string{"snapshot", "check"})
}

// walkTokens makes tokens on the command line, which are good on all servers, and on none once they are revoked.
func (c *cluster) walkTokens(servers []*member) {
	t := c.t
	made := strings.TrimSpace(c.must([]string{"token", "create", "--name", "ci", "--permissions", "push,pull,jobs"}).stdout)
	for _, m := range servers {
		c.requireSample("--from", m.url("shop"), "--from-token", made)
	}
	slow, began := make(chan outcome, 1), make(chan struct{})
	go func() { // joined below; it would take minutes
		slow <- command{
			args: []string{"push", "--from", sample(t), "--yes", "--json", "--throttle", "500", "--to", servers[0].url("shop"), "--to-token", made},
			hook: during(transfer.StageEntities, func(*os.Process) { close(began) }),
		}.run(t)
	}()
	<-began
	c.must([]string{"token", "revoke", "ci"})
	for _, m := range servers {
		require.Eventually(t, func() bool {
			o := c.run([]string{"job", "list"}, api(m.base, made))
			return o.code == 3
		}, promptly, 100*time.Millisecond)
	}
	select {
	case o := <-slow:
		require.NotZero(t, o.code)
		require.Contains(t, o.stderr, "the token is not good any more")
	case <-time.After(promptly):
		require.FailNow(t, "a session goes on without its token")
	}
}

// walkFeeds follows a job on both servers at the same time.
func (c *cluster) walkFeeds(servers []*member, token string) {
	t := c.t
	started := c.must([]string{"job", "start", "--from", "shop", "--to", "default", "--max-rate", "8KiB/s"}, api(servers[0].base, token))
	id := strings.TrimSpace(started.stdout)
	seen := make(chan []jobs.Job, len(servers))
	for _, m := range servers {
		go func() { // joined below
			seen <- decode[jobs.Job](t, c.must([]string{"job", "watch", id, "--json"}, api(m.base, token)).stdout)
		}()
	}
	for range servers {
		told := <-seen
		last := told[len(told)-1]
		require.Equal(t, jobs.StateCompleted, last.State, last.Error)
		require.Greater(t, len(told), 3)
	}
	c.requireSample("--from", servers[1].url(""), "--from-token", token)
}

// What cannot be shared is told at the start: what is wrong and where, and no secret.
func TestServersThatCannotShare(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.must([]string{"push", "--from", sample(t), "--to", "vault:shop", "--yes", "--json"})
	const secret = "secret-of-the-address"
	elsewhere := c.storage + "&region=us-east-1"
	for name, tt := range map[string]struct {
		flags []string
		code  int
		says  string
	}{
		"a database that is away":   {[]string{"--database", "postgres://u:" + secret + "@127.0.0.1:1/x?connect_timeout=2"}, 6, "PostgreSQL at 127.0.0.1"},
		"another kind of database":  {[]string{"--database", "mysql://u:" + secret + "@h/x"}, 2, "postgres://USER@HOST:PORT/NAME"},
		"another kind of Redis":     {[]string{"--redis", "http://:" + secret + "@h"}, 2, "redis://"},
		"keys in the address":       {[]string{"--blobs", "s3://key:" + secret + "@pieces"}, 2, "AWS_SECRET_ACCESS_KEY"},
		"a bucket that is away":     {[]string{"--blobs", "s3://pieces/cms?region=us-east-1&endpoint=http://127.0.0.1:1"}, 6, "bucket s3://pieces/cms at 127.0.0.1:1"},
		"no such bucket":            {[]string{"--blobs", "s3://none?endpoint=" + elsewhere}, 2, "there is no such bucket"},
		"another place than others": {[]string{"--blobs", "s3://pieces/blog?endpoint=" + elsewhere}, 2, "are in s3://pieces/cms"},
	} {
		o := c.run([]string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir()}, tt.flags)
		require.Equal(t, tt.code, o.code, "%s: %s", name, o.stderr)
		require.Contains(t, o.stderr, tt.says, name)
		require.NotContains(t, o.stdout+o.stderr, secret, name)
	}
	o := command{args: []string{"snapshot", "list"}, env: c.env()[:1]}.run(t)
	require.Equal(t, 2, o.code, o.stderr)
	require.Contains(t, o.stderr, "TRANSFER_BLOBS")
}
