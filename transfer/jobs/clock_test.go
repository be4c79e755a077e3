package jobs_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// lan is one server's way to a store that others use too. While it is cut, the server gets errors.
type lan struct {
	jobs.Store

	down atomic.Bool
}

var errLAN = errors.New("the network is down")

func (l *lan) Save(ctx context.Context, job jobs.Job, events ...jobs.Event) (jobs.Change, error) {
	if l.down.Load() {
		return jobs.Change{}, errLAN
	}
	return l.Store.Save(ctx, job, events...)
}

func (l *lan) Claim(ctx context.Context, claim jobs.Claim) (*jobs.Change, error) {
	if l.down.Load() {
		return nil, errLAN
	}
	return l.Store.Claim(ctx, claim)
}

func (l *lan) List(ctx context.Context, query jobs.Query) ([]jobs.Job, int, error) {
	if l.down.Load() {
		return nil, 0, errLAN
	}
	return l.Store.List(ctx, query)
}

func (l *lan) Events(ctx context.Context, after jobs.Position, limit int) ([]jobs.Event, jobs.Position, bool, error) {
	if l.down.Load() {
		return nil, jobs.Position{}, false, errLAN
	}
	return l.Store.Events(ctx, after, limit)
}

// bubble runs a test in virtual time, with a store.
func bubble(t *testing.T, test func(t *testing.T, store *jobs.DB)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		store, err := jobs.OpenSQLite(t.Context(), dir)
		require.NoError(t, err)
		test(t, store)
		require.NoError(t, store.Close())
	})
}

// begin runs a manager until the function that it returns is called.
func begin(t *testing.T, store jobs.Store, opts jobs.Options) (*jobs.Manager, func()) {
	t.Helper()
	m, err := jobs.New(store, opts)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	synctest.Wait()
	return m, func() {
		cancel()
		require.NoError(t, <-done)
	}
}

func TestAJobIsNeverRunByTwoServers(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, store *jobs.DB) {
		var mu sync.Mutex
		var log []string
		say := func(text string) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, text)
		}
		started := time.Now()
		var stopped, taken time.Duration
		run := func(name string, ended *time.Duration) jobs.Options {
			return jobs.Options{Owner: name, Run: func(ctx context.Context, job jobs.Job, _ *jobs.Recorder) (jobs.Outcome, error) {
				say(name + " runs")
				if job.Attempt > 1 {
					mu.Lock()
					*ended = time.Since(started)
					mu.Unlock()
					say(name + " is done")
					return jobs.Outcome{}, nil
				}
				<-ctx.Done()
				mu.Lock()
				*ended = time.Since(started)
				mu.Unlock()
				say(name + " stops: " + context.Cause(ctx).Error())
				return jobs.Outcome{}, ctx.Err()
			}}
		}
		way := &lan{Store: store}
		a, stopA := begin(t, way, run("a", &stopped))
		job, err := a.Submit(t.Context(), jobs.Spec{Kind: jobs.KindSync, From: "x", To: "y", Options: jobs.Settings{Rerun: true}})
		require.NoError(t, err)
		pass(t, 2*time.Second)
		_, stopB := begin(t, &lan{Store: store}, run("b", &taken))
		pass(t, 40*time.Second)
		mu.Lock()
		require.Equal(t, []string{"a runs"}, log, "signs of life keep the job for as long as it takes")
		mu.Unlock()

		way.down.Store(true)
		mu.Lock()
		started = time.Now()
		mu.Unlock()
		pass(t, 30*time.Second)
		mu.Lock()
		require.Equal(t, []string{"a runs", "a stops: " + jobs.ErrLost.Error(), "b runs", "b is done"}, log)
		mu.Unlock()
		t.Logf("a stopped after %s, b took over after %s", stopped, taken)
		require.Less(t, stopped, 15*time.Second)
		require.GreaterOrEqual(t, taken, 14*time.Second)
		require.Less(t, taken, 25*time.Second)
		way.down.Store(false)
		pass(t, 5*time.Second)
		got, err := store.Get(t.Context(), job.ID)
		require.NoError(t, err)
		require.Equal(t, jobs.StateCompleted, got.State)
		require.Equal(t, 2, got.Attempt)
		stopA()
		stopB()
	})
}

func TestASchedulerStartsWhatIsDueAndWhatWasMissedOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, store *jobs.DB) { // midnight of 2000-01-01
		var mu sync.Mutex
		var ran []string
		hold := make(chan struct{})
		opts := jobs.Options{Run: func(ctx context.Context, job jobs.Job, _ *jobs.Recorder) (jobs.Outcome, error) {
			mu.Lock()
			ran = append(ran, job.From+" "+time.Now().UTC().Format("2 15:04:05"))
			mu.Unlock()
			if job.From == "slow" {
				select {
				case <-hold:
				case <-ctx.Done():
				}
			}
			return jobs.Outcome{}, nil
		}}
		m, stop := begin(t, store, opts)
		for _, s := range []jobs.Schedule{
			{Name: "a", Cron: "30 2 * * *", From: "nightly", To: "x", Kind: jobs.KindSync},
			{Name: "b", Cron: "0 3 * * *", TimeZone: "Atlantic/Azores", From: "abroad", To: "x", Kind: jobs.KindSync},
			{Name: "c", Cron: "@hourly", From: "slow", To: "y", Kind: jobs.KindSync},
			{Name: "d", Cron: "@hourly", From: "paused", To: "z", Kind: jobs.KindSync, Paused: true},
		} {
			_, err := m.AddSchedule(t.Context(), s)
			require.NoError(t, err)
		}
		pass(t, 4*time.Hour+20*time.Minute)
		mu.Lock()
		require.Equal(t, []string{"slow 1 01:00:00", "nightly 1 02:30:00", "abroad 1 04:00:00"}, ran, "a schedule whose job runs on waits for it")
		ran = nil
		mu.Unlock()
		close(hold)
		pass(t, time.Minute)
		stop()
		pass(t, 72*time.Hour) // no server runs
		_, stop = begin(t, store, opts)
		pass(t, 5*time.Minute)
		mu.Lock()
		require.ElementsMatch(t, []string{"slow 4 04:21:00", "nightly 4 04:21:00", "abroad 4 04:21:00"}, ran)
		mu.Unlock()
		stop()
	})
}

func TestProgressIsToldFourTimesASecond(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, store *jobs.DB) {
		m, stop := begin(t, store, jobs.Options{Run: func(_ context.Context, _ jobs.Job, r *jobs.Recorder) (jobs.Outcome, error) {
			r.Observe(transfer.Event{Kind: transfer.EventStageStarted, Stage: transfer.StageAssets, Time: time.Now(), Total: &transfer.Count{Records: 10, Bytes: 10_000_000}})
			for i := range 10_000 { // 1 MB a second, for 10 s
				pass(t, time.Millisecond)
				r.Observe(transfer.Event{Kind: transfer.EventStageProgress, Stage: transfer.StageAssets, Bytes: int64(i) * 1000, Records: int64(i) / 1000, Item: "a.png", Time: time.Now(), Total: &transfer.Count{Records: 10, Bytes: 10_000_000}})
			}
			return jobs.Outcome{}, nil
		}})
		sub, err := m.Feed().Subscribe(t.Context(), jobs.Subscribe{})
		require.NoError(t, err)
		_, err = m.Submit(t.Context(), jobs.Spec{Kind: jobs.KindSync, From: "x", To: "y"})
		require.NoError(t, err)
		progress, items, half := 0, 0, false
		for last := false; !last; {
			events, err := sub.Wait(t.Context())
			require.NoError(t, err)
			for _, e := range events {
				last = e.Job.State.Ended()
				switch {
				case e.Type == jobs.EventTransferred:
					items++
				case !e.Durable:
					progress++
					s := e.Job.Stages[0]
					if s.Bytes > 5_000_000 && !half {
						half = true
						require.InDelta(t, 1e6, s.Rate, 2e4)
						require.InDelta(t, 5, *s.ETA, 0.5)
						require.InDelta(t, 65, e.Job.Progress, 1)
					}
				}
			}
		}
		require.True(t, half)
		require.InDelta(t, 40, progress, 4)
		require.InDelta(t, 40, items, 4)
		sub.Close()
		stop()
	})
}

// pass lets virtual time go by.
func pass(t *testing.T, d time.Duration) {
	t.Helper()
	<-time.After(d)
}

func TestAnEndIsNotShownBeforeItIsSaved(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, store *jobs.DB) {
		way := &lan{Store: store}
		m, stop := begin(t, way, jobs.Options{Run: func(context.Context, jobs.Job, *jobs.Recorder) (jobs.Outcome, error) {
			way.down.Store(true)
			return jobs.Outcome{}, nil
		}})
		job, err := m.Submit(t.Context(), jobs.Spec{Kind: jobs.KindSync, From: "x", To: "y"})
		require.NoError(t, err)
		pass(t, 5*time.Second)
		got, err := m.Get(t.Context(), job.ID)
		require.NoError(t, err)
		require.Equal(t, jobs.StateProcessing, got.State)
		way.down.Store(false)
		pass(t, 5*time.Second)
		got, err = m.Get(t.Context(), job.ID)
		require.NoError(t, err)
		require.Equal(t, jobs.StateCompleted, got.State)
		stop()
	})
}
