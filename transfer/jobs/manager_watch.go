package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"
)

// sighting is when a job's owner was last seen to live. The time is of this process, and monotonic: what the clocks of other machines
// say, or what somebody sets ours to, changes nothing.
type sighting struct {
	lease Lease
	at    time.Time
}

// watchLoop looks after jobs of servers that show no sign of life any more.
func (m *Manager) watchLoop(ctx context.Context) {
	if !m.shared() {
		return
	}
	for pause(ctx, m.opts.Lease/4, nil) {
		dead, err := m.silent(ctx)
		if err != nil {
			m.log.WarnContext(ctx, "jobs of other servers not looked after", slog.Any(keyError, err))
			// What was not seen must not count as silence.
			clear(m.watch)
		}
		for _, job := range dead {
			m.seize(ctx, job)
		}
	}
}

// inherit takes over what a dead process of this store left. Nobody else can be running it.
func (m *Manager) inherit(ctx context.Context) {
	left, err := m.processing(ctx)
	if err != nil {
		m.log.WarnContext(ctx, "jobs of the last run not looked after", slog.Any(keyError, err))
		return
	}
	for _, job := range left {
		if job.Lease.Owner != m.opts.Owner {
			m.seize(ctx, job)
		}
	}
}

// processing are all jobs that run.
func (m *Manager) processing(ctx context.Context) (all []Job, err error) {
	for offset := 0; ; offset += MaxPage {
		list, _, err := m.store.List(ctx, Query{States: []State{StateProcessing}, Limit: MaxPage, Offset: offset})
		all = append(all, list...)
		if err != nil || len(list) < MaxPage {
			return all, err
		}
	}
}

// silent are the jobs whose owner was not heard of for as long as a lease lasts.
func (m *Manager) silent(ctx context.Context) (dead []Job, err error) {
	list, err := m.processing(ctx)
	if err != nil {
		return nil, err
	}
	now, seen := time.Now(), make(map[ID]bool, len(list))
	for _, job := range list {
		seen[job.ID] = true
		last, ok := m.watch[job.ID]
		if !ok || last.lease != job.Lease {
			m.watch[job.ID] = sighting{lease: job.Lease, at: now}
		} else if now.Sub(last.at) >= m.opts.Lease && m.recorder(job.ID) == nil {
			dead = append(dead, job)
		}
	}
	maps.DeleteFunc(m.watch, func(id ID, _ sighting) bool { return !seen[id] })
	return dead, nil
}

// seize takes a job from its dead owner: it waits again, if it may run again, or is interrupted.
func (m *Manager) seize(ctx context.Context, job Job) {
	change, err := m.store.Claim(ctx, Claim{Owner: m.opts.Owner, Now: time.Now(), Seize: &job, Change: orphan})
	if err != nil {
		m.log.WarnContext(ctx, "job not taken over", slog.String(keyJob, string(job.ID)), slog.Any(keyError, err))
		return
	}
	if change == nil {
		return // somebody else was faster, or the owner lives
	}
	m.log.WarnContext(ctx, "took a job over from a server that died", slog.String(keyJob, string(job.ID)),
		slog.String(keyOwner, job.Lease.Owner), slog.String(keyState, string(change.Job.State)))
	m.published(ctx, change.Events)
	wake(m.claims)
}

// unsaved is more than the number of revisions that a server can have shown to somebody and not saved before it died.
const unsaved = 1000

// orphan is what becomes of a job whose server died.
func orphan(j *Job) []Event {
	now := time.Now()
	j.Revision += unsaved
	cause := fmt.Errorf("%w: the server that ran it, %s, is gone", ErrStopping, j.Lease.Owner)
	if j.Server != "" {
		cause = fmt.Errorf("%w: the server that ran it, %s, is gone", errDied, j.Server)
	}
	switch {
	case j.Cancelling:
		return []Event{j.end(Outcome{Result: j.Result}, fmt.Errorf("%w: %w", ErrCancelled, cause), now)}
	case j.Kind == KindSession, !j.Options.Rerun, j.Attempt >= j.Options.attempts():
		return []Event{j.end(Outcome{Result: j.Result}, cause, now)}
	}
	j.State, j.Due, j.Phase, j.Server = StatePending, time.Time{}, "", ""
	j.Error = failureOf(cause)
	return []Event{{Type: EventError, Time: now}}
}

// errDied is what becomes of a job with its server.
var errDied = fmt.Errorf("%w without a word", ErrStopping)

// hearLoop hears what other servers do. Where nothing can be heard, it looks.
func (m *Manager) hearLoop(ctx context.Context) {
	n, ok := m.store.(Notifier)
	if !ok {
		return
	}
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	for ctx.Err() == nil {
		began := time.Now()
		err := n.Listen(ctx, m.hear)
		if ctx.Err() != nil {
			return
		}
		m.log.WarnContext(ctx, "not connected to other servers", slog.Any(keyError, err))
		if time.Since(began) > time.Minute {
			wait.Reset()
		}
		pause(ctx, wait.NextBackOff(), nil)
	}
}

// hear takes a notice. What it causes is done elsewhere.
func (m *Manager) hear(n Notice) {
	switch {
	case n.Cancel:
		if r := m.recorder(n.Job); r != nil {
			r.askCancel()
		}
	case n.Progress:
		m.mu.Lock()
		if m.running[n.Job] == nil {
			m.moved[n.Job] = struct{}{}
		}
		m.mu.Unlock()
	default:
		m.mu.Lock()
		m.moved[""] = struct{}{}
		m.mu.Unlock()
		wake(m.claims)
	}
}

// lookEvery is how often is looked for what other servers did. Notices are gathered for that long.
const lookEvery = tellEvery

// moveLoop tells subscribers here what happens to jobs of other servers.
func (m *Manager) moveLoop(ctx context.Context) {
	looked := time.Now()
	for pause(ctx, lookEvery, nil) {
		m.mu.Lock()
		moved := slices.Collect(maps.Keys(m.moved))
		clear(m.moved)
		m.mu.Unlock()
		if slices.Contains(moved, "") || m.shared() && time.Since(looked) > claimEvery { // the latter in case a notice was lost
			looked = time.Now()
			if err := m.feed.catchUp(ctx); err != nil && ctx.Err() == nil {
				m.log.WarnContext(ctx, "what other servers did is not told yet", slog.Any(keyError, err))
				m.untold()
			}
		}
		for _, id := range moved {
			if id != "" && m.feed.watched(id) {
				m.retell(ctx, id)
			}
		}
	}
}

// retell tells the progress of a job of another server.
func (m *Manager) retell(ctx context.Context, id ID) {
	job, err := m.store.Get(ctx, id)
	if err != nil {
		if !errors.Is(err, ErrNotFound) && ctx.Err() == nil {
			m.log.WarnContext(ctx, "progress of another server not told", slog.Any(keyError, err))
		}
		return
	}
	if job.State != StateProcessing {
		return
	}
	r := Recorder{m: m, job: job}
	r.job.Revision-- // volatile counts one up
	events, err := r.volatile()
	if err != nil {
		m.log.ErrorContext(ctx, "progress of another server not told", slog.Any(keyError, err))
		return
	}
	for i := range events {
		if err := m.feed.follow(ctx, &events[i]); err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "progress of another server not told", slog.String(keyJob, string(id)), slog.Any(keyError, err))
		}
	}
}
