// Package doctor finds out why a runner cannot be reached.
package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/transfer-runner/runner/protocol"
)

// Options steer [Examine]. The zero value works.
type Options struct {
	Token  string      // without one only the way to the server is examined
	Header http.Header // added to each request, as for the transfer itself
	TLS    *tls.Config // nil is the system's authorities

	// Proxy says which proxy a request takes; nil is the environment's.
	Proxy func(*http.Request) (*url.URL, error)

	Timeout time.Duration // of one step; default 15 s
	Logger  *slog.Logger  // nil discards
}

func (o Options) withDefaults() Options {
	o.Timeout = cmp.Or(o.Timeout, 15*time.Second)
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Report is what an examination found.
type Report struct {
	URL     string    `json:"url"`               // as given, without secrets
	Runner  string    `json:"runner"`            // the address to use
	Checks  []Check   `json:"checks"`            // in the order in which they were made
	Finding *Finding  `json:"finding,omitempty"` // the one thing to repair; nil when nothing is wrong
	Notes   []Finding `json:"notes,omitempty"`   // what works here but may not elsewhere

	RoundTrip  float64             `json:"roundTripMs,omitempty"` // time that the shortest answer took, in milliseconds
	Version    string              `json:"version,omitempty"`     // of Strapi; "" when the server does not tell
	Extensions protocol.Extensions `json:"extensions,omitzero"`   // what it speaks beyond Strapi's protocol
}

// Check is one thing that was looked at.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// Finding is a problem with its one cause and its one fix.
type Finding struct {
	Problem Problem `json:"problem"`
	Cause   string  `json:"cause"`
	Fix     string  `json:"fix"`
	Detail  string  `json:"detail,omitempty"` // what was seen
}

// patient is one examination.
type patient struct {
	opts   Options
	base   string // address of the runner as far as it is known
	report Report
	proxy  *url.URL // that requests take; nil when none
	behind string   // what stands before the server, as its answers tell; "" for nothing

	fastest time.Duration // of the answers; 0 before the first
}

// Examine goes the way that a transfer goes and stops where it does not lead on. It changes nothing at the server.
func Examine(ctx context.Context, address string, opts Options) Report {
	p := &patient{opts: opts.withDefaults()}
	p.report.Checks = []Check{}
	p.report.URL = protocol.RedactURL(address)
	p.report.Finding = p.examine(ctx, address)
	p.report.Runner = p.base
	return p.report
}

func (p *patient) examine(ctx context.Context, address string) *Finding {
	if f := p.readAddress(address); f != nil {
		return f
	}
	if f := p.resolve(ctx); f != nil {
		return f
	}
	if f := p.findRunner(ctx); f != nil {
		return f
	}
	if p.opts.Token == "" {
		p.report.Notes = append(p.report.Notes, Finding{
			Problem: NoToken, Cause: "no token was given, so only the way to the server was examined",
			Fix: "give --token-file FILE to examine the rest",
		})
		return nil
	}
	return p.open(ctx)
}

func (p *patient) checked(name string, f *Finding, detail string) *Finding {
	if f != nil {
		detail = cmp.Or(f.Detail, f.Cause)
	}
	p.report.Checks = append(p.report.Checks, Check{Name: name, OK: f == nil, Detail: detail})
	return f
}
