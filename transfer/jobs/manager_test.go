package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// quick are options whose times a test can wait for.
func quick(run jobs.Runner) jobs.Options {
	return jobs.Options{
		Run: run, Lease: 1500 * time.Millisecond, Beat: 200 * time.Millisecond, Grace: 300 * time.Millisecond, Backoff: 20 * time.Millisecond,
	}
}

// server is a manager that runs.
type server struct {
	*jobs.Manager

	stop func()
}

func serve(t *testing.T, store jobs.Store, opts jobs.Options) *server {
	t.Helper()
	m, err := jobs.New(store, opts)
	require.NoError(t, err)
	require.NoError(t, m.Open(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	s := &server{Manager: m, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})}
	t.Cleanup(s.stop)
	return s
}

func (s *server) submit(t *testing.T, settings jobs.Settings) jobs.Job {
	t.Helper()
	id, err := jobs.NewID()
	require.NoError(t, err)
	j, err := s.Submit(t.Context(), jobs.Spec{Kind: jobs.KindSync, From: "a", To: "to-" + string(id), Options: settings, TokenID: "t1"})
	require.NoError(t, err)
	return j
}

// follow hears a job's durable events from a position on until it has ended.
func follow(t *testing.T, feed *jobs.Feed, id jobs.ID, after jobs.Position) []*jobs.Event {
	t.Helper()
	sub, err := feed.Subscribe(t.Context(), jobs.Subscribe{Jobs: []jobs.ID{id}, After: after})
	require.NoError(t, err)
	defer sub.Close()
	return drain(t, sub)
}

func drain(t *testing.T, sub *jobs.Subscription) (list []*jobs.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		events, err := sub.Wait(ctx)
		require.NoError(t, err)
		for _, e := range events {
			if e.Durable {
				list = append(list, e)
			}
			if e.Job.State.Ended() {
				return list
			}
		}
	}
}

func states(events []*jobs.Event) (out []string) {
	for _, e := range events {
		out = append(out, fmt.Sprintf("%s %s %s", e.Type, e.Job.State, e.Job.Step))
	}
	return out
}

// stages is what a runner reports that moves all stages.
func stages(r *jobs.Recorder) {
	r.Observe(transfer.Event{Kind: transfer.EventPhase, Item: "checking the source", Time: time.Now()})
	for _, stage := range transfer.Stages() {
		total := &transfer.Count{Records: 4, Bytes: 400}
		for i, kind := range []transfer.EventKind{
			transfer.EventStageStarted, transfer.EventStageProgress, transfer.EventStageProgress, transfer.EventStageFinished,
		} {
			r.Observe(transfer.Event{Kind: kind, Stage: stage, Records: int64(i) + 1, Bytes: int64(i+1) * 100, Total: total, Time: time.Now(), Item: "x"})
		}
	}
}

func TestAJobIsToldFromStartToEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		m := serve(t, open(), quick(func(_ context.Context, _ jobs.Job, r *jobs.Recorder) (jobs.Outcome, error) {
			stages(r)
			r.Note(transfer.NoteWarning, transfer.StageLinks, "two links lead nowhere")
			return jobs.Outcome{Result: &jobs.Result{Items: 20}, Report: map[string]int{"n": 1}}, nil
		}))
		start := m.Feed().Position()
		require.NotEmpty(t, start.Epoch)
		j := m.submit(t, jobs.Settings{})
		require.Equal(t, jobs.StatePending, j.State)
		events := follow(t, m.Feed(), j.ID, start)
		require.Equal(t, []string{
			"job_started pending created", "job_started processing connecting", "job_progress processing checking",
			"job_progress processing schemas", "job_progress processing entities", "job_progress processing assets",
			"job_progress processing links", "job_progress processing configuration", "job_completed completed completed",
		}, states(events))
		last, revision := -1.0, int64(0)
		for i, e := range events {
			require.Equal(t, start.Seq+int64(i)+1, e.Seq)
			require.GreaterOrEqual(t, e.Job.Progress, last, "progress never goes back")
			require.Greater(t, e.Job.Revision, revision)
			last, revision = e.Job.Progress, e.Job.Revision
		}
		require.Equal(t, 100.0, last)
		got, err := m.Get(t.Context(), j.ID)
		require.NoError(t, err)
		require.JSONEq(t, `{"n":1}`, string(got.Report))
		require.Len(t, got.Diagnostics, 1)
		require.Len(t, got.Stages, 5)
		require.Equal(t, int64(4), got.Stages[1].Items)
		require.Equal(t, 1, got.Attempt)

		for at := range events {
			rest := follow(t, m.Feed(), j.ID, events[max(0, at-1)].Position())
			require.Equal(t, states(events[max(1, at):]), states(rest), "who returns hears what it missed, once and in order")
			if at == len(events)-1 {
				break
			}
		}
	})
}

func TestWhatMayPassIsTriedAgain(t *testing.T) {
	t.Parallel()
	lost := fmt.Errorf("%w: cut", transfer.ErrConnection)
	cases := map[string]struct {
		err      error
		fails    int
		settings jobs.Settings
		state    jobs.State
		attempts int
		code     string
	}{
		"a connection that comes back":   {lost, 2, jobs.Settings{}, jobs.StateCompleted, 3, ""},
		"a connection that does not":     {lost, 9, jobs.Settings{Attempts: 2}, jobs.StateFailed, 2, "connection"},
		"a stall":                        {transfer.ErrStalled, 1, jobs.Settings{}, jobs.StateCompleted, 2, ""},
		"a site that is busy":            {fmt.Errorf("%w: busy", jobs.ErrTransient), 1, jobs.Settings{}, jobs.StateCompleted, 2, ""},
		"a token that is refused":        {errors.Join(lost, transfer.ErrAuth), 9, jobs.Settings{}, jobs.StateFailed, 1, "auth"},
		"an outcome that is not known":   {errors.Join(lost, transfer.ErrOutcomeUnknown), 9, jobs.Settings{}, jobs.StateFailed, 1, "outcome_unknown"},
		"schemas that differ":            {transfer.ErrIncompatible, 9, jobs.Settings{}, jobs.StateFailed, 1, "incompatible"},
		"an error that nobody knows":     {errors.New("oops"), 9, jobs.Settings{}, jobs.StateFailed, 1, "internal"},
		"one try, because one was asked": {lost, 9, jobs.Settings{Attempts: 1}, jobs.StateFailed, 1, "connection"},
	}
	each(t, func(t *testing.T, open func() jobs.Store) {
		m := serve(t, open(), quick(func(_ context.Context, job jobs.Job, _ *jobs.Recorder) (jobs.Outcome, error) {
			if tt := cases[job.From]; job.Attempt <= tt.fails {
				return jobs.Outcome{}, tt.err
			}
			return jobs.Outcome{}, nil
		}))
		start := m.Feed().Position()
		ids := map[string]jobs.ID{}
		for name, tt := range cases {
			j, err := m.Submit(t.Context(), jobs.Spec{Kind: jobs.KindSync, From: name, To: "to " + name, Options: tt.settings})
			require.NoError(t, err)
			ids[name] = j.ID
		}
		for name, tt := range cases {
			events := follow(t, m.Feed(), ids[name], start)
			end := events[len(events)-1].Job
			require.Equal(t, tt.state, end.State, name)
			require.Equal(t, tt.attempts, end.Attempt, name)
			if tt.code != "" {
				require.Equal(t, tt.code, end.Error.Code, name)
			} else {
				require.Nil(t, end.Error, name)
			}
		}
	})
}

func TestACancelReachesARunningJobWithinASecond(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		ended := make(chan time.Time, 1)
		run := func(ctx context.Context, _ jobs.Job, r *jobs.Recorder) (jobs.Outcome, error) {
			stages(r)
			<-ctx.Done()
			ended <- time.Now()
			return jobs.Outcome{}, fmt.Errorf("read: %w", ctx.Err())
		}
		first := open()
		m := serve(t, first, quick(run))
		askers := map[string]*server{"the server that runs it": m}
		if second := open(); second != first { // another handle is another server
			askers["another server"] = serve(t, second, quick(func(context.Context, jobs.Job, *jobs.Recorder) (jobs.Outcome, error) {
				return jobs.Outcome{}, errors.New("this server is to run nothing")
			}))
			askers["another server"].stop()
		}
		for name, asker := range askers {
			start := m.Feed().Position()
			j := m.submit(t, jobs.Settings{})
			require.Eventually(t, func() bool {
				got, err := m.Get(t.Context(), j.ID)
				return err == nil && got.Step == jobs.StepConfiguration
			}, 10*time.Second, 10*time.Millisecond)
			asked := time.Now()
			for range 2 {
				got, err := asker.Cancel(t.Context(), j.ID)
				if !errors.Is(err, jobs.ErrEnded) {
					require.NoError(t, err, name)
					require.True(t, got.Cancelling || got.State.Ended(), name)
				}
			}
			require.Less(t, (<-ended).Sub(asked), time.Second, name)
			events := follow(t, m.Feed(), j.ID, start)
			end := events[len(events)-1]
			require.Equal(t, jobs.StateCancelled, end.Job.State, name)
			require.Equal(t, jobs.EventFailed, end.Type)
			require.Equal(t, "cancelled", end.Job.Error.Code)
			require.True(t, events[len(events)-2].Job.Cancelling, "%s: that it is on its way is told", name)
			_, err := asker.Cancel(t.Context(), j.ID)
			require.ErrorIs(t, err, jobs.ErrEnded)
		}
	})
}
