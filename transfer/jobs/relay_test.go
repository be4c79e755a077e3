package jobs_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// wire carries messages from one server to another, at once.
type wire struct {
	mu      sync.Mutex
	deliver func([]byte) // guarded by mu
}

func (w *wire) Publish(_ context.Context, message []byte) error {
	w.mu.Lock()
	deliver := w.deliver
	w.mu.Unlock()
	if deliver != nil {
		deliver(message)
	}
	return nil
}

func (w *wire) Subscribe(ctx context.Context, deliver func([]byte), _ func()) error {
	w.mu.Lock()
	w.deliver = deliver
	w.mu.Unlock()
	<-ctx.Done()
	return nil
}

// ear and mouth are the two ends of a wire.
type (
	ear   struct{ *wire }
	mouth struct{ *wire }
)

func (ear) Publish(context.Context, []byte) error { return nil }

func (mouth) Subscribe(ctx context.Context, _ func([]byte), _ func()) error {
	<-ctx.Done()
	return nil
}

// idle is the way to the store of a server that gets no job, and looks into the log only now and then.
type idle struct{ jobs.Store }

func (idle) Claim(context.Context, jobs.Claim) (*jobs.Change, error) { return nil, nil }

func nobody(context.Context, jobs.Job, *jobs.Recorder) (jobs.Outcome, error) {
	return jobs.Outcome{}, nil
}

// Progress that is faster than the log does not overtake it.
func TestProgressOfAnotherServerIsToldInOrder(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, store *jobs.DB) {
		w := &wire{}
		far, stopFar := begin(t, idle{store}, jobs.Options{Owner: "far", Relay: ear{w}, Run: nobody})
		defer stopFar()
		near, stopNear := begin(t, &lan{Store: store}, jobs.Options{Owner: "near", Relay: mouth{w}, Run: func(_ context.Context, _ jobs.Job, r *jobs.Recorder) (jobs.Outcome, error) {
			for _, stage := range transfer.Stages() {
				total := &transfer.Count{Records: 20}
				r.Observe(transfer.Event{Kind: transfer.EventStageStarted, Stage: stage, Time: time.Now(), Total: total})
				for i := range int64(20) {
					pass(t, 20*time.Millisecond)
					r.Observe(transfer.Event{Kind: transfer.EventStageProgress, Stage: stage, Records: i + 1, Time: time.Now(), Total: total})
				}
				r.Observe(transfer.Event{Kind: transfer.EventStageFinished, Stage: stage, Records: 20, Time: time.Now(), Total: total})
			}
			return jobs.Outcome{}, nil
		}})
		defer stopNear()
		sub, err := far.Feed().Subscribe(t.Context(), jobs.Subscribe{})
		require.NoError(t, err)
		defer sub.Close()
		_, err = near.Submit(t.Context(), jobs.Spec{Kind: jobs.KindSync, From: "x", To: "y"})
		require.NoError(t, err)
		last, volatile := jobs.Job{}, 0
		for !last.State.Ended() || last.State == "" {
			events, err := sub.Wait(t.Context())
			require.NoError(t, err)
			for _, e := range events {
				require.GreaterOrEqual(t, e.Job.Revision, last.Revision, "%s of step %s after step %s", e.Type, e.Job.Step, last.Step)
				require.GreaterOrEqual(t, e.Job.Progress, last.Progress)
				last = *e.Job
				if !e.Durable {
					volatile++
				}
			}
		}
		require.Equal(t, jobs.StateCompleted, last.State)
		require.Greater(t, volatile, 5)
	})
}
