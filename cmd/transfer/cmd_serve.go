package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	runnerserver "github.com/transfer-runner/runner/transfer/server"
)

// defaultListen is where a server listens that is not told where: only this machine reaches it.
const defaultListen = "127.0.0.1:1400"

// firstTokenLifetime is how long the token is good that a first start prints.
const firstTokenLifetime = 30 * 24 * time.Hour

func newServeCommand(a *app) *cobra.Command {
	o := &serveOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a transfer server that stock Strapi clients can use",
		Long: `Serve answers "strapi transfer --to" and "--from", and our own push and pull, as a Strapi server does.
Without flags it listens on this machine only and keeps what is pushed as snapshots in a vault; the
first start prints a token. Sites other than the default one are at /NAME/admin. Archives and folders
can be served too, to be pulled from.

What is not given as a flag is taken from the environment (TRANSFER_LISTEN, TRANSFER_DATA,
TRANSFER_TLS_CERT, TRANSFER_TLS_KEY, TRANSFER_DATABASE, TRANSFER_REDIS,
TRANSFER_PUBLIC_URL), and then from the
configuration file, a JSON object with the members listen, data, tlsCert, tlsKey, sites, origins,
insecureHTTP, maxSessions, messageLimit, assetLimit, window, heartbeatInterval, heartbeatTimeout,
idleTimeout, grace, database, redis, publicURL, workers, history, remotes (by name: url, tokenFile or tokenEnv,
caFile, readOnly) and schedules (a list: name, cron, timeZone, and from, to and options, or kind prune,
site and options.keep).

Every transfer is a job, of which the API below /api tells: see "transfer job".`,
		Example: "  transfer serve\n  transfer serve --listen :443 --tls-cert cert.pem --tls-key key.pem\n  transfer serve --site shop=vault:shop --site old=./backup.tar.gz",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.load(a, cmd.Flags()); err != nil {
				return err
			}
			return runServe(cmd.Context(), a, o)
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

// runServe serves until ctx ends.
func runServe(ctx context.Context, a *app, o *serveOptions) (err error) {
	c := &console{w: a.err, quiet: o.Quiet}
	a.logTo(c, o.outputOptions)
	if o.LogLevel() < slog.LevelError {
		a.log = slog.New(slog.NewTextHandler(c, &slog.HandlerOptions{Level: o.LogLevel()}))
	}
	certificate, err := o.certificate()
	if err != nil {
		return err
	}
	if err := o.exposure(c, certificate); err != nil {
		return err
	}
	dir, err := o.dir(a)
	if err != nil {
		return err
	}
	v, err := vault.Open(ctx, dir, vault.Options{Now: a.now, Logger: a.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	store, err := o.openJobs(ctx, a, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	tokens, err := openTokens(ctx, a, dir, store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tokens.Close()) }()
	srv, sites, err := o.server(ctx, a, v, tokens, store, dir)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return fmt.Errorf("%w: listen on %s: %w", transfer.ErrConnection, o.Listen, err)
	}
	if err := o.greet(ctx, a, c, listener.Addr(), sites, tokens); err != nil {
		return errors.Join(err, listener.Close())
	}
	err = srv.Serve(ctx, listener, certificate)
	c.say("stopped")
	return err
}

// server makes the server of what is open. It changes nothing but schedules, which follow the configuration file.
func (o *serveOptions) server(ctx context.Context, a *app, v *vault.Vault, tokens *token.Store, store jobStore, dir string) (*runnerserver.Server, map[string]namedSite, error) {
	registry := providers.New(providers.Config{Logger: a.log, Data: dir})
	sites, err := o.servedSites(ctx, a, v, registry)
	if err != nil {
		return nil, nil, err
	}
	config := o.limitsConfig()
	config.Tokens, config.Sites, config.Logger = tokens, make(map[string]runnerserver.Site), a.log
	for name, s := range sites {
		config.Sites[name] = s.Site
	}
	if config.Jobs, err = o.jobsConfig(a, v, store, tokens, config.Sites, registry); err != nil {
		return nil, nil, err
	}
	srv, err := runnerserver.New(config)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", transfer.ErrUsage, err)
	}
	return srv, sites, o.applySchedules(ctx, srv)
}

// greet says where the server is and, the first time, prints a token.
func (o *serveOptions) greet(ctx context.Context, a *app, c *console, address net.Addr, sites map[string]namedSite, tokens *token.Store) error {
	scheme := "http"
	if o.TLSCert != "" {
		scheme = "https"
	}
	for _, name := range sortedNames(sites) {
		path := "/" + name + "/admin"
		if name == runnerserver.DefaultSite {
			path = "/admin"
		}
		c.say("serving %s at %s://%s%s", sites[name].what, scheme, address, path)
	}
	c.say("dashboard at %s://%s/", scheme, address)
	unused, err := tokens.Empty(ctx)
	if err != nil || !unused {
		return err
	}
	t, text, err := tokens.Create(ctx, token.Spec{
		Name: "first start", Lifetime: firstTokenLifetime, Permissions: []protocol.Direction{protocol.Push, protocol.Pull, token.Jobs},
	})
	if err != nil {
		return err
	}
	c.insist("This is the first start. Here is a token for everything, good until %s and shown only now;\n"+
		`"transfer token create" makes others:`, t.Expires.Format(time.DateOnly))
	_, err = fmt.Fprintln(a.out, text)
	return err
}

// certificate is the TLS configuration, nil without.
func (o *serveOptions) certificate() (*tls.Config, error) {
	if (o.TLSCert == "") != (o.TLSKey == "") {
		return nil, fmt.Errorf("%w: give both --tls-cert and --tls-key", transfer.ErrUsage)
	}
	if o.TLSCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(o.TLSCert, o.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("%w: read the certificate: %w", transfer.ErrUsage, err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// exposure refuses to offer tokens and content to a network in the clear, unless told to.
func (o *serveOptions) exposure(c *console, certificate *tls.Config) error {
	host, _, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return fmt.Errorf("%w: --listen: %w; give it as HOST:PORT", transfer.ErrUsage, err)
	}
	ip := net.ParseIP(host)
	if certificate != nil || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	if !o.InsecureHTTP {
		return fmt.Errorf("%w: %s can be reached from other machines, and without TLS anyone in between can read tokens and content: "+
			"give --tls-cert and --tls-key, or --insecure-http where a proxy in front speaks TLS", transfer.ErrUsage, o.Listen)
	}
	c.insist("warning: --insecure-http: on %s tokens and content travel in the clear; let nothing but a proxy that speaks TLS reach it", o.Listen)
	return nil
}
