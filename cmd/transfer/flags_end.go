package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

// endFlags are the flags of one side of a transfer.
type endFlags struct {
	name      string // "from" or "to"
	Endpoint  string
	Token     string
	TokenFile string
	Header    []string
	site      siteFlags
}

func (e *endFlags) addFlags(f *pflag.FlagSet, name, usage string) {
	e.name = name
	f.StringVar(&e.Endpoint, name, "", usage)
	f.StringVar(&e.Token, name+"-token", "", "transfer token of --"+name+"; - reads a line of standard input")
	f.StringVar(&e.TokenFile, name+"-token-file", "", "file that holds the token of --"+name)
	f.StringArrayVar(&e.Header, name+"-header", nil, "as --header, for --"+name+" alone")
	e.site.addFlags(f, name+"-", "schemas", "database")
}

// tokenEnv are the variables that may hold the token. Only the side that the command is about takes Strapi's own variable, so that a
// token for one server is never shown to another.
func (e *endFlags) tokenEnv(principal bool) []string {
	env := []string{"TRANSFER_" + strings.ToUpper(e.name) + "_TOKEN"}
	if principal {
		env = append(env, "STRAPI_TRANSFER_TOKEN")
	}
	return env
}

// token finds the token of a server, by asking if need be.
func (a *app) token(ctx context.Context, e *endFlags, end *end, principal bool) (providers.Secret, error) {
	if !end.Remote() {
		if e.Token != "" || e.TokenFile != "" {
			return "", fmt.Errorf("%w: --%s-token is for servers, and %s is none", transfer.ErrUsage, e.name, end)
		}
		return "", nil
	}
	env := e.tokenEnv(principal)
	if end.Name != "" {
		env = env[:1] // the remote says itself where its token is
	}
	flags := fmt.Sprintf("--%s-token or --%s-token-file", e.name, e.name)
	secret, err := a.secret(secretSource{
		what: "transfer token of " + end.Host(), flag: e.Token, file: e.TokenFile, env: env, named: flags,
	})
	if err != nil || secret != "" {
		return secret, err
	}
	if secret, err = a.remoteToken(end.Name, end.remote); err != nil || secret != "" {
		return secret, err
	}
	return a.askSecret(ctx, "transfer token of "+end.Host(), fmt.Sprintf("give %s, or set %s; a token is made in the admin panel under "+
		"Settings, Transfer Tokens", flags, strings.Join(env, " or ")))
}

// parseHeaders reads "name=value" and "name: value". The values are taken for secrets.
func (a *app) parseHeaders(lines []string) (http.Header, error) {
	header := make(http.Header, len(lines))
	for _, line := range lines {
		at := strings.IndexAny(line, "=:")
		if at <= 0 {
			return nil, fmt.Errorf("%w: --header takes name=value", transfer.ErrUsage)
		}
		name, value := strings.TrimSpace(line[:at]), strings.TrimSpace(line[at+1:])
		if !isToken(name) || strings.ContainsAny(value, "\r\n\x00") {
			return nil, fmt.Errorf("%w: --header %q is not a header that can be sent", transfer.ErrUsage, name)
		}
		switch http.CanonicalHeaderKey(name) {
		case "Authorization":
			return nil, fmt.Errorf("%w: the Authorization header carries the transfer token; a proxy in between cannot use it too", transfer.ErrUsage)
		case "Upgrade", "Connection", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol":
			return nil, fmt.Errorf("%w: the header %s belongs to the WebSocket and cannot be set", transfer.ErrUsage, name)
		}
		a.secrets.add(value)
		header.Add(name, value)
	}
	return header, nil
}

// isToken reports whether name may name a header.
func isToken(name string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	}) < 0
}
