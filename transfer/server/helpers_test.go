package server_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(victimEnv); what != "" {
		victim(what)
		return
	}
	goleak.VerifyTestMain(sqltest.Main(m))
}

// site is a site in memory whose content is replaced by a commit.
type site struct {
	blank bool
	// wrap, when set, stands between the server and the destination.
	wrap   func(transfer.Destination) transfer.Destination
	source func(*transfertest.Site) transfer.Source

	mu      sync.Mutex
	content *transfertest.Site
	commits int
}

func (s *site) current() *transfertest.Site {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.content
}

func (s *site) Source(context.Context) (transfer.Source, error) {
	if s.source != nil {
		return s.source(s.current()), nil
	}
	return transfertest.NewMemory(s.current()), nil
}

func (s *site) Destination(context.Context, string) (transfer.Destination, error) {
	m := transfertest.NewMemory(s.current())
	m.Blank = s.blank
	var dst transfer.Destination = &committing{Memory: m, site: s}
	if s.wrap != nil {
		dst = s.wrap(dst)
	}
	return dst, nil
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
	c.site.commits++
	return nil
}

// rig is a server with one site and a token for everything.
type rig struct {
	tb     testing.TB
	site   *site
	tokens *token.Store
	token  token.Token
	secret string
	server *server.Server
	http   *httptest.Server
}

func newRig(tb testing.TB, s *site, change ...func(*server.Config)) *rig {
	tb.Helper()
	r := &rig{tb: tb, site: s}
	var err error
	r.tokens, err = token.Open(tb.Context(), tb.TempDir(), token.Options{})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, r.tokens.Close()) })
	r.token, r.secret = r.grant(token.Spec{Name: "all"})
	config := server.Config{
		Tokens: r.tokens, Sites: map[string]server.Site{server.DefaultSite: s, "blog": s},
		AuthInterval: 20 * time.Millisecond, HeartbeatInterval: 100 * time.Millisecond, Grace: 200 * time.Millisecond,
	}
	for _, f := range change {
		f(&config)
	}
	r.server, err = server.New(config)
	require.NoError(tb, err)
	r.http = httptest.NewServer(r.server.Handler())
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), 10*time.Second)
		defer cancel()
		r.server.Shutdown(ctx)
		r.http.Close()
	})
	return r
}

func (r *rig) grant(spec token.Spec) (token.Token, string) {
	r.tb.Helper()
	t, secret, err := r.tokens.Create(r.tb.Context(), spec)
	require.NoError(r.tb, err)
	return t, secret
}

func (r *rig) url() string { return r.http.URL + "/admin" }

// extensions is all that our client can.
func extensions() protocol.Extensions {
	return protocol.Extensions{Window: 8, Schemas: true, Compression: protocol.CompressionZstd, Seals: true, BinaryAssets: true}
}

func (r *rig) options(offer protocol.Extensions) remote.Options {
	return remote.Options{Token: r.secret, Offer: offer, CloseTimeout: 5 * time.Second}
}

func empty() *transfertest.Site {
	s := transfertest.Sample()
	for _, stage := range transfer.Stages()[1:] {
		delete(s.Records, stage)
	}
	s.Files = nil
	return s
}

func tokenFor(d protocol.Direction) token.Spec {
	return token.Spec{Name: string(d), Permissions: []protocol.Direction{d}}
}

func specWith(lifetime time.Duration) token.Spec {
	return token.Spec{Name: "short", Lifetime: lifetime}
}

func siteSpec(name string) token.Spec { return token.Spec{Name: "of " + name, Site: name} }

func upgradeHeader(upgrade, version string) http.Header {
	return http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {upgrade}, "Sec-Websocket-Version": {version}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
}

func withOrigin(origin string) http.Header {
	h := upgradeHeader("websocket", "13")
	h.Set("Origin", origin)
	return h
}

func (s *site) committed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commits
}

// through is the address of a server behind a proxy.
func (r *rig) through(f transfertest.Fault) (*transfertest.Proxy, string) {
	p := transfertest.NewProxy(r.tb, strings.TrimPrefix(r.http.URL, "http://"), f)
	return p, "http://" + p.Address() + "/admin"
}
