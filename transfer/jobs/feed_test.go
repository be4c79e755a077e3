package jobs_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

func none(context.Context, jobs.Job, *jobs.Recorder) (jobs.Outcome, error) {
	return jobs.Outcome{}, nil
}

func TestASlowSubscriberHarmsNobody(t *testing.T) {
	t.Parallel()
	store := openSQLite(t, t.TempDir())
	m := serve(t, store, quick(none))
	slow, err := m.Feed().Subscribe(t.Context(), jobs.Subscribe{MaxWaiting: 10})
	require.NoError(t, err)
	defer slow.Close()
	good, err := m.Feed().Subscribe(t.Context(), jobs.Subscribe{MaxWaiting: 10_000})
	require.NoError(t, err)
	defer good.Close()
	r, err := m.Begin(t.Context(), jobs.Job{Site: "s"}, func(error) {})
	require.NoError(t, err)
	// Progress alone never drops anybody.
	for i := range 50 {
		r.Observe(transfer.Event{Kind: transfer.EventStageProgress, Stage: transfer.StageAssets, Records: int64(i), Item: "x", Time: time.Now()})
		<-time.After(10 * time.Millisecond)
	}
	events, err := slow.Take()
	require.NoError(t, err)
	require.LessOrEqual(t, len(events), 4, "start, step, the newest progress and the newest item")
	for i := range 20 {
		r.Note(transfer.NoteError, "", fmt.Sprint("error ", i)) // each is in the log
	}
	r.End(jobs.Outcome{}, nil)
	_, err = slow.Take()
	require.ErrorIs(t, err, jobs.ErrSlow)
	_, err = slow.Take()
	require.ErrorIs(t, err, jobs.ErrSlow, "it is told again")
	list := drain(t, good)
	require.Len(t, list, 1+1+20+1)
	require.EqualValues(t, 1, m.Feed().Stats().Dropped)
}

func TestWhoReturnsAfterARestartMissesNothing(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		store := open()
		run := func(_ context.Context, _ jobs.Job, r *jobs.Recorder) (jobs.Outcome, error) {
			stages(r)
			return jobs.Outcome{}, nil
		}
		first := serve(t, store, quick(run))
		job := first.submit(t, jobs.Settings{})
		all := follow(t, first.Feed(), job.ID, first.Feed().Position())
		_, end, _, err := store.Events(t.Context(), jobs.Position{}, 0)
		require.NoError(t, err)
		first.stop()
		second := serve(t, store, quick(run))
		_ = all
		sub, err := second.Feed().Subscribe(t.Context(), jobs.Subscribe{Jobs: []jobs.ID{job.ID}, After: jobs.Position{Epoch: end.Epoch, Seq: end.Seq - 3}})
		require.NoError(t, err)
		require.True(t, sub.Recovered)
		require.Equal(t, []string{"job_progress processing links", "job_progress processing configuration", "job_completed completed completed"}, states(drain(t, sub)))
		sub.Close()
		for name, after := range map[string]jobs.Position{
			"another log": {Epoch: "0123456789abcdef", Seq: end.Seq}, "a position to come": {Epoch: end.Epoch, Seq: end.Seq + 1},
		} {
			sub, err := second.Feed().Subscribe(t.Context(), jobs.Subscribe{Jobs: []jobs.ID{job.ID}, After: after})
			require.NoError(t, err)
			require.False(t, sub.Recovered, name)
			require.Len(t, sub.Snapshot, 1, name)
			require.Equal(t, jobs.StateCompleted, sub.Snapshot[0].State)
			sub.Close()
		}
	})
}

// A server that has not yet read what others wrote must not show a job as it is now and then tell how it came to be so.
func TestASubscriptionIsNotAheadOfItsServer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		store := open()
		other := serve(t, store, quick(func(_ context.Context, _ jobs.Job, r *jobs.Recorder) (jobs.Outcome, error) {
			stages(r)
			return jobs.Outcome{}, nil
		}))
		late, err := jobs.New(store, quick(none)) // not run: it reads the log when somebody asks
		require.NoError(t, err)
		require.NoError(t, late.Open(t.Context()))
		later, err := jobs.New(store, quick(none))
		require.NoError(t, err)
		require.NoError(t, later.Open(t.Context()))
		start := other.Feed().Position()
		job := other.submit(t, jobs.Settings{})
		all := follow(t, other.Feed(), job.ID, start)
		_, end, _, err := store.Events(t.Context(), jobs.Position{}, 0)
		require.NoError(t, err)

		sub, err := late.Feed().Subscribe(t.Context(), jobs.Subscribe{Jobs: []jobs.ID{job.ID}})
		require.NoError(t, err)
		defer sub.Close()
		require.Equal(t, end, sub.Position)
		require.Len(t, sub.Snapshot, 1)
		require.Equal(t, jobs.StateCompleted, sub.Snapshot[0].State)
		events, err := sub.Take()
		require.NoError(t, err)
		require.Empty(t, events, "the snapshot has it all")

		// Who comes from the other server has heard more than this one knows, and misses nothing all the same.
		sub, err = later.Feed().Subscribe(t.Context(), jobs.Subscribe{Jobs: []jobs.ID{job.ID}, After: jobs.Position{Epoch: end.Epoch, Seq: end.Seq - 2}})
		require.NoError(t, err)
		defer sub.Close()
		require.True(t, sub.Recovered)
		require.Equal(t, states(all)[len(all)-2:], states(drain(t, sub)))
	})
}

func TestSubscribersThatComeAtAnyTimeHearEveryStateOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		m := serve(t, open(), quick(func(_ context.Context, _ jobs.Job, r *jobs.Recorder) (jobs.Outcome, error) {
			for _, stage := range transfer.Stages() {
				r.Observe(transfer.Event{Kind: transfer.EventStageStarted, Stage: stage, Time: time.Now()})
				<-time.After(20 * time.Millisecond)
			}
			return jobs.Outcome{}, nil
		}))
		start := m.Feed().Position()
		job := m.submit(t, jobs.Settings{})
		var all sync.WaitGroup
		heard := make([][]string, 40)
		for i := range heard {
			all.Go(func() {
				<-time.After(time.Duration(i) * 4 * time.Millisecond)
				sub, err := m.Feed().Subscribe(t.Context(), jobs.Subscribe{Jobs: []jobs.ID{job.ID}, After: start})
				if err != nil {
					t.Error(err)
					return
				}
				defer sub.Close()
				last := int64(0)
				for ended := false; !ended; {
					events, err := sub.Wait(t.Context())
					if err != nil {
						t.Error(err)
						return
					}
					for _, e := range events {
						if e.Durable {
							heard[i] = append(heard[i], fmt.Sprintf("%s %s", e.Type, e.Job.Step))
							if e.Seq <= last {
								t.Errorf("%d comes after %d", e.Seq, last)
							}
							last = e.Seq
						}
						ended = ended || e.Job.State.Ended()
					}
				}
			})
		}
		all.Wait()
		for i := range heard {
			require.Len(t, heard[i], 8)
			require.Equal(t, heard[0], heard[i])
		}
	})
}

func TestASubscriberHearsWhatItMay(t *testing.T) {
	t.Parallel()
	m := serve(t, openSQLite(t, t.TempDir()), quick(none))
	for name, tt := range map[string]struct {
		visible *jobs.Visible
		want    int
	}{"everything": {nil, 2}, "a site": {&jobs.Visible{Site: "shop"}, 1}, "a token's own": {&jobs.Visible{TokenID: "t2"}, 1}, "nothing": {&jobs.Visible{}, 0}} {
		sub, err := m.Feed().Subscribe(t.Context(), jobs.Subscribe{Visible: tt.visible})
		require.NoError(t, err)
		for _, spec := range []jobs.Spec{{From: "shop@1", To: "x", TokenID: "t1"}, {From: "blog", To: "y", TokenID: "t2"}} {
			spec.Kind = jobs.KindSync
			j, err := m.Submit(t.Context(), spec)
			require.NoError(t, err)
			follow(t, m.Feed(), j.ID, sub.Position)
		}
		found := map[jobs.ID]bool{}
		events, err := sub.Take()
		require.NoError(t, err)
		for _, e := range events {
			found[e.JobID] = true
		}
		require.Len(t, found, tt.want, name)
		sub.Close()
	}
	require.Zero(t, m.Feed().Stats().Subscribers)
}

func TestTwoServersShareJobsAndWhatIsToldOfThem(t *testing.T) {
	t.Parallel()
	address := sqltest.New(t, sqltest.Postgres).URL()
	let := make(chan struct{})
	options := func(name string) jobs.Options {
		o := quick(func(_ context.Context, _ jobs.Job, r *jobs.Recorder) (jobs.Outcome, error) {
			r.Observe(transfer.Event{Kind: transfer.EventStageStarted, Stage: transfer.StageAssets, Time: time.Now(), Total: &transfer.Count{Records: 1000}})
			for i := int64(0); ; i++ {
				r.Observe(transfer.Event{Kind: transfer.EventStageProgress, Stage: transfer.StageAssets, Records: i, Item: "x", Time: time.Now(), Total: &transfer.Count{Records: 1000}})
				select {
				case <-let:
					return jobs.Outcome{}, nil
				case <-time.After(5 * time.Millisecond):
				}
			}
		})
		o.Owner, o.Workers = name, 1
		return o
	}
	a, b := serve(t, openPostgres(t, address), options("a")), serve(t, openPostgres(t, address), options("b"))
	start := a.Feed().Position()
	first, second := a.submit(t, jobs.Settings{}), a.submit(t, jobs.Settings{})
	owners := map[string]bool{}
	require.Eventually(t, func() bool {
		list, _, err := b.List(t.Context(), jobs.Query{States: []jobs.State{jobs.StateProcessing}})
		require.NoError(t, err)
		for _, j := range list {
			owners[j.Server] = true
		}
		return len(owners) == 2
	}, 20*time.Second, 20*time.Millisecond, "each runs one")
	for _, j := range []jobs.Job{first, second} {
		for _, s := range []*server{a, b} { // one of them is not the one that runs it
			sub, err := s.Feed().Subscribe(t.Context(), jobs.Subscribe{Jobs: []jobs.ID{j.ID}, After: start})
			require.NoError(t, err)
			var progress []int64
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			for len(progress) < 3 {
				events, err := sub.Wait(ctx)
				require.NoError(t, err)
				for _, e := range events {
					if e.Type == jobs.EventProgress && !e.Durable {
						progress = append(progress, e.Job.Stages[0].Items)
					}
				}
			}
			require.IsIncreasing(t, progress)
			cancel()
			sub.Close()
		}
	}
	close(let)
	for _, j := range []jobs.Job{first, second} {
		want := states(follow(t, a.Feed(), j.ID, start))
		require.Equal(t, want, states(follow(t, b.Feed(), j.ID, start)), "both tell the same")
		require.Equal(t, "job_completed completed completed", want[len(want)-1])
	}
}

func TestManySubscribersCostLittle(t *testing.T) {
	t.Parallel()
	m := serve(t, openSQLite(t, t.TempDir()), quick(none))
	r, err := m.Begin(t.Context(), jobs.Job{Site: "s"}, func(error) {})
	require.NoError(t, err)
	const n = 20_000
	subs := make([]*jobs.Subscription, n)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	woken := 0
	for i := range subs {
		subs[i], err = m.Feed().Subscribe(t.Context(), jobs.Subscribe{Jobs: []jobs.ID{r.ID()}, Wake: func() { woken++ }})
		require.NoError(t, err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / n
	began := time.Now()
	r.End(jobs.Outcome{}, nil)
	t.Logf("%.0f bytes each, %d told in %s", each, n, time.Since(began))
	require.Equal(t, n, woken)
	require.Less(t, each, 2500.0)
	for _, s := range subs {
		events, err := s.Take()
		require.NoError(t, err)
		require.Len(t, events, 1)
		s.Close()
	}
}
