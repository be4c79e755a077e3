package live_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server/live"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// loadEnv makes the test binary the server of the benchmark, in a process of its own whose memory can be told.
const loadEnv = "TRANSFER_LIVE_LOAD"

const (
	loadStreams = 10_000
	loadSockets = 2_000
	loadEvents  = 50 // a second
	loadFor     = 10 * time.Second
	moveTime    = 1500 * time.Millisecond
	movePairs   = 4
	moveRate    = 4 << 20 // bytes a second, of a transfer that waits for its network
)

// loadServer serves one job with loadEvents a second, and says where.
func loadServer() {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1) //nolint:forbidigo // a process of the test's own
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	store, err := jobs.OpenSQLite(ctx, os.Getenv(loadEnv))
	fail(err)
	f, err := newFeeds(store, func(c *live.Config) { c.MaxStreams = 2 * loadStreams })
	fail(err)
	fail(f.manager.Open(ctx))
	go func() { fail(f.run(ctx)) }()
	r, err := f.manager.Begin(ctx, jobs.Job{Who: "load", Site: "blog", From: "blog", To: "copy"}, func(error) {})
	fail(err)
	var busy atomic.Bool // the job is to be reported on
	go func() {
		ticker := time.NewTicker(time.Second / loadEvents)
		for i := int64(1); ; i++ {
			<-ticker.C
			if busy.Load() {
				r.Observe(moved(transfer.StageEntities, i, "api::article.article"))
			}
		}
	}()
	mux := http.NewServeMux()
	mux.Handle("/", f.handler())
	mux.HandleFunc("POST /busy", func(_ http.ResponseWriter, r *http.Request) { busy.Store(r.URL.Query().Get("yes") != "") })
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(measure(f)) })
	mux.HandleFunc("POST /transfer", func(w http.ResponseWriter, q *http.Request) {
		rate, err := strconv.ParseInt(q.URL.Query().Get("rate"), 10, 64)
		fail(err)
		_, _ = fmt.Fprint(w, moveFor(q.Context(), moveTime, rate))
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fail(err)
	fmt.Println(listener.Addr(), r.ID()) //nolint:forbidigo // is what the benchmark waits for
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the benchmark
		cancel()
		os.Exit(0) //nolint:forbidigo // a process of the test's own
	}()
	fail((&http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}).Serve(listener))
}

// figures are what the server tells of itself.
type figures struct {
	RSS   int64 // bytes
	Heap  int64
	CPU   time.Duration
	Stats live.Stats
}

func measure(f *feeds) (m figures) {
	for range 4 { // each makes stacks that were used once half as large
		debug.FreeOSMemory()
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	m.Heap = int64(mem.HeapInuse + mem.StackInuse)
	m.RSS, m.CPU = resident(), spent()
	m.Stats = f.live.Stats()
	return m
}

func resident() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// spent is the time that the process has had of processors, which Linux tells in hundredths of a second.
func spent() (sum time.Duration) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	for _, i := range []int{11, 12} { // of user code and of the system's
		ticks, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum
}

// moveFor moves a site in memory again and again, and returns how many records a second that was.
func moveFor(ctx context.Context, d time.Duration, rate int64) float64 {
	site := transfertest.Sample()
	for i := range 5000 {
		site.Records[transfer.StageEntities] = append(site.Records[transfer.StageEntities], fmt.Sprintf(
			`{"type":"api::category.category","id":%d,"data":{"name":"n%d","documentId":"more%d","publishedAt":null}}`, 100+i, i, i))
	}
	began, records := time.Now(), 0
	for time.Since(began) < d {
		_, err := transfer.Run(ctx, transfertest.NewMemory(site), transfertest.NewMemory(transfertest.Sample()), transfer.Options{Rate: rate})
		if err != nil {
			return -1
		}
		records += len(site.Records[transfer.StageEntities])
	}
	return float64(records) / time.Since(began).Seconds()
}

// BenchmarkSubscribers has ten thousand streams and two thousand Socket.IO clients on one job at fifty events a second, and some that do
// not read. It reports the memory of each, how long events took, and how much slower a transfer became beside all that, the clients
// included: one that keeps a processor busy, and one that is held up by its network.
func BenchmarkSubscribers(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("reads the server's memory from /proc")
	}
	for b.Loop() {
		load(b, loadStreams, loadSockets)
	}
}

func load(b *testing.B, streams, sockets int) {
	b.Helper()
	l := startLoad(b)
	before := l.stats()
	l.openAll(streams, l.stream)
	withStreams := l.stats()
	l.openAll(sockets, l.socket)
	withAll := l.stats()
	require.EqualValues(b, streams, withAll.Stats.Streams)
	require.Equal(b, sockets, withAll.Stats.SocketIO.Sockets)
	for range 10 { // do not read
		l.idle()
	}
	l.post("/busy?yes=1")
	l.watching.Store(true)
	cpu := l.stats().CPU
	pause(loadFor)
	cpu = l.stats().CPU - cpu
	l.watching.Store(false)
	sent := l.heard.Load()
	delays := l.delays()
	slower, pacedSlower := l.slower(0), l.slower(moveRate)
	after := l.stats()

	b.ReportMetric(float64(withStreams.RSS-before.RSS)/float64(streams)/1024, "KiB/stream")
	b.ReportMetric(float64(withAll.RSS-withStreams.RSS)/float64(sockets)/1024, "KiB/socket")
	b.ReportMetric(float64(sent)/loadFor.Seconds(), "deliveries/s")
	b.ReportMetric(delays(0.50), "p50-ms")
	b.ReportMetric(delays(0.99), "p99-ms")
	b.ReportMetric(100*cpu.Seconds()/loadFor.Seconds(), "%cpu")
	b.ReportMetric(100*slower, "%slower")
	b.ReportMetric(100*pacedSlower, "%slower-paced")
	b.ReportMetric(float64(after.Stats.Slow)+float64(after.Stats.SocketIO.Slow), "dropped")
	b.ReportMetric(0, "ns/op") // means nothing here
}

// loaded is the clients' side.
type loaded struct {
	b        *testing.B
	base     string // host and port
	job      string
	sources  []string
	next     atomic.Int64
	watching atomic.Bool
	heard    atomic.Int64

	mu     sync.Mutex
	sample []time.Duration
	conns  []io.Closer
}

func startLoad(b *testing.B) *loaded {
	b.Helper()
	self, err := os.Executable()
	require.NoError(b, err)
	command := exec.CommandContext(b.Context(), self)
	command.Env = append(os.Environ(), loadEnv+"="+filepath.Join(b.TempDir(), "jobs"))
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	require.NoError(b, err)
	stdout, err := command.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, command.Start())
	l := &loaded{b: b, sources: []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"}}
	b.Cleanup(func() {
		for _, c := range l.conns {
			_ = c.Close()
		}
		_ = stdin.Close()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(b, err)
	_, err = fmt.Sscan(line, &l.base, &l.job)
	require.NoError(b, err)
	return l
}

func pause(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

func (l *loaded) post(path string) string {
	l.b.Helper()
	response, err := http.Post("http://"+l.base+path, "", nil) //nolint:forbidigo // of a test
	require.NoError(l.b, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(l.b, err)
	require.NoError(l.b, response.Body.Close())
	return string(text)
}

// slower returns by what part a transfer is slower while the subscribers are told of another job. It is measured in turns, for the machine
// may have other things to do.
func (l *loaded) slower(rate int64) float64 {
	l.b.Helper()
	var quiet, busy float64
	for range movePairs {
		l.post("/busy")
		quiet += l.move(rate)
		l.post("/busy?yes=1")
		busy += l.move(rate)
	}
	return 1 - busy/quiet
}

func (l *loaded) move(rate int64) float64 {
	l.b.Helper()
	speed, err := strconv.ParseFloat(l.post("/transfer?rate="+strconv.FormatInt(rate, 10)), 64)
	require.NoError(l.b, err)
	require.Positive(l.b, speed)
	return speed
}

func (l *loaded) stats() (m figures) {
	l.b.Helper()
	response, err := http.Get("http://" + l.base + "/stats") //nolint:forbidigo // of a test
	require.NoError(l.b, err)
	defer func() { _ = response.Body.Close() }()
	require.NoError(l.b, json.NewDecoder(response.Body).Decode(&m))
	return m
}

// openAll opens n connections, some at a time.
func (l *loaded) openAll(n int, open func() error) {
	l.b.Helper()
	var group sync.WaitGroup
	slots := make(chan struct{}, 64)
	var failed atomic.Pointer[error]
	for range n {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			if err := open(); err != nil {
				failed.Store(&err)
			}
		})
	}
	group.Wait()
	if err := failed.Load(); err != nil {
		l.b.Fatal(*err)
	}
}

func (l *loaded) dial() (net.Conn, error) {
	source := net.ParseIP(l.sources[l.next.Add(1)%int64(len(l.sources))])
	return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: source}}).DialContext(l.b.Context(), "tcp", l.base)
}

func (l *loaded) keep(c io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, c)
}

func (l *loaded) request() (net.Conn, error) {
	conn, err := l.dial()
	if err != nil {
		return nil, err
	}
	l.keep(conn)
	_, err = fmt.Fprintf(conn, "GET /api/jobs/%s/stream HTTP/1.1\r\nHost: x\r\n\r\n", l.job)
	return conn, err
}

// idle opens a stream that is never read.
func (l *loaded) idle() {
	l.b.Helper()
	conn, err := l.request()
	require.NoError(l.b, err)
	if tcp, ok := conn.(*net.TCPConn); ok {
		require.NoError(l.b, tcp.SetReadBuffer(2<<10))
	}
}

// stream opens a stream and reads it.
func (l *loaded) stream() error {
	conn, err := l.request()
	if err != nil {
		return err
	}
	buffer := make([]byte, 4<<10)
	if _, err := conn.Read(buffer); err != nil {
		return err
	}
	go func() {
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			l.note(buffer[:n], []byte("event: progress"))
		}
	}()
	return nil
}

// socket opens a Socket.IO client and reads it.
func (l *loaded) socket() error {
	dialer := websocket.Dialer{NetDial: func(string, string) (net.Conn, error) { return l.dial() }, ReadBufferSize: 2 << 10, WriteBufferSize: 1 << 10}
	conn, response, err := dialer.DialContext(l.b.Context(), "ws://"+l.base+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	l.keep(conn)
	for _, say := range []string{`40{"token":"secret","events":"job"}`, `420["job:subscribe","` + l.job + `"]`} {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(say)); err != nil {
			return err
		}
	}
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		if bytes.HasPrefix(text, []byte("430")) {
			break
		}
	}
	go func() {
		for {
			_, text, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if string(text) == "2" {
				_ = conn.WriteMessage(websocket.TextMessage, []byte("3"))
				continue
			}
			l.note(text, []byte(`42["job:progress"`))
		}
	}()
	return nil
}

// note counts what was heard, and of some how long it took.
func (l *loaded) note(text, mark []byte) {
	if !l.watching.Load() {
		return
	}
	count := int64(bytes.Count(text, mark))
	if l.heard.Add(count)%8 != 0 || count == 0 {
		return
	}
	_, rest, ok := bytes.Cut(text, []byte(`"timestamp":"`))
	stamp, _, ended := bytes.Cut(rest, []byte(`"`))
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if !ok || !ended || err != nil {
		return
	}
	delay := time.Since(at)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sample = append(l.sample, delay)
}

// delays returns a function for quantiles, in milliseconds.
func (l *loaded) delays() func(q float64) float64 {
	l.mu.Lock()
	sample := slices.Clone(l.sample)
	l.mu.Unlock()
	slices.Sort(sample)
	return func(q float64) float64 {
		if len(sample) == 0 {
			return -1
		}
		return float64(sample[int(q*float64(len(sample)-1))].Microseconds()) / 1000
	}
}
