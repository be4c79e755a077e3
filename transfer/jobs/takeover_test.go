package jobs_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

// victim is a server that a test kills while it runs jobs. where is a folder, or the address of a database.
func victim(where string) error {
	ctx := context.Background()
	var store jobs.Store
	var err error
	if strings.Contains(where, "://") {
		store, err = jobs.OpenPostgres(ctx, where)
	} else {
		store, err = jobs.OpenSQLite(ctx, where)
	}
	if err != nil {
		return err
	}
	opts := quick(func(ctx context.Context, _ jobs.Job, r *jobs.Recorder) (jobs.Outcome, error) {
		stages(r)
		<-ctx.Done()
		return jobs.Outcome{}, ctx.Err()
	})
	opts.Owner, opts.Workers = "victim", 4
	m, err := jobs.New(store, opts)
	if err == nil {
		err = m.Open(ctx)
	}
	if err == nil {
		var r *jobs.Recorder
		r, err = m.Begin(ctx, jobs.Job{Site: "session", To: "session"}, func(error) {})
		stages(r)
	}
	for name, settings := range map[string]jobs.Settings{"again": {Rerun: true}, "once": {}} {
		if err == nil {
			_, err = m.Submit(ctx, jobs.Spec{Kind: jobs.KindSync, From: "a", To: name, Options: settings})
		}
	}
	if err != nil {
		return err
	}
	go func() {
		for {
			list, _, err := store.List(ctx, jobs.Query{States: []jobs.State{jobs.StateProcessing}})
			n := 0
			for _, j := range list {
				if j.Step == jobs.StepConfiguration {
					n++
				}
			}
			if err == nil && n == 3 {
				_, _ = os.Stdout.WriteString("ready\n")
				return
			}
			<-time.After(20 * time.Millisecond)
		}
	}()
	return m.Run(ctx)
}

// kill starts a victim, waits until its jobs run, and kills it.
func kill(t *testing.T, where string) {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), "TRANSFER_TEST_VICTIM="+where)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	require.Equal(t, "ready", lines.Text())
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
}

func TestJobsOfAKilledServerAreInterruptedOrRunAgain(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]func(*testing.T) (string, func() jobs.Store){
		"sqlite": func(t *testing.T) (string, func() jobs.Store) {
			t.Helper()
			dir := t.TempDir()
			return dir, func() jobs.Store { return openSQLite(t, dir) }
		},
		"postgres": func(t *testing.T) (string, func() jobs.Store) {
			t.Helper()
			address := sqltest.New(t, sqltest.Postgres).URL()
			return address, func() jobs.Store { return openPostgres(t, address) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, open := where(t)
			kill(t, address)
			store := open()
			_, end, _, err := store.Events(t.Context(), jobs.Position{}, 0)
			require.NoError(t, err)
			began := time.Now()
			m := serve(t, store, quick(func(_ context.Context, _ jobs.Job, r *jobs.Recorder) (jobs.Outcome, error) {
				stages(r)
				return jobs.Outcome{}, nil
			}))
			all, _, err := m.List(t.Context(), jobs.Query{})
			require.NoError(t, err)
			require.Len(t, all, 3)
			ends := map[string]*jobs.Job{}
			for _, j := range all {
				events := follow(t, m.Feed(), j.ID, end)
				ends[j.To] = events[len(events)-1].Job
				require.Equal(t, jobs.Position{Epoch: end.Epoch, Seq: events[0].Seq}, events[0].Position(), "the log goes on")
			}
			t.Logf("settled after %s", time.Since(began))
			require.Equal(t, jobs.StateInterrupted, ends["once"].State)
			require.Contains(t, ends["once"].Error.Message, "victim")
			require.Equal(t, "interrupted", ends["once"].Error.Code)
			require.Equal(t, jobs.StateInterrupted, ends["session"].State, "only its client can run it again")
			require.Equal(t, jobs.StateCompleted, ends["again"].State)
			require.Equal(t, 2, ends["again"].Attempt)
			require.Equal(t, 100.0, ends["again"].Progress)
		})
	}
}

func TestAServerThatStopsInterruptsItsJobs(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func() jobs.Store) {
		store := open()
		begun := make(chan struct{}, 2)
		m := serve(t, store, quick(func(ctx context.Context, _ jobs.Job, _ *jobs.Recorder) (jobs.Outcome, error) {
			begun <- struct{}{}
			<-ctx.Done()
			return jobs.Outcome{}, fmt.Errorf("%w: %w", transfer.ErrConnection, ctx.Err())
		}))
		once, again := m.submit(t, jobs.Settings{}), m.submit(t, jobs.Settings{Rerun: true})
		<-begun
		<-begun
		m.stop()
		got, err := store.Get(t.Context(), once.ID)
		require.NoError(t, err)
		require.Equal(t, jobs.StateInterrupted, got.State)
		got, err = store.Get(t.Context(), again.ID)
		require.NoError(t, err)
		require.Equal(t, jobs.StatePending, got.State, "another server, or the next one, takes it")
		_, err = m.Feed().Subscribe(t.Context(), jobs.Subscribe{})
		require.ErrorIs(t, err, jobs.ErrClosed)
	})
}

func TestAServerThatWasTakenForDeadStopsItsRun(t *testing.T) {
	t.Parallel()
	store := openPostgres(t, sqltest.New(t, sqltest.Postgres).URL())
	cause := make(chan error, 1)
	opts := quick(func(ctx context.Context, _ jobs.Job, _ *jobs.Recorder) (jobs.Outcome, error) {
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return jobs.Outcome{}, ctx.Err()
	})
	opts.Lease = time.Minute
	m := serve(t, store, opts)
	j := m.submit(t, jobs.Settings{})
	require.Eventually(t, func() bool {
		got, err := store.Get(t.Context(), j.ID)
		require.NoError(t, err)
		if got.State != jobs.StateProcessing {
			return false
		}
		c, err := store.Claim(t.Context(), jobs.Claim{Owner: "other", Now: time.Now(), Seize: &got, Change: func(*jobs.Job) []jobs.Event { return nil }})
		require.NoError(t, err)
		return c != nil
	}, 10*time.Second, 10*time.Millisecond)
	select {
	case err := <-cause:
		require.ErrorIs(t, err, jobs.ErrLost)
	case <-time.After(10 * time.Second):
		t.Fatal("two servers run one job")
	}
	got, err := store.Get(t.Context(), j.ID)
	require.NoError(t, err)
	require.Equal(t, "other", got.Lease.Owner)
	require.Equal(t, jobs.StateProcessing, got.State)
}
