package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// pages are all that can be looked at.
func pages() []string {
	return []string{
		"/", "/?state=failed", "/jobs/0190f0f0-0000-7000-8000-000000000000", "/jobs/0190f0f0-0000-7000-8000-000000000000/report.json",
		"/jobs/0190f0f0-0000-7000-8000-000000000000/log.txt", "/start", "/schedules", "/sites", "/remotes", "/tokens", "/server", "/nothing",
	}
}

func TestNobodySeesAnythingWithoutSigningIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	for _, path := range pages() {
		res := b.get(path)
		require.Equal(t, http.StatusSeeOther, res.StatusCode, path)
		require.True(t, strings.HasPrefix(res.Header.Get("Location"), "/login"), path)
		require.NotContains(t, res.text, "production")
	}
	for _, path := range []string{"/live/jobs", "/live/jobs/x", "/live/server", "/session"} {
		require.Equal(t, http.StatusUnauthorized, b.get(path).StatusCode, path)
	}
	for _, path := range []string{"/start", "/jobs/x/cancel", "/schedules", "/tokens", "/tokens/x/revoke"} {
		res := b.post(path, url.Values{"from": {"production"}, "to": {"shadow"}, "action": {"go"}})
		require.Equal(t, http.StatusSeeOther, res.StatusCode, path)
		require.Equal(t, "/login", res.Header.Get("Location"))
	}
	_, total, err := r.server.Jobs().List(t.Context(), jobs.Query{})
	require.NoError(t, err)
	require.Zero(t, total)
	require.Equal(t, http.StatusOK, b.get("/login").StatusCode)
}

func TestEveryAnswerForbidsWhatItDoesNotNeed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in, _ := r.signedIn(everything())
	for _, b := range []*browser{r.browser(), in} {
		for _, path := range append(pages(), "/login", "/static/none") {
			h := b.get(path).Header
			csp := h.Get("Content-Security-Policy")
			require.Contains(t, csp, "default-src 'none'", path)
			require.Contains(t, csp, "script-src 'self'", path)
			require.Contains(t, csp, "frame-ancestors 'none'", path)
			require.NotContains(t, csp, "unsafe", path)
			require.NotContains(t, csp, "http", path)
			require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
			require.Equal(t, "no-store", h.Get("Cache-Control"), path)
		}
	}
}

func TestPagesNeedNothingThatThePolicyForbids(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, _ := r.signedIn(everything())
	id := idOf(t, b.post("/start", url.Values{"from": {"production"}, "to": {"shadow"}, "action": {"check"}}))
	r.ended(id)
	for _, path := range append(pages(), "/login", "/jobs/"+string(id)) {
		text := strings.ToLower(b.get(path).text)
		for _, bad := range []string{" style=", "<style", "onclick=", "onload=", "javascript:", "src=\"http", "href=\"http", "src=\"//", "@import"} {
			require.NotContains(t, text, bad, path)
		}
		require.Equal(t, strings.Count(text, "<script"), strings.Count(text, "<script type=\"module\" src=\"/static/"), path)
	}
}

func TestOnlyAGoodTokenSignsIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, once := r.grant(token.Spec{Name: "once", Once: true})
	revoked, gone := r.grant(token.Spec{Name: "gone"})
	_, err := r.tokens.Revoke(t.Context(), revoked.ID)
	require.NoError(t, err)
	_, good := r.grant(everything())
	for _, c := range []struct{ name, text, said string }{
		{"nothing", "", "not a token"},
		{"something", "abc", "not a token"},
		{"a forgery", good[:len(good)-4] + "AAAA", "not a token"},
		{"one that was revoked", gone, "revoked"},
		{"one for one transfer", once, "one transfer only"},
	} {
		b := r.browser()
		res := b.post("/login", url.Values{"token": {c.text}})
		require.Equal(t, http.StatusUnauthorized, res.StatusCode, c.name)
		require.Contains(t, res.text, c.said, c.name)
		require.Empty(t, res.Cookies(), c.name)
		require.NotContains(t, res.text, good[:40], c.name)
	}
	res := r.browser().post("/login", url.Values{"token": {" " + good + "\n"}, "next": {"/sites?x=1"}})
	require.Equal(t, http.StatusSeeOther, res.StatusCode)
	require.Equal(t, "/sites?x=1", res.Header.Get("Location"))
	cookie := res.Cookies()[0]
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.Equal(t, "/", cookie.Path)
	require.NotContains(t, cookie.Value, good[:20])
}

func TestOverTLSTheCookieIsSecure(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, good := r.grant(everything())
	b := r.browser()
	b.header.Set("X-Forwarded-Proto", "https")
	cookie := b.post("/login", url.Values{"token": {good}}).Cookies()[0]
	require.True(t, cookie.Secure)
	require.True(t, strings.HasPrefix(cookie.Name, "__Host-"))
}

// The short-lived token that a client gets for the feeds of one job must not become a session that can do all that its token can.
func TestTheTokenOfOneJobSignsNobodyIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	release := r.production.hold(t)
	defer release()
	_, good := r.grant(everything())
	b := r.browser()
	b.header.Set("Authorization", "Bearer "+good)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.http.URL+"/api/jobs", strings.NewReader(`{"from":"production","to":"shadow"}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+good)
	req.Header.Set("Content-Type", "application/json")
	res, err := b.client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusAccepted, res.StatusCode)
	ticket := field(t, res, "authToken")
	require.NotEmpty(t, ticket)
	require.Equal(t, http.StatusUnauthorized, r.browser().post("/login", url.Values{"token": {ticket}}).StatusCode)
}

func TestASessionEndsWithItsToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, tok := r.signedIn(everything())
	require.Equal(t, http.StatusOK, b.get("/").StatusCode)
	_, err := r.tokens.Revoke(t.Context(), tok.ID)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.get("/").StatusCode == http.StatusSeeOther }, 5*time.Second, 5*time.Millisecond)
	require.Equal(t, http.StatusUnauthorized, b.get("/session").StatusCode)
}

func TestASessionEndsByItself(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	idle, _ := r.signedIn(everything())
	r.now.advance(2*time.Hour + time.Second)
	require.Equal(t, http.StatusSeeOther, idle.get("/").StatusCode)

	busy, _ := r.signedIn(everything())
	for range 12 {
		require.Equal(t, http.StatusOK, busy.get("/").StatusCode)
		r.now.advance(time.Hour)
	}
	require.Equal(t, http.StatusSeeOther, busy.get("/").StatusCode)
}

func TestACookieThatWasChangedIsNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, _ := r.signedIn(everything())
	other, _ := r.signedIn(token.Spec{Name: "other", Permissions: []protocol.Direction{protocol.Pull}})
	at, err := url.Parse(r.http.URL)
	require.NoError(t, err)
	mine, theirs := b.client.Jar.Cookies(at)[0].Value, other.client.Jar.Cookies(at)[0].Value
	head, tail, _ := strings.Cut(mine, ".")
	otherHead, otherTail, _ := strings.Cut(theirs, ".")
	for _, value := range []string{"", ".", head, head + ".", "." + tail, head + "." + otherTail, otherHead + "." + tail, head + "=." + tail, mine + "A", mine[:len(mine)-1]} {
		forged := r.browser()
		forged.client.Jar.SetCookies(at, []*http.Cookie{{Name: "transfer_session", Value: value}})
		require.Equal(t, http.StatusSeeOther, forged.get("/").StatusCode, value)
	}
}

func TestSigningOutRemovesTheCookie(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, _ := r.signedIn(everything())
	require.Equal(t, "/login", b.post("/logout", nil).Header.Get("Location"))
	require.Equal(t, http.StatusSeeOther, b.get("/").StatusCode)
}

func TestAnotherPageChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, _ := r.signedIn(everything())
	form := url.Values{"from": {"production"}, "to": {"shadow"}, "action": {"go"}, "token": {"x"}, "name": {"x"}, "pull": {"1"}, "days": {"1"}}
	for name, header := range map[string]http.Header{
		"another site":           {"Sec-Fetch-Site": {"cross-site"}},
		"another host of ours":   {"Sec-Fetch-Site": {"same-site"}},
		"an old browser":         {"Origin": {"https://evil.example.org"}},
		"a page without a place": {"Origin": {"null"}},
	} {
		b.header = header
		for _, path := range []string{"/start", "/tokens", "/schedules", "/logout", "/login", "/jobs/x/cancel"} {
			res := b.post(path, form)
			require.Equal(t, http.StatusForbidden, res.StatusCode, name+" "+path)
		}
	}
	b.header = http.Header{"Sec-Fetch-Site": {"same-origin"}}
	require.Equal(t, http.StatusOK, b.get("/").StatusCode, "still signed in")
	_, total, err := r.server.Jobs().List(t.Context(), jobs.Query{})
	require.NoError(t, err)
	require.Zero(t, total)
}

func TestALinkFromElsewhereOpensThePageAndNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b := r.browser()
	b.header = http.Header{"Sec-Fetch-Site": {"cross-site"}}
	res := b.get("/sites?x=%22%3E%3Cscript%3E")
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, res.text, `content="0; url=/sites?x=%22%3E%3Cscript%3E"`)
	for _, next := range []string{"//evil.example.org", "https://evil.example.org", `/\evil.example.org`, "javascript:alert(1)", "evil"} {
		require.Contains(t, r.browser().get("/login?next="+url.QueryEscape(next)).text, `name="next" value="/"`, next)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.http.URL, http.NoBody)
	require.NoError(t, err)
	req.URL.Path = "//evil.example.org/x"
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	answer, err := b.client.Do(req)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.NotContains(t, answer.Header.Get("Location"), "//evil")
}

func TestWhatATokenDoesNotPermitIsNeitherOfferedNorDone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	operator, _ := r.signedIn(everything())
	release := r.production.hold(t)
	defer release()
	job := idOf(t, operator.post("/start", url.Values{"from": {"production"}, "to": {"shadow"}, "action": {"go"}}))

	reader, _ := r.signedIn(token.Spec{Name: "reader", Permissions: []protocol.Direction{protocol.Pull}})
	home := reader.get("/").text
	for _, link := range []string{`href="/start"`, `href="/tokens"`, `href="/schedules"`, `href="/remotes"`} {
		require.NotContains(t, home, link)
		require.Contains(t, operator.get("/").text, link)
	}
	page := reader.get("/jobs/" + string(job))
	require.Equal(t, http.StatusOK, page.StatusCode, "who may pull from all sites may look")
	require.NotContains(t, page.text, "/cancel")
	require.Contains(t, operator.get("/jobs/"+string(job)).text, "/cancel")
	for path, form := range map[string]url.Values{
		"/jobs/" + string(job) + "/cancel": {},
		"/schedules":                       {"name": {"x"}, "from": {"production"}, "to": {"shadow"}, "every": {"day"}, "time": {"02:00"}},
		"/schedules/x/delete":              {},
		"/tokens":                          {"name": {"x"}, "pull": {"1"}, "jobs": {"1"}, "days": {"1"}},
		"/tokens/x/revoke":                 {},
	} {
		require.Equal(t, http.StatusForbidden, reader.post(path, form).StatusCode, path)
	}
	for _, path := range []string{"/tokens", "/schedules", "/remotes"} {
		require.Equal(t, http.StatusForbidden, reader.get(path).StatusCode, path)
	}
	res := reader.post("/start", url.Values{"from": {"production"}, "to": {"shadow"}, "action": {"go"}})
	require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode)
	require.Contains(t, res.text, "may not push")

	outsider, _ := r.signedIn(token.Spec{Name: "outsider", Permissions: []protocol.Direction{protocol.Pull, protocol.Push}, Site: "elsewhere"})
	require.Equal(t, http.StatusNotFound, outsider.get("/jobs/"+string(job)).StatusCode)
	require.Equal(t, http.StatusNotFound, outsider.get("/live/jobs/"+string(job)).StatusCode)
	require.Equal(t, http.StatusForbidden, outsider.get("/server").StatusCode)
	require.NotContains(t, outsider.get("/").text, string(job))
	require.NotContains(t, outsider.get("/sites").text, "production")
	release()
	r.ended(job)
}

func TestOnlyATokenForEverythingMakesTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	b, own := r.signedIn(everything())
	res := b.post("/tokens", url.Values{"name": {"ci <b>"}, "pull": {"1"}, "site": {"production"}, "days": {"3"}})
	require.Equal(t, http.StatusOK, res.StatusCode)
	text := between(t, res.text, `<code id="made">`, "</code>")
	made, err := r.tokens.Verify(t.Context(), text)
	require.NoError(t, err)
	require.Equal(t, "ci <b>", made.Name)
	require.Equal(t, []protocol.Direction{protocol.Pull}, made.Permissions)
	require.Equal(t, "production", made.Site)
	require.NotContains(t, res.text, "ci <b>")
	require.NotContains(t, b.get("/tokens").text, text[:60], "it is shown once")

	for _, form := range []url.Values{
		{"name": {"x"}, "days": {"3"}},
		{"name": {""}, "pull": {"1"}, "days": {"3"}},
		{"name": {"x"}, "pull": {"1"}, "days": {"0"}},
		{"name": {"x"}, "jobs": {"1"}, "site": {"production"}, "days": {"3"}},
	} {
		require.Equal(t, http.StatusUnprocessableEntity, b.post("/tokens", form).StatusCode, form)
	}
	require.Equal(t, "/tokens?done=revoked", b.post("/tokens/"+made.ID+"/revoke", nil).Header.Get("Location"))
	_, err = r.tokens.Verify(t.Context(), text)
	require.ErrorIs(t, err, token.ErrInvalid)
	b.post("/tokens/"+own.ID+"/revoke", nil)
	require.Eventually(t, func() bool { return b.get("/").StatusCode == http.StatusSeeOther }, 5*time.Second, 5*time.Millisecond)
}
