// Command transfer moves content between Strapi servers, export archives and folders.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// bounce is how long after a signal another one is taken for the same: wrappers send one to the process and one to its group.
const bounce = 300 * time.Millisecond

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // who starts it with nohup wants it to go on
		signal.Notify(signals, syscall.SIGHUP)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, interrupted := <-signals; !interrupted {
			return
		}
		first := time.Now()
		cancel(errInterrupted)
		for s := range signals {
			// A terminal that closes says so more than once. Nobody is impatient then.
			if s != syscall.SIGHUP && time.Since(first) > bounce {
				os.Exit(exitInterrupted)
			}
		}
	}()
	code := run(ctx, newApp(), os.Args[1:])
	signal.Stop(signals)
	close(signals)
	<-done
	os.Exit(code)
}
