package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
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

A Strapi project, or a database of one, is served from its own database and files, also beside a Strapi
that runs on them. The transfer tokens of its admin panel are good for it, with what they permit and
until they expire or are revoked there. That Strapi must be restarted after a push: it keeps settings and
permissions in memory. An SQLite database has one writer at a time: while a push is at work, Strapi can
read, and waits or fails where it writes; while Strapi writes, a push waits up to 10 s. Beginnings of
pulls and pushes that find the database locked longer than that fail, and nothing is changed.

/healthz says whether it is alive, /readyz whether it takes connections, and /metrics counts, for
Prometheus. A server that other machines reach answers /metrics only to who sends a token that is good,
whatever for ("Authorization: Bearer TOKEN"), or to everybody with --metrics-public.

What is not given as a flag is taken from the environment (TRANSFER_LISTEN, TRANSFER_DATA,
TRANSFER_TLS_CERT, TRANSFER_TLS_KEY, TRANSFER_DATABASE, TRANSFER_BLOBS, TRANSFER_REDIS,
TRANSFER_PUBLIC_URL), and then from the configuration file, a JSON object with the members listen, data,
tlsCert, tlsKey, sites, origins, insecureHTTP, metricsPublic, maxSessions, messageLimit, assetLimit,
window, heartbeatInterval, heartbeatTimeout, idleTimeout, grace, database, blobs, redis, publicURL,
workers, history, remotes (by name: url, tokenFile or tokenEnv, caFile, readOnly) and schedules (a list:
name, cron, timeZone, and from, to and options, or kind prune, site and options.keep).

Every transfer is a job, of which the API below /api and the dashboard tell: see "transfer job". Several
servers share jobs, tokens and snapshots through --database and --blobs, and what is told live through
--redis.`,
		Example: "  transfer serve\n  transfer serve --listen :443 --tls-cert cert.pem --tls-key key.pem\n  transfer serve --site ./my-project\n  transfer serve --site shop=vault:shop --site old=./backup.tar.gz\n  transfer serve --site ./export/",
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

// serveGarbage is how much garbage a server collects before it is looked for, in percent of what lives. What lives are a few large buffers,
// among which it costs little to look, and half as much garbage keeps a server flat while large files pass.
const serveGarbage = 50

// runServe serves until ctx ends.
func runServe(ctx context.Context, a *app, o *serveOptions) (err error) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(serveGarbage)
	}
	said := newBuffered(a.err)
	defer said.close()
	defer survivePipes()()
	c := &console{w: said, quiet: o.Quiet}
	a.logTo(c, o.outputOptions)
	if o.LogLevel() < slog.LevelError {
		a.log = slog.New(slog.NewTextHandler(c, &slog.HandlerOptions{Level: o.LogLevel()}))
	}
	s, err := o.open(ctx, a, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := o.greet(ctx, a, c, s); err != nil {
		return err
	}
	err = s.serve(ctx)
	c.say("stopped")
	return err
}

// service is a server with what it serves, listening but not answering yet.
type service struct {
	vault       *vault.Vault
	jobs        jobStore
	tokens      *token.Store
	sites       map[string]namedSite
	server      *runnerserver.Server
	certificate *tls.Config // nil without TLS
	listener    net.Listener
}

// open makes ready all that a server needs.
func (o *serveOptions) open(ctx context.Context, a *app, c *console) (_ *service, err error) {
	s := &service{}
	if s.certificate, err = o.certificate(); err != nil {
		return nil, err
	}
	if err := o.exposure(c, s.certificate); err != nil {
		return nil, err
	}
	dir, err := o.dir(a)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.vault, err = o.openVault(ctx, a, dir); err != nil {
		return nil, err
	}
	if s.jobs, err = o.openJobs(ctx, a, dir); err != nil {
		return nil, err
	}
	if s.tokens, err = openTokens(ctx, a, dir, s.jobs); err != nil {
		return nil, err
	}
	if err := o.equip(ctx, a, s, dir); err != nil {
		return nil, err
	}
	if s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("%w: listen on %s: %w; choose another address with --listen", transfer.ErrConnection, o.Listen, err)
	}
	return s, nil
}

// equip makes the server of what is open. It changes nothing but schedules, which follow the configuration file.
func (o *serveOptions) equip(ctx context.Context, a *app, s *service, dir string) (err error) {
	registry := providers.New(o.providersConfig(a, dir))
	if s.sites, err = o.servedSites(ctx, a, s.vault, registry); err != nil {
		return err
	}
	config := o.limitsConfig()
	all := &authority{Store: s.tokens, sites: make(map[string]*siteTokens)}
	config.Tokens, config.Sites, config.Logger = all, make(map[string]runnerserver.Site), a.log
	for name, site := range s.sites {
		config.Sites[name] = site.Site
		if site.tokens != nil {
			all.sites[name] = site.tokens
		}
	}
	if config.Jobs, err = o.jobsConfig(a, s.vault, s.jobs, all, config.Sites, registry); err != nil {
		return err
	}
	if s.server, err = runnerserver.New(config); err != nil {
		return fmt.Errorf("%w: %w", transfer.ErrUsage, err)
	}
	return o.applySchedules(ctx, s.server)
}

// serve answers until ctx ends.
func (s *service) serve(ctx context.Context) error {
	return s.server.Serve(ctx, s.listener, s.certificate)
}

// url is the address of a site.
func (s *service) url(site string) string {
	scheme, path := "http", "/"+site+"/admin"
	if s.certificate != nil {
		scheme = "https"
	}
	if site == runnerserver.DefaultSite {
		path = "/admin"
	}
	address := s.listener.Addr().String()
	if at, ok := s.listener.Addr().(*net.TCPAddr); ok && at.IP.IsUnspecified() {
		address = net.JoinHostPort("localhost", strconv.Itoa(at.Port))
	}
	return scheme + "://" + address + path
}

// close lets go of everything. It may be called before all of it was opened, and after serve.
func (s *service) close() error {
	var errs []error
	if s.listener != nil {
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for _, site := range s.sites {
		if site.tokens != nil {
			errs = append(errs, site.tokens.site.Close())
		}
	}
	if s.tokens != nil {
		errs = append(errs, s.tokens.Close())
	}
	if s.jobs != nil {
		errs = append(errs, s.jobs.Close())
	}
	if s.vault != nil {
		errs = append(errs, s.vault.Close())
	}
	return errors.Join(errs...)
}

// greet says where the server is and, the first time, prints a token.
func (o *serveOptions) greet(ctx context.Context, a *app, c *console, s *service) error {
	where := ""
	if at, ok := s.listener.Addr().(*net.TCPAddr); ok && at.IP.IsUnspecified() {
		where = ", on every address of this machine"
	}
	for _, name := range sortedNames(s.sites) {
		c.say("serving %s at %s%s", s.sites[name].what, s.url(name), where)
	}
	c.say("dashboard at %s", strings.TrimSuffix(s.url(runnerserver.DefaultSite), "admin"))
	t, text, first, err := s.tokens.CreateFirst(ctx, token.Spec{
		Name: "first start", Lifetime: firstTokenLifetime, Permissions: []protocol.Direction{protocol.Push, protocol.Pull, token.Jobs},
	})
	if err != nil || !first {
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

// local reports whether nothing but this machine reaches the server.
func (o *serveOptions) local() bool {
	host, _, err := net.SplitHostPort(o.Listen)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// exposure refuses to offer tokens and content to a network in the clear, unless told to.
func (o *serveOptions) exposure(c *console, certificate *tls.Config) error {
	if _, _, err := net.SplitHostPort(o.Listen); err != nil {
		return fmt.Errorf("%w: --listen: %w; give it as HOST:PORT", transfer.ErrUsage, err)
	}
	if certificate != nil || o.local() {
		return nil
	}
	if !o.InsecureHTTP {
		return fmt.Errorf("%w: %s can be reached from other machines, and without TLS anyone in between can read tokens and content: "+
			"give --tls-cert and --tls-key, or --insecure-http where a proxy in front speaks TLS", transfer.ErrUsage, o.Listen)
	}
	c.insist("warning: --insecure-http: on %s tokens and content travel in the clear; let nothing but a proxy that speaks TLS reach it", o.Listen)
	return nil
}
