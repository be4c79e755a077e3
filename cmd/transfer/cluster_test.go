//go:build unix

package main_test

import (
	"context"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

// Secrets that a cluster's processes are given, and that none of them may print.
const (
	bucketSecret = "bucket-secret-7341"
	redisSecret  = "redis-secret-9120"
)

// cluster is what several servers share: a database, a Redis and a bucket, of the test's own; and a proxy in front of the servers.
type cluster struct {
	t        *testing.T
	database string
	redis    *redisServer
	objects  *s3mem.Backend
	storage  string // address of the S3 server
	proxy    string // address of the proxy

	mu      sync.Mutex
	servers []*member // guarded by mu: those that the proxy sends connections to
	turn    atomic.Uint64
}

// newCluster starts what servers share. Without PostgreSQL or Redis the test is skipped, but not in CI.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, database: sqltest.New(t, sqltest.Postgres).URL(), redis: startRedis(t), objects: s3mem.New()}
	require.NoError(t, c.objects.CreateBucket("pieces"))
	storage := httptest.NewServer(gofakes3.New(c.objects).Server())
	t.Cleanup(storage.Close)
	c.storage = storage.URL
	c.listen()
	return c
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("CI needs %s", what)
	}
	t.Skipf("no %s", what)
}

// query asks the database for one number.
func (c *cluster) query(text string) (n int64) {
	c.t.Helper()
	config, err := pgx.ParseConfig(c.database)
	require.NoError(c.t, err)
	db := stdlib.OpenDB(*config)
	defer db.Close()
	require.NoError(c.t, db.QueryRowContext(c.t.Context(), text).Scan(&n))
	return n
}

// redisServer is a Redis of the test's own, which can be stopped and started again.
type redisServer struct {
	t       *testing.T
	address string
	dir     string
	process *exec.Cmd
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		missing(t, "redis-server; install Redis")
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &redisServer{t: t, address: listener.Addr().String(), dir: t.TempDir()}
	require.NoError(t, listener.Close())
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *redisServer) start() {
	r.t.Helper()
	_, port, err := net.SplitHostPort(r.address)
	require.NoError(r.t, err)
	r.process = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", r.dir, "--logfile", filepath.Join(r.dir, "log"),
		"--save", "", "--requirepass", redisSecret)
	require.NoError(r.t, r.process.Start())
	require.Eventually(r.t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(r.t.Context(), "tcp", r.address)
		return err == nil && conn.Close() == nil
	}, promptly, 10*time.Millisecond)
}

func (r *redisServer) stop() {
	if r.process == nil {
		return
	}
	_ = r.process.Process.Kill() // it may have ended
	_ = r.process.Wait()         // it was killed
	r.process = nil
}

// listen starts the proxy: it gives each connection to the next server that takes it.
func (c *cluster) listen() {
	c.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(c.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	c.proxy = "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background()) // outlives the test's own context until the servers have stopped
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { c.carry(ctx, conn) })
		}
	})
	c.t.Cleanup(func() {
		cancel()
		require.NoError(c.t, listener.Close())
		group.Wait()
	})
}

// carry connects a client with a server until one of them has had enough.
func (c *cluster) carry(ctx context.Context, client net.Conn) {
	defer client.Close()
	c.mu.Lock()
	servers := append([]*member(nil), c.servers...)
	c.mu.Unlock()
	for range servers {
		s := servers[int(c.turn.Add(1)%uint64(len(servers)))]
		backend, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(s.base, "http://"))
		if err != nil {
			continue
		}
		defer backend.Close()
		s.carried.Add(1)
		stop := context.AfterFunc(ctx, func() { _, _ = client.Close(), backend.Close() })
		defer stop()
		var group sync.WaitGroup
		for from, to := range map[net.Conn]net.Conn{client: backend, backend: client} {
			group.Go(func() {
				_, _ = io.Copy(to, from) // whoever ends ends both
				_, _ = from.Close(), to.Close()
			})
		}
		group.Wait()
		return
	}
}

// env are the variables that servers and commands need.
func (c *cluster) env() []string {
	return []string{
		"TRANSFER_DATABASE=" + c.database, "TRANSFER_BLOBS=" + c.blobs(), "TRANSFER_REDIS=redis://:" + redisSecret + "@" + c.redis.address,
		"AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=" + bucketSecret,
	}
}

func (c *cluster) blobs() string {
	return "s3://pieces/cms?region=us-east-1&endpoint=" + url.QueryEscape(c.storage)
}

// member is a server of a cluster.
type member struct {
	*process

	base    string
	owner   *regexp.Regexp // what jobs call it
	carried atomic.Int64   // connections that the proxy gave to it
}

func (m *member) url(site string) string { return (&ours{base: m.base}).url(site) }

// begin starts servers at the same time.
func (c *cluster) begin(n int, flags ...string) []*member {
	c.t.Helper()
	started := make([]*member, n)
	for i := range started {
		p := launch(c.t, c.env(), args([]string{"serve", "--listen", "127.0.0.1:0", "--data", c.t.TempDir(), "--grace", "1s"}, flags)...)
		started[i] = &member{process: p, owner: regexp.MustCompile(`-` + strconv.Itoa(p.pid()) + `-\w+$`)}
	}
	for _, m := range started {
		m.base = m.serving(c.t)
	}
	c.mu.Lock()
	c.servers = append(c.servers, started...)
	c.mu.Unlock()
	c.t.Cleanup(func() {
		for _, m := range started {
			m.stop()
			c.requireNoSecrets(m.stdout.String() + m.stderr.String())
		}
	})
	return started
}

// first is the token that one of the servers printed at the first start.
func (c *cluster) first(servers []*member) string {
	c.t.Helper()
	var tokens []string
	require.Eventually(c.t, func() bool {
		tokens = nil
		for _, m := range servers {
			if text := m.stdout.String(); strings.HasSuffix(text, "\n") {
				tokens = append(tokens, strings.Fields(text)...)
			}
		}
		return len(tokens) > 0
	}, promptly, 10*time.Millisecond)
	require.Len(c.t, tokens, 1, "there is one first start")
	return tokens[0]
}

func (c *cluster) requireNoSecrets(said string) {
	c.t.Helper()
	for _, secret := range []string{bucketSecret, redisSecret} {
		require.NotContains(c.t, said, secret)
	}
}

// run runs a command with the variables of the cluster and a data folder of its own.
func (c *cluster) run(lists ...[]string) outcome {
	c.t.Helper()
	o := command{args: args(lists...), env: c.env()}.run(c.t)
	c.requireNoSecrets(o.stdout + o.stderr)
	return o
}

// must is run for commands that must do.
func (c *cluster) must(lists ...[]string) outcome {
	c.t.Helper()
	o := c.run(lists...)
	require.Zero(c.t, o.code, "transfer %s\n%s%s", lists[0][0], o.stdout, o.stderr)
	return o
}

// stray are the objects in the bucket that the index does not name.
func (c *cluster) stray() int64 {
	c.t.Helper()
	list, err := c.objects.ListBucket("pieces", nil, gofakes3.ListBucketPage{})
	require.NoError(c.t, err)
	return int64(len(list.Contents)) - c.query("SELECT count(*) FROM transfer_vault.blobs WHERE size > 0")
}
