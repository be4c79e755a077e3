package main

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	// maxWaiting is how many lines of a server wait for whoever reads its standard error.
	maxWaiting = 1024
	// lastWords is how long a server that ends waits for what it has said to be read.
	lastWords = 2 * time.Second
)

// buffered writes lines without ever making who writes them wait: a log that nobody reads must not stop transfers. What does not
// find room is dropped, and counted.
type buffered struct {
	w    io.Writer
	done chan struct{} // closed when all has been written

	mu      sync.Mutex
	lines   chan []byte // sent to and closed under mu
	closed  bool        // guarded by mu, like what follows
	dropped int
}

func newBuffered(w io.Writer) *buffered {
	b := &buffered{w: w, done: make(chan struct{}), lines: make(chan []byte, maxWaiting)}
	go b.run() // joined by close
	return b
}

// Write takes whole lines. It never fails.
func (b *buffered) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return len(p), nil
	}
	select {
	case b.lines <- append([]byte(nil), p...):
	default:
		b.dropped++
	}
	return len(p), nil
}

func (b *buffered) run() {
	defer close(b.done)
	for line := range b.lines {
		_, _ = b.w.Write(line) // nothing can be done about a standard error that cannot be written to
		b.confess()
	}
}

// confess tells of lines that were dropped, once those that waited before them have been written.
func (b *buffered) confess() {
	b.mu.Lock()
	n := b.dropped
	if len(b.lines) > 0 {
		n = 0
	}
	b.dropped -= n
	b.mu.Unlock()
	if n > 0 {
		_, _ = fmt.Fprintf(b.w, "%s not written here: standard error was not read fast enough\n", plural(int64(n), "line was", "lines were"))
	}
}

// close waits until all has been written, but not for a reader that does not read: what writes then ends with the process.
func (b *buffered) close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.lines)
	}
	b.mu.Unlock()
	timer := time.NewTimer(lastWords)
	defer timer.Stop()
	select {
	case <-b.done:
	case <-timer.C:
	}
}

// survivePipes makes writing to a standard error whose reader has gone fail, instead of ending the process. It returns what undoes it.
func survivePipes() (undo func()) {
	signals := make(chan os.Signal, 1) // nobody needs to read it
	signal.Notify(signals, syscall.SIGPIPE)
	return func() { signal.Stop(signals) }
}
