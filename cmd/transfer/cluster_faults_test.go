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

// old is content that differs from the sample: in a text, and in that it has no files.
func old(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "old")
	require.NoError(t, os.CopyFS(dir, os.DirFS("sample")))
	files, err := filepath.Glob(filepath.Join(dir, "entities", "*"))
	require.NoError(t, err)
	changed := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		changed += strings.Count(string(text), "proof")
		require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "proof", "toast")), 0o600))
	}
	require.Positive(t, changed)
	return "dir:" + dir
}

// holding starts two servers whose site shop holds the old content. They serve the sample as site sample.
func holding(t *testing.T) (c *cluster, servers []*member, token string, requireOld func(base string)) {
	t.Helper()
	c = newCluster(t)
	servers = c.begin(2, "--site", "shop=vault:shop", "--site", "sample="+sample(t))
	token = c.first(servers)
	for range 2 { // one of them can be forgotten
		c.must([]string{"push", "--from", old(t), "--to", servers[0].url("shop"), "--to-token", token, "--exclude", "files", "--yes", "--json"})
	}
	pull := func(base string) string {
		path := filepath.Join(t.TempDir(), "shop.tar")
		c.must([]string{"pull", "--from", base + "/shop/admin", "--from-token", token, "--to", path, "--json"})
		return path
	}
	before := pull(servers[0].base)
	require.Equal(t, 1, c.run([]string{"diff", "--content", sample(t), before}).code, "the test would not notice")
	return c, servers, token, func(base string) {
		t.Helper()
		c.must([]string{"diff", "--content", before, pull(base)})
	}
}

// start starts a transfer of the sample into the shop, which takes a while.
func (c *cluster) start(base, token string, flags ...string) string {
	c.t.Helper()
	return strings.TrimSpace(c.must([]string{"job", "start", "--from", "sample", "--to", "shop", "--max-rate", "4KiB/s"}, flags, api(base, token)).stdout)
}

// runs returns the server that runs a job, and the other.
func (c *cluster) runs(id, token string, servers []*member) (it, other *member) {
	c.t.Helper()
	var job jobs.Job
	require.NoError(c.t, json.Unmarshal([]byte(c.must([]string{"job", "show", id, "--json"}, api(servers[0].base, token)).stdout), &job))
	for i, m := range servers {
		if m.owner.MatchString(job.Server) {
			return m, servers[1-i]
		}
	}
	require.FailNow(c.t, "nobody runs the job", "%s is none of the servers", job.Server)
	return nil, nil
}

// A server is killed while it runs a job. The other one takes the job over and completes it; those who follow the job hear all of it.
func TestAJobOfAKilledServerIsRunByAnother(t *testing.T) {
	t.Parallel()
	c, servers, token, requireOld := holding(t)
	id := c.start(servers[0].base, token, "--rerun")
	moving := func(e told) bool { return e.Step == jobs.StepAssets && e.Items > 0 }
	follow(t, id, token, servers[0].base).until(t, "files are moved", moving)
	victim, heir := c.runs(id, token, servers)
	moved, stayed := follow(t, id, token, victim.base, heir.base), follow(t, id, token, heir.base)
	require.Eventually(t, func() bool { return c.stray() > 0 }, promptly, 10*time.Millisecond, "the killed server is to leave something in the bucket")
	victim.kill()
	killed := time.Now()

	requireOld(heir.base)
	requireOld(c.proxy)
	stayed.until(t, "the job runs again", func(e told) bool { return e.Attempt == 2 && e.Status == jobs.StateProcessing })
	t.Logf("taken over after %s", time.Since(killed))
	for _, f := range []*follower{moved, stayed} {
		events := f.whole(t)
		require.Equal(t, "completed", events[len(events)-1].kind)
	}
	require.True(t, heir.owner.MatchString(c.job(id, token, heir).Server))
	c.requireSample("--from", heir.url("shop"), "--from-token", token)

	// It is as if the killed server had never begun, once what no snapshot names has been swept.
	c.must([]string{"snapshot", "forget", "--site", "shop", "--keep-last", "2"})
	require.Zero(t, c.stray())
	c.must([]string{"snapshot", "check"})
	// And a server that comes back works with the other.
	again := c.begin(1, "--site", "shop=vault:shop", "--site", "sample="+sample(t))[0]
	require.Equal(t, jobs.StateCompleted, c.job(id, token, again).State)
	c.requireSample("--from", again.url("shop"), "--from-token", token)
}

// job reads a job.
func (c *cluster) job(id, token string, m *member) (job jobs.Job) {
	c.t.Helper()
	require.NoError(c.t, json.Unmarshal([]byte(c.must([]string{"job", "show", id, "--json"}, api(m.base, token)).stdout), &job))
	return job
}

// Redis goes away while a job is followed at both servers, and comes back. TRANSFER_FAULTS makes it stay away longer.
func TestRedisGoesAwayWhileAJobIsFollowed(t *testing.T) {
	t.Parallel()
	c, servers, token, _ := holding(t)
	away, rate := 3*time.Second, "4KiB/s"
	if os.Getenv("TRANSFER_FAULTS") != "" {
		away, rate = 30*time.Second, "1KiB/s"
	}
	id := c.start(servers[0].base, token, "--max-rate", rate)
	near, far := follow(t, id, token, servers[0].base), follow(t, id, token, servers[1].base)
	began := func(e told) bool { return e.Status == jobs.StateProcessing && e.Items > 0 }
	near.until(t, "the job runs", began)
	far.until(t, "the job runs", began)
	c.redis.stop()
	counts := []int{len(near.all()), len(far.all())}
	<-time.After(away)
	require.NotEqual(t, jobs.StateCompleted, near.last().Status, "the job was to outlast the outage")
	for i, f := range []*follower{near, far} {
		require.Greater(t, len(f.all()), counts[i], "servers without Redis tell of jobs by the database")
	}
	c.redis.start()
	for i, f := range []*follower{near, far} {
		f.whole(t)
		require.Eventually(t, func() bool { return strings.Contains(servers[i].stderr.String(), "Redis is back") }, promptly, 10*time.Millisecond)
	}
	c.requireSample("--from", servers[1].url("shop"), "--from-token", token)
}

// A server is killed while somebody pushes to it. The site stays what it was, and can be pushed to at the other server within seconds.
func TestAPushToAKilledServerChangesNothing(t *testing.T) {
	t.Parallel()
	c, servers, token, requireOld := holding(t)
	push := func(base string) []string {
		return []string{"push", "--from", sample(t), "--to", base + "/shop/admin", "--to-token", token, "--yes", "--json"}
	}
	cut := make(chan outcome, 1)
	began := make(chan struct{})
	go func() { // joined below
		cut <- command{args: args(push(servers[0].base), []string{"--throttle", "150"}), hook: during(transfer.StageAssets, func(*os.Process) { close(began) })}.run(t)
	}()
	<-began
	require.Eventually(t, func() bool { return c.stray() > 0 }, promptly, 10*time.Millisecond)
	busy := c.run(push(servers[1].base))
	require.Equal(t, 10, busy.code, busy.stderr)
	require.Contains(t, busy.stderr, "is being written to by")
	servers[0].kill()
	killed := time.Now()

	requireOld(servers[1].base)
	c.must([]string{"snapshot", "forget", "--site", "shop", "--keep-last", "1"})
	require.Zero(t, c.stray(), "nobody holds the vault any more, and what was pushed by halves is swept")
	require.Less(t, time.Since(killed), promptly)
	c.must(push(servers[1].base))
	c.requireSample("--from", c.proxy+"/shop/admin", "--from-token", token)
	o := <-cut
	require.Equal(t, 6, o.code, o.stderr)
}
