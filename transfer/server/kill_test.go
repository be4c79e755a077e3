package server_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers/archive"
	"github.com/transfer-runner/runner/providers/directory"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// stepsBetweenKills is at every how manyth message somebody is killed, unless all are asked for. It is odd, so that messages of both
// sides come.
const stepsBetweenKills = 9

// killPoints are the numbers of the messages at which somebody is killed.
func killPoints(messages int) (points []int) {
	step := 1
	if os.Getenv("TRANSFER_FAULTS") == "" {
		step = stepsBetweenKills
	}
	for n := 1; n <= messages; n += step {
		points = append(points, n)
	}
	return points
}

// scene is a vault with tokens whose server, clients or both are killed.
type scene struct {
	t      *testing.T
	dir    string
	secret string
}

// newScene returns a scene whose site holds the old content, and how many messages a push of the new one takes.
func newScene(t *testing.T) (s *scene, messages int) {
	t.Helper()
	s = &scene{t: t, dir: t.TempDir()}
	tokens, err := token.Open(t.Context(), s.dir, token.Options{})
	require.NoError(t, err)
	_, s.secret, err = tokens.Create(t.Context(), token.Spec{Name: "all"})
	require.NoError(t, err)
	require.NoError(t, tokens.Close())
	srv, address := s.serve()
	p := transfertest.NewProxy(t, address, transfertest.Fault{})
	require.NoError(t, s.push(p.Address(), small()))
	require.NoError(t, s.push(address, old()))
	srv.kill()
	require.Equal(t, "old", s.content())
	return s, p.Counted(transfertest.Client) + p.Counted(transfertest.Server)
}

func (s *scene) serve() (*process, string) {
	s.t.Helper()
	p := start(s.t, "serve "+s.dir, "")
	return p, p.address(s.t)
}

func (s *scene) options() remote.Options { return remote.Options{Token: s.secret, Offer: extensions()} }

func (s *scene) push(address string, content *transfertest.Site) error {
	s.t.Helper()
	dst := remote.NewDestination("http://"+address+"/admin", s.options())
	_, err := transfer.Run(s.t.Context(), transfertest.NewMemory(content), dst, transfer.Options{})
	require.NoError(s.t, dst.Close())
	return err
}

// deadline is how long a test waits for what must happen in the end, on a machine that has much else to do.
const deadline = 3 * time.Minute

// pushSoon pushes as soon as the site has no other writer.
func (s *scene) pushSoon(address string, content *transfertest.Site) {
	s.t.Helper()
	began := time.Now()
	for {
		err := s.push(address, content)
		if err == nil {
			return
		}
		require.ErrorContains(s.t, err, server.ErrBusy.Error())
		require.Less(s.t, time.Since(began), deadline)
		<-time.After(20 * time.Millisecond)
	}
}

// before returns a proxy that calls kill when the message of number n comes.
func (s *scene) before(address string, n int, kill func()) *transfertest.Proxy {
	s.t.Helper()
	var seen atomic.Int64
	return transfertest.NewProxy(s.t, address, transfertest.Fault{Match: func([]byte) bool {
		if seen.Add(1) == int64(n) {
			kill()
		}
		return true
	}})
}

// content is current for a vault that nobody is writing to: nothing else is in it.
func (s *scene) content() string {
	s.t.Helper()
	now := s.current()
	left, err := os.ReadDir(filepath.Join(s.dir, "tmp"))
	require.NoError(s.t, err)
	require.Empty(s.t, left, "nothing is left lying about")
	return now
}

// current returns what the vault holds: "old", "new", or what it is else.
func (s *scene) current() string {
	s.t.Helper()
	v, err := vault.Open(s.t.Context(), s.dir, vault.Options{}) // which sweeps
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, v.Close()) }()
	src, err := v.Source(s.t.Context(), server.DefaultSite, "")
	require.NoError(s.t, err)
	content := transfertest.ReadSite(s.t, src)
	require.NoError(s.t, src.Close())
	return normal(content)
}

// restore brings back the old content.
func (s *scene) restore() {
	s.t.Helper()
	srv, address := s.serve()
	s.pushSoon(address, old())
	srv.kill()
}

// normal is whichOf for an endpoint that orders schemas and files in its own way.
func normal(s *transfertest.Site) string {
	key := func(s *transfertest.Site) string { return strings.Join(sortedLines(s), "\n") }
	switch key(s) {
	case key(old()):
		return "old"
	case key(small()):
		return "new"
	}
	return "neither: " + key(s)
}

func TestAServerThatIsKilledLeavesTheOldContentOrTheNew(t *testing.T) {
	t.Parallel()
	s, messages := newScene(t)
	for _, n := range killPoints(messages) {
		srv, address := s.serve()
		err := s.push(s.before(address, n, func() { _ = srv.cmd.Process.Kill() }).Address(), small())
		srv.kill()
		now := s.content()
		switch {
		case err == nil:
			require.Equal(t, "new", now, "killed at message %d", n)
		case now == "new":
			require.ErrorIs(t, err, transfer.ErrOutcomeUnknown, "killed at message %d", n)
		default:
			require.Equal(t, "old", now, "killed at message %d: %v", n, err)
			require.NotErrorIs(t, err, transfer.ErrUsage)
		}
		if now == "new" {
			s.restore()
		}
	}
}

func TestAClientThatIsKilledLeavesTheOldContentOrTheNewAndTheSiteFree(t *testing.T) {
	t.Parallel()
	s, messages := newScene(t)
	srv, address := s.serve()
	for _, n := range killPoints(messages) {
		kill := make(chan struct{})
		p := s.before(address, n, func() { close(kill) })
		client := start(t, "push http://"+p.Address()+"/admin", s.secret)
		select {
		case <-kill:
		case <-time.After(deadline):
			t.Fatalf("message %d did not come", n)
		}
		client.kill()
		require.Contains(t, []string{"old", "new"}, s.current(), "killed at message %d", n)
		s.pushSoon(address, small()) // by itself, though the server still runs
		require.Equal(t, "new", s.content(), "killed at message %d", n)
		s.pushSoon(address, old())
	}
	srv.kill()
	require.Equal(t, "old", s.content())
}

func TestBothSidesKilledLeaveTheOldContentOrTheNew(t *testing.T) {
	t.Parallel()
	s, messages := newScene(t)
	for _, n := range killPoints(messages) {
		srv, address := s.serve()
		kill := make(chan struct{})
		p := s.before(address, n, func() { close(kill) })
		client := start(t, "push http://"+p.Address()+"/admin", s.secret)
		select {
		case <-kill:
		case <-time.After(deadline):
			t.Fatalf("message %d did not come", n)
		}
		srv.kill()
		client.kill()
		if now := s.content(); now != "old" {
			require.Equal(t, "new", now, "killed at message %d", n)
			s.restore()
		}
	}
}

// readTarget returns what an archive or a folder holds, checked against its own account.
func readTarget(t *testing.T, path string) string {
	t.Helper()
	var src interface {
		transfer.Source
		transfer.Checker
	}
	var err error
	if strings.HasSuffix(path, ".tar.gz") {
		src, err = archive.Open(path, archive.Options{})
	} else {
		src, err = directory.Open(path, directory.Options{})
	}
	require.NoError(t, err)
	require.NoError(t, src.Check(t.Context()))
	content := transfertest.ReadSite(t, src)
	require.NoError(t, src.Close())
	return normal(content)
}

func TestAPullThatIsKilledLeavesTheOldFilesOrTheNew(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"site.tar.gz", "site"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &site{content: small()})
			address := strings.TrimPrefix(r.http.URL, "http://")
			path := filepath.Join(t.TempDir(), name)
			pull := func(from string) error {
				return pullInto(t.Context(), remote.NewSource("http://"+from+"/admin", r.options(extensions())), path)
			}
			counting := transfertest.NewProxy(t, address, transfertest.Fault{})
			require.NoError(t, pull(counting.Address()))
			s := &scene{t: t, secret: r.secret}
			for _, n := range killPoints(counting.Counted(transfertest.Client) + counting.Counted(transfertest.Server)) {
				require.NoError(t, pullInto(t.Context(), transfertest.NewMemory(old()), path))
				kill := make(chan struct{})
				p := s.before(address, n, func() { close(kill) })
				client := start(t, fmt.Sprintf("pull http://%s/admin %s", p.Address(), path), r.secret)
				select {
				case <-kill:
				case <-time.After(deadline):
					t.Fatalf("message %d did not come", n)
				}
				client.kill()
				require.Contains(t, []string{"old", "new"}, readTarget(t, path), "killed at message %d", n)
				require.NoError(t, pull(address))
				require.Equal(t, "new", readTarget(t, path))
				left, err := os.ReadDir(filepath.Dir(path))
				require.NoError(t, err)
				require.Len(t, left, 1, "what the dead client left was swept")
			}
		})
	}
}
