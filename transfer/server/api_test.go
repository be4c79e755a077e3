package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// jobRig is a server with jobs: sites default and blog as a rig has them, and what a test adds.
type jobRig struct {
	*rig

	store *jobs.DB
	admin string // token for everything
	copy  *site  // the site copy
}

func newJobRig(tb testing.TB, s *site, change ...func(*server.Config)) *jobRig {
	tb.Helper()
	store, err := jobs.OpenSQLite(tb.Context(), tb.TempDir())
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, store.Close()) })
	j := &jobRig{store: store, copy: &site{content: empty()}}
	j.rig = newRig(tb, s, append([]func(*server.Config){func(c *server.Config) {
		c.Jobs.Store, c.Sites["copy"] = store, j.copy
		c.Jobs.Options.Backoff = 10 * time.Millisecond
	}}, change...)...)
	_, j.admin = j.grant(token.Spec{Name: "admin", Permissions: []protocol.Direction{protocol.Push, protocol.Pull, token.Jobs}})
	require.NoError(tb, j.server.Jobs().Open(tb.Context()))
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- j.server.RunJobs(ctx) }()
	tb.Cleanup(func() {
		cancel()
		require.NoError(tb, <-done)
	})
	return j
}

// answered is an answer of the API.
type answered struct {
	*http.Response

	Data  json.RawMessage
	Meta  json.RawMessage
	Error *struct {
		Status        int
		Name, Message string
	}
}

// ask sends a request. A body that is no reader is sent as JSON.
func (j *jobRig) ask(method, path, secret string, body any, header ...string) answered {
	j.tb.Helper()
	var text io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case io.Reader:
		text = b
	default:
		written, err := json.Marshal(b)
		require.NoError(j.tb, err)
		text = bytes.NewReader(written)
	}
	req, err := http.NewRequestWithContext(j.tb.Context(), method, j.http.URL+path, text)
	require.NoError(j.tb, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(j.tb, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(j.tb, err)
	a := answered{Response: response}
	if len(content) > 0 && strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		require.NoError(j.tb, json.Unmarshal(content, &a), string(content))
	}
	return a
}

func (a answered) job(tb testing.TB) (j jobs.Job) {
	tb.Helper()
	require.NoError(tb, json.Unmarshal(a.Data, &j))
	return j
}

// start starts a job and returns its id.
func (j *jobRig) start(secret string, body map[string]any) jobs.ID {
	j.tb.Helper()
	a := j.ask(http.MethodPost, "/api/jobs", secret, body)
	require.Equal(j.tb, http.StatusAccepted, a.StatusCode, string(a.Data))
	var started struct{ JobID jobs.ID }
	require.NoError(j.tb, json.Unmarshal(a.Data, &started))
	return started.JobID
}

// ended waits for a job to end.
func (j *jobRig) ended(id jobs.ID) (job jobs.Job) {
	j.tb.Helper()
	require.Eventually(j.tb, func() bool {
		var err error
		job, err = j.store.Get(j.tb.Context(), id)
		require.NoError(j.tb, err)
		return job.State.Ended()
	}, 20*time.Second, 5*time.Millisecond)
	return job
}

type body = map[string]any

func TestATransferBetweenSitesIsStartedAndFollowed(t *testing.T) {
	t.Parallel()
	j := newJobRig(t, &site{content: transfertest.Sample()})
	a := j.ask(http.MethodPost, "/api/jobs", j.admin, body{"from": "default", "to": "copy"})
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	var started struct{ JobID, SSEURL, WebsocketURL, PollURL, AuthToken string }
	require.NoError(t, json.Unmarshal(a.Data, &started))
	require.Equal(t, "/api/jobs/"+started.JobID, a.Header.Get("Location"))
	require.Equal(t, j.http.URL+"/api/jobs/"+started.JobID, started.PollURL)
	require.Equal(t, j.http.URL+"/api/jobs/"+started.JobID+"/stream", started.SSEURL)
	require.Equal(t, strings.Replace(j.http.URL, "http", "ws", 1)+"/ws/progress?jobId="+started.JobID, started.WebsocketURL)

	job := j.ended(jobs.ID(started.JobID))
	require.Equal(t, jobs.StateCompleted, job.State, job.Error)
	require.Equal(t, 1, j.copy.committed())
	require.Equal(t, transfer.StateCommitted, job.Result.Destination)
	require.Contains(t, job.Who, `token "admin" from 127.0.0.1:`)

	for name, header := range map[string][]string{"a bearer token": {"Authorization", "Bearer " + j.admin}, "a key": {"X-API-Key", j.admin}, "the job's own": {"Authorization", "Bearer " + started.AuthToken}} {
		got := j.ask(http.MethodGet, "/api/jobs/"+started.JobID, "", nil, header...)
		require.Equal(t, http.StatusOK, got.StatusCode, name)
		tag := got.Header.Get("ETag")
		require.Regexp(t, `^"[0-9a-f]{16}-\d+"$`, tag)
		again := j.ask(http.MethodGet, "/api/jobs/"+started.JobID, "", nil, append(header, "If-None-Match", tag)...)
		require.Equal(t, http.StatusNotModified, again.StatusCode, name)
		require.Equal(t, tag, again.Header.Get("ETag"))
		require.Empty(t, again.Data)
		require.Len(t, got.job(t).Stages, 5)
	}
	report := j.ask(http.MethodGet, "/api/jobs/"+started.JobID+"/report", j.admin, nil)
	var told struct {
		transfer.Report

		Plan struct {
			Stages []transfer.Stage
			Totals map[transfer.Stage]transfer.Count
		}
	}
	require.NoError(t, json.Unmarshal(report.Data, &told))
	require.Len(t, told.Stages, 5)
	require.Len(t, told.Plan.Stages, 5)

	again := j.ask(http.MethodPost, "/api/jobs/"+started.JobID+"/run-again", j.admin, nil)
	require.Equal(t, http.StatusAccepted, again.StatusCode)
	require.NoError(t, json.Unmarshal(again.Data, &started))
	job = j.ended(jobs.ID(started.JobID))
	require.Equal(t, jobs.StateCompleted, job.State)
	require.NotEmpty(t, job.RerunOf)
	list := j.ask(http.MethodGet, "/api/jobs?state=completed&kind=sync&pageSize=1", j.admin, nil)
	require.JSONEq(t, `{"pagination":{"page":1,"pageSize":1,"pageCount":2,"total":2}}`, string(list.Meta))
	done := j.ask(http.MethodDelete, "/api/jobs/"+started.JobID, j.admin, nil)
	require.Equal(t, http.StatusOK, done.StatusCode)
	require.JSONEq(t, `{"alreadyDone":true}`, string(done.Meta))
}

func TestADryRunChangesNothingAndShowsThePlan(t *testing.T) {
	t.Parallel()
	j := newJobRig(t, &site{content: transfertest.Sample()})
	job := j.ended(j.start(j.admin, body{"from": "default", "to": "copy", "options": body{"dryRun": true, "exclude": []string{"files"}}}))
	require.Equal(t, jobs.StateCompleted, job.State, job.Error)
	require.Zero(t, j.copy.committed())
	require.Contains(t, string(job.Report), `"excluded":[`)
	require.NotContains(t, string(job.Report), `"stages":["schemas","entities","assets"`)
}

// slow is a site whose content comes only when it is let.
type slow struct {
	*site

	let chan struct{}
}

func (s slow) Source(ctx context.Context) (transfer.Source, error) {
	select {
	case <-s.let:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return s.site.Source(ctx)
}

func TestAJobIsCancelled(t *testing.T) {
	t.Parallel()
	s := slow{&site{content: transfertest.Sample()}, make(chan struct{})}
	j := newJobRig(t, s.site, func(c *server.Config) { c.Sites["slow"], c.Jobs.Options.Workers = s, 1 })
	running, waiting := j.start(j.admin, body{"from": "slow", "to": "copy"}), j.start(j.admin, body{"from": "slow", "to": "default"})
	require.Eventually(t, func() bool {
		return j.ask(http.MethodGet, "/api/jobs?state=processing", j.admin, nil).job0(t).ID == running
	}, 10*time.Second, 10*time.Millisecond)
	asked := time.Now()
	require.Equal(t, http.StatusAccepted, j.ask(http.MethodPost, "/api/jobs/"+string(running)+"/cancel", j.admin, nil).StatusCode)
	require.Equal(t, jobs.StateCancelled, j.ended(running).State)
	require.Less(t, time.Since(asked), time.Second)
	cancelled := j.ask(http.MethodDelete, "/api/jobs/"+string(waiting), j.admin, nil)
	require.Equal(t, http.StatusAccepted, cancelled.StatusCode)
	require.Equal(t, jobs.StateCancelled, j.ended(waiting).State)
	require.Zero(t, j.copy.committed())
}

// job0 is the first of a list of jobs.
func (a answered) job0(tb testing.TB) (j jobs.Job) {
	tb.Helper()
	var list []jobs.Job
	require.NoError(tb, json.Unmarshal(a.Data, &list))
	if len(list) > 0 {
		return list[0]
	}
	return j
}

func TestTheAPIAnswersInStrapisShape(t *testing.T) {
	t.Parallel()
	j := newJobRig(t, &site{content: transfertest.Sample()})
	unknown := "/api/jobs/01a21534-b1ab-73d0-b302-199171a80b57"
	sync := body{"from": "default", "to": "copy"}
	schedule := body{"name": "n", "cron": "@daily", "from": "default", "to": "copy"}
	for name, tt := range map[string]struct {
		method, path string
		body         any
		status       int
		error        string
		says         string
	}{
		"no such path":                 {"GET", "/api/nothing", nil, 404, "NotFoundError", ""},
		"the root":                     {"GET", "/api", nil, 404, "NotFoundError", ""},
		"a path that is not clean":     {"GET", "/api//jobs", nil, 404, "NotFoundError", ""},
		"another method":               {"PATCH", "/api/jobs", nil, 405, "MethodNotAllowedError", ""},
		"no such job":                  {"GET", unknown, nil, 404, "NotFoundError", ""},
		"no id":                        {"GET", "/api/jobs/1", nil, 404, "NotFoundError", ""},
		"no such job to cancel":        {"DELETE", unknown, nil, 404, "NotFoundError", ""},
		"no such job to repeat":        {"POST", unknown + "/run-again", nil, 404, "NotFoundError", ""},
		"no report":                    {"GET", unknown + "/report", nil, 404, "NotFoundError", ""},
		"an unknown parameter":         {"GET", "/api/jobs?stat=failed", nil, 400, "ValidationError", "stat"},
		"a parameter twice":            {"GET", "/api/jobs?page=1&page=2", nil, 400, "ValidationError", "more than once"},
		"an unknown state":             {"GET", "/api/jobs?state=done", nil, 400, "ValidationError", "one of pending"},
		"an unknown kind":              {"GET", "/api/jobs?kind=x", nil, 400, "ValidationError", "one of session"},
		"a page that is none":          {"GET", "/api/jobs?page=0", nil, 400, "ValidationError", "from 1"},
		"a page that is too long":      {"GET", "/api/jobs?pageSize=201", nil, 400, "ValidationError", "200"},
		"a time that is none":          {"GET", "/api/jobs?since=yesterday", nil, 400, "ValidationError", "such as"},
		"a NUL":                        {"GET", "/api/jobs?text=%00", nil, 400, "ValidationError", "NUL"},
		"a long filter":                {"GET", "/api/jobs?text=" + strings.Repeat("x", 300), nil, 400, "ValidationError", "200"},
		"no body":                      {"POST", "/api/jobs", nil, 415, "UnsupportedMediaTypeError", "application/json"},
		"an empty body":                {"POST", "/api/jobs", strings.NewReader(""), 400, "ValidationError", "body"},
		"a list":                       {"POST", "/api/jobs", []string{}, 400, "ValidationError", "body"},
		"more than an object":          {"POST", "/api/jobs", strings.NewReader(`{"from":"default","to":"copy"}{}`), 400, "ValidationError", "after the object"},
		"a member nobody knows":        {"POST", "/api/jobs", body{"from": "default", "to": "copy", "url": "http://x"}, 400, "ValidationError", "url"},
		"an option nobody knows":       {"POST", "/api/jobs", body{"from": "default", "to": "copy", "options": body{"force": true}}, 400, "ValidationError", "force"},
		"an option that is wrong":      {"POST", "/api/jobs", body{"from": "default", "to": "copy", "options": body{"orphans": "eat"}}, 400, "ValidationError", "fail or skip"},
		"a part that is none":          {"POST", "/api/jobs", body{"from": "default", "to": "copy", "options": body{"only": []string{"all"}}}, 400, "ValidationError", "unknown part"},
		"too many attempts":            {"POST", "/api/jobs", body{"from": "default", "to": "copy", "options": body{"attempts": 99}}, 400, "ValidationError", "attempts"},
		"a body that is too long":      {"POST", "/api/jobs", strings.NewReader(`{"from":"` + strings.Repeat("x", 1<<20) + `"}`), 413, "PayloadTooLargeError", "at most"},
		"no from":                      {"POST", "/api/jobs", body{"to": "copy"}, 400, "ValidationError", ""},
		"onto itself":                  {"POST", "/api/jobs", body{"from": "copy", "to": "copy"}, 400, "ValidationError", "the same"},
		"a kind that is not started":   {"POST", "/api/jobs", body{"kind": "session", "from": "default", "to": "copy"}, 400, "ValidationError", "session"},
		"a prune where none can be":    {"POST", "/api/jobs", body{"kind": "prune", "site": "copy", "options": body{"keep": body{"last": 1}}}, 400, "ValidationError", "no snapshots"},
		"a snapshot of a site without": {"POST", "/api/jobs", body{"from": "default@1", "to": "copy"}, 400, "ValidationError", "no snapshots"},
		"into a snapshot":              {"POST", "/api/jobs", body{"from": "default", "to": "copy@1"}, 400, "ValidationError", "cannot be written"},
		"a good one":                   {"POST", "/api/jobs", sync, 202, "", ""},
		"no doctor":                    {"POST", "/api/remotes/prod/doctor", nil, 404, "NotFoundError", ""},
		"snapshots of no site":         {"GET", "/api/snapshots?site=x", nil, 404, "NotFoundError", ""},
		"no cron":                      {"POST", "/api/schedules", body{"name": "n", "cron": "daily", "from": "default", "to": "copy"}, 400, "ValidationError", "five fields"},
		"a cron with a zone":           {"POST", "/api/schedules", body{"name": "n", "cron": "TZ=UTC @daily", "from": "default", "to": "copy"}, 400, "ValidationError", "time zone"},
		"a zone that is none":          {"POST", "/api/schedules", body{"name": "n", "cron": "@daily", "timeZone": "Mars", "from": "default", "to": "copy"}, 400, "ValidationError", "Europe/Berlin"},
		"never":                        {"POST", "/api/schedules", body{"name": "n", "cron": "0 0 30 2 *", "from": "default", "to": "copy"}, 400, "ValidationError", "never"},
		"a schedule without a name":    {"POST", "/api/schedules", body{"cron": "@daily", "from": "default", "to": "copy"}, 400, "ValidationError", "name"},
		"a schedule of strangers":      {"POST", "/api/schedules", body{"name": "n", "cron": "@daily", "from": "x", "to": "copy"}, 400, "ValidationError", "neither a site"},
		"a good schedule":              {"POST", "/api/schedules", schedule, 201, "", ""},
		"no such schedule":             {"DELETE", "/api/schedules/x", nil, 404, "NotFoundError", ""},
		"no such schedule to change":   {"PUT", "/api/schedules/x", schedule, 404, "NotFoundError", ""},
		"sites":                        {"GET", "/api/sites", nil, 200, "", ""},
		"remotes":                      {"GET", "/api/remotes", nil, 200, "", ""},
		"snapshots":                    {"GET", "/api/snapshots", nil, 200, "", ""},
		"the document":                 {"GET", "/api/openapi.json", nil, 200, "", ""},
		"the head of a list":           {"HEAD", "/api/jobs", nil, 200, "", ""},
	} {
		a := j.ask(tt.method, tt.path, j.admin, tt.body)
		require.Equal(t, tt.status, a.StatusCode, "%s: %+v", name, a.Error)
		if tt.error != "" {
			require.Equal(t, tt.error, a.Error.Name, name)
			require.Equal(t, tt.status, a.Error.Status, name)
			require.Contains(t, a.Error.Message, tt.says, name)
			require.Equal(t, "null", string(a.Data), name)
		}
		if tt.path == "/api/openapi.json" {
			continue
		}
		none := j.ask(tt.method, tt.path, "", nil)
		if tt.status != 404 && tt.status != 405 || strings.Contains(tt.path, "jobs/") {
			require.Equal(t, http.StatusUnauthorized, none.StatusCode, "%s, without a token", name)
		}
	}
	require.Equal(t, "GET, POST", j.ask(http.MethodPatch, "/api/jobs", j.admin, nil).Header.Get("Allow"))
}

func TestATokenSeesAndDoesWhatItIsFor(t *testing.T) {
	t.Parallel()
	j := newJobRig(t, &site{content: transfertest.Sample()}, func(c *server.Config) {
		c.Jobs.Remotes = map[string]server.Remote{"prod": {Site: &site{content: transfertest.Sample()}, Address: "https://prod.example.org/admin"}}
	})
	grant := func(site string, permissions ...protocol.Direction) string {
		_, secret := j.grant(token.Spec{Name: "some", Site: site, Permissions: permissions})
		return secret
	}
	tokens := map[string]string{
		"admin": j.admin, "all": j.secret, "pull": grant("", protocol.Pull), "copy": grant("copy", protocol.Push, protocol.Pull),
		"jobs": grant("", token.Jobs),
	}
	job := j.ended(j.start(tokens["all"], body{"from": "default", "to": "blog"}))
	require.Equal(t, jobs.StateCompleted, job.State)
	path := "/api/jobs/" + string(job.ID)
	ticket := func() string {
		a := j.ask(http.MethodPost, path+"/run-again", tokens["all"], nil)
		var started struct{ AuthToken string }
		require.NoError(t, json.Unmarshal(a.Data, &started))
		return started.AuthToken
	}()
	tokens["ticket of another job"], tokens["forged"] = ticket, ticket[:len(ticket)-4]+"AAAA"
	for name, tt := range map[string]struct {
		method, path string
		body         any
		want         map[string]int
	}{
		"see a job":      {"GET", path, nil, map[string]int{"admin": 200, "all": 200, "pull": 200, "copy": 404, "jobs": 200, "ticket of another job": 404, "forged": 401}},
		"cancel a job":   {"DELETE", path, nil, map[string]int{"admin": 200, "all": 200, "pull": 403, "copy": 404, "jobs": 200, "ticket of another job": 404}},
		"list remotes":   {"GET", "/api/remotes", nil, map[string]int{"admin": 200, "all": 403, "pull": 403, "copy": 403, "jobs": 200, "ticket of another job": 403}},
		"list schedules": {"GET", "/api/schedules", nil, map[string]int{"admin": 200, "all": 403, "jobs": 200, "ticket of another job": 403}},
		"schedule": {
			"POST", "/api/schedules",
			body{"name": "n", "cron": "@yearly", "from": "prod", "to": "copy"},
			map[string]int{"admin": 201, "all": 403, "pull": 403, "copy": 403, "jobs": 201, "ticket of another job": 403},
		},
		"copy a site":      {"POST", "/api/jobs", body{"from": "default", "to": "copy"}, map[string]int{"admin": 202, "all": 202, "pull": 403, "copy": 403, "ticket of another job": 403}},
		"use a remote":     {"POST", "/api/jobs", body{"from": "prod", "to": "copy"}, map[string]int{"admin": 202, "all": 403, "pull": 403, "copy": 403, "jobs": 202}},
		"write to it":      {"POST", "/api/jobs", body{"from": "copy", "to": "prod"}, map[string]int{"admin": 202, "all": 403, "copy": 403}},
		"another's report": {"GET", path + "/report", nil, map[string]int{"admin": 200, "all": 200, "copy": 404, "forged": 401}},
	} {
		for who, status := range tt.want {
			require.Equal(t, status, j.ask(tt.method, tt.path, tokens[who], tt.body).StatusCode, "%s: %s", who, name)
		}
	}
	for who, n := range map[string]int{"all": 0, "copy": 1} {
		list := j.ask(http.MethodGet, "/api/jobs?pageSize=200", tokens[who], nil)
		var found []jobs.Job
		require.NoError(t, json.Unmarshal(list.Data, &found))
		for _, f := range found {
			require.True(t, n == 0 || f.From == "copy" || f.To == "copy", "%s sees %s to %s", who, f.From, f.To)
		}
		require.NotEmpty(t, found)
	}
	var sites []server.Endpoint
	require.NoError(t, json.Unmarshal(j.ask(http.MethodGet, "/api/sites", tokens["copy"], nil).Data, &sites))
	require.Len(t, sites, 1)

	// A token for one transfer is spent by starting one; who has it may still follow that.
	once, secret := j.grant(token.Spec{Name: "once", Once: true})
	a := j.ask(http.MethodPost, "/api/jobs", secret, body{"from": "default", "to": "copy"})
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	var started struct{ JobID, AuthToken string }
	require.NoError(t, json.Unmarshal(a.Data, &started))
	require.Equal(t, http.StatusUnauthorized, j.ask(http.MethodPost, "/api/jobs", secret, body{"from": "default", "to": "copy"}).StatusCode)
	require.Equal(t, http.StatusOK, j.ask(http.MethodGet, "/api/jobs/"+started.JobID, started.AuthToken, nil).StatusCode)
	_, err := j.tokens.Revoke(t.Context(), once.ID)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return j.ask(http.MethodGet, "/api/jobs/"+started.JobID, started.AuthToken, nil).StatusCode == http.StatusUnauthorized
	}, 5*time.Second, 10*time.Millisecond, "a ticket is void when its token is")
}

func TestPollingIsLimited(t *testing.T) {
	t.Parallel()
	j := newJobRig(t, &site{content: transfertest.Sample()})
	id := j.start(j.admin, body{"from": "default", "to": "copy"})
	other := j.start(j.admin, body{"from": "default", "to": "blog"})
	for i := range 30 {
		require.Less(t, j.ask(http.MethodGet, "/api/jobs/"+string(id), j.admin, nil).StatusCode, 400, i)
	}
	a := j.ask(http.MethodGet, "/api/jobs/"+string(id), j.admin, nil)
	require.Equal(t, http.StatusTooManyRequests, a.StatusCode)
	require.Regexp(t, `^([1-9]|[1-5]\d|60)$`, a.Header.Get("Retry-After"))
	require.Equal(t, "RateLimitError", a.Error.Name)
	require.Equal(t, http.StatusOK, j.ask(http.MethodGet, "/api/jobs/"+string(other), j.admin, nil).StatusCode, "of another job")
	require.Equal(t, http.StatusOK, j.ask(http.MethodGet, "/api/jobs/"+string(id), j.secret, nil).StatusCode, "with another token")
}

func TestOnlyPagesOfTheListMayUseTheAPI(t *testing.T) {
	t.Parallel()
	j := newJobRig(t, &site{content: transfertest.Sample()}, func(c *server.Config) { c.Origins = []string{"https://ops.example.org"} })
	for origin, allowed := range map[string]bool{
		"https://ops.example.org": true, "https://ops.example.org.evil.example": false, "http://ops.example.org": false, "null": false,
		"https://sub.ops.example.org": false, "https://OPS.example.org:443": false,
	} {
		preflight := j.ask(http.MethodOptions, "/api/jobs", "", nil, "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
		plain := j.ask(http.MethodGet, "/api/jobs", j.admin, nil, "Origin", origin)
		for _, a := range []answered{preflight, plain} {
			want := ""
			if allowed {
				want = origin
			}
			require.Equal(t, want, a.Header.Get("Access-Control-Allow-Origin"), origin)
			require.Empty(t, a.Header.Get("Access-Control-Allow-Credentials"))
		}
	}
}

// tripwire counts connections.
func tripwire(t *testing.T) (address string, touched *atomic.Int64) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	touched = &atomic.Int64{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			touched.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String(), touched
}

func TestTheServerConnectsToNothingThatAClientNames(t *testing.T) {
	t.Parallel()
	address, touched := tripwire(t)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	redirect := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+address+"/admin", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(redirect.Close)
	j := newJobRig(t, &site{content: transfertest.Sample()}, func(c *server.Config) {
		c.Jobs.Remotes = map[string]server.Remote{"bounce": {Site: remoteSite{redirect.URL + "/admin"}, Address: redirect.URL}}
		c.Jobs.Options.Backoff = time.Millisecond
	})
	rows := []string{
		"http://" + address, "http://" + address + "/admin", "https://" + address, "ws://" + address, "HTTP://" + address, "//" + address, address,
		"127.0.0.1", "http://localhost:" + port, "http://127.1:" + port, "http://2130706433:" + port, "http://0x7f000001:" + port, "http://0177.0.0.1:" + port,
		"http://[::1]:" + port, "http://[::ffff:127.0.0.1]:" + port, "http://0.0.0.0:" + port, "http://127.0.0.1.nip.io:" + port,
		"http://default@" + address, "default@" + address, "default@http://" + address, "http://" + address + "#default", "http://" + address + "?default",
		"default/../http://" + address, "bounce/../../x", "bounce@" + address, "bounce http://" + address, "bounce\nhttp://" + address, " default", "default ",
		"DEFAULT", "vault:default", "dir:/etc", "/etc/passwd", "file:///etc/passwd", "sqlite:/tmp/x", "postgres://" + address + "/x", "gopher://" + address,
		"http://169.254.169.254/latest/meta-data", "strapi:.", "./backup.tar.gz", "", "@", "default@", strings.Repeat("x", 5000),
	}
	for _, row := range rows {
		for _, ends := range []body{{"from": row, "to": "copy"}, {"from": "default", "to": row}} {
			a := j.ask(http.MethodPost, "/api/jobs", j.admin, ends)
			require.Equal(t, http.StatusBadRequest, a.StatusCode, "%.100q", row)
			require.Less(t, len(a.Error.Message), 1000)
			ends["name"], ends["cron"] = "n", "* * * * *"
			require.Equal(t, http.StatusBadRequest, j.ask(http.MethodPost, "/api/schedules", j.admin, ends).StatusCode, "%.100q", row)
		}
	}
	for _, ends := range []body{{"from": "bounce", "to": "copy"}, {"from": "default", "to": "bounce"}} {
		job := j.ended(j.start(j.admin, ends))
		require.Equal(t, jobs.StateFailed, job.State)
		require.Equal(t, "connection", job.Error.Code, job.Error.Message)
	}
	require.Zero(t, touched.Load())
	_, n, err := j.store.List(t.Context(), jobs.Query{})
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

// remoteSite is a server elsewhere, as the command makes one.
type remoteSite struct{ url string }

func (s remoteSite) Source(context.Context) (transfer.Source, error) {
	return remote.NewSource(s.url, remote.Options{Token: "elsewhere-secret", CloseTimeout: time.Second}), nil
}

func (s remoteSite) Destination(context.Context, string) (transfer.Destination, error) {
	return remote.NewDestination(s.url, remote.Options{Token: "elsewhere-secret", CloseTimeout: time.Second}), nil
}

func TestSchedulesAreKeptChangedAndStarted(t *testing.T) {
	t.Parallel()
	j := newJobRig(t, &site{content: transfertest.Sample()})
	a := j.ask(http.MethodPost, "/api/schedules", j.admin, body{"name": "nightly", "cron": "30 2 * * *", "timeZone": "Europe/Berlin", "from": "default", "to": "copy"})
	require.Equal(t, http.StatusCreated, a.StatusCode)
	var s jobs.Schedule
	require.NoError(t, json.Unmarshal(a.Data, &s))
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	require.Equal(t, "02:30", s.Next.In(berlin).Format("15:04"))
	path := a.Header.Get("Location")
	a = j.ask(http.MethodPut, path, j.admin, body{"name": "often", "cron": "@every 1s", "from": "default", "to": "copy"})
	require.Equal(t, http.StatusOK, a.StatusCode, a.Error)
	require.Eventually(t, func() bool {
		found := j.ask(http.MethodGet, "/api/jobs?state=completed&schedule="+s.ID, j.admin, nil)
		return strings.Contains(string(found.Meta), `"total":2`) || strings.Contains(string(found.Meta), `"total":3`)
	}, 20*time.Second, 50*time.Millisecond)
	require.Equal(t, http.StatusNoContent, j.ask(http.MethodDelete, path, j.admin, nil).StatusCode)
	require.Equal(t, "[]", string(j.ask(http.MethodGet, "/api/schedules", j.admin, nil).Data))
}
