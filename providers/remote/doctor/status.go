package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"github.com/transfer-runner/runner/protocol"
)

// answer is what is kept of an HTTP answer.
type answer struct {
	status   int
	strapi   string // name of Strapi's error; "" when the answer is not Strapi's
	message  string
	location string
	html     bool
	text     string // the beginning of the body
}

// maxBody is how much of an answer is looked at.
const maxBody = 64 << 10

func (p *patient) read(res *http.Response) answer {
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxBody)) // what came is enough to tell what it is
	_ = res.Body.Close()
	a := answer{
		status: res.StatusCode, location: res.Header.Get("Location"), text: oneLine(string(body)),
		html: strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") || strings.HasPrefix(strings.TrimSpace(string(body)), "<"),
	}
	var told struct {
		Error struct {
			Name    string `json:"name"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &told) == nil {
		a.strapi, a.message = oneLine(told.Error.Name), oneLine(told.Error.Message)
	}
	for _, name := range []string{"Via", "Server", "Cf-Ray", "X-Amz-Cf-Id", "X-Served-By"} {
		if value := res.Header.Get(name); value != "" && p.behind == "" {
			p.behind = oneLine(value)
			if name != "Server" && name != "Via" {
				p.behind = name
			}
		}
	}
	return a
}

// get asks for a runner as a browser would: without a token and without an upgrade.
func (p *patient) get(ctx context.Context, base string, d protocol.Direction) (answer, error) {
	address, err := protocol.RunnerURL(base, d)
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http"+strings.TrimPrefix(address, "ws"), nil)
	if err != nil {
		return answer{}, err
	}
	maps.Copy(req.Header, p.opts.Header)
	client := http.Client{
		Timeout:       p.opts.Timeout,
		Transport:     &http.Transport{TLSClientConfig: p.opts.TLS, Proxy: p.opts.Proxy, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	return p.read(res), nil
}

// isRunner reports whether an answer to get is a runner's: it asks for a token, or for an upgrade.
func (a answer) isRunner() bool {
	return a.status == http.StatusUnauthorized && a.strapi == protocol.CodeUnauthorized || a.status == http.StatusUpgradeRequired
}

// isPage reports whether the answer is a web page or whatever else is no runner's.
func (a answer) isPage() bool { return a.status >= 200 && a.status < 300 }

// findRunner looks for the runner without a token, at the address given and where it may be instead.
func (p *patient) findRunner(ctx context.Context) *Finding {
	got, err := p.get(ctx, p.base, protocol.Pull)
	if err != nil {
		f := p.transport(err)
		if (f.Problem == HungUp || f.Problem == NotHTTP || f.Problem == TimedOut) && p.speaksTLS(ctx) {
			f = p.notPlain()
		}
		return p.checked("connection", f, "")
	}
	p.checked("connection", nil, "HTTP status "+fmt.Sprint(got.status))
	if got.isRunner() {
		return p.checked("runner", nil, p.base)
	}
	if got.status == http.StatusBadRequest && p.speaksTLS(ctx) {
		return p.checked("runner", p.notPlain(), "")
	}
	if got.status == http.StatusNotFound || got.isPage() || got.status == http.StatusMethodNotAllowed || isRedirect(got.status) {
		if f, found := p.elsewhere(ctx); found {
			return f
		}
	}
	return p.checked("runner", p.refusal(got), "")
}

func (p *patient) notPlain() *Finding {
	return &Finding{
		Problem: NotPlain, Cause: "the server speaks HTTPS at this port",
		Fix: "give " + p.with(func(u *url.URL) { u.Scheme = "https" }) + ", or the port of plain HTTP",
	}
}

// elsewhere looks whether the runner is where it usually is.
func (p *patient) elsewhere(ctx context.Context) (*Finding, bool) {
	if !protocol.HasAdminPath(p.base) {
		admin, err := protocol.WithAdminPath(p.base)
		if err == nil && p.soundsAt(ctx, admin) {
			p.report.Notes = append(p.report.Notes, Finding{
				Problem: MissingAdmin, Cause: "the address lacks " + protocol.AdminPath + ", below which the runner is",
				Fix: "give " + admin + "; this program finds it by itself, Strapi's own tools do not",
			})
			p.base = admin
			return p.checked("runner", nil, admin), true
		}
	}
	root := p.with(func(u *url.URL) { u.Path, u.RawPath = protocol.AdminPath, "" })
	if root != p.base && p.soundsAt(ctx, root) {
		return p.checked("runner", &Finding{
			Problem: WrongPath, Cause: "there is no runner at " + p.base + ", but there is one at " + root, Fix: "give " + root,
		}, ""), true
	}
	return nil, false
}

func (p *patient) soundsAt(ctx context.Context, base string) bool {
	got, err := p.get(ctx, base, protocol.Pull)
	return err == nil && got.isRunner()
}

func isRedirect(status int) bool { return status >= 300 && status < 400 }

// refusal tells what an answer means that is not a runner's to a request without a token.
func (p *patient) refusal(got answer) *Finding {
	detail := fmt.Sprintf("HTTP status %d", got.status)
	if got.text != "" && !got.html {
		detail += ": " + got.text
	}
	f := p.byStatus(got)
	f.Detail = detail
	return f
}

func (p *patient) byStatus(got answer) *Finding {
	front := "the proxy or web server in front of Strapi"
	switch {
	case isRedirect(got.status):
		return p.redirected(got.location)
	case got.isPage():
		return &Finding{
			Problem: PageInstead, Cause: "a page came back instead of a runner's answer: this path is served by something else than Strapi's API",
			Fix: "give the address of the admin API, which ends in /admin; if it is that, have " + front + " pass /admin/transfer/ on to Strapi",
		}
	}
	switch got.status {
	case http.StatusNotFound:
		return &Finding{
			Problem: WrongPath, Cause: "there is no runner at this address",
			Fix: "give the address of the admin panel, which ends in /admin even if the panel was moved; behind a proxy, add the path it puts before it",
		}
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return &Finding{
			Problem: Forbidden, Cause: "something in front of Strapi asks for a password of its own or keeps this machine out",
			Fix: "send what it asks for with --header name=value, or have it let " + protocol.AdminPath + "/transfer/ pass; the Authorization header belongs to the token",
		}
	case http.StatusMethodNotAllowed:
		return &Finding{
			Problem: MethodRefused, Cause: front + " or another route does not take GET at this path",
			Fix: "have GET requests below /admin/transfer/runner/ passed on to Strapi",
		}
	case http.StatusBadRequest, http.StatusUpgradeRequired:
		return &Finding{
			Problem: UpgradeMangled, Cause: "the request for a WebSocket arrives damaged: " + front + " changes its headers",
			Fix: "have it pass Upgrade, Connection and Sec-WebSocket-* on unchanged (nginx: proxy_http_version 1.1 and the two Upgrade headers)",
		}
	case http.StatusNotImplemented:
		return noSalt()
	}
	return p.serverFault(got, front)
}

func (p *patient) serverFault(got answer, front string) *Finding {
	switch got.status {
	case http.StatusInternalServerError:
		return &Finding{
			Problem: ServerFails, Cause: "Strapi failed: most often no transfer token salt is set, or its database is locked by another transfer",
			Fix: "set admin.transfer.token.salt (TRANSFER_TOKEN_SALT) and restart; if it is set, wait for the other transfer to end, or read Strapi's log",
		}
	case http.StatusBadGateway:
		return &Finding{
			Problem: BadGateway, Cause: front + " does not reach Strapi",
			Fix: "start Strapi, and check the address and port that the proxy passes requests on to",
		}
	case http.StatusServiceUnavailable:
		return &Finding{
			Problem: Unavailable, Cause: "the site is switched off for now: Strapi is starting, asleep or under maintenance",
			Fix: "wait until the site answers in a browser, then try again",
		}
	case http.StatusGatewayTimeout:
		return &Finding{
			Problem: GatewayTimeout, Cause: "Strapi did not answer " + front + " in time",
			Fix: "look whether Strapi is busy or hangs, and raise the proxy's time limit for /admin/transfer/ (nginx: proxy_read_timeout)",
		}
	}
	return &Finding{
		Problem: OtherStatus, Cause: fmt.Sprintf("an answer that no runner gives: HTTP status %d", got.status),
		Fix: "look into the log of the server and of what stands in front of it",
	}
}

func noSalt() *Finding {
	return &Finding{
		Problem: NoSalt, Cause: "Strapi has no transfer token salt, which switches transfers off",
		Fix: "set admin.transfer.token.salt (TRANSFER_TOKEN_SALT), restart Strapi, and make a new token",
	}
}

func (p *patient) redirected(location string) *Finding {
	f := &Finding{Problem: Redirected, Cause: "the address redirects elsewhere", Fix: "give the address that it redirects to"}
	target, err := p.url().Parse(location)
	if err != nil || location == "" || target.Host == "" {
		return f
	}
	target.User, target.RawQuery, target.Fragment = nil, "", ""
	shown := target.String()
	f.Cause = "the address redirects to " + oneLine(shown)
	if base, found := strings.CutSuffix(strings.TrimSuffix(shown, "/"), protocol.RunnerPath(protocol.Pull)); found {
		f.Fix = "give " + oneLine(base)
	} else {
		f.Fix = "look what is there: a page to log in to must let " + protocol.AdminPath + "/transfer/ pass, or be satisfied with --header name=value"
	}
	return f
}
