package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	runnerserver "github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/server/redisbus"
)

// jobFlags are the flags of serve that are about jobs.
type jobFlags struct {
	Database  string
	Blobs     string
	Redis     string
	Remotes   []string // names of the user's remotes
	PublicURL string
	Workers   int
	History   span

	remotes   map[string]remote // of the configuration file, and those that were named
	schedules []jobs.Schedule   // of the configuration file
}

func (o *jobFlags) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Database, "database", "", databaseUsage)
	f.StringVar(&o.Blobs, "blobs", "", blobsUsage)
	f.StringVar(&o.Redis, "redis", "", "redis://…, through which several servers tell each other of progress and broadcasts (TRANSFER_REDIS)")
	f.StringArrayVar(&o.Remotes, "remote", nil, `a remote that jobs may name, as "transfer remote list" shows them (repeatable)`)
	f.StringVar(&o.PublicURL, "public-url", "", "address that clients reach the server by, such as https://transfer.example.org")
	f.IntVar(&o.Workers, "workers", 2, "transfers that the server itself runs at a time")
	f.Var(&o.History, "history", "how long jobs that have ended are kept (default 2160h)")
}

// jobStore is a store of jobs that is open.
type jobStore interface {
	runnerserver.JobStore
	Close() error
}

// openJobs opens the store of jobs.
func (o *jobFlags) openJobs(ctx context.Context, a *app, dir string) (jobStore, error) {
	if o.Database == "" {
		store, err := jobs.OpenSQLite(ctx, dir)
		if err != nil {
			return nil, err
		}
		return store, nil
	}
	a.secrets.add(passwordOf(o.Database))
	if !isPostgres(o.Database) {
		return nil, fmt.Errorf("%w: --database takes postgres://USER@HOST:PORT/NAME; without it jobs are kept in the data folder", transfer.ErrUsage)
	}
	store, err := jobs.OpenPostgres(ctx, o.Database)
	if err != nil {
		return nil, err
	}
	return store, nil
}

// passwordOf is the password in an address, "" where there is none.
func passwordOf(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	user, _, ok := strings.Cut(rest, "@")
	if !ok {
		return ""
	}
	_, password, _ := strings.Cut(user, ":")
	return password
}

// jobsConfig is what a server is told of jobs.
func (o *jobFlags) jobsConfig(a *app, v *vault.Vault, store jobStore, tokens dashboardTokens, sites map[string]runnerserver.Site, registry opener) (c runnerserver.JobsConfig, err error) {
	snapshots := newVaultSnapshots(v, sites)
	c = runnerserver.JobsConfig{
		Store: store, Snapshots: snapshots, Pruner: snapshots, PublicURL: o.PublicURL,
		Options: jobs.Options{
			Workers: o.Workers, History: time.Duration(o.History), Redact: func(text string) string { return string(a.secrets.clean([]byte(text))) },
		},
	}
	if err := o.connectRedis(a, &c); err != nil {
		return c, err
	}
	var doctor remoteDoctor
	if c.Remotes, doctor, err = o.remoteSites(a, registry); err != nil {
		return c, err
	}
	c.Doctor = doctor
	c.Dashboard, err = newDashboard(a, tokens, snapshots, doctor)
	return c, err
}

// connectRedis makes the two ways by which servers tell each other what is not worth an entry in the log: what clients broadcast, and
// how far jobs are.
func (o *jobFlags) connectRedis(a *app, c *runnerserver.JobsConfig) error {
	if o.Redis == "" {
		return nil
	}
	a.secrets.add(passwordOf(o.Redis))
	broadcasts, err := redisbus.New(o.Redis, redisbus.Options{Logger: a.log})
	if err != nil {
		return fmt.Errorf("%w: --redis: %w", transfer.ErrUsage, err)
	}
	progress, err := redisbus.New(o.Redis, redisbus.Options{Stream: "transfer:progress", Logger: a.log})
	if err != nil {
		return fmt.Errorf("%w: --redis: %w", transfer.ErrUsage, err)
	}
	c.Broadcasts, c.Options.Relay = broadcasts, progress
	return nil
}

// remoteSites are the remotes that jobs may name: those of the configuration file, and those of the user's that a flag names.
func (o *jobFlags) remoteSites(a *app, registry opener) (map[string]runnerserver.Remote, remoteDoctor, error) {
	doctor := remoteDoctor{remotes: make(map[string]examined), log: a.log}
	sites := make(map[string]runnerserver.Remote)
	if err := o.nameRemotes(a); err != nil {
		return nil, doctor, err
	}
	for name, r := range o.remotes {
		if err := r.validate(name); err != nil {
			return nil, doctor, err
		}
		endpoint, err := providers.Parse(r.URL)
		if err != nil {
			return nil, doctor, err
		}
		access, err := a.remoteAccess(name, r) // so that it shows at the start
		if err != nil {
			return nil, doctor, err
		}
		doctor.remotes[name] = examined{address: endpoint.Location, access: access}
		sites[name] = runnerserver.Remote{
			Site: remoteSite{app: a, registry: registry, name: name, remote: r, endpoint: endpoint}, Address: endpoint.Location, ReadOnly: r.ReadOnly,
		}
	}
	return sites, doctor, nil
}

// nameRemotes adds the user's remotes that a flag names to those of the configuration file.
func (o *jobFlags) nameRemotes(a *app) error {
	mine, err := a.remotes()
	if err != nil {
		return err
	}
	if o.remotes == nil {
		o.remotes = make(map[string]remote)
	}
	for _, name := range o.Remotes {
		r, ok := mine[name]
		if !ok {
			return fmt.Errorf("%w: --remote: there is no remote %q; \"transfer remote add\" makes one; there are: %s",
				transfer.ErrUsage, name, strings.Join(remoteNames(mine), ", "))
		}
		o.remotes[name] = r
	}
	return nil
}

// remoteSite is a server elsewhere. Its token is read anew for each transfer, so that it can be changed while the server runs.
type remoteSite struct {
	app      *app
	registry opener
	name     string
	remote   remote
	endpoint providers.Endpoint
}

// Source implements [runnerserver.Site].
func (s remoteSite) Source(ctx context.Context) (transfer.Source, error) {
	access, err := s.app.remoteAccess(s.name, s.remote)
	if err != nil {
		return nil, err
	}
	return s.registry.OpenSource(ctx, s.endpoint, access)
}

// Destination implements [runnerserver.Site].
func (s remoteSite) Destination(ctx context.Context, _ string) (transfer.Destination, error) {
	access, err := s.app.remoteAccess(s.name, s.remote)
	if err != nil {
		return nil, err
	}
	return s.registry.OpenDestination(ctx, s.endpoint, access)
}

// configured is how ids of schedules begin that are in the configuration file: they follow it.
const configured = "config-"

// applySchedules makes the schedules of the configuration file those of the store. One that has not changed keeps when it is due.
func (o *jobFlags) applySchedules(ctx context.Context, srv *runnerserver.Server) error {
	m := srv.Jobs()
	have, err := m.Schedules(ctx)
	if err != nil {
		return err
	}
	known := make(map[string]jobs.Schedule)
	for _, s := range have {
		if strings.HasPrefix(s.ID, configured) {
			known[s.ID] = s
		}
	}
	for _, s := range o.schedules {
		s.ID, s.Who = configured+s.Name, "the configuration file"
		if s.Kind == "" {
			s.Kind = jobs.KindSync
		}
		if err := srv.CheckJob(jobs.Spec{Kind: s.Kind, From: s.From, To: s.To, Site: s.Site}); err != nil {
			return fmt.Errorf("schedule %s: %w", s.Name, err)
		}
		old, ok := known[s.ID]
		delete(known, s.ID)
		if ok && old.Same(s) {
			continue
		}
		s.Created, s.Last, s.LastJob = old.Created, old.Last, old.LastJob
		if _, err := m.AddSchedule(ctx, s); err != nil {
			return fmt.Errorf("schedule %s: %w", s.Name, err)
		}
	}
	var errs []error
	for id := range known { // is not in the file any more
		errs = append(errs, m.RemoveSchedule(ctx, id))
	}
	return errors.Join(errs...)
}
