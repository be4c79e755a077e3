//go:build unix

package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// told is what the tests read of an event of a stream.
type told struct {
	kind, id string

	Progress float64
	Status   jobs.State
	Step     jobs.Step
	Attempt  int
	Items    int64
}

// follower follows a job by server-sent events. When its server goes away it goes on at the next, where it had stopped.
type follower struct {
	done chan struct{}
	fail error // set before done is closed

	mu     sync.Mutex
	events []told // guarded by mu
}

// follow begins to follow a job at the first of some servers. It ends with the job, or with the test.
func follow(t *testing.T, id, token string, bases ...string) *follower {
	t.Helper()
	f := &follower{done: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	opened := make(chan struct{}, 1)
	go func() {
		defer close(f.done)
		for n := 0; ctx.Err() == nil; n++ {
			var ended bool
			if ended, f.fail = f.stream(ctx, bases[n%len(bases)]+"/api/jobs/"+id+"/stream", token, opened); ended {
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-f.done
	})
	select {
	case <-opened:
	case <-time.After(promptly):
		require.FailNow(t, "the stream did not begin")
	}
	return f
}

// stream reads one stream to its end, and reports whether the job has ended.
func (f *follower) stream(ctx context.Context, url, token string, opened chan<- struct{}) (ended bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return true, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if last := f.last(); last.id != "" {
		request.Header.Set("Last-Event-ID", last.id)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusNoContent {
		return true, nil
	}
	select {
	case opened <- struct{}{}:
	default:
	}
	var e told
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			e.kind = value
		case "id":
			e.id = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				return true, err
			}
		case "":
			if e.kind == "" {
				continue
			}
			f.mu.Lock()
			f.events = append(f.events, e)
			f.mu.Unlock()
			if e.Status.Ended() {
				return true, nil
			}
			e = told{}
		}
	}
	return false, lines.Err()
}

func (f *follower) all() []told {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.events)
}

func (f *follower) last() told {
	if all := f.all(); len(all) > 0 {
		return all[len(all)-1]
	}
	return told{}
}

// until waits for an event.
func (f *follower) until(t *testing.T, what string, is func(told) bool) {
	t.Helper()
	require.Eventually(t, func() bool { return slices.ContainsFunc(f.all(), is) }, time.Minute, 10*time.Millisecond, what)
}

// whole waits for the end of the job and requires that all was told, once and in order.
func (f *follower) whole(t *testing.T) []told {
	t.Helper()
	select {
	case <-f.done:
	case <-time.After(2 * time.Minute):
		require.FailNow(t, "the job does not end", "%+v", f.last())
	}
	require.NoError(t, f.fail)
	events := f.all()
	steps := map[int][]jobs.Step{}
	var before told
	for _, e := range events {
		attempt := max(e.Attempt, before.Attempt) // the last event names none
		if attempt > before.Attempt {
			before = told{Attempt: attempt}
		}
		if e.Status == jobs.StateProcessing || e.Status == jobs.StateCompleted {
			require.GreaterOrEqual(t, e.Progress, before.Progress, "%+v after %+v", e, before)
			if e.Step != before.Step {
				steps[attempt] = append(steps[attempt], e.Step)
			}
			before = e
		}
		before.Attempt = attempt
	}
	require.Equal(t, jobs.StateCompleted, f.last().Status, "%+v", f.last())
	first := max(events[0].Attempt, 1)
	for attempt, got := range steps {
		want := jobs.Steps()[1:]
		if attempt == first { // some of it was before
			want = want[slices.Index(want, got[0]):]
		}
		if attempt < before.Attempt { // it was cut
			want = want[:len(got)]
		}
		require.Equal(t, want, got, "every step of attempt %d, once and in order", attempt)
	}
	return events
}
