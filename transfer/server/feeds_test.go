package server_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/server/redisbus"
	"github.com/transfer-runner/runner/transfer/transfertest"
	"github.com/transfer-runner/runner/transfer/transfertest/nodetest"
	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

// leisurely is a source that takes its time over each record, so that a transfer can be watched.
type leisurely struct {
	transfer.Source

	pause time.Duration
}

func (l leisurely) Read(ctx context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	if stage == transfer.StageAssets {
		l.pause *= 40 // there are four
	}
	return func(yield func(transfer.Item, error) bool) {
		for item, err := range l.Source.Read(ctx, stage, after) {
			timer := time.NewTimer(l.pause)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				yield(transfer.Item{}, ctx.Err())
				return
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// watchable is a site with enough content for a transfer of a few seconds.
func watchable(pause time.Duration) *site {
	content := transfertest.Sample()
	for i := range 300 {
		content.Records[transfer.StageEntities] = append(content.Records[transfer.StageEntities], fmt.Sprintf(
			`{"type":"api::category.category","id":%d,"data":{"name":"n%d","documentId":"more%d","publishedAt":null}}`, 100+i, i, i))
	}
	return &site{content: content, source: func(s *transfertest.Site) transfer.Source {
		return leisurely{Source: transfertest.NewMemory(s), pause: pause}
	}}
}

// newJobsRig is a server that runs jobs between two sites, blog and copy.
func newJobsRig(t *testing.T, pause time.Duration, change ...func(*server.Config)) *rig {
	t.Helper()
	store, err := jobs.OpenSQLite(t.Context(), t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return newJobsRigOn(t, store, pause, change...)
}

func newJobsRigOn(t *testing.T, store server.JobStore, pause time.Duration, change ...func(*server.Config)) *rig {
	t.Helper()
	r := newRig(t, watchable(pause), append([]func(*server.Config){func(c *server.Config) {
		c.Sites["copy"] = &site{content: empty()}
		c.Jobs.Store = store
	}}, change...)...)
	r.token, r.secret = r.grant(token.Spec{Name: "operator", Permissions: []protocol.Direction{protocol.Push, protocol.Pull, token.Jobs}})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.server.RunJobs(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return r
}

// scissors pass connections on to a server, and cut them all on request. From then on they pass them on to the next server, if there are
// several, as a load balancer may.
type scissors struct {
	targets []string
	control *httptest.Server

	mu   sync.Mutex // guards what follows
	open map[net.Conn]struct{}
	cuts int
}

func newScissors(t *testing.T, targets ...string) (s *scissors, address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s = &scissors{targets: targets, open: make(map[net.Conn]struct{})}
	s.control = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.cut() }))
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { s.pass(conn) })
		}
	})
	t.Cleanup(func() {
		s.control.Close()
		_ = listener.Close()
		s.cut()
		group.Wait()
	})
	return s, listener.Addr().String()
}

func (s *scissors) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cuts++
	for conn := range s.open {
		_ = conn.Close()
	}
}

func (s *scissors) pass(client net.Conn) {
	s.mu.Lock()
	target := s.targets[s.cuts%len(s.targets)]
	s.mu.Unlock()
	server, err := (&net.Dialer{}).Dial("tcp", target)
	if err != nil {
		_ = client.Close()
		return
	}
	s.mu.Lock()
	s.open[client], s.open[server] = struct{}{}, struct{}{}
	s.mu.Unlock()
	var group sync.WaitGroup
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		group.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = pair[0].Close()
			_ = pair[1].Close()
		})
	}
	group.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, client)
	delete(s.open, server)
}

// feedEnv is what the scripts are told.
func feedEnv(t *testing.T, r *rig, others ...*rig) map[string]string {
	t.Helper()
	targets := []string{r.http.Listener.Addr().String()}
	for _, other := range others {
		targets = append(targets, other.http.Listener.Addr().String())
	}
	cutter, address := newScissors(t, targets...)
	_, outsider := r.grant(token.Spec{Name: "outsider", Site: "default", Permissions: []protocol.Direction{protocol.Pull}})
	_, reader := r.grant(token.Spec{Name: "reader", Site: "copy", Permissions: []protocol.Direction{protocol.Pull}})
	return map[string]string{
		"URL": "http://" + address, "API": r.http.URL, "CUT": cutter.control.URL, "TOKEN": r.secret, "OUTSIDER": outsider, "READER": reader,
	}
}

// The tests of clients that follow transfers run one after the other: their clients have fractions of a second to connect in before they are cut off.

// Clients of every channel follow a real transfer from start to end, whole and after a dropped connection.
func TestClientsFollowTransfers(t *testing.T) {
	r := newJobsRig(t, 8*time.Millisecond)
	output := nodetest.Run(t, nodetest.Script{Path: filepath.Join("testdata", "feeds.cjs"), Env: feedEnv(t, r), Timeout: 2 * time.Minute})
	if testing.Verbose() {
		t.Log(output)
	}
}

// A real browser's EventSource and WebSocket do.
func TestBrowserFollowsTransfers(t *testing.T) {
	chromium := nodetest.Browser(t)
	r := newJobsRig(t, 8*time.Millisecond)
	env := feedEnv(t, r)
	env["CHROMIUM"] = chromium
	output := nodetest.Run(t, nodetest.Script{Path: filepath.Join("testdata", "browser.cjs"), Env: env, Timeout: 2 * time.Minute})
	if testing.Verbose() {
		t.Log(output)
	}
}

// Two servers share jobs in PostgreSQL and broadcasts over Redis. Whatever server runs a job, and whatever server a client comes back to after
// its connection was cut, it hears everything once.
func TestClientsFollowTransfersAcrossServers(t *testing.T) {
	address, broker := sqltest.New(t, sqltest.Postgres).URL(), redisAddress(t)
	var rigs []*rig
	for i := range 2 {
		store, err := jobs.OpenPostgres(t.Context(), address)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		rigs = append(rigs, newJobsRigOn(t, store, 8*time.Millisecond, func(c *server.Config) {
			c.Jobs.Owner = fmt.Sprintf("server-%d", i)
			bus, err := redisbus.New(broker, redisbus.Options{Stream: fmt.Sprintf("transfer:test:%d", os.Getpid())})
			require.NoError(t, err)
			c.Jobs.Broadcasts = bus
			relay, err := redisbus.New(broker, redisbus.Options{Stream: fmt.Sprintf("transfer:test:%d:progress", os.Getpid())})
			require.NoError(t, err)
			c.Jobs.Options.Relay = relay
			if i > 0 {
				c.Tokens = rigs[0].tokens
			}
		}))
	}
	env := feedEnv(t, rigs[0], rigs[1])
	env["SERVERS"] = "2"
	output := nodetest.Run(t, nodetest.Script{Path: filepath.Join("testdata", "feeds.cjs"), Env: env, Timeout: 2 * time.Minute})
	if testing.Verbose() {
		t.Log(output)
	}
}

// redisAddress is where a Redis is. Without one the test is skipped, but not in CI.
func redisAddress(t *testing.T) string {
	t.Helper()
	address := os.Getenv("TRANSFER_TEST_REDIS")
	if address == "" {
		address = "redis://127.0.0.1:6379"
	}
	conn, err := redis.DialURLContext(t.Context(), address)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI needs Redis; start it, or set TRANSFER_TEST_REDIS: %v", err)
		}
		t.Skipf("no Redis: start one on 127.0.0.1:6379, or set TRANSFER_TEST_REDIS: %v", err)
	}
	t.Cleanup(func() {
		_, err := conn.Do("DEL", fmt.Sprintf("transfer:test:%d", os.Getpid()), fmt.Sprintf("transfer:test:%d:progress", os.Getpid()))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	})
	return address
}

// Who holds a token that is revoked is disconnected.
func TestRevokedTokensEndFeeds(t *testing.T) {
	r := newJobsRig(t, 20*time.Millisecond)
	held, secret := r.grant(token.Spec{Name: "held", Permissions: []protocol.Direction{protocol.Pull, protocol.Push, token.Jobs}})
	env := feedEnv(t, r)
	env["TOKEN"] = secret
	revoke := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if _, err := r.tokens.Revoke(q.Context(), held.ID); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer revoke.Close()
	env["REVOKE"] = revoke.URL
	output := nodetest.Run(t, nodetest.Script{Path: filepath.Join("testdata", "revoked.cjs"), Env: env})
	if testing.Verbose() {
		t.Log(output)
	}
}
