package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/errgroup"

	"github.com/transfer-runner/runner/transfer"
)

// claimEvery is how often is looked for jobs without being told: those that become due, those of servers that tell nothing.
const claimEvery = time.Second

// restEvery is the same where nobody else queues jobs and none waits here.
const restEvery = 30 * time.Second

// claimPause is how long until it is worth while to look for jobs without being told.
func (m *Manager) claimPause() time.Duration {
	if m.shared() || m.feed.waiting() {
		return claimEvery
	}
	return restEvery
}

// claimLoop claims jobs and runs them, until ctx ends and they have.
func (m *Manager) claimLoop(ctx context.Context) {
	var group errgroup.Group
	slots := make(chan struct{}, m.opts.Workers)
	late, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	for ctx.Err() == nil {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		change, err := m.store.Claim(ctx, m.nextClaim())
		if err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "no job claimed", slog.Any(keyError, err))
		}
		if err != nil || change == nil {
			<-slots
			pause(ctx, m.claimPause(), m.claims)
			continue
		}
		m.published(ctx, change.Events)
		group.Go(func() error {
			defer func() {
				<-slots
				wake(m.claims)
			}()
			m.run(late, change.Job)
			return nil
		})
	}
	grace := time.AfterFunc(m.opts.Grace, func() { cancel(ErrStopping) })
	defer grace.Stop()
	giveUp := time.AfterFunc(m.opts.Grace+4*saveTimeout, m.quit)
	defer giveUp.Stop()
	_ = group.Wait() // they report to the store
}

// maxDelays is how many times Options.Backoff the longest delay is.
const maxDelays = 64

// nextClaim is the claim of the next job. One that is due in a future that no delay reaches was put there by a clock that has been set.
func (m *Manager) nextClaim() Claim {
	now := time.Now()
	return Claim{Owner: m.opts.Owner, Now: now, Beyond: now.Add(2 * maxDelays * m.opts.Backoff), Change: m.begin}
}

// begin makes a waiting job one that runs here.
func (m *Manager) begin(j *Job) []Event {
	now := time.Now()
	j.State, j.Attempt, j.Server, j.Due = StateProcessing, j.Attempt+1, m.opts.Owner, time.Time{}
	if j.Started.IsZero() {
		j.Started = now
	}
	j.Step, j.Phase, j.Progress, j.Stages, j.Result, j.Error = StepConnecting, "", shareOf(StepConnecting), nil, nil, nil
	j.Revision++
	return []Event{{Type: EventStarted, Time: now}}
}

// run runs one attempt of a job.
func (m *Manager) run(ctx context.Context, job Job) {
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := newRecorder(m, job, cancel)
	r.dirty = true // what is saved at once tells of a cancel that came between the claim and now
	r.nudge()
	m.start(context.WithoutCancel(ctx), r, func() {})
	m.log.InfoContext(ctx, "job began", slog.String(keyJob, string(job.ID)), slog.Int(keyAttempt, job.Attempt))
	if job.Cancelling {
		r.askCancel()
	}
	outcome, err := m.guarded(runCtx, job, r)
	if cause := context.Cause(runCtx); err != nil && cause != nil && !errors.Is(err, cause) && !errors.Is(err, transfer.ErrOutcomeUnknown) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	r.settle(func(j *Job) Event {
		return m.conclude(j, outcome, err)
	})
	<-r.over // as long as the store is away, the recorder tries
	m.log.InfoContext(ctx, "job ended", slog.String(keyJob, string(job.ID)), slog.String(keyState, string(r.Snapshot().State)), slog.Any(keyError, err))
}

// guarded turns a panic into an error, so that it takes down one job and not the server.
func (m *Manager) guarded(ctx context.Context, job Job, r *Recorder) (outcome Outcome, err error) {
	defer func() {
		if p := recover(); p != nil {
			m.log.ErrorContext(ctx, "panic", slog.String(keyJob, string(job.ID)), slog.Any(keyError, p), slog.String(keyStack, string(debug.Stack())))
			err = errors.New("the server met an error of its own; its log tells more")
		}
	}()
	return m.opts.Run(ctx, job, r)
}

// conclude makes of a job what its attempt makes of it: ended, or waiting for another.
func (m *Manager) conclude(j *Job, outcome Outcome, err error) Event {
	now := time.Now()
	j.report(outcome)
	again := transient(err)
	if errors.Is(err, ErrStopping) {
		again = j.Options.Rerun
	}
	if err == nil || !again || j.Cancelling || j.Attempt >= j.Options.attempts() {
		return j.end(outcome, err, now)
	}
	j.State, j.Server, j.Phase = StatePending, "", ""
	j.Error = failureOf(err)
	j.Due = time.Time{}
	if !errors.Is(err, ErrStopping) {
		j.Due = now.Add(m.delay(j.Attempt))
	}
	return Event{Type: EventError, Time: now}
}

// delay is how long is waited after an attempt: longer each time, and never the same for two jobs.
func (m *Manager) delay(attempt int) time.Duration {
	b := backoff.NewExponentialBackOff(backoff.WithInitialInterval(m.opts.Backoff), backoff.WithMultiplier(2),
		backoff.WithMaxInterval(maxDelays*m.opts.Backoff), backoff.WithRandomizationFactor(0.2), backoff.WithMaxElapsedTime(0))
	d := m.opts.Backoff
	for range attempt {
		d = b.NextBackOff()
	}
	return d
}
