package live_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server/live"
)

func TestMain(m *testing.M) {
	if os.Getenv(loadEnv) != "" {
		loadServer()
		return
	}
	goleak.VerifyTestMain(m)
}

// everybody may see everything.
type everybody struct{}

func (everybody) ID() string                  { return "everybody" }
func (everybody) Name() string                { return "everybody" }
func (everybody) Visible() *jobs.Visible      { return nil }
func (everybody) Sees(*jobs.Job) bool         { return true }
func (everybody) MayCancel(*jobs.Job) bool    { return true }
func (everybody) Check(context.Context) error { return nil }

// feeds are live feeds of a manager that runs no jobs but those that the test begins.
type feeds struct {
	live    *live.Live
	manager *jobs.Manager
}

func newFeeds(store jobs.Store, change ...func(*live.Config)) (*feeds, error) {
	manager, err := jobs.New(store, jobs.Options{
		Run: func(context.Context, jobs.Job, *jobs.Recorder) (jobs.Outcome, error) { return jobs.Outcome{}, nil },
	})
	if err != nil {
		return nil, err
	}
	config := live.Config{
		Feed: manager.Feed(), Get: manager.Get, Cancel: manager.Cancel,
		Authenticate: func(_ context.Context, text string) (live.Viewer, error) {
			if text != "secret" {
				return nil, token.ErrInvalid
			}
			return everybody{}, nil
		},
		AuthenticateRequest: func(*http.Request) (live.Viewer, error) { return everybody{}, nil },
	}
	for _, f := range change {
		f(&config)
	}
	feed, err := live.New(config)
	return &feeds{live: feed, manager: manager}, err
}

// run runs both until ctx ends.
func (f *feeds) run(ctx context.Context) error {
	feeding, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	done := make(chan error, 1)
	go func() { done <- f.live.Run(feeding) }()
	if err := f.manager.Run(ctx); err != nil {
		return err
	}
	late, cancel := context.WithTimeout(feeding, 10*time.Second)
	defer cancel()
	if err := f.live.Close(late); err != nil {
		return err
	}
	stop()
	return <-done
}

func (f *feeds) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/jobs/{id}/stream", f.live.ServeJob)
	mux.HandleFunc("GET /api/stream", f.live.ServeStream)
	mux.HandleFunc("GET /ws/progress", f.live.ServeProgress)
	mux.HandleFunc("/socket.io/", f.live.ServeSocketIO)
	return mux
}

// serve starts feeds for a test.
func serve(t *testing.T, change ...func(*live.Config)) (*feeds, string) {
	t.Helper()
	store, err := jobs.OpenSQLite(t.Context(), t.TempDir())
	require.NoError(t, err)
	f, err := newFeeds(store, change...)
	require.NoError(t, err)
	require.NoError(t, f.manager.Open(t.Context()))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- f.run(ctx) }()
	web := httptest.NewServer(f.handler())
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
		web.Close()
		require.NoError(t, store.Close())
	})
	return f, web.URL
}

// begin begins a job, which the test reports on.
func (f *feeds) begin(tb testing.TB) *jobs.Recorder {
	tb.Helper()
	r, err := f.manager.Begin(tb.Context(), jobs.Job{Who: "test", Site: "blog", From: "blog", To: "copy"}, func(error) {})
	require.NoError(tb, err)
	return r
}

func moved(stage transfer.Stage, n int64, item string) transfer.Event {
	return transfer.Event{
		Kind: transfer.EventStageProgress, Time: time.Now(), Stage: stage, Records: n, Bytes: n * 100, Item: item,
		Total: &transfer.Count{Records: 1_000_000},
	}
}

// stream is a client of server-sent events that looks at every byte.
type stream struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func open(t *testing.T, base, path string, small bool) *stream {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(base, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	if tcp, ok := conn.(*net.TCPConn); ok && small {
		require.NoError(t, tcp.SetReadBuffer(4<<10))
	}
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
	require.NoError(t, err)
	return &stream{t: t, conn: conn, r: bufio.NewReader(conn)}
}

func (s *stream) line() string {
	s.t.Helper()
	require.NoError(s.t, s.conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	line, err := s.r.ReadString('\n')
	require.NoError(s.t, err)
	return strings.TrimRight(line, "\r\n")
}

// until reads up to and with a line.
func (s *stream) until(line string) {
	s.t.Helper()
	for {
		if s.line() == line {
			return
		}
	}
}

func TestAQuietStreamIsKeptOpen(t *testing.T) {
	_, url := serve(t, func(c *live.Config) { c.Heartbeat = 200 * time.Millisecond })
	began := time.Now()
	s := open(t, url, "/api/stream", false)
	require.Equal(t, "HTTP/1.1 200 OK", s.line())
	s.until("")
	require.Less(t, time.Since(began), 2*time.Second)
	require.Equal(t, []string{"retry: 2000", "", ":", ""}, []string{s.line(), s.line(), s.line(), s.line()}) // at once
	for range 3 {
		began = time.Now()
		require.Equal(t, []string{":", ""}, []string{s.line(), s.line()})
		require.Greater(t, time.Since(began), 100*time.Millisecond)
	}
}

func TestAnOldStreamIsEnded(t *testing.T) {
	_, url := serve(t, func(c *live.Config) { c.MaxAge, c.Heartbeat = 100*time.Millisecond, 50*time.Millisecond })
	s := open(t, url, "/api/stream", false)
	s.until("event: timeout")
	require.Contains(t, s.line(), `"reason":"age"`)
}

func TestAClosingServerSaysGoodbye(t *testing.T) {
	f, url := serve(t)
	s := open(t, url, "/api/stream", false)
	s.until(":")
	done := make(chan error, 1)
	go func() { done <- f.live.Close(t.Context()) }()
	s.until("event: timeout")
	require.Contains(t, s.line(), `"reason":"shutdown"`)
	require.NoError(t, <-done)
	response, err := http.Get(url + "/api/stream") //nolint:forbidigo // of a test
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
}

// A stream that is not read is dropped, and the others hear everything in the meantime.
func TestASlowStreamIsDroppedAndHarmsNobody(t *testing.T) {
	f, url := serve(t, func(c *live.Config) { c.WriteTimeout = 300 * time.Millisecond })
	r := f.begin(t)
	slow, quick := open(t, url, "/api/jobs/"+string(r.ID())+"/stream", true), open(t, url, "/api/jobs/"+string(r.ID())+"/stream", false)
	_ = slow
	heard := make(chan int, 1)
	go func() {
		n := 0
		for {
			line, err := quick.r.ReadString('\n')
			if err != nil {
				heard <- n
				return
			}
			if strings.HasPrefix(line, "event: ") {
				n++
			}
		}
	}()
	stages := []transfer.Stage{transfer.StageSchemas, transfer.StageEntities}
	long := strings.Repeat("x", 60<<10)
	deadline := time.Now().Add(30 * time.Second)
	for i := int64(1); f.live.Stats().Slow == 0; i++ {
		require.True(t, time.Now().Before(deadline), "never dropped")
		r.Observe(moved(stages[1], i, long))
		timer := time.NewTimer(20 * time.Millisecond)
		<-timer.C
	}
	require.EqualValues(t, 1, f.live.Stats().Streams)
	r.End(jobs.Outcome{}, nil)
	require.Greater(t, <-heard, 3)
	require.EqualValues(t, 1, f.live.Stats().Slow)
}

// With TLS a write cannot stop half-way, so that it is never tried without waiting.
func TestStreamsOverTLS(t *testing.T) {
	f, _ := serve(t)
	web := httptest.NewTLSServer(f.handler())
	defer web.Close()
	r := f.begin(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+"/api/jobs/"+string(r.ID())+"/stream", nil)
	require.NoError(t, err)
	response, err := web.Client().Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	lines := bufio.NewScanner(response.Body)
	var names []string
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			names = append(names, name)
			if len(names) == 1 {
				r.Observe(transfer.Event{Kind: transfer.EventStageStarted, Time: time.Now(), Stage: transfer.StageEntities})
			}
			if len(names) == 2 {
				go r.End(jobs.Outcome{}, nil) // the manager waits for it
			}
		}
	}
	require.NoError(t, lines.Err())
	require.Equal(t, "completed", names[len(names)-1])
	require.GreaterOrEqual(t, len(names), 3)
}

func TestTooManyStreamsAreRefused(t *testing.T) {
	_, url := serve(t, func(c *live.Config) { c.MaxStreams = 1 })
	open(t, url, "/api/stream", false).line()
	second := open(t, url, "/api/stream", false)
	require.Equal(t, "HTTP/1.1 503 Service Unavailable", second.line())
}

func TestListsOfJobsAreChecked(t *testing.T) {
	_, url := serve(t)
	require.Equal(t, "HTTP/1.1 400 Bad Request", open(t, url, "/api/stream?jobs=abc", false).line())
	many := make([]string, 201)
	for i := range many {
		id, err := jobs.NewID()
		require.NoError(t, err)
		many[i] = string(id)
	}
	require.Equal(t, "HTTP/1.1 400 Bad Request", open(t, url, "/api/stream?jobs="+strings.Join(many, ","), false).line())
	require.Equal(t, "HTTP/1.1 404 Not Found", open(t, url, "/api/stream?jobs="+many[0], false).line())
}
