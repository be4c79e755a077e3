package dashboard_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/server/dashboard"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a site in memory. While it is held, reading it waits.
type site struct {
	what string

	mu      sync.Mutex
	content *transfertest.Site
	held    chan struct{}
	failing error
}

func (s *site) String() string { return s.what }

func (s *site) Source(ctx context.Context) (transfer.Source, error) {
	s.mu.Lock()
	held, failing, content := s.held, s.failing, s.content
	s.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if failing != nil {
		return nil, failing
	}
	return transfertest.NewMemory(content), nil
}

func (s *site) Destination(context.Context, string) (transfer.Destination, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &committing{transfertest.NewMemory(s.content), s}, nil
}

// hold makes readers wait until what it returns is called.
func (s *site) hold(tb testing.TB) (release func()) {
	tb.Helper()
	held := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = held
	release = sync.OnceFunc(func() {
		close(held)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held = nil
	})
	tb.Cleanup(release)
	return release
}

func (s *site) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing = err
}

type committing struct {
	*transfertest.Memory

	site *site
}

func (c *committing) Commit(ctx context.Context) error {
	if err := c.Memory.Commit(ctx); err != nil {
		return err
	}
	c.site.mu.Lock()
	defer c.site.mu.Unlock()
	c.site.content = c.Site()
	return nil
}

// rig is a server with a dashboard: two sites, a remote, and a token for everything.
type rig struct {
	tb                 testing.TB
	production, shadow *site
	remote             *site
	tokens             *token.Store
	store              *jobs.DB
	server             *server.Server
	http               *httptest.Server
	now                *clock
}

// clock is a time that a test can move.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	r := &rig{
		tb: tb, production: &site{what: "memory", content: transfertest.Sample()}, shadow: &site{what: "memory", content: transfertest.Sample()},
		remote: &site{content: transfertest.Sample()}, now: &clock{},
	}
	dir := tb.TempDir()
	var err error
	r.tokens, err = token.Open(tb.Context(), dir, token.Options{})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, r.tokens.Close()) })
	r.store, err = jobs.OpenSQLite(tb.Context(), dir)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, r.store.Close()) })
	build, err := dashboard.New(dashboard.Config{Authority: r.tokens, Tokens: r.tokens, Now: r.now.time, Version: "test", Logger: slog.New(slog.NewTextHandler(tb.Output(), nil))})
	require.NoError(tb, err)
	r.server, err = server.New(server.Config{
		Tokens: r.tokens, Sites: map[string]server.Site{"production": r.production, "shadow": r.shadow},
		AuthInterval: time.Millisecond, Grace: 100 * time.Millisecond,
		Jobs: server.JobsConfig{
			Store: r.store, Dashboard: build, Remotes: map[string]server.Remote{"staging": {Site: r.remote, Address: "https://staging.example.org/admin"}},
			Options: jobs.Options{Beat: 50 * time.Millisecond, Backoff: 10 * time.Millisecond},
		},
	})
	require.NoError(tb, err)
	r.http = httptest.NewServer(r.server.Handler())
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- r.server.RunJobs(ctx) }()
	tb.Cleanup(func() {
		cancel()
		require.NoError(tb, <-done)
		r.http.CloseClientConnections()
		r.http.Close()
	})
	return r
}

func (r *rig) grant(spec token.Spec) (token.Token, string) {
	r.tb.Helper()
	t, text, err := r.tokens.Create(r.tb.Context(), spec)
	require.NoError(r.tb, err)
	return t, text
}

// everything is what an operator's token permits.
func everything() token.Spec {
	return token.Spec{Name: "operator", Permissions: []protocol.Direction{protocol.Push, protocol.Pull, token.Jobs}}
}

// browser is somebody who looks at the dashboard.
type browser struct {
	rig    *rig
	client *http.Client
	header http.Header // sent with everything
}

func (r *rig) browser() *browser {
	r.tb.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(r.tb, err)
	transport := &http.Transport{}
	r.tb.Cleanup(transport.CloseIdleConnections)
	return &browser{rig: r, client: &http.Client{
		Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, header: http.Header{"Sec-Fetch-Site": {"same-origin"}}}
}

// signedIn is a browser with a session for a token of this sort.
func (r *rig) signedIn(spec token.Spec) (*browser, token.Token) {
	r.tb.Helper()
	t, text := r.grant(spec)
	b := r.browser()
	res := b.post("/login", url.Values{"token": {text}})
	require.Equal(r.tb, http.StatusSeeOther, res.StatusCode, res.text)
	return b, t
}

type reply struct {
	*http.Response

	text string
}

func (b *browser) do(method, path string, body io.Reader) reply {
	b.rig.tb.Helper()
	req, err := http.NewRequestWithContext(b.rig.tb.Context(), method, b.rig.http.URL+path, body)
	require.NoError(b.rig.tb, err)
	maps.Copy(req.Header, b.header)
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := b.client.Do(req)
	require.NoError(b.rig.tb, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b.rig.tb, err)
	return reply{res, string(text)}
}

func (b *browser) get(path string) reply {
	b.rig.tb.Helper()
	return b.do(http.MethodGet, path, nil)
}

func (b *browser) post(path string, form url.Values) reply {
	b.rig.tb.Helper()
	return b.do(http.MethodPost, path, strings.NewReader(form.Encode()))
}

// ended waits until a job has.
func (r *rig) ended(id jobs.ID) jobs.Job {
	r.tb.Helper()
	var j jobs.Job
	require.Eventually(r.tb, func() bool {
		var err error
		j, err = r.store.Get(r.tb.Context(), id) // the manager knows it a moment sooner
		return err == nil && j.State.Ended()
	}, 20*time.Second, 10*time.Millisecond)
	return j
}

// shows fails unless a page has a text.
func (p reply) shows(tb testing.TB, text string) {
	tb.Helper()
	if !strings.Contains(p.text, text) {
		_, body, _ := strings.Cut(p.text, "<main")
		require.Failf(tb, "the page lacks a text", "%q is not in:\n<main%s", text, body)
	}
}

// lacks fails if a page has a text.
func (p reply) lacks(tb testing.TB, text string) {
	tb.Helper()
	if strings.Contains(p.text, text) {
		_, body, _ := strings.Cut(p.text, "<main")
		require.Failf(tb, "the page has a text", "%q is in:\n<main%s", text, body)
	}
}

// idOf is the job whose page an answer leads to.
func idOf(tb testing.TB, res reply) jobs.ID {
	tb.Helper()
	require.Equal(tb, http.StatusSeeOther, res.StatusCode, res.text)
	path := res.Header.Get("Location")
	require.True(tb, strings.HasPrefix(path, "/jobs/"), path)
	id, err := jobs.ParseID(strings.TrimPrefix(path, "/jobs/"))
	require.NoError(tb, err)
	return id
}
