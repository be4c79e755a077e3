package dispatcher_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
)

// fakeConn is a connection to a peer that the test plays. It fits into a synctest bubble: all that blocks are channels.
type fakeConn struct {
	in     chan []byte
	broken chan struct{} // reading fails with err
	closed chan struct{}
	once   sync.Once

	mu       sync.Mutex
	err      error
	writeErr error
	sent     []sent
	pings    []time.Time
	progress dispatcher.Progress
	hold     bool          // what is written is not taken
	stuck    chan struct{} // writes wait for it
	deaf     bool          // pings are not answered
	onSend   func(text string)
}

type sent struct {
	at   time.Time
	text string
}

func newFakeConn() *fakeConn {
	return &fakeConn{in: make(chan []byte, 4096), broken: make(chan struct{}), closed: make(chan struct{})}
}

func (c *fakeConn) Read(ctx context.Context) ([]byte, error) {
	select {
	case text := <-c.in:
		return text, nil
	default:
	}
	select {
	case text := <-c.in:
		return text, nil
	case <-c.broken:
		c.mu.Lock()
		defer c.mu.Unlock()
		return nil, c.err
	case <-c.closed:
		return nil, fmt.Errorf("read after close")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (c *fakeConn) Write(ctx context.Context, message []byte) error {
	c.mu.Lock()
	stuck, onSend, err := c.stuck, c.onSend, c.writeErr
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if stuck != nil {
		select {
		case <-stuck:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	c.mu.Lock()
	c.sent = append(c.sent, sent{time.Now(), string(message)})
	c.progress.Offered += int64(len(message))
	if !c.hold {
		c.progress.Taken = c.progress.Offered
	}
	c.mu.Unlock()
	if onSend != nil {
		onSend(string(message))
	}
	return nil
}

func (c *fakeConn) Ping(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pings = append(c.pings, time.Now())
	if !c.deaf {
		c.progress.Heard += 2
	}
	return nil
}

func (c *fakeConn) Progress() dispatcher.Progress {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.progress
}

func (c *fakeConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// say is the peer saying text.
func (c *fakeConn) say(text string) {
	c.moved(dispatcher.Progress{Heard: int64(len(text)), Read: int64(len(text))})
	c.in <- []byte(text)
}

// answer is the peer answering a request with data.
func (c *fakeConn) answer(uuid, data string) {
	c.say(fmt.Sprintf(`{"uuid":%q,"data":%s,"error":null}`, uuid, data))
}

func (c *fakeConn) frame(uuid string) {
	c.say(fmt.Sprintf(`{"uuid":%q,"data":{"type":"transfer","data":[1],"ended":false,"error":null,"id":"s"}}`, uuid))
}

// lose breaks the connection.
func (c *fakeConn) lose(err error) {
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	close(c.broken)
}

// moved adds to what has moved.
func (c *fakeConn) moved(by dispatcher.Progress) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress.Heard += by.Heard
	c.progress.Read += by.Read
	c.progress.Offered += by.Offered
	c.progress.Taken += by.Taken
}

func (c *fakeConn) set(f func(*fakeConn)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
}

// texts is what was sent so far.
func (c *fakeConn) texts() (texts []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sent {
		texts = append(texts, s.text)
	}
	return texts
}

// times is when it was sent.
func (c *fakeConn) times(from time.Time) (times []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sent {
		times = append(times, s.at.Sub(from))
	}
	return times
}

func (c *fakeConn) uuids() (uuids []string) {
	for _, text := range c.texts() {
		uuids = append(uuids, uuidOf(text))
	}
	return uuids
}

func uuidOf(text string) string {
	var m struct{ UUID string }
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		panic(err)
	}
	return m.UUID
}

// session is a running dispatcher on a fake connection.
type session struct {
	*dispatcher.Dispatcher

	t     testing.TB
	conn  *fakeConn
	start time.Time
	ended chan struct{}
	err   error // of Run, once ended is closed
}

// run starts a dispatcher that ends with the test at the latest. It must be called in a bubble.
func run(t testing.TB, opts dispatcher.Options) *session {
	t.Helper()
	return runOn(t, newFakeConn(), opts)
}

func runOn(t testing.TB, conn *fakeConn, opts dispatcher.Options) *session {
	t.Helper()
	s := &session{Dispatcher: dispatcher.New(conn, opts), t: t, conn: conn, start: time.Now(), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.err = s.Run(t.Context())
	}()
	t.Cleanup(func() {
		s.Close()
		<-s.ended
	})
	synctest.Wait()
	return s
}

// stop closes the dispatcher and returns what Run says.
func (s *session) stop() error {
	s.Close()
	<-s.ended
	return s.err
}

// call makes a call that the test must finish.
func (s *session) call(req protocol.Request, opts dispatcher.CallOptions) *result {
	s.t.Helper()
	r := &result{began: time.Now(), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.data, r.err = s.Call(s.t.Context(), req, opts)
		r.took = time.Since(r.began)
	}()
	synctest.Wait()
	return r
}

type result struct {
	began time.Time
	done  chan struct{}
	data  json.RawMessage
	err   error
	took  time.Duration
}

func (r *result) wait() *result {
	<-r.done
	return r
}

// pending says whether the call is still waiting, once everything has come to rest.
func (r *result) pending() bool {
	synctest.Wait()
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

// passes lets virtual time pass.
func passes(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func action(a protocol.Action, uuid string) protocol.Request {
	return protocol.Request{UUID: uuid, Type: protocol.TypeTransfer, Kind: protocol.KindAction, Action: a, TransferID: "secret-id"}
}

func stream(stage protocol.Stage, uuid, data string) protocol.Request {
	return protocol.Request{
		UUID: uuid, Type: protocol.TypeTransfer, Kind: protocol.KindStep, Verb: protocol.VerbStream, Stage: stage,
		Data: json.RawMessage(data), TransferID: "secret-id",
	}
}

// every returns n times: 0, d, 2d ...
func every(d time.Duration, n int) []time.Duration {
	times := make([]time.Duration, n)
	for i := range times {
		times[i] = time.Duration(i) * d
	}
	return times
}

func requireSame(t testing.TB, texts []string) {
	t.Helper()
	require.Len(t, slices.Compact(slices.Clone(texts)), 1, "every send is the same")
}
