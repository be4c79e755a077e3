package dashboard_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// between is what is between two texts.
func between(tb testing.TB, text, before, after string) string {
	tb.Helper()
	_, rest, ok := strings.Cut(text, before)
	require.True(tb, ok, "no %q in %s", before, text)
	found, _, ok := strings.Cut(rest, after)
	require.True(tb, ok)
	return html.UnescapeString(found)
}

// field is a member of the data of an answer of the API.
func field(tb testing.TB, res *http.Response, name string) string {
	tb.Helper()
	var body struct{ Data map[string]any }
	text, err := io.ReadAll(res.Body)
	require.NoError(tb, err)
	require.NoError(tb, json.Unmarshal(text, &body), string(text))
	value, _ := body.Data[name].(string)
	return value
}

func TestASyncIsCheckedFirstAndThenStarted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, _ := r.signedIn(everything())
	form := b.get("/start").text
	for _, name := range []string{"production", "shadow", "staging"} {
		require.Contains(t, form, `value="`+name+`"`)
	}
	check := idOf(t, b.post("/start", url.Values{"from": {"production"}, "to": {"shadow"}, "action": {"check"}, "part": {"content", "files"}}))
	j := r.ended(check)
	require.Equal(t, jobs.StateCompleted, j.State)
	require.True(t, j.Options.DryRun)
	require.Len(t, j.Options.Only, 2)
	page := b.get("/jobs/" + string(check))
	page.shows(t, "Checked: this can be done")
	page.shows(t, "Plan")
	page.shows(t, "--dry-run")
	page.lacks(t, "data-live")

	job := idOf(t, b.post("/jobs/"+string(check)+"/go", nil))
	j = r.ended(job)
	require.Equal(t, jobs.StateCompleted, j.State, j.Error)
	require.False(t, j.Options.DryRun)
	require.Equal(t, check, j.RerunOf)
	page = b.get("/jobs/" + string(job))
	page.shows(t, "Everything is accounted for")
	require.Contains(t, strings.NewReplacer("<span>", "", "</span>", "").Replace(page.text),
		">transfer job start --server "+r.http.URL+" --from production --to shadow --only content,files<")
	for _, stage := range []string{"Schemas", "Entities", "Files", "Links", "Configuration"} {
		page.shows(t, stage)
	}
	res := b.get("/jobs/" + string(job) + "/report.json")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.True(t, json.Valid([]byte(res.text)))
	require.Contains(t, res.Header.Get("Content-Disposition"), "attachment")
	require.Equal(t, http.StatusOK, b.get("/jobs/"+string(job)+"/log.txt").StatusCode)
}

func TestToReplaceARemoteItsNameIsWritten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, _ := r.signedIn(everything())
	form := url.Values{"from": {"production"}, "to": {"staging"}, "action": {"ask"}}
	ask := b.post("/start", form)
	require.Equal(t, http.StatusOK, ask.StatusCode)
	require.Contains(t, ask.text, "replaces the content of <strong>staging</strong>")
	form.Set("action", "go")
	for _, wrong := range []string{"", "production", "stag"} {
		form.Set("confirm", wrong)
		res := b.post("/start", form)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Contains(t, res.text, "write its name")
	}
	_, total, err := r.server.Jobs().List(t.Context(), jobs.Query{})
	require.NoError(t, err)
	require.Zero(t, total)
	form.Set("confirm", "staging")
	job := idOf(t, b.post("/start", form))
	require.Equal(t, jobs.StateCompleted, r.ended(job).State)

	require.Equal(t, http.StatusUnprocessableEntity, b.post("/jobs/"+string(job)+"/rerun", nil).StatusCode)
	again := idOf(t, b.post("/jobs/"+string(job)+"/rerun", url.Values{"confirm": {"staging"}}))
	require.Equal(t, job, r.ended(again).RerunOf)
}

func TestAFormThatCannotBeIsGivenBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, _ := r.signedIn(everything())
	for said, change := range map[string]url.Values{
		"choose where":       {"to": {""}},
		"are the same":       {"to": {"production"}},
		"neither a site nor": {"to": {"https://evil.example.org"}},
		"whole number":       {"skipped": {"many"}},
		"MiB a second":       {"rate": {"-1"}},
		"schemaStrategy":     {"schemas": {"<b>"}},
	} {
		form := url.Values{"from": {"production"}, "to": {"shadow"}, "action": {"check"}, "types": {"api::x.x"}}
		maps.Copy(form, change)
		res := b.post("/start", form)
		require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode, said)
		require.Contains(t, strings.ToLower(html.UnescapeString(between(t, res.text, `role="alert">`, "</p>"))), strings.ToLower(said))
		require.Contains(t, res.text, "api::x.x", "what was filled in stays")
	}
}

func TestHostileTextIsOnlyText(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'`
	r.production.fail(fmt.Errorf("%w: %s", transfer.ErrDamaged, evil))
	b, _ := r.signedIn(token.Spec{Name: evil, Permissions: everything().Permissions})
	job := idOf(t, b.post("/start", url.Values{"from": {"production"}, "to": {"shadow"}, "action": {"check"}, "types": {evil}, "without": {"1"}}))
	require.Equal(t, jobs.StateFailed, r.ended(job).State)
	_, err := r.server.Jobs().AddSchedule(t.Context(), jobs.Schedule{Name: evil, Cron: "@daily", Kind: jobs.KindSync, From: "production", To: "shadow"})
	require.NoError(t, err)
	q := url.QueryEscape(evil)
	for _, path := range []string{
		"/", "/jobs/" + string(job), "/tokens", "/schedules", "/?q=" + q, "/?state=" + q + "&kind=" + q + "&site=" + q, "/start?from=" + q + "@1&types=" + q,
		"/login?next=" + q, "/jobs/" + q, "/?done=" + q, "/nothing/" + q,
	} {
		res := b.get(path)
		require.NotContains(t, res.text, "<script>alert", path)
		require.NotContains(t, res.text, "<img", path)
	}
	text := strings.Join(collect(t, b, "/live/jobs", 1), "")
	require.Contains(t, text, "script")
	require.NotContains(t, text, "<script>alert")
	require.NotContains(t, text, "<img")
}

// event is one of a stream.
type event struct {
	name string
	data map[string]any
}

// follow reads a stream until stop says so.
func follow(tb testing.TB, b *browser, path string, stop func(event) bool) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, b.rig.http.URL+path, http.NoBody)
	require.NoError(tb, err)
	res, err := b.client.Do(req)
	require.NoError(tb, err)
	defer res.Body.Close()
	require.Equal(tb, http.StatusOK, res.StatusCode)
	require.Equal(tb, "text/event-stream", res.Header.Get("Content-Type"))
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 8<<20)
	var e event
	for lines.Scan() {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "event: "):
			e = event{name: strings.TrimPrefix(line, "event: ")}
		case strings.HasPrefix(line, "data: "):
			require.NoError(tb, json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &e.data))
		case line == "":
			if stop(e) {
				return
			}
		}
	}
}

// collect returns the HTML of the first pictures of a stream.
func collect(tb testing.TB, b *browser, path string, n int) (out []string) {
	tb.Helper()
	follow(tb, b, path, func(e event) bool {
		if parts, ok := e.data["parts"].(map[string]any); ok {
			for _, html := range parts {
				text, _ := html.(string)
				out = append(out, text)
			}
			n--
		}
		return n <= 0
	})
	return out
}

func TestAJobIsFollowedToItsEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, _ := r.signedIn(everything())
	release := r.production.hold(t)
	job := idOf(t, b.post("/start", url.Values{"from": {"production"}, "to": {"shadow"}, "action": {"go"}}))
	b.get("/jobs/"+string(job)).shows(t, `data-live="/live/jobs/`+string(job)+`"`)
	pictures, last := 0, ""
	follow(t, b, "/live/jobs/"+string(job), func(e event) bool {
		if parts, ok := e.data["parts"].(map[string]any); ok {
			if head, ok := parts["head"].(string); ok {
				last = head
			}
			if pictures++; pictures == 1 {
				for _, name := range []string{"head", "actions", "stages", "types", "outcome", "facts"} {
					require.Contains(t, parts, name, "the first picture is whole")
				}
				release()
			}
		}
		return e.data["end"] == true
	})
	require.Contains(t, last, "Completed")
	require.Greater(t, pictures, 1)
}

func TestAStreamEndsWhenItsTokenDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, tok := r.signedIn(everything())
	began := time.Now()
	follow(t, b, "/live/server", func(event) bool {
		_, err := r.tokens.Revoke(t.Context(), tok.ID)
		require.NoError(t, err)
		return false
	})
	require.Less(t, time.Since(began), 20*time.Second)
}

func TestAJobIsCancelledAndSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, _ := r.signedIn(everything())
	release := r.production.hold(t)
	defer release()
	job := idOf(t, b.post("/start", url.Values{"from": {"production"}, "to": {"shadow"}, "action": {"go"}}))
	require.Equal(t, "/jobs/"+string(job), b.post("/jobs/"+string(job)+"/cancel", nil).Header.Get("Location"))
	require.Equal(t, jobs.StateCancelled, r.ended(job).State)
	require.Equal(t, "/jobs/"+string(job), b.post("/jobs/"+string(job)+"/cancel", nil).Header.Get("Location"), "twice does no harm")
	page := b.get("/jobs/" + string(job))
	page.shows(t, "Cancelled")
	page.lacks(t, `/cancel"`)
}

func TestTheListIsFilteredAndCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, _ := r.signedIn(everything())
	good := idOf(t, b.post("/start", url.Values{"from": {"production"}, "to": {"shadow"}, "action": {"go"}}))
	r.ended(good)
	r.production.fail(errors.New("no"))
	bad := idOf(t, b.post("/start", url.Values{"from": {"production"}, "to": {"staging"}, "action": {"go"}, "confirm": {"staging"}}))
	r.ended(bad)
	for query, want := range map[string][2]bool{
		"":                 {true, true},
		"?state=completed": {true, false},
		"?state=failed":    {false, true},
		"?site=shadow":     {true, false},
		"?site=staging":    {false, true},
		"?kind=push":       {false, false},
		"?kind=sync":       {true, true},
		"?since=hour":      {true, true},
		"?q=stag":          {false, true},
		"?page=2":          {false, false},
		"?page=-3":         {true, true},
		"?state=nonsense":  {true, true},
	} {
		page := b.get("/" + query).text
		require.Equal(t, want[0], strings.Contains(page, "/jobs/"+string(good)), query)
		require.Equal(t, want[1], strings.Contains(page, "/jobs/"+string(bad)), query)
	}
	page := b.get("/?site=shadow")
	page.shows(t, `href="/?site=shadow&amp;state=completed">Completed <span class="n">1</span>`)
	page.shows(t, `href="/?site=shadow&amp;state=failed">Failed <span class="n">0</span>`)
	require.Contains(t, b.get("/?q=none").text, "No job matches")
}

func TestSchedulesAreMadePausedAndDeleted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, _ := r.signedIn(everything())
	require.Contains(t, b.get("/schedules").text, "No schedules")
	form := url.Values{"name": {"Nightly"}, "kind": {"sync"}, "from": {"production"}, "to": {"shadow"}, "every": {"day"}, "time": {"02:30"}, "zone": {"Europe/Berlin"}}
	require.Equal(t, "/schedules?done=scheduled", b.post("/schedules", form).Header.Get("Location"))
	list, err := r.server.Jobs().Schedules(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "30 2 * * *", list[0].Cron)
	require.Contains(t, b.get("/schedules").text, "Every day at 02:30 Europe/Berlin")
	for action, paused := range map[string]bool{"pause": true, "resume": false} {
		require.Equal(t, http.StatusSeeOther, b.post("/schedules/"+list[0].ID+"/"+action, nil).StatusCode)
		now, err := r.server.Jobs().Schedules(t.Context())
		require.NoError(t, err)
		require.Equal(t, paused, now[0].Paused, action)
	}
	job := r.ended(idOf(t, b.post("/schedules/"+list[0].ID+"/run", nil)))
	require.Equal(t, list[0].ID, job.Schedule)
	require.Equal(t, http.StatusSeeOther, b.post("/schedules/"+list[0].ID+"/delete", nil).StatusCode)
	require.Equal(t, http.StatusNotFound, b.post("/schedules/"+list[0].ID+"/delete", nil).StatusCode)
	for _, change := range []url.Values{{"every": {"never"}}, {"time": {"25:00"}}, {"zone": {"Nowhere"}}, {"to": {"nowhere"}}, {"name": {""}}, {"every": {"cron"}, "cron": {"x"}}} {
		bad := maps.Clone(form)
		maps.Copy(bad, change)
		res := b.post("/schedules", bad)
		require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode, change)
		require.Contains(t, res.text, `role="alert"`)
	}
}

func TestTheServerShowsItsFigures(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, _ := r.signedIn(token.Spec{Name: "reader", Permissions: []protocol.Direction{protocol.Pull}})
	page := b.get("/server")
	for _, figure := range []string{"Transfers running", "Watching now", "Received", "Sent", "Errors", "Messages", "memory in use"} {
		page.shows(t, figure)
	}
	require.Contains(t, strings.Join(collect(t, b, "/live/server", 1), ""), "Watching now")
}
