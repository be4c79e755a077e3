package redisbus

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// instance is a Redis of the test, which can be stopped and started again.
type instance struct {
	t       *testing.T
	port    int
	dir     string
	args    []string
	command *exec.Cmd
}

func newInstance(t *testing.T, args ...string) *instance {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("redis-server is not installed")
		}
		t.Skip("redis-server is not installed")
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address, ok := listener.Addr().(*net.TCPAddr)
	require.True(t, ok)
	require.NoError(t, listener.Close())
	r := &instance{t: t, port: address.Port, dir: t.TempDir(), args: args}
	r.start()
	t.Cleanup(r.stop)
	return r
}

func (r *instance) address() string { return fmt.Sprintf("redis://127.0.0.1:%d", r.port) }

func (r *instance) start() {
	r.t.Helper()
	args := append([]string{
		"--port", strconv.Itoa(r.port), "--bind", "127.0.0.1", "--dir", r.dir, "--logfile", filepath.Join(r.dir, "log"), "--save", "",
	}, r.args...)
	r.command = exec.Command("redis-server", args...)
	require.NoError(r.t, r.command.Start())
	require.Eventually(r.t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(r.t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", r.port))
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, 10*time.Second, 10*time.Millisecond)
}

func (r *instance) stop() {
	if r.command == nil {
		return
	}
	_ = r.command.Process.Signal(os.Interrupt)
	_ = r.command.Wait()
	r.command = nil
}

// end is a bus that runs, and what it has heard.
type end struct {
	*Bus

	mu     sync.Mutex
	heard  []string
	missed int
}

func open(t *testing.T, address string, options Options) *end {
	t.Helper()
	bus, err := New(address, options)
	require.NoError(t, err)
	e := &end{Bus: bus}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- bus.Subscribe(ctx, func(m []byte) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.heard = append(e.heard, string(m))
		}, func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.missed++
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return e
}

func (e *end) has(n int) func() bool {
	return func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.heard) >= n
	}
}

func (e *end) all() ([]string, int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.heard...), e.missed
}

func (e *end) say(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		require.NoError(t, e.Publish(t.Context(), []byte(strconv.Itoa(i))))
	}
}

// meet waits until both hear each other.
func meet(t *testing.T, a, b *end) {
	t.Helper()
	require.Eventually(t, func() bool {
		_ = a.Publish(t.Context(), []byte("hello"))
		_ = b.Publish(t.Context(), []byte("hello"))
		return a.has(1)() && b.has(1)()
	}, 10*time.Second, 20*time.Millisecond)
	require.Eventually(t, func() bool { // all hellos
		before, _ := b.all()
		timer := time.NewTimer(200 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		after, _ := b.all()
		return len(before) == len(after)
	}, 10*time.Second, time.Millisecond)
	for _, e := range []*end{a, b} {
		e.mu.Lock()
		e.heard = nil
		e.mu.Unlock()
	}
}

func numbers(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, strconv.Itoa(i))
	}
	return list
}

func TestServersHearEachOtherInOrderAndNotThemselves(t *testing.T) {
	r := newInstance(t)
	a, b := open(t, r.address(), Options{}), open(t, r.address(), Options{})
	meet(t, a, b)
	a.say(t, 0, 500)
	require.Eventually(t, b.has(500), 10*time.Second, 5*time.Millisecond)
	heard, missed := b.all()
	require.Equal(t, numbers(0, 500), heard)
	require.Zero(t, missed)
	own, _ := a.all()
	require.Empty(t, own)
}

func TestNothingIsLostWhileRedisIsAway(t *testing.T) {
	r := newInstance(t, "--appendonly", "yes", "--appendfsync", "always")
	a, b := open(t, r.address(), Options{}), open(t, r.address(), Options{})
	meet(t, a, b)
	a.say(t, 0, 50)
	r.stop() // in the middle of it
	a.say(t, 50, 100)
	r.start()
	a.say(t, 100, 150)
	require.Eventually(t, b.has(150), 30*time.Second, 10*time.Millisecond)
	heard, missed := b.all()
	require.Equal(t, numbers(0, 150), heard)
	require.Zero(t, missed)
}

func TestAnEmptyRedisIsNoticed(t *testing.T) {
	r := newInstance(t) // keeps nothing
	a, b := open(t, r.address(), Options{}), open(t, r.address(), Options{})
	meet(t, a, b)
	a.say(t, 0, 50)
	require.Eventually(t, b.has(50), 10*time.Second, 5*time.Millisecond)
	r.stop()
	a.say(t, 50, 100)
	r.start()
	require.Eventually(t, b.has(100), 30*time.Second, 10*time.Millisecond)
	heard, missed := b.all()
	require.Equal(t, numbers(0, 100), heard)
	require.Positive(t, missed)
}

// Whoever writes first to a Redis that came back empty must not hide from who reads that it did.
func TestWhatAStreamLacks(t *testing.T) {
	at := func(ms uint64) position { return position{ms: ms} }
	for name, test := range map[string]struct {
		s    state
		last position
		want bool
	}{
		"nothing new":                      {s: state{first: at(1), end: at(5), length: 5, added: 5}, last: at(5)},
		"new entries":                      {s: state{first: at(1), end: at(9), length: 9, added: 9}, last: at(5)},
		"it was empty when we came":        {s: state{first: at(7), end: at(9), length: 2, added: 2}},
		"cut, but not so far":              {s: state{first: at(5), end: at(9), length: 5, added: 9}, last: at(5)},
		"cut beyond what we have":          {s: state{first: at(7), end: at(9), length: 3, added: 9}, last: at(5), want: true},
		"came back empty, and got entries": {s: state{first: at(7), end: at(9), length: 3, added: 3}, last: at(5), want: true},
	} {
		require.Equal(t, test.want, test.s.lacks(test.last), name)
	}
}

func TestWhatCannotWaitIsTold(t *testing.T) {
	r := newInstance(t, "--appendonly", "yes")
	a, b := open(t, r.address(), Options{Waiting: 10}), open(t, r.address(), Options{})
	meet(t, a, b)
	r.stop()
	var full int
	for i := range 30 {
		if err := a.Publish(t.Context(), []byte(strconv.Itoa(i))); err != nil {
			require.ErrorIs(t, err, ErrFull)
			full++
		}
	}
	require.Equal(t, 20, full)
	r.start()
	require.Eventually(t, b.has(10), 30*time.Second, 10*time.Millisecond)
	heard, missed := b.all()
	require.Equal(t, numbers(20, 30), heard)
	require.Equal(t, 1, missed)
}

func TestAStreamThatWasCutIsNoticed(t *testing.T) {
	r := newInstance(t)
	a, err := New(r.address(), Options{Length: 5})
	require.NoError(t, err)
	missed := 0
	listener := &reader{bus: a, deliver: func([]byte) {}, missed: func() { missed++ }, seen: make(map[string]uint64)}
	add := func(n int, more ...any) {
		require.NoError(t, a.connected(t.Context(), func(ctx context.Context, conn redis.Conn) error {
			for range n {
				if _, err := conn.Do("XADD", append(append([]any{DefaultStream}, more...), "*", "node", "other", "number", "1", "message", "m")...); err != nil {
					return err
				}
			}
			return listener.find(ctx, conn)
		}))
	}
	add(3)
	require.Zero(t, missed) // it begins
	add(5)
	require.Zero(t, missed) // all there
	add(5, "MAXLEN", "=", "2")
	require.Equal(t, 1, missed)
}

func TestAddressesAreChecked(t *testing.T) {
	for _, address := range []string{"", "127.0.0.1:6379", "http://127.0.0.1", "redis://", "redis://user:secret@%zz"} {
		_, err := New(address, Options{})
		require.Error(t, err, address)
		require.NotContains(t, err.Error(), "secret")
	}
}
