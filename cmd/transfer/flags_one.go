package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

// readFlags are what it takes to read an endpoint that is given as an argument.
type readFlags struct {
	Token     string
	TokenFile string
	netFlags
	keyFlags
	siteFlags
}

func (r *readFlags) addFlags(f *pflag.FlagSet) {
	f.StringVar(&r.Token, "token", "", "transfer token of the server; - reads a line of standard input")
	f.StringVar(&r.TokenFile, "token-file", "", "file that holds the token")
	r.siteFlags.addFlags(f, "", "with-schemas", "database")
	r.keyFlags.addFlags(f)
	r.netFlags.addFlags(f)
	if flag := f.Lookup("recipient"); flag != nil {
		flag.Hidden = true
	}
}

// argument reads an endpoint that is given as an argument.
func (r *readFlags) argument(ctx context.Context, a *app, c *console, text string) (*end, error) {
	parsed, known, err := a.parse(text)
	if err != nil {
		return nil, err
	}
	for _, note := range parsed.Notes {
		c.say("note: %s", note)
	}
	e := &end{Endpoint: parsed, remote: known, reads: true}
	if e.access, err = r.accessOf(a, e, nil); err != nil {
		return nil, err
	}
	if parsed.Remote() {
		if r.Insecure {
			c.insist("warning: --insecure: certificates are not checked, anyone in between can read the token and the content")
		}
		if e.access.Token, err = r.token(ctx, a, e); err != nil {
			return nil, err
		}
	}
	if err := r.applySites([]*end{e}, make([]siteFlags, 1)); err != nil {
		return nil, err
	}
	return e, r.apply(ctx, a, e)
}

// tokenNames are the variables that a token is looked for in.
func tokenNames() []string { return []string{"TRANSFER_FROM_TOKEN", "STRAPI_TRANSFER_TOKEN"} }

func (r *readFlags) token(ctx context.Context, a *app, e *end) (providers.Secret, error) {
	secret, err := a.secret(secretSource{
		what: "transfer token of " + e.Host(), flag: r.Token, file: r.TokenFile, env: tokenNames(), named: "--token or --token-file",
	})
	if err != nil || secret != "" {
		return secret, err
	}
	if secret, err = a.remoteToken(e.Name, e.remote); err != nil || secret != "" {
		return secret, err
	}
	return a.askSecret(ctx, "transfer token of "+e.Host(), "give --token or --token-file, or set "+strings.Join(tokenNames(), " or "))
}

// openSource opens an end for reading.
func (a *app) openSource(ctx context.Context, c *console, e *end) (transfer.Source, error) {
	src, err := a.open(c).OpenSource(ctx, e.Endpoint, e.access)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", e, err)
	}
	return src, nil
}
