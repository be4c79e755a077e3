package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(sqltest.Main(m)) }

const (
	pullOnly  = "token-for-pull-only"
	pushOnly  = "token-for-push-only"
	fullToken = "token-for-everything"
)

// world is a machine with servers that the commands can reach.
type world struct {
	t       *testing.T
	dir     string
	env     map[string]string
	stdin   string
	tty     bool
	servers map[string]*server
	out     lockedBuffer
	err     lockedBuffer
}

// lockedBuffer is written to by bars on their own goroutine.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

// server is a site that tokens give access to.
type server struct {
	site   *transfertest.Site
	opened int
	// wrap spoils what is written to, reading what is read from; nil leaves it as it is.
	wrap    func(transfer.Destination) transfer.Destination
	reading func(transfer.Source) transfer.Source
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), env: map[string]string{}, servers: map[string]*server{}}
	return w
}

func (w *world) serve(host string, site *transfertest.Site) *server {
	s := &server{site: site}
	w.servers[host] = s
	return s
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) file(name, text string) string {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(w.path(name), []byte(text), 0o600))
	return w.path(name)
}

// archive writes the sample into an archive and returns its path.
func (w *world) archive(name string) string {
	w.t.Helper()
	site := w.path("site-of-" + name)
	require.NoError(w.t, unpackSample(site))
	require.Equal(w.t, exitOK, w.run("pull", "--from", "dir:"+site, "--to", w.path(name), "--quiet"), w.err.String())
	return w.path(name)
}

func (w *world) run(args ...string) int { return w.runContext(w.t.Context(), args...) }

func (w *world) runContext(ctx context.Context, args ...string) int {
	w.out.Reset()
	w.err.Reset()
	a := &app{
		in: strings.NewReader(w.stdin), out: &w.out, err: &w.err, getenv: func(name string) string { return w.env[name] },
		now: func() time.Time { return time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC) }, terminal: terminal{in: w.tty},
	}
	a.endpoint = fakeOpener{w, providers.New(providers.Config{Data: w.path("data")})}
	return run(ctx, a, args)
}

// fakeOpener knows the servers of a world and asks the registry for anything else.
type fakeOpener struct {
	w    *world
	real *providers.Registry
}

func (f fakeOpener) find(e providers.Endpoint, a providers.Access, direction string) (*server, error) {
	s := f.w.servers[e.Host()]
	if s == nil {
		return nil, fmt.Errorf("%w: connect to %s: no such server", transfer.ErrConnection, e)
	}
	switch token := a.Token.Reveal(); {
	case token == fullToken, token == pullOnly && direction == "pull", token == pushOnly && direction == "push":
		s.opened++
		return s, nil
	default:
		return nil, fmt.Errorf("%w: the server said: bad token %s", transfer.ErrAuth, token)
	}
}

func (f fakeOpener) OpenSource(ctx context.Context, e providers.Endpoint, a providers.Access) (transfer.Source, error) {
	if !e.Remote() {
		return f.real.OpenSource(ctx, e, a)
	}
	s, err := f.find(e, a, "pull")
	if err != nil {
		return nil, err
	}
	if s.reading != nil {
		return s.reading(transfertest.NewMemory(s.site)), nil
	}
	return transfertest.NewMemory(s.site), nil
}

func (f fakeOpener) OpenDestination(ctx context.Context, e providers.Endpoint, a providers.Access) (transfer.Destination, error) {
	if !e.Remote() {
		return f.real.OpenDestination(ctx, e, a)
	}
	s, err := f.find(e, a, "push")
	if err != nil {
		return nil, err
	}
	var dst transfer.Destination = &serverDestination{transfertest.NewMemory(s.site), s}
	if s.wrap != nil {
		dst = s.wrap(dst)
	}
	return dst, nil
}

// serverDestination puts what was committed into its server.
type serverDestination struct {
	*transfertest.Memory

	s *server
}

func (d *serverDestination) Commit(ctx context.Context) error {
	err := d.Memory.Commit(ctx)
	if err == nil {
		d.s.site = d.Site()
	}
	return err
}

// withState is a destination that fails at a step in a state.
type withState struct {
	transfer.Destination

	state transfer.State
}

func (d withState) State() transfer.State { return d.state }

const (
	cms     = "https://cms.example.org/admin"
	staging = "https://staging.example.org/admin"
)

// fresh is a site with the same schemas and hardly any content.
func fresh() *transfertest.Site {
	s := transfertest.Sample()
	s.Records[transfer.StageEntities] = s.Records[transfer.StageEntities][:1]
	s.Records[transfer.StageLinks], s.Files = nil, nil
	return s
}
