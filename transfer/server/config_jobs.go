package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server/socketio"
)

// JobStore keeps jobs. *[jobs.DB] and *[jobs.Postgres] are such.
type JobStore interface {
	jobs.Store
	// Secret is a key that all servers of the store have in common, and nobody else.
	Secret() []byte
}

// JobsConfig says what a server does beside answering clients: it writes down their transfers as jobs, and runs others itself. It is the
// part of a [Config] that may be left out.
type JobsConfig struct {
	Store JobStore // nil: there are no jobs and no API

	// Remotes are servers elsewhere that jobs may name, beside the sites. Nothing else is ever connected to.
	Remotes map[string]Remote
	// Snapshots and Doctor are what the API can tell beyond jobs; nil is nothing.
	Snapshots Snapshots
	Doctor    Doctor
	Pruner    Pruner // nil: snapshots are not deleted

	// Broadcasts carries what Socket.IO servers tell all clients to the other servers; nil is for a server on its own.
	Broadcasts socketio.Adapter

	Owner   string       // this server's name among several
	Options jobs.Options // of the manager; Run, Owner, Grace and Logger are set by the server

	// PublicURL is what clients reach the server by, such as https://transfer.example.org, where that is not what they send as Host.
	PublicURL string
	// Dashboard makes what answers requests for pages; nil is none.
	Dashboard func(*Server) http.Handler
}

// Remote is a server elsewhere.
type Remote struct {
	Site

	Address  string // for people, without secrets
	ReadOnly bool   // jobs may read from it only
}

// Reverter is a [Site] with snapshots that can be read.
type Reverter interface {
	// SourceAt opens a snapshot of the site for reading.
	SourceAt(ctx context.Context, snapshot string) (transfer.Source, error)
}

// Pruner deletes snapshots.
type Pruner interface {
	// Prune deletes the snapshots of a site that no rule keeps, and returns their ids. With dryRun it only tells.
	Prune(ctx context.Context, site string, keep jobs.Keep, dryRun bool) ([]string, error)
}

// reserved are names that sites and remotes cannot have: they are paths of the server.
func reserved(name string) bool {
	switch name {
	case "admin", "healthz", "readyz", "metrics", "api", "ws":
		return true
	}
	return false
}

func (c JobsConfig) validate(sites map[string]Site) error {
	for name, remote := range c.Remotes {
		if !ValidSite(name) {
			return fmt.Errorf("%q cannot be the name of a remote: letters, digits, - and _, at most 63", name)
		}
		if _, both := sites[name]; both {
			return fmt.Errorf("%q is the name of a site and of a remote: rename one", name)
		}
		if remote.Site == nil {
			return fmt.Errorf("remote %q is nil", name)
		}
	}
	if c.PublicURL != "" {
		if u, err := url.Parse(c.PublicURL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return fmt.Errorf("the public address %q is none: give it as https://HOST", c.PublicURL)
		}
	}
	return nil
}
