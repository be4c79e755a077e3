package remote_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// token is what the tests authenticate with. It must never be seen outside the header.
const token = "secret-5d41402abc4b2a76b9719d911017c592"

// message is what a client sends, read without the help of package protocol.
type message struct {
	Raw        string          `json:"-"`
	Type       string          `json:"type"`
	Command    string          `json:"command"`
	Params     json.RawMessage `json:"params"`
	Kind       string          `json:"kind"`
	Action     string          `json:"action"`
	Step       string          `json:"step"`
	Data       json.RawMessage `json:"data"`
	UUID       string          `json:"uuid"`
	TransferID string          `json:"transferID"`
}

// String names a message: "init", "bootstrap", "start entities", "ack".
func (m message) String() string {
	return strings.TrimSpace(strings.Join([]string{m.Command, m.Action, m.Step, map[bool]string{true: "ack"}[m.Type == ""]}, " "))
}

// runner is a server in the place of Strapi, over a real loopback connection. It does what Strapi does in the good case; a test's
// hook changes that.
type runner struct {
	t    testing.TB
	http *httptest.Server

	// Set before the first connection.
	hook        func(c *wire, m message) bool // true when it has dealt with m
	upgrade     func(w http.ResponseWriter, r *http.Request) bool
	noChecksums bool
	noEncoding  bool // as servers before 5.43
	noStats     bool // as 4.25
	skips       bool // as ours: it agrees to give an account of what was left out
	frameItems  int  // items of a pulled frame; 0 is 3

	mu       sync.Mutex // guards what follows
	site     *transfertest.Site
	requests []*http.Request
	sessions [][]message
	closings []error // how connections ended
	commits  int
	dropped  int // connections that ended with a transfer neither closed nor ended
	handlers sync.WaitGroup
}

func newRunner(t testing.TB, site *transfertest.Site) *runner {
	t.Helper()
	r := &runner{t: t, site: site}
	r.http = httptest.NewServer(r)
	t.Cleanup(func() {
		r.http.Close()
		r.handlers.Wait()
	})
	return r
}

func (r *runner) url() string { return r.http.URL + "/admin" }

func (r *runner) source(opts remote.Options) *remote.Source {
	opts.Token = token
	src := remote.NewSource(r.url(), opts)
	r.t.Cleanup(func() { require.NoError(r.t, src.Close()) })
	return src
}

func (r *runner) destination(opts remote.Options) *remote.Destination {
	opts.Token = token
	dst := remote.NewDestination(r.url(), opts)
	r.t.Cleanup(func() { require.NoError(r.t, dst.Close()) })
	return dst
}

// flow returns what came over connection i, in words; acks are left out.
func (r *runner) flow(i int) []string {
	var out []string
	for _, m := range r.messages(i) {
		if m.Type != "" {
			out = append(out, m.String())
		}
	}
	return out
}

func (r *runner) messages(i int) []message {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i >= len(r.sessions) {
		return nil
	}
	return slices.Clone(r.sessions[i])
}

func (r *runner) current() *transfertest.Site {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.site.Clone()
}

func (r *runner) ends() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.closings)
}

func (r *runner) counts() (commits, dropped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.commits, r.dropped
}

// ServeHTTP implements http.Handler.
func (r *runner) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, req)
	r.mu.Unlock()
	if r.upgrade != nil && !r.upgrade(w, req) {
		return
	}
	direction, ok := strings.CutPrefix(req.URL.Path, "/admin/transfer/runner/")
	switch {
	case !ok || direction != "push" && direction != "pull":
		refuse(w, http.StatusNotFound, "NotFoundError", "Not Found")
		return
	case req.Header.Get("Authorization") != "Bearer "+token:
		refuse(w, http.StatusUnauthorized, "UnauthorizedError", "Missing or invalid credentials")
		return
	}
	r.handlers.Add(1)
	defer r.handlers.Done()
	up := websocket.Upgrader{}
	conn, err := up.Upgrade(w, req, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	r.mu.Lock()
	r.sessions = append(r.sessions, nil)
	c := &wire{runner: r, conn: conn, index: len(r.sessions) - 1, push: direction == "push", seen: make(map[string]bool)}
	r.mu.Unlock()
	c.serve()
}

func refuse(w http.ResponseWriter, status int, name, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"data":null,"error":{"status":%d,"name":%q,"message":%q,"details":{}}}`, status, name, text)
}

// fast are options with which a message is given up after 0.7 s.
func fast() remote.Options {
	return remote.Options{RetryMessageTimeout: 100 * time.Millisecond, CloseTimeout: 200 * time.Millisecond}
}

// small is the sample site with little in its files, for tests that go through it many times.
func small() *transfertest.Site {
	site := transfertest.Sample()
	for i := range site.Files {
		site.Files[i].Body = site.Files[i].Body[:min(len(site.Files[i].Body), 1000)]
	}
	return site
}
