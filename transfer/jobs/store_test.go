package jobs_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// waiting is a job that waits.
func waiting(t *testing.T, change func(*jobs.Job)) jobs.Job {
	t.Helper()
	id, err := jobs.NewID()
	require.NoError(t, err)
	now := time.Now().UTC().Truncate(time.Microsecond)
	j := jobs.Job{
		ID: id, Kind: jobs.KindSync, State: jobs.StatePending, From: "live", To: "to-" + string(id), Who: "token \"ci\"", TokenID: "t1",
		Created: now, Due: now, Step: jobs.StepCreated, Revision: 1,
	}
	if change != nil {
		change(&j)
	}
	return j
}

func claim(t *testing.T, s jobs.Store, owner string) *jobs.Change {
	t.Helper()
	c, err := s.Claim(t.Context(), jobs.Claim{Owner: owner, Now: time.Now(), Change: func(j *jobs.Job) []jobs.Event {
		j.State = jobs.StateProcessing
		j.Revision++
		return []jobs.Event{{Type: jobs.EventStarted}}
	}})
	require.NoError(t, err)
	return c
}

func TestStoreKeepsAllOfAJob(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		s, eta := open(), 1.5
		j := waiting(t, func(j *jobs.Job) {
			j.Kind, j.State, j.Lease, j.Site, j.Direction = jobs.KindSession, jobs.StateProcessing, jobs.Lease{Owner: "me", Fence: 1}, "shop", "push"
			j.Started, j.Options = j.Created, jobs.Settings{Only: []transfer.Group{transfer.GroupContent}, Keep: &jobs.Keep{Last: 3}}
		})
		c, err := s.Insert(t.Context(), j, jobs.Event{Type: jobs.EventStarted})
		require.NoError(t, err)
		require.Len(t, c.Events, 1)
		j = c.Job
		j.Stages = []jobs.Stage{{Stage: transfer.StageEntities, Items: 7, Bytes: 9 << 40, ETA: &eta, ByType: map[string]int64{"api::a.a": 7}}}
		j.Diagnostics = []jobs.Diagnostic{{Time: j.Created, Level: transfer.NoteWarning, Message: "it's \"quoted\" ? $1 ü"}}
		j.Report, j.HasReport = json.RawMessage(`{"n":12345678901234567890}`), true
		j.State, j.Progress, j.Result = jobs.StateCompleted, 100, &jobs.Result{Items: 7, Removed: []string{"a"}}
		j.Revision++
		c, err = s.Save(t.Context(), j, jobs.Event{Type: jobs.EventCompleted})
		require.NoError(t, err)
		require.Empty(t, c.Job.Lease.Owner, "who has ended belongs to nobody")
		got, err := s.Get(t.Context(), j.ID)
		require.NoError(t, err)
		want := c.Job
		require.Equal(t, want, got)
		list, n, err := s.List(t.Context(), jobs.Query{})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		want = want.Public()
		require.Equal(t, want, list[0])
		_, err = s.Get(t.Context(), "nobody")
		require.ErrorIs(t, err, jobs.ErrNotFound)
		_, err = s.Cancel(t.Context(), j.ID, time.Now())
		require.ErrorIs(t, err, jobs.ErrEnded)
		_, err = s.Cancel(t.Context(), "nobody", time.Now())
		require.ErrorIs(t, err, jobs.ErrNotFound)
	})
}

func TestStoreGivesAJobToOneServer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		first := open()
		const n = 24
		for range n {
			_, err := first.Insert(t.Context(), waiting(t, nil), jobs.Event{Type: jobs.EventStarted})
			require.NoError(t, err)
		}
		var mu sync.Mutex
		got := map[jobs.ID]string{}
		var all sync.WaitGroup
		for w := range 4 {
			s, owner := open(), fmt.Sprint("server ", w)
			all.Go(func() {
				for {
					c := claim(t, s, owner)
					if c == nil {
						return
					}
					mu.Lock()
					if other, taken := got[c.Job.ID]; taken {
						t.Errorf("job given to %s and %s", other, owner)
					}
					got[c.Job.ID] = owner
					mu.Unlock()
				}
			})
		}
		all.Wait()
		require.Len(t, got, n)
	})
}

func TestStoreWritesToADestinationOneAtATime(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		s := open()
		for range 2 {
			_, err := s.Insert(t.Context(), waiting(t, func(j *jobs.Job) { j.To = "staging" }))
			require.NoError(t, err)
		}
		_, err := s.Insert(t.Context(), waiting(t, func(j *jobs.Job) { j.Due = time.Now().Add(time.Hour) }))
		require.NoError(t, err)
		c := claim(t, s, "a")
		require.NotNil(t, c)
		require.Nil(t, claim(t, s, "b"), "another writes to it, and the third is not due")
		done := c.Job
		done.State = jobs.StateFailed
		_, err = s.Save(t.Context(), done)
		require.NoError(t, err)
		require.NotNil(t, claim(t, s, "b"))
		require.Nil(t, claim(t, s, "b"), "in an hour")
		far, err := s.Claim(t.Context(), jobs.Claim{Owner: "b", Now: time.Now(), Beyond: time.Now().Add(time.Minute), Change: func(*jobs.Job) []jobs.Event { return nil }})
		require.NoError(t, err)
		require.NotNil(t, far, "the clock was set back")
	})
}

func TestStoreTakesNothingFromAnOwnerThatLostTheJob(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		a, b := open(), open()
		_, err := a.Insert(t.Context(), waiting(t, nil))
		require.NoError(t, err)
		c := claim(t, a, "a")
		beat, err := a.Save(t.Context(), c.Job)
		require.NoError(t, err)
		seize := func(seen jobs.Job) *jobs.Change {
			got, err := b.Claim(t.Context(), jobs.Claim{Owner: "b", Now: time.Now(), Seize: &seen, Change: func(*jobs.Job) []jobs.Event {
				return []jobs.Event{{Type: jobs.EventError}}
			}})
			require.NoError(t, err)
			return got
		}
		require.Nil(t, seize(c.Job), "it has shown a sign of life since")
		taken := seize(beat.Job)
		require.NotNil(t, taken)
		require.Equal(t, "b", taken.Job.Lease.Owner)
		_, _, _, err = a.Events(t.Context(), jobs.Position{}, 0)
		require.NoError(t, err)
		_, before, _, err := a.Events(t.Context(), jobs.Position{}, 0)
		require.NoError(t, err)
		late := beat.Job
		late.State = jobs.StateCompleted
		_, err = a.Save(t.Context(), late, jobs.Event{Type: jobs.EventCompleted})
		require.ErrorIs(t, err, jobs.ErrLost)
		got, err := a.Get(t.Context(), late.ID)
		require.NoError(t, err)
		require.Equal(t, jobs.StateProcessing, got.State)
		_, after, _, err := a.Events(t.Context(), jobs.Position{}, 0)
		require.NoError(t, err)
		require.Equal(t, before, after, "nothing in the log either")
	})
}

func TestStoreCancels(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		s := open()
		j := waiting(t, nil)
		_, err := s.Insert(t.Context(), j)
		require.NoError(t, err)
		c, err := s.Cancel(t.Context(), j.ID, time.Now())
		require.NoError(t, err)
		require.Equal(t, jobs.StateCancelled, c.Job.State)
		require.Equal(t, jobs.EventFailed, c.Events[0].Type)
		require.Nil(t, claim(t, s, "a"))

		_, err = s.Insert(t.Context(), waiting(t, nil))
		require.NoError(t, err)
		running := claim(t, s, "a")
		for range 2 {
			c, err = s.Cancel(t.Context(), running.Job.ID, time.Now())
			require.NoError(t, err)
			require.Empty(t, c.Events)
			require.True(t, c.Job.Cancelling)
		}
		c, err = s.Save(t.Context(), running.Job)
		require.NoError(t, err)
		require.True(t, c.Job.Cancelling, "the owner is told with its next sign of life")
	})
}

func TestStoreLogHasNoGapsAndIsCutFromItsStart(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		s := open()
		_, start, ok, err := s.Events(t.Context(), jobs.Position{}, 10)
		require.NoError(t, err)
		require.True(t, ok)
		require.NotEmpty(t, start.Epoch)
		var all sync.WaitGroup
		for range 4 {
			own := open()
			all.Go(func() {
				for i := range 5 {
					events := make([]jobs.Event, i%3+1)
					for n := range events {
						events[n].Type = jobs.EventStarted
					}
					if _, err := own.Insert(t.Context(), waiting(t, nil), events...); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		var list []jobs.Event
		for at := start; ; {
			page, end, ok, err := s.Events(t.Context(), at, 7)
			require.NoError(t, err)
			require.True(t, ok)
			if len(page) == 0 {
				require.Equal(t, at, end)
				break
			}
			list = append(list, page...)
			at = list[len(list)-1].Position()
		}
		require.Len(t, list, 4*(1+2+3+1+2))
		for i, e := range list {
			require.Equal(t, start.Seq+int64(i)+1, e.Seq)
			require.Equal(t, e.Seq, e.Job.Seq)
			require.Equal(t, e.JobID, e.Job.ID)
			require.True(t, e.Durable)
		}
		end := list[len(list)-1].Position()
		_, _, ok, err = s.Events(t.Context(), jobs.Position{Epoch: strings.Repeat("0", 16), Seq: 3}, 10)
		require.NoError(t, err)
		require.False(t, ok, "another log")
		_, _, ok, err = s.Events(t.Context(), jobs.Position{Epoch: end.Epoch, Seq: end.Seq + 1}, 10)
		require.NoError(t, err)
		require.False(t, ok, "a position that is yet to come")
		n, err := s.(jobs.Forgetter).Forget(t.Context(), time.Now().Add(time.Hour), time.Now().Add(time.Hour))
		require.NoError(t, err)
		require.Zero(t, n, "jobs that wait are not forgotten")
		_, _, ok, err = s.Events(t.Context(), start, 10)
		require.NoError(t, err)
		require.False(t, ok, "the log does not go back that far")
		page, _, ok, err := s.Events(t.Context(), end, 10)
		require.NoError(t, err)
		require.True(t, ok)
		require.Empty(t, page)
	})
}

func TestStoreListsWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		s := open()
		begun := time.Now().Add(-time.Hour)
		var names []string
		for i, change := range []func(*jobs.Job){
			func(j *jobs.Job) { j.From, j.To = "prod", "staging" },
			func(j *jobs.Job) { j.From, j.To, j.TokenID = "shop@20261120", "other", "t2" },
			func(j *jobs.Job) { j.Kind, j.Site, j.From, j.To, j.Schedule = jobs.KindPrune, "shop", "", "", "s1" },
			func(j *jobs.Job) { j.State, j.Who = jobs.StateFailed, "100%_ANNA" },
		} {
			j := waiting(t, change)
			j.Created = begun.Add(time.Duration(i) * time.Minute)
			names = append(names, string(j.ID))
			_, err := s.Insert(t.Context(), j)
			require.NoError(t, err)
		}
		for name, tt := range map[string]struct {
			query jobs.Query
			want  []int
			total int
		}{
			"all, newest first":      {jobs.Query{}, []int{3, 2, 1, 0}, 4},
			"a page":                 {jobs.Query{Limit: 2, Offset: 1}, []int{2, 1}, 4},
			"beyond the end":         {jobs.Query{Offset: 9}, nil, 4},
			"by state":               {jobs.Query{States: []jobs.State{jobs.StateFailed, jobs.StateCompleted}}, []int{3}, 1},
			"by kind":                {jobs.Query{Kinds: []jobs.Kind{jobs.KindPrune}}, []int{2}, 1},
			"by name, snapshots too": {jobs.Query{Name: "shop"}, []int{2, 1}, 2},
			"by schedule":            {jobs.Query{Schedule: "s1"}, []int{2}, 1},
			"by text":                {jobs.Query{Text: "STAG"}, []int{0}, 1},
			"by text as it is":       {jobs.Query{Text: "%_a"}, []int{3}, 1},
			"since":                  {jobs.Query{Since: begun.Add(90 * time.Second)}, []int{3, 2}, 2},
			"for a token of a site":  {jobs.Query{Visible: &jobs.Visible{TokenID: "t9", Site: "shop"}}, []int{2, 1}, 2},
			"for a token's own":      {jobs.Query{Visible: &jobs.Visible{TokenID: "t2", Site: "x"}}, []int{1}, 1},
			"of sessions that push":  {jobs.Query{Direction: "push"}, nil, 0},
			"for a token of one job": {jobs.Query{Visible: &jobs.Visible{Only: jobs.ID(names[1]), Everything: true}}, []int{1}, 1},
			"for nobody":             {jobs.Query{Visible: &jobs.Visible{}}, nil, 0},
			"several at once":        {jobs.Query{Name: "shop", Kinds: []jobs.Kind{jobs.KindSync}, Text: "t"}, []int{1}, 1},
		} {
			list, total, err := s.List(t.Context(), tt.query)
			require.NoError(t, err, name)
			require.Equal(t, tt.total, total, name)
			var got []int
			for _, j := range list {
				for i, id := range names {
					if id == string(j.ID) {
						got = append(got, i)
					}
				}
				require.True(t, tt.query.Visible.Sees(&j), "%s: the feed shows what the list does", name)
			}
			require.Equal(t, tt.want, got, name)
		}
	})
}

func TestStoreFiresAScheduleOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		due := time.Now().UTC().Truncate(time.Second)
		first := open().(jobs.Schedules)
		schedule := jobs.Schedule{ID: "s1", Name: "nightly", Cron: "@daily", Kind: jobs.KindSync, From: "a", To: "b", Next: due, Created: due}
		require.NoError(t, first.PutSchedule(t.Context(), schedule))
		var mu sync.Mutex
		fired := 0
		var all sync.WaitGroup
		for range 4 {
			s := open().(jobs.Schedules)
			job := waiting(t, nil)
			next := schedule
			next.Next, next.LastJob = due.Add(time.Hour), job.ID
			all.Go(func() {
				c, err := s.Fire(t.Context(), next, due, &job, jobs.Event{Type: jobs.EventStarted})
				if err != nil {
					t.Error(err)
				}
				if c != nil {
					mu.Lock()
					fired++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		require.Equal(t, 1, fired)
		_, n, err := open().List(t.Context(), jobs.Query{})
		require.NoError(t, err)
		require.Equal(t, 1, n)
		list, err := first.Schedules(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, due.Add(time.Hour), list[0].Next)
		require.NoError(t, first.DeleteSchedule(t.Context(), "s1"))
		require.ErrorIs(t, first.DeleteSchedule(t.Context(), "s1"), jobs.ErrNotFound)
	})
}

func TestASecondServerIsToldWhoseFolderItIs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openSQLite(t, dir)
	_, err := jobs.OpenSQLite(t.Context(), dir)
	require.ErrorIs(t, err, transfer.ErrUsage)
	require.ErrorContains(t, err, "PostgreSQL")
}

func TestAnAddressIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"postgres://u:geheim@h:port/x", "postgres://u:geheim@127.0.0.1:1/x?connect_timeout=1", "geheim"} {
		_, err := jobs.OpenPostgres(t.Context(), address)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "geheim")
	}
}
