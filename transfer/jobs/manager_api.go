package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// Submit queues a job.
func (m *Manager) Submit(ctx context.Context, spec Spec) (Job, error) {
	id, err := NewID()
	if err != nil {
		return Job{}, err
	}
	now := time.Now()
	job, err := spec.job(id, now)
	if err != nil {
		return Job{}, err
	}
	change, err := m.store.Insert(ctx, job, Event{Type: EventStarted, Time: now})
	if err != nil {
		return Job{}, err
	}
	m.published(ctx, change.Events)
	wake(m.claims)
	return change.Job, nil
}

// published tells events that have been saved. What cannot be told now is told a moment later.
func (m *Manager) published(ctx context.Context, events []Event) {
	if err := m.feed.publish(ctx, events...); err != nil {
		m.log.WarnContext(ctx, "events not told yet", slog.Any(keyError, err))
		m.untold()
	}
}

// untold makes sure that what could not be told now is told soon.
func (m *Manager) untold() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved[""] = struct{}{}
}

// Rerun queues what a job did once more, for who.
func (m *Manager) Rerun(ctx context.Context, id ID, who, tokenID string) (Job, error) {
	old, err := m.Get(ctx, id)
	if err != nil {
		return Job{}, err
	}
	if !old.State.Ended() {
		return Job{}, fmt.Errorf("%w: job %s has not ended; wait for it, or cancel it", transfer.ErrUsage, id)
	}
	if old.Kind == KindSession {
		return Job{}, fmt.Errorf("%w: job %s was a client's transfer: only the client can run it again", transfer.ErrUsage, id)
	}
	return m.Submit(ctx, Spec{
		Kind: old.Kind, From: old.From, To: old.To, Site: old.Site, Options: old.Options, Who: who, TokenID: tokenID, RerunOf: id,
	})
}

// Cancel ends a job that waits, and asks one that runs to end. It may be called again; [ErrEnded] means that the job has ended.
func (m *Manager) Cancel(ctx context.Context, id ID) (Job, error) {
	r := m.recorder(id)
	if r != nil {
		r.askCancel() // also when the store is away
	}
	change, err := m.store.Cancel(ctx, id, time.Now())
	switch {
	case r != nil && errors.Is(err, ErrEnded) && change.Job.State == StateCancelled:
		return change.Job, nil // by this cancel
	case errors.Is(err, ErrEnded), errors.Is(err, ErrNotFound), err != nil && r == nil:
		return change.Job, err
	case r == nil && change.Job.State == StateProcessing:
		if r = m.recorder(id); r != nil { // it has been claimed meanwhile
			r.askCancel()
		}
	}
	if r != nil && len(change.Events) == 0 {
		if job, running := r.current(); running {
			return job, nil
		}
		return change.Job, err
	}
	m.published(ctx, change.Events)
	wake(m.claims) // another job may wait for the destination
	return change.Job, nil
}

func (m *Manager) recorder(id ID) *Recorder {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.running[id]
}

// Get returns a job as it is now, with its diagnostics. The report is there when the job has one.
func (m *Manager) Get(ctx context.Context, id ID) (Job, error) {
	if r := m.recorder(id); r != nil {
		if job, running := r.current(); running {
			return job, nil
		}
	}
	job, err := m.store.Get(ctx, id)
	if err != nil {
		return job, err
	}
	if newer, ok := m.feed.Job(id); ok && newer.Revision > job.Revision {
		newer.Diagnostics, newer.Report, newer.Lease = job.Diagnostics, job.Report, job.Lease
		return newer, nil
	}
	return job, nil
}

// List returns jobs, newest first, without diagnostics and reports, and how many there are.
func (m *Manager) List(ctx context.Context, query Query) ([]Job, int, error) {
	list, total, err := m.store.List(ctx, query)
	for i := range list {
		if newer, ok := m.feed.Job(list[i].ID); ok && newer.Revision > list[i].Revision {
			list[i] = newer
		}
	}
	return list, total, err
}

// Begin writes down a job that somebody else runs, such as a client's transfer. cancel is called to end it, from any goroutine. End must
// follow. With an error nothing is written down, and the Recorder is nil, which takes everything.
func (m *Manager) Begin(ctx context.Context, job Job, cancel context.CancelCauseFunc) (*Recorder, error) {
	id, err := NewID()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	job.ID, job.Kind, job.State, job.Created, job.Started = id, KindSession, StateProcessing, now, now
	job.Attempt, job.Step, job.Revision, job.Server = 1, StepConnecting, 1, m.opts.Owner
	job.advance(shareOf(StepConnecting))
	job.Lease = Lease{Owner: m.opts.Owner, Fence: 1}
	m.mu.Lock()
	stopped := m.stopped
	if !stopped {
		m.idle.Add(1)
	}
	m.mu.Unlock()
	if stopped {
		return nil, ErrStopping
	}
	ctx, done := context.WithTimeout(ctx, saveTimeout)
	defer done()
	change, err := m.store.Insert(ctx, job, Event{Type: EventStarted, Time: now})
	if err != nil {
		m.idle.Done()
		return nil, err
	}
	m.published(ctx, change.Events)
	r := newRecorder(m, change.Job, cancel)
	m.start(context.WithoutCancel(ctx), r, m.idle.Done)
	return r, nil
}

// start makes a recorder known and lets it write until the job has ended. done is called then.
func (m *Manager) start(ctx context.Context, r *Recorder, done func()) {
	ctx, r.quit = context.WithCancel(ctx)
	m.mu.Lock()
	m.running[r.ID()] = r
	m.mu.Unlock()
	go func() { // r.over tells of its end, and m.idle of that of a session
		defer done()
		defer close(r.over)
		defer func() {
			r.quit()
			m.mu.Lock()
			defer m.mu.Unlock()
			delete(m.running, r.ID())
		}()
		r.run(ctx)
	}()
}

// End says what became of a job that [Manager.Begin] wrote down. It returns when that is saved; if it
// cannot be now, it will be later. Only the first End counts.
func (r *Recorder) End(outcome Outcome, err error) {
	if r == nil {
		return
	}
	r.settle(func(j *Job) Event {
		j.report(outcome)
		return j.end(outcome, err, time.Now())
	})
	timer := time.NewTimer(endPatience)
	defer timer.Stop()
	select {
	case <-r.over:
	case <-timer.C:
	}
}

// endPatience is how long a session waits for its end to be saved.
const endPatience = 2 * time.Second

// report keeps a report.
func (j *Job) report(outcome Outcome) {
	if outcome.Report == nil {
		return
	}
	if text, err := json.Marshal(outcome.Report); err == nil {
		j.Report = text
	}
}

// end makes of the job what an error, or none, makes of it for good.
func (j *Job) end(outcome Outcome, err error, now time.Time) Event {
	j.Finished, j.Cancelling, j.Phase = now, false, ""
	j.Result = outcome.Result
	if j.Result != nil && j.Result.Seconds == 0 && !j.Started.IsZero() {
		j.Result.Seconds = now.Sub(j.Started).Round(time.Millisecond).Seconds()
	}
	if err == nil {
		j.State, j.Step, j.Progress, j.Error = StateCompleted, StepCompleted, 100, nil
		return Event{Type: EventCompleted, Time: now}
	}
	j.Error = failureOf(err)
	switch {
	case errors.Is(err, ErrCancelled):
		j.State = StateCancelled
	case errors.Is(err, ErrStopping), errors.Is(err, ErrLost):
		j.State = StateInterrupted
	default:
		j.State = StateFailed
	}
	return Event{Type: EventFailed, Time: now}
}

// failureOf is what is written down of an error.
func failureOf(err error) *Failure {
	if errors.Is(err, ErrCancelled) {
		err = ErrCancelled // whatever it broke off
	}
	return &Failure{Code: CodeOf(err), Message: strings.ReplaceAll(err.Error(), "\n", "; ")}
}

func clipText(text string) string {
	if len(text) > maxDiagnostic {
		return text[:maxDiagnostic] + "…"
	}
	return text
}
