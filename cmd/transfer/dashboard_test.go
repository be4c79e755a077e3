package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// bakery is a server with two sites, of which one has two snapshots, and a remote.
func bakery(t *testing.T) *served {
	t.Helper()
	dir := t.TempDir()
	partner := startServe(t, filepath.Join(dir, "partner"))
	file := filepath.Join(dir, "partner.token")
	require.NoError(t, os.WriteFile(file, []byte(partner.token), 0o600))
	config := filepath.Join(dir, "serve.json")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `{"sites":{"production":"vault:production","staging":"vault:staging"},
		"remotes":{"partner":{"url":%q,"tokenFile":%q}}}`, partner.url, file), 0o600))
	s := startServe(t, filepath.Join(dir, "data"), "--config", config)
	site := filepath.Join(dir, "bakery")
	require.NoError(t, unpackSample(site))
	production := strings.Replace(s.url, "/admin", "/production/admin", 1)
	for range 2 {
		code, _, said := s.command("push", "--from", "dir:"+site, "--to", production, "--to-token", s.token, "--yes")
		require.Equal(t, exitOK, code, said)
		// The second one lacks the links.
		require.NoError(t, os.WriteFile(filepath.Join(site, "links", "links_00001.jsonl"), nil, 0o600))
	}
	return s
}

// A real browser drives the dashboard of a real server: an operator's day.
func TestTheDashboardInABrowser(t *testing.T) {
	t.Parallel()
	chromium(t)
	s := bakery(t)
	way := newTunnel(t, host(s.url))
	b := startBrowser(t, way.url())

	signIn(b, s.token)
	followALink(b)
	emptyLists(b)
	watchToTheEnd(b)
	surviveACut(b, way)
	cancelOne(b)
	checkAndGo(b, s)
	restoreTheOlder(b, s)
	examineTheRemote(b)
	makeASchedule(b)
	makeAToken(b)
	everyPageIsForAll(b)
	signOut(b)
	b.quiet()
}

// signIn does so by keyboard alone, by way of a link to another page.
func signIn(b *browser, token string) {
	b.open("/sites")
	b.shows("Sign in to Transfer")
	b.shoot("login")
	const focused = "document.readyState === 'complete' && document.activeElement?.id === 'token'"
	b.until(focused)
	b.do(chromedp.KeyEvent("wrong" + kb.Enter))
	b.ignore(true) // that it was refused is told on the console as well
	b.shows("not a token of this server")
	b.until(focused)
	b.do(chromedp.KeyEvent(token + kb.Enter))
	b.shows("production")
	b.ignore(false)
	require.Equal(b.t, "/sites", eval[string](b, "location.pathname"))
	require.NotContains(b.t, eval[string](b, "document.cookie"), "session", "no script can read it")
	b.do(chromedp.Reload(), chromedp.WaitReady("#main"), chromedp.KeyEvent(kb.Tab))
	require.Equal(b.t, "skip", eval[string](b, "document.activeElement.className"), "the first stop skips the navigation")
	b.do(chromedp.KeyEvent(kb.Enter), chromedp.KeyEvent(kb.Tab))
	require.True(b.t, eval[bool](b, "document.getElementById('main').contains(document.activeElement)"))
	require.NotEqual(b.t, "none", eval[string](b, "getComputedStyle(document.activeElement).outlineStyle"), "focus can be seen")
	b.mu.Lock()
	b.complaints = nil
	b.mu.Unlock()
}

// followALink comes from a page of another site, for which browsers keep the cookie back at first.
func followALink(b *browser) {
	b.do(chromedp.Navigate(strings.Replace(b.base, "127.0.0.1", "localhost", 1)+"/login"), chromedp.WaitReady("#main"))
	eval[bool](b, fmt.Sprintf("(location.href = %q, true)", b.base+"/sites/production"))
	b.until("document.querySelectorAll('.snapshots tbody tr').length === 2")
}

func emptyLists(b *browser) {
	b.open("/?state=failed")
	b.shows("No job matches")
	b.open("/schedules")
	b.shows("No schedules")
}

// prepare starts to start a sync.
func prepare(b *browser, from, to, rate string) {
	b.t.Helper()
	b.open("/start")
	b.do(chromedp.SetValue("#from", from), chromedp.SetValue("#to", to))
	if rate != "" {
		b.click("summary")
		b.do(chromedp.WaitVisible("#rate"), chromedp.SendKeys("#rate", rate))
	}
}

// watchToTheEnd starts a job and looks on, without loading anything again.
func watchToTheEnd(b *browser) {
	prepare(b, "production", "staging", "0.005")
	b.click("button[value=ask]")
	b.shows("This adds a version to staging")
	b.click("button[value=go]")
	b.until("location.pathname.startsWith('/jobs/')")
	b.until("document.querySelector('#stages tr.active progress')")
	eval[bool](b, "window.mine = true") // is gone if the page is loaded anew
	b.shoot("running-light")
	seen := eval[string](b, "document.querySelector('#head .number')?.innerText ?? ''")
	b.until(fmt.Sprintf("document.querySelector('#head .number')?.innerText !== %q", seen))
	b.shows("Everything is accounted for")
	b.until("window.mine && document.querySelectorAll('#stages tr.done').length === 5")
	b.until("document.querySelector('#log').innerText.includes('completed')")
	require.Contains(b.t, eval[string](b, "document.getElementById('command').innerText"), "--from production --to staging")
	b.do(chromedp.SendKeys("#log-search", "nothing has this"))
	b.until("[...document.querySelectorAll('#log li')].every((line) => line.hidden)")
}

// surviveACut loses the connection in the middle of a job.
func surviveACut(b *browser, way *tunnel) {
	prepare(b, "production", "staging", "0.004")
	b.click("button[value=ask]")
	b.click("button[value=go]")
	b.until("document.querySelector('#stages tr.active progress')")
	eval[bool](b, "window.mine = true")
	b.ignore(true)
	way.set(true)
	b.until("!document.getElementById('connection').hidden && document.getElementById('connection').innerText.includes('Reconnecting')")
	b.shoot("reconnecting")
	way.set(false)
	b.until("document.getElementById('connection').hidden || document.getElementById('connection').innerText.includes('Connected again')")
	b.shows("Everything is accounted for")
	b.until("window.mine && document.querySelectorAll('#stages tr.done').length === 5")
	// Nothing of what happened meanwhile is missing, and nothing is there twice.
	b.until("document.querySelector('#log').innerText.includes('completed')")
	log := eval[string](b, "[...document.querySelectorAll('#log li')].map((line) => line.innerText.replaceAll('\\n', ' ')).join('\\n')")
	for _, stage := range []string{"schemas", "entities", "assets", "links", "configuration"} {
		require.Equal(b.t, 1, strings.Count(log, stage+" began"), log)
		require.Equal(b.t, 1, strings.Count(log, stage+" done"), log)
	}
	b.ignore(false)
}

// cancelOne cancels a job that would take long, from the list.
func cancelOne(b *browser) {
	prepare(b, "production", "staging", "0.001")
	b.click("button[value=ask]")
	b.click("button[value=go]")
	b.until("document.querySelector('#stages tr.active')")
	b.click("#live-pause")
	b.shows("Updates are paused")
	b.click("#live-pause")
	b.until("document.getElementById('connection').hidden")
	b.open("/?state=processing")
	b.until("document.querySelectorAll('#list tbody tr').length === 1 && document.querySelector('#list progress')")
	b.click("#list a.row")
	b.click("#actions summary.danger")
	b.click("#actions form[action$='/cancel'] button")
	b.shows("Cancelled")
	b.shows("staging")
	b.until("!document.querySelector('#actions form[action$=\"/cancel\"]')")
	b.shoot("cancelled")
}

// checkAndGo has a plan shown for another server, whose name must be written.
func checkAndGo(b *browser, s *served) {
	prepare(b, "production", "partner", "")
	b.click("button[value=check]")
	b.shows("Checked: this can be done")
	b.shows("Plan")
	b.shows("api::article.article")
	b.shoot("plan")
	// What the page says to be the same on a command line is.
	line := strings.Fields(eval[string](b, "document.getElementById('command').innerText"))
	require.Equal(b.t, "transfer", line[0])
	code, out, said := s.command(append(line[1:], "--token", s.token, "--watch")...)
	require.Equal(b.t, exitOK, code, out+said)
	b.do(chromedp.SendKeys("#confirm", "partner"), chromedp.Click("#actions button.primary"))
	b.shows("partner has the new content")
}

// restoreTheOlder brings back the snapshot from before.
func restoreTheOlder(b *browser, s *served) {
	b.open("/sites")
	b.click("a[href='/sites/production']")
	b.until("document.querySelectorAll('.snapshots tbody tr').length === 2")
	older := eval[string](b, "document.querySelector('.snapshots tbody tr:last-child code').innerText")
	b.click(".filters button")
	b.shows("Compare")
	b.shows("links") // of which the newer one has none
	b.shoot("compare")
	b.open("/sites/production")
	b.click(".snapshots tbody tr:last-child a.button")
	b.shows("Restore a snapshot")
	require.Equal(b.t, "production@"+older, eval[string](b, "document.getElementById('from').value"))
	require.Equal(b.t, "production", eval[string](b, "document.getElementById('to').value"))
	b.click("button[value=ask]")
	b.click("button[value=go]")
	b.shows("production has the new content")
	code, out, said := s.command("snapshot", "diff", "production@"+older, "production", "--data", s.data)
	require.Equal(b.t, exitOK, code, out+said)

	status := eval[[]any](b, `(() => { const x = new XMLHttpRequest(); x.open("GET", "/download/production@`+older+`", false); x.overrideMimeType("text/plain; charset=x-user-defined"); x.send();
		return [x.status, x.getResponseHeader("Content-Disposition"), x.responseText.charCodeAt(0) & 255, x.responseText.charCodeAt(1) & 255]; })()`)
	require.Equal(b.t, []any{200.0, `attachment; filename="production-` + older + `.tar.gz"`, 31.0, 139.0}, status, "a gzip file")
}

func examineTheRemote(b *browser) {
	b.open("/remotes")
	b.click("#partner button")
	b.shows("Nothing found: this server can be used.")
	b.shoot("remotes")
}

func makeASchedule(b *browser) {
	b.open("/schedules")
	b.do(chromedp.SendKeys("#name", "Nightly staging"), chromedp.SetValue("#from", "production"), chromedp.SetValue("#to", "staging"))
	require.True(b.t, eval[bool](b, "document.querySelector('[data-shown=prune]').hidden"), "what another choice needs is not shown")
	b.click("#new button.primary")
	b.shows("The schedule was created.")
	b.shows("Every day at 02:30")
	b.click("form[action$='/pause'] button")
	b.shows("paused")
	b.click("summary.quiet")
	b.click("form[action$='/delete'] button")
	b.shows("No schedules")
}

func makeAToken(b *browser) {
	b.open("/tokens")
	b.click("#new summary")
	b.do(chromedp.WaitVisible("#name"), chromedp.SendKeys("#name", "Continuous integration"))
	b.click("#new button.primary")
	b.shows("is ready")
	require.Equal(b.t, 2, strings.Count(eval[string](b, "document.getElementById('made').innerText"), "."))
	b.click("table tr:nth-child(2) summary, table tr:nth-child(1) summary")
	b.open("/tokens")
	require.False(b.t, eval[bool](b, "document.body.innerText.includes('is ready')"))
}

// everyPageIsForAll looks at all pages, wide and narrow, light and dark: nothing sticks out, everything has a name.
func everyPageIsForAll(b *browser) {
	b.open("/")
	job := eval[string](b, "document.querySelector('#list a.row').getAttribute('href')")
	for name, path := range map[string]string{
		"jobs": "/", "job": job, "start": "/start", "schedules": "/schedules", "sites": "/sites", "site": "/sites/production",
		"remotes": "/remotes", "tokens": "/tokens", "server": "/server",
	} {
		for _, l := range looks() {
			b.as(l)
			b.open(path)
			b.shoot(name + "-" + l.name)
			require.LessOrEqual(b.t, eval[int](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"), 0, name+" "+l.name)
			require.Equal(b.t, 1, eval[int](b, "document.querySelectorAll('h1').length"), name)
			require.Empty(b.t, eval[[]string](b, `[...document.querySelectorAll("input:not([type=hidden]), select")].filter((x) => !x.labels.length).map((x) => x.outerHTML)`), name)
			require.Empty(b.t, eval[[]string](b, `[...document.querySelectorAll("a, button, summary")].filter((x) => !x.textContent.trim()).map((x) => x.outerHTML)`), name)
			require.Empty(b.t, eval[[]string](b, `performance.getEntriesByType("resource").map((x) => x.name).filter((x) => !x.startsWith(location.origin))`), name)
		}
	}
	ground := func() string { return eval[string](b, "getComputedStyle(document.body).backgroundColor") }
	b.as(looks()[0])
	light := ground()
	b.as(looks()[1])
	require.NotEqual(b.t, light, ground())
	b.as(looks()[0])
}

func signOut(b *browser) {
	b.click("form[action='/logout'] button")
	b.shows("Sign in to Transfer")
	b.open("/tokens")
	b.shows("Sign in to Transfer")
}
