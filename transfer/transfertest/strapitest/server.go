//go:build unix

package strapitest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 90 * time.Second
	pollInterval = 100 * time.Millisecond
)

// server is the running process of an instance.
type server struct {
	child  *child
	log    *os.File
	cancel context.CancelFunc
	done   chan struct{} // closed when the process has ended
	err    error         // of the process; read after done
}

// Start starts the server and returns when it answers.
func (i *Instance) Start(tb testing.TB) {
	tb.Helper()
	if i.server != nil {
		tb.Fatal("start an instance: it runs already")
	}
	s, err := i.launch()
	if err != nil {
		tb.Fatalf("start an instance: %v", err)
	}
	i.server = s
	ctx, cancel := context.WithTimeout(tb.Context(), startTimeout)
	defer cancel()
	if err := i.awaitHealth(ctx); err != nil {
		i.Kill(tb)
		tb.Fatalf("start an instance: %v\n%s", err, i.Log())
	}
}

// Stop asks the server to end and waits for it, as a restart of the service would.
func (i *Instance) Stop(tb testing.TB) {
	tb.Helper()
	i.end(tb, syscall.SIGTERM)
}

// Kill ends the server at once, as a power failure would. Killing what does not run is harmless.
func (i *Instance) Kill(tb testing.TB) {
	tb.Helper()
	i.end(tb, syscall.SIGKILL)
}

// Running reports whether the server was started and has not ended by itself.
func (i *Instance) Running() bool {
	if i.server == nil {
		return false
	}
	select {
	case <-i.server.done:
		return false
	default:
		return true
	}
}

// Log returns the end of what the server of the instance printed.
func (i *Instance) Log() string {
	text, err := os.ReadFile(i.Path("server.log"))
	if err != nil {
		return err.Error()
	}
	return tail(string(text))
}

func (i *Instance) launch() (*server, error) {
	log, err := os.OpenFile(i.Path("server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	// The server outlives this call, and also the subtest that starts it: it ends with the instance.
	ctx, cancel := context.WithCancel(context.Background())
	process, err := startChild(ctx, i.dir, i.environment(), log, log, "node", strapiCommand, "start")
	if err != nil {
		cancel()
		return nil, errors.Join(err, log.Close())
	}
	s := &server{child: process, log: log, cancel: cancel, done: make(chan struct{})}
	go func() { // joined by end
		defer close(s.done)
		s.err = s.child.wait()
	}()
	return s, nil
}

func (i *Instance) awaitHealth(ctx context.Context) error {
	client := &http.Client{Timeout: 2 * time.Second}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", context.Cause(ctx))
		case <-i.server.done:
			return fmt.Errorf("ended by itself: %w", errors.Join(i.server.err, errors.New("see its log")))
		case <-ticker.C:
		}
		if i.healthy(ctx, client) {
			return nil
		}
	}
}

func (i *Instance) healthy(ctx context.Context, client *http.Client) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, fmt.Sprintf("http://127.0.0.1:%d/_health", i.port), http.NoBody)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusNoContent
}

func (i *Instance) end(tb testing.TB, signal syscall.Signal) {
	tb.Helper()
	s := i.server
	if s == nil {
		return
	}
	i.server = nil
	if err := signalGroup(s.child.cmd, signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		tb.Logf("signal an instance: %v", err)
	}
	timer := time.NewTimer(killDelay)
	defer timer.Stop()
	select {
	case <-s.done:
	case <-timer.C:
		tb.Logf("an instance did not end within %s and is killed", killDelay)
	}
	s.cancel()
	<-s.done
	if err := s.log.Close(); err != nil {
		tb.Logf("close the log of an instance: %v", err)
	}
}
