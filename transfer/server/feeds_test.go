package server_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
	"github.com/transfer-runner/runner/transfer/transfertest/nodetest"
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

// scissors pass connections on to a server, and cut them all on request.
type scissors struct {
	target  string
	control *httptest.Server

	mu   sync.Mutex
	open map[net.Conn]struct{}
}

func newScissors(t *testing.T, target string) (s *scissors, address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s = &scissors{target: target, open: make(map[net.Conn]struct{})}
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
	for conn := range s.open {
		_ = conn.Close()
	}
}

func (s *scissors) pass(client net.Conn) {
	server, err := (&net.Dialer{}).Dial("tcp", s.target)
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
func feedEnv(t *testing.T, r *rig) map[string]string {
	t.Helper()
	cutter, address := newScissors(t, r.http.Listener.Addr().String())
	_, outsider := r.grant(token.Spec{Name: "outsider", Site: "default", Permissions: []protocol.Direction{protocol.Pull}})
	_, reader := r.grant(token.Spec{Name: "reader", Site: "copy", Permissions: []protocol.Direction{protocol.Pull}})
	return map[string]string{
		"URL": "http://" + address, "CUT": cutter.control.URL, "TOKEN": r.secret, "OUTSIDER": outsider, "READER": reader,
	}
}

// Clients of every channel follow a real transfer from start to end, whole and after a dropped connection.
func TestClientsFollowTransfers(t *testing.T) {
	r := newJobsRig(t, 8*time.Millisecond)
	output := nodetest.Run(t, nodetest.Script{Path: filepath.Join("testdata", "feeds.cjs"), Env: feedEnv(t, r)})
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
	output := nodetest.Run(t, nodetest.Script{Path: filepath.Join("testdata", "browser.cjs"), Env: env})
	if testing.Verbose() {
		t.Log(output)
	}
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
