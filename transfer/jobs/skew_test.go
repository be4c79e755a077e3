package jobs_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// skewed is the way to a store of a server whose wall clock is wrong: what it writes down and asks for has the times of that clock.
type skewed struct {
	jobs.Store

	by   atomic.Int64 // a time.Duration
	down atomic.Bool
}

func (s *skewed) at(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(time.Duration(s.by.Load()))
}

// wrong makes the times of a job those of the clock.
func (s *skewed) wrong(j *jobs.Job, events []jobs.Event) {
	for _, t := range []*time.Time{&j.Started, &j.Finished, &j.Due} {
		*t = s.at(*t)
	}
	for i := range events {
		events[i].Time = s.at(events[i].Time)
	}
}

func (s *skewed) Insert(ctx context.Context, job jobs.Job, events ...jobs.Event) (jobs.Change, error) {
	job.Created = s.at(job.Created)
	s.wrong(&job, events)
	return s.Store.Insert(ctx, job, events...)
}

func (s *skewed) Claim(ctx context.Context, claim jobs.Claim) (*jobs.Change, error) {
	if s.down.Load() {
		return nil, errLAN
	}
	change := claim.Change
	claim.Now, claim.Beyond = s.at(claim.Now), s.at(claim.Beyond)
	claim.Change = func(j *jobs.Job) []jobs.Event {
		events := change(j)
		s.wrong(j, events)
		return events
	}
	return s.Store.Claim(ctx, claim)
}

func (s *skewed) Save(ctx context.Context, job jobs.Job, events ...jobs.Event) (jobs.Change, error) {
	if s.down.Load() {
		return jobs.Change{}, errLAN
	}
	s.wrong(&job, events)
	return s.Store.Save(ctx, job, events...)
}

func (s *skewed) List(ctx context.Context, query jobs.Query) ([]jobs.Job, int, error) {
	if s.down.Load() {
		return nil, 0, errLAN
	}
	return s.Store.List(ctx, query)
}

// Servers whose wall clocks differ by hours, and are set while they run, take nothing from a server that lives, and what a dead one has
// left as soon as ever.
func TestClocksThatDisagreeDecideNothing(t *testing.T) {
	t.Parallel()
	for name, hours := range map[string][2]int{"ahead of the others": {1, -1}, "behind the others": {-1, 1}, "with one that is right": {1, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, store *jobs.DB) { disagree(t, store, hours) })
		})
	}
}

func disagree(t *testing.T, store *jobs.DB, hours [2]int) {
	t.Helper()
	var mu sync.Mutex
	var log []string
	runs := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), log...)
	}
	ways := [2]*skewed{{Store: store}, {Store: store}}
	options := func(name string) jobs.Options {
		return jobs.Options{Owner: name, Run: func(ctx context.Context, job jobs.Job, _ *jobs.Recorder) (jobs.Outcome, error) {
			mu.Lock()
			log = append(log, fmt.Sprintf("%s runs attempt %d", name, job.Attempt))
			mu.Unlock()
			switch job.Attempt {
			case 1:
				return jobs.Outcome{}, fmt.Errorf("%w: for the clock", jobs.ErrTransient)
			case 2:
				<-ctx.Done()
				return jobs.Outcome{}, ctx.Err()
			}
			return jobs.Outcome{}, nil
		}}
	}
	for i, way := range ways {
		way.by.Store(int64(time.Duration(hours[i]) * time.Hour))
	}
	a, stopA := begin(t, ways[0], options("a"))
	defer stopA()
	job, err := a.Submit(t.Context(), jobs.Spec{Kind: jobs.KindSync, From: "x", To: "y", Options: jobs.Settings{Rerun: true}})
	require.NoError(t, err)
	pass(t, 10*time.Second) // an attempt fails, and another begins after a delay
	require.Equal(t, []string{"a runs attempt 1", "a runs attempt 2"}, runs())
	_, stopB := begin(t, ways[1], options("b"))
	defer stopB()
	pass(t, time.Minute)
	for i, way := range ways { // somebody sets the clocks
		way.by.Store(int64(time.Duration(-hours[i]) * time.Hour))
	}
	pass(t, time.Minute)
	require.Len(t, runs(), 2, "the server that has the job lives")

	ways[0].down.Store(true)
	pass(t, 14*time.Second)
	require.Len(t, runs(), 2, "a lease lasts as long as it does")
	pass(t, 10*time.Second)
	require.Equal(t, []string{"a runs attempt 1", "a runs attempt 2", "b runs attempt 3"}, runs())
	ways[0].down.Store(false)
	pass(t, 5*time.Second)
	got, err := store.Get(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, jobs.StateCompleted, got.State)
}
