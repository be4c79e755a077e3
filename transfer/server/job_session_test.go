package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// sessions are the jobs that clients' transfers became, newest first.
func (j *jobRig) sessions() []jobs.Job {
	j.tb.Helper()
	list, _, err := j.store.List(j.tb.Context(), jobs.Query{Kinds: []jobs.Kind{jobs.KindSession}})
	require.NoError(j.tb, err)
	return list
}

func TestAClientsTransferIsAJob(t *testing.T) {
	t.Parallel()
	for name, offer := range map[string]protocol.Extensions{"a stock client": {}, "a client of ours": extensions()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJobRig(t, &site{content: transfertest.Sample()})
			sub, err := j.server.Jobs().Feed().Subscribe(t.Context(), jobs.Subscribe{})
			require.NoError(t, err)
			defer sub.Close()
			pull := func() transfer.Report {
				src := remote.NewSource(j.url(), j.options(offer))
				report, err := transfer.Run(t.Context(), src, transfertest.NewMemory(empty()), transfer.Options{})
				require.NoError(t, err)
				require.NoError(t, src.Close())
				return report
			}
			report := pull()
			require.Eventually(t, func() bool { return len(j.sessions()) == 1 && j.sessions()[0].State.Ended() }, 10*time.Second, 5*time.Millisecond)
			job := j.sessions()[0]
			require.Equal(t, jobs.StateCompleted, job.State, job.Error)
			require.Equal(t, []string{"pull", "default", "default", ""}, []string{job.Direction, job.Site, job.From, job.To})
			require.Equal(t, j.token.ID, job.TokenID)
			counts := map[transfer.Stage]int64{}
			for _, s := range job.Stages {
				counts[s.Stage] = s.Items
				require.False(t, s.Finished.IsZero(), s.Stage)
			}
			for _, s := range report.Stages[1:] {
				require.Equal(t, s.Read, counts[s.Stage], s.Stage)
			}

			dst := remote.NewDestination(j.url(), j.options(offer))
			_, err = transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), dst, transfer.Options{})
			require.NoError(t, err)
			require.NoError(t, dst.Close())
			require.Eventually(t, func() bool { return len(j.sessions()) == 2 && j.sessions()[0].State.Ended() }, 10*time.Second, 5*time.Millisecond)
			job = j.sessions()[0]
			require.Equal(t, jobs.StateCompleted, job.State, job.Error)
			require.Equal(t, []string{"push", "default", "", "default"}, []string{job.Direction, job.Site, job.From, job.To})
			require.Equal(t, transfer.StateCommitted, job.Result.Destination)
			require.Equal(t, report.Stages[1].Read, job.Stages[len(job.Stages)-4].Items)
			require.True(t, job.HasReport)
			require.Equal(t, http.StatusOK, j.ask(http.MethodGet, "/api/jobs/"+string(job.ID)+"/report", j.admin, nil).StatusCode)
			events, err := sub.Wait(t.Context())
			require.NoError(t, err)
			require.Equal(t, jobs.EventStarted, events[0].Type)
		})
	}
}

func TestWhatEndsAPushIsWrittenDown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end   func(j *jobRig, dst *remote.Destination, job jobs.Job)
		state jobs.State
		code  string
	}{
		"the client gives up": {func(_ *jobRig, dst *remote.Destination, _ jobs.Job) { _ = dst.Close() }, jobs.StateFailed, "refused"},
		"the connection is lost": {func(j *jobRig, dst *remote.Destination, _ jobs.Job) {
			_ = dst.Write(j.tb.Context(), transfer.Batch{Stage: transfer.StageEntities, Last: true})
		}, jobs.StateFailed, "connection"},
		"the token is revoked": {func(j *jobRig, _ *remote.Destination, _ jobs.Job) {
			_, err := j.tokens.Revoke(j.tb.Context(), j.token.ID)
			require.NoError(j.tb, err)
		}, jobs.StateFailed, "auth"},
		"somebody cancels it": {func(j *jobRig, _ *remote.Destination, job jobs.Job) {
			a := j.ask(http.MethodDelete, "/api/jobs/"+string(job.ID), j.admin, nil)
			require.Equal(j.tb, http.StatusAccepted, a.StatusCode)
		}, jobs.StateCancelled, "cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJobRig(t, &site{content: transfertest.Sample()})
			_, url := j.through(transfertest.Fault{Do: transfertest.Cut, From: transfertest.Client, Count: 1, Match: func(m []byte) bool {
				return bytes.Contains(m, []byte(`"entities"`)) && bytes.Contains(m, []byte(`"end"`))
			}})
			dst := remote.NewDestination(url, j.options(extensions()))
			defer dst.Close()
			plan := transfer.Plan{Source: transfer.Description{Version: "5.54.0"}, Stages: transfer.Stages(), Restore: transfer.Restore{Assets: true, Configuration: true}}
			_, err := dst.Describe(t.Context())
			require.NoError(t, err)
			_, err = dst.Begin(t.Context(), plan)
			require.NoError(t, err)
			require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageSchemas, Last: true}))
			record, err := transfer.ParseRecord(transfer.StageEntities, []byte(transfertest.Sample().Records[transfer.StageEntities][0]))
			require.NoError(t, err)
			require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageEntities, Records: []transfer.Record{record}, Cursor: 1}))
			require.Eventually(t, func() bool { return len(j.sessions()) == 1 }, 10*time.Second, 5*time.Millisecond)
			tt.end(j, dst, j.sessions()[0])
			job := j.ended(j.sessions()[0].ID)
			require.Equal(t, tt.state, job.State)
			require.Equal(t, tt.code, job.Error.Code, job.Error.Message)
			require.Equal(t, transfer.StateRolledBack, job.Result.Destination)
			require.Zero(t, j.site.committed())
			err = dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageEntities, Last: true})
			require.Error(t, err)
		})
	}
}

func TestASecondPushWaitsForAJobAndAJobForAPush(t *testing.T) {
	t.Parallel()
	j := newJobRig(t, &site{content: transfertest.Sample()})
	dst := remote.NewDestination(j.url(), j.options(extensions()))
	_, err := dst.Describe(t.Context())
	require.NoError(t, err)
	_, err = dst.Begin(t.Context(), transfer.Plan{Stages: transfer.Stages(), Restore: transfer.Restore{Assets: true}})
	require.NoError(t, err)
	job := j.ended(j.start(j.admin, body{"from": "copy", "to": "default", "options": body{"attempts": 1}}))
	require.Equal(t, "busy", job.Error.Code)
	require.Contains(t, job.Error.Message, "being written to by")
	again := j.start(j.admin, body{"from": "copy", "to": "default", "options": body{"attempts": 20}})
	require.Eventually(t, func() bool {
		got, err := j.store.Get(t.Context(), again)
		return err == nil && got.Attempt > 1
	}, 10*time.Second, 5*time.Millisecond)
	require.NoError(t, dst.Close())
	require.Equal(t, jobs.StateCompleted, j.ended(again).State)
}

func TestNoTokenIsWrittenDown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := jobs.OpenSQLite(t.Context(), dir)
	require.NoError(t, err)
	leaky := "leaky-secret-of-elsewhere"
	j := newJobRig(t, &site{content: transfertest.Sample()}, func(c *server.Config) {
		c.Jobs.Store = store
		c.Jobs.Remotes = map[string]server.Remote{
			"away": {Site: remoteSite{"http://127.0.0.1:1/admin"}}, "talks": {Site: talker{leaky}},
		}
		c.Jobs.Options.Redact = func(text string) string { return strings.ReplaceAll(text, leaky, "***") }
	})
	j.store = store
	for _, from := range []string{"away", "talks", "default"} {
		j.ended(j.start(j.admin, body{"from": from, "to": "copy", "options": body{"attempts": 1}}))
	}
	src := remote.NewSource(j.url(), j.options(extensions()))
	_, err = transfer.Run(t.Context(), src, transfertest.NewMemory(empty()), transfer.Options{})
	require.NoError(t, err)
	require.NoError(t, src.Close())
	require.NoError(t, store.Close())
	seen := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		seen += len(text)
		for _, secret := range []string{j.secret, j.admin, "elsewhere-secret", leaky} {
			require.NotContains(t, string(text), secret, path)
		}
		return err
	}))
	require.Greater(t, seen, 10_000)
}

// talker is a server elsewhere whose errors repeat what they must not.
type talker struct{ secret string }

func (s talker) Source(context.Context) (transfer.Source, error) {
	return nil, fmt.Errorf("%w: the token %s is no good", transfer.ErrAuth, s.secret)
}

func (s talker) Destination(context.Context, string) (transfer.Destination, error) {
	return nil, server.ErrReadOnly
}
