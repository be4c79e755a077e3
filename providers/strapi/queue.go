package strapi

import (
	"context"
	"errors"
	"sync"
)

// queue runs what concerns one transaction, one job after the other, on a goroutine of its own: while the database works on one batch
// the next is decoded. After the first error nothing runs any more.
type queue struct {
	jobs   chan func(context.Context) error
	ended  chan struct{}
	failed chan struct{}
	err    error // set before failed is closed
	cancel context.CancelCauseFunc
	once   sync.Once
}

// queueDepth is how many batches may wait. They hold half a megabyte of text each.
const queueDepth = 4

var errAbandoned = errors.New("the transfer was given up")

// newQueue starts a queue. It outlives ctx, whose end must not break a transaction that is being rolled back.
func newQueue(ctx context.Context) *queue {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	q := &queue{
		jobs: make(chan func(context.Context) error, queueDepth), ended: make(chan struct{}), failed: make(chan struct{}), cancel: cancel,
	}
	go func() {
		defer close(q.ended)
		for job := range q.jobs {
			if q.err != nil {
				continue
			}
			if err := job(ctx); err != nil {
				q.err = err
				close(q.failed)
			}
		}
	}()
	return q
}

// submit puts a job at the end. An error is that of the context, or of a job before.
func (q *queue) submit(ctx context.Context, job func(context.Context) error) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	select {
	case <-q.failed:
		return q.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case q.jobs <- job:
		return nil
	}
}

// do runs a job after all others, and waits for it.
func (q *queue) do(ctx context.Context, job func(context.Context) error) error {
	done := make(chan struct{})
	err := q.submit(ctx, func(ctx context.Context) error {
		defer close(done)
		return job(ctx)
	})
	if err != nil {
		return err
	}
	select {
	case <-q.failed:
		return q.err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-done:
	}
	select { // the job itself may have failed
	case <-q.failed:
		return q.err
	default:
		return nil
	}
}

// close ends the queue when the job that runs has ended, which it is told to do at once. It may be called twice.
func (q *queue) close() {
	q.once.Do(func() {
		q.cancel(errAbandoned)
		close(q.jobs)
	})
	<-q.ended
}
