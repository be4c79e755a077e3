package remote_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// The numbers are those of the client statements in the conformance checklist.

func TestClientStatement01BuildsTheRunnersAddress(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ base, path string }{
		"the admin path":                       {"/admin", "/admin/transfer/runner/pull"},
		"one slash at the end is dropped":      {"/admin/", "/admin/transfer/runner/pull"},
		"only one slash is dropped":            {"/sub/admin//", "/sub/admin//transfer/runner/pull"},
		"no path":                              {"", "/transfer/runner/pull"},
		"query and fragment are dropped":       {"/admin?x=1#f", "/admin/transfer/runner/pull"},
		"user name and password are dropped":   {"USER/admin", "/admin/transfer/runner/pull"},
		"percent escapes are left as they are": {"/a%2Fb/admin", "/a%2Fb/admin/transfer/runner/pull"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, transfertest.Sample())
			base := r.http.URL + test.base
			if rest, ok := strings.CutPrefix(test.base, "USER"); ok {
				base = strings.Replace(r.http.URL, "http://", "http://root:hunter2@", 1) + rest
			}
			src := remote.NewSource(base, remote.Options{Token: token})
			_, err := src.Describe(t.Context())
			require.NoError(t, src.Close())
			if err != nil {
				require.NotContains(t, err.Error(), "hunter2")
			}
			require.NotContains(t, src.Name(), "hunter2")
			require.Len(t, r.requests, 1)
			require.Equal(t, test.path, r.requests[0].RequestURI)
			require.Equal(t, "Bearer "+token, r.requests[0].Header.Get("Authorization"))
		})
	}
}

func TestClientStatement02RejectsOtherSchemesBeforeConnecting(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"ftp://127.0.0.1:1/admin", "ws://127.0.0.1:1/admin", "127.0.0.1:1/admin", "file:///etc/passwd", "https://"} {
		_, err := remote.NewSource(base, remote.Options{}).Describe(t.Context())
		require.ErrorIs(t, err, transfer.ErrUsage, base)
		_, err = remote.NewDestination(base, remote.Options{}).Describe(t.Context())
		require.ErrorIs(t, err, transfer.ErrUsage, base)
	}
}

func TestClientStatement03SendsTheTokenAndFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	src := r.source(remote.Options{Header: http.Header{"X-Proxy": {"yes"}}})
	_, err := src.Describe(t.Context())
	require.NoError(t, err)
	header := r.requests[0].Header
	require.Equal(t, "Bearer "+token, header.Get("Authorization"))
	require.Equal(t, "yes", header.Get("X-Proxy"))
	require.Empty(t, header.Get("Sec-Websocket-Protocol"))
	require.Empty(t, header.Get("Cookie"))

	moved := newRunner(t, transfertest.Sample())
	moved.upgrade = func(w http.ResponseWriter, req *http.Request) bool {
		http.Redirect(w, req, "/elsewhere", http.StatusMovedPermanently)
		return false
	}
	_, err = moved.source(remote.Options{}).Describe(t.Context())
	require.ErrorIs(t, err, transfer.ErrConnection)
	require.Contains(t, err.Error(), "/elsewhere")
	require.Len(t, moved.requests, 1)
}

func TestClientStatement04TellsRefusalsApart(t *testing.T) {
	t.Parallel()
	answer := func(status int, name, text string) string {
		r := newRunner(t, transfertest.Sample())
		r.upgrade = func(w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, status, name, text)
			return false
		}
		return r.url()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>hello</html>") }))
	t.Cleanup(page.Close)

	seen := make(map[string]string)
	for name, test := range map[string]struct {
		base string
		want error
		text string
	}{
		"no or bad token":          {answer(401, "UnauthorizedError", "Missing or invalid credentials"), transfer.ErrAuth, "check that the token is complete"},
		"expired token":            {answer(401, "UnauthorizedError", "Token expired"), transfer.ErrAuth, "Token expired"},
		"wrong scope":              {answer(403, "ForbiddenError", "Forbidden"), transfer.ErrAuth, "permission for this direction"},
		"not enabled or elsewhere": {answer(404, "NotFoundError", "Not Found"), transfer.ErrConnection, "/admin"},
		"server error":             {answer(500, "InternalServerError", "Internal Server Error"), transfer.ErrConnection, "500"},
		"no salt":                  {answer(501, "NotImplementedError", "Transfer token salt"), transfer.ErrConnection, "501"},
		"bad gateway":              {answer(502, "x", "x"), transfer.ErrConnection, "502"},
		"a web page":               {page.URL, transfer.ErrConnection, "200"},
		"nobody listens":           {"http://" + listener.Addr().String() + "/admin", transfer.ErrConnection, hostAndPort},
		"no such host":             {"http://no-such-host.invalid/admin", transfer.ErrConnection, "check the host name"},
		"unknown authority":        {secure.URL + "/admin", transfer.ErrConnection, "certificate"},
		"no TLS there":             {strings.Replace(page.URL, "http:", "https:", 1), transfer.ErrConnection, "does not speak TLS"},
	} {
		src := remote.NewSource(test.base, remote.Options{Token: token})
		_, err := src.Describe(t.Context())
		require.ErrorIs(t, err, test.want, name)
		require.Contains(t, err.Error(), test.text, name)
		require.NotContains(t, err.Error(), token, name)
		require.Empty(t, seen[err.Error()], "%s and %s look the same", name, seen[err.Error()])
		seen[err.Error()] = name
		_, err = remote.NewDestination(test.base, remote.Options{Token: token}).Describe(t.Context())
		require.ErrorIs(t, err, test.want, name)
	}
}

const hostAndPort = "check that the server runs and that host and port are right"

func TestTLSOptionsAreUsed(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	secure := httptest.NewTLSServer(r)
	t.Cleanup(secure.Close)
	src := remote.NewSource(secure.URL+"/admin", remote.Options{Token: token, TLS: &tls.Config{RootCAs: secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, MinVersion: tls.VersionTLS12}})
	_, err := src.Describe(t.Context())
	require.NoError(t, err)
	require.NoError(t, src.Close())
}

func TestClientStatement05TakesLargeMessagesAndSendsNoneOverTheLimit(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs a few hundred megabytes")
	}
	site := transfertest.Sample()
	big := `{"type":"api::article.article","id":1,"data":{"title":"` + strings.Repeat("x", 24<<20) + `"}}`
	site.Records[transfer.StageEntities] = []string{big}
	keys, err := read(t.Context(), newRunner(t, site).source(remote.Options{}), transfer.StageEntities)
	require.NoError(t, err)
	require.Equal(t, []string{"api::article.article 1"}, keys)

	r := newRunner(t, transfertest.Sample())
	dst := r.destination(remote.Options{})
	_, err = dst.Begin(t.Context(), fullPlan(t, transfertest.Sample()))
	require.NoError(t, err)
	huge := transfer.NewEntity("api::article.article", "7", []byte(`{"title":"`+strings.Repeat("x", 100<<20)+`"}`))
	err = dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageEntities, Records: []transfer.Record{huge}})
	require.ErrorIs(t, err, transfer.ErrUnwritable)
	require.Contains(t, err.Error(), "api::article.article 7")
	for _, m := range r.messages(0) {
		require.Less(t, len(m.Raw), 100<<20)
	}
}

func TestClientStatement06SurfacesWarningsAndErrors(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	r.hook = func(c *wire, m message) bool {
		c.diagnose("info", "received "+m.String())
		c.diagnose("warning", "look out at "+m.String())
		c.send(fmt.Sprintf(`{"diagnostic":{"kind":"warning","details":{"message":""}},"uuid":%q}`, m.UUID)) // no answer, although the uuid fits
		c.diagnose("error", "bad news at "+m.String())
		return false
	}
	src := r.source(remote.Options{})
	d, err := src.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, "5.54.0", d.Version)
	got := notes(src)
	require.Contains(t, got, "warning: the server warns: look out at getSchemas")
	require.Contains(t, got, "error: the server reports: bad news at init")
	require.NotContains(t, got, "received")
	require.Empty(t, notes(src), "each note is told once")
}

func TestClientStatement07IgnoresUnknownAndRepeatedAnswers(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	var last string
	r.hook = func(c *wire, m message) bool {
		if m.Type == "" {
			return false
		}
		c.send(`{"uuid":"nobody-asked","data":{"transferID":"wrong"},"error":null}`)
		if last != "" {
			c.send(fmt.Sprintf(`{"uuid":%q,"data":{"transferID":"late"},"error":{"code":"Error","message":"late"}}`, last))
		}
		last = m.UUID
		c.handle(m)
		if c.id != "" {
			c.send(fmt.Sprintf(`{"uuid":%q,"data":null,"error":{"code":"Error","message":"twice"}}`, m.UUID))
		}
		return true
	}
	site := transfertest.Sample()
	require.NoError(t, push(t, r.destination(remote.Options{}), site))
	require.Equal(t, pushFlow(), r.flow(1))
	for _, m := range r.messages(1)[1:] {
		require.NotContains(t, m.Raw, `"wrong"`)
		require.NotContains(t, m.Raw, `"late"`)
	}
}

func TestClientStatement08AnswersPingsAndSeesALostConnection(t *testing.T) {
	t.Parallel()
	t.Run("a ping is answered", func(t *testing.T) {
		t.Parallel()
		r := newRunner(t, small())
		pong := make(chan string, 1)
		r.hook = func(c *wire, m message) bool {
			c.conn.SetPongHandler(func(data string) error {
				pong <- data
				return nil
			})
			if m.String() == "init" {
				_ = c.conn.WriteControl(websocket.PingMessage, []byte("are you there"), time.Now().Add(time.Second))
			}
			return false
		}
		_, err := r.source(remote.Options{}).Describe(t.Context())
		require.NoError(t, err)
		require.Equal(t, "are you there", <-pong)
	})
	t.Run("the end of the connection after the last answer is normal", func(t *testing.T) {
		t.Parallel()
		r := newRunner(t, small())
		r.hook = func(c *wire, m message) bool {
			if m.String() != "end" {
				return false
			}
			c.handle(m)
			c.drop()
			return true
		}
		dst := r.destination(remote.Options{})
		require.NoError(t, push(t, dst, small()))
		require.NoError(t, dst.Close())
		require.Equal(t, transfer.StateCommitted, dst.State())
		require.Empty(t, notes(dst))
	})
	for i, what := range pushFlow() {
		if what == "close" || what == "end" {
			continue // see TestCommit
		}
		t.Run("lost instead of an answer to "+what, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, small())
			r.hook = on(what, func(c *wire, _ message) { c.drop() })
			dst := r.destination(remote.Options{})
			began := time.Now()
			err := push(t, dst, small())
			require.ErrorIs(t, err, transfer.ErrConnection)
			require.Less(t, time.Since(began), 10*time.Second, "well before a resend")
			want := filesAfter(what)
			if i < 4 {
				want = transfer.StateUntouched
			}
			require.Equal(t, want, dst.State())
			require.NoError(t, dst.Close())
			require.Equal(t, want, dst.State())
		})
	}
	t.Run("lost while a frame is awaited", func(t *testing.T) {
		t.Parallel()
		r := newRunner(t, small())
		r.hook = on("ack", func(c *wire, _ message) { c.drop() })
		_, err := read(t.Context(), r.source(remote.Options{}), transfer.StageEntities)
		require.ErrorIs(t, err, transfer.ErrConnection)
	})
}

// filesAfter is the state of a push of everything that ended at a request: once the assets stage has ended, a server has deleted the
// old files for good.
func filesAfter(request string) transfer.State {
	flow := pushFlow()
	if slices.Index(flow, request) > slices.Index(flow, "end assets") {
		return transfer.StateNewFiles
	}
	return transfer.StateFilesGone
}

func TestProbeFindsTheAdminPath(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	for name, test := range map[string]struct{ base, want string }{
		"the admin API":          {r.http.URL + "/admin", r.http.URL + "/admin"},
		"the site":               {r.http.URL, r.http.URL + "/admin"},
		"the site, with a slash": {r.http.URL + "/", r.http.URL + "/admin"},
		"somewhere else":         {r.http.URL + "/nothing/here", r.http.URL + "/nothing/here"},
	} {
		found, told, err := remote.Probe(t.Context(), test.base, remote.Options{Token: token})
		require.NoError(t, err, name)
		require.Equal(t, test.want, found, name)
		require.Equal(t, test.want != test.base, len(told) > 0, name)
	}
	for _, req := range r.requests {
		require.Empty(t, req.Header.Get("Authorization"), "whoever answers a probe need not get the token")
	}
	_, _, err := remote.Probe(t.Context(), "ftp://x", remote.Options{})
	require.ErrorIs(t, err, transfer.ErrUsage)

	// A proxy that asks for a password everywhere is no runner.
	fence := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.URL.Path, "/admin/") {
			r.ServeHTTP(w, req)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(fence.Close)
	found, _, err := remote.Probe(t.Context(), fence.URL, remote.Options{})
	require.NoError(t, err)
	require.Equal(t, fence.URL+"/admin", found)
	u, err := url.Parse(found)
	require.NoError(t, err)
	require.Equal(t, "/admin", u.Path)
}
