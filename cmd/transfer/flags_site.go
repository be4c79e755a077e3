package main

import (
	"cmp"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/transfer"
)

// siteFlags say about a Strapi project or its database what cannot be found out, or not be believed.
type siteFlags struct {
	Database string
	Uploads  string
	Schemas  string
	Env      string
	Zone     string
}

// addFlags adds the flags with a prefix such as "from-", for one side of a transfer, or without. schemas is how the one for schemas
// is called, and database the one for the database.
func (s *siteFlags) addFlags(f *pflag.FlagSet, prefix, schemas, database string) {
	flags := []struct {
		to          *string
		name, usage string
	}{
		{&s.Database, database, "database of a Strapi project instead of its own, such as postgres://user@host/name"},
		{&s.Uploads, "uploads", "folder of the uploaded files of a Strapi project or database"},
		{&s.Schemas, schemas, "schemas of a Strapi database: a file of inspect --schemas, or a folder of components"},
		{&s.Env, "strapi-env", "NODE_ENV of a Strapi project (development)"},
		{&s.Zone, "timezone", "time zone of the Strapi process, such as UTC (TZ, or this machine's)"},
	}
	for _, flag := range flags {
		f.StringVar(flag.to, prefix+flag.name, "", flag.usage)
		if prefix != "" {
			f.Lookup(prefix + flag.name).Hidden = true
		}
	}
}

// isSite reports whether an endpoint is a Strapi project or a database.
func isSite(e providers.Endpoint) bool {
	return e.Kind == providers.KindProject || e.Kind == providers.KindDatabase
}

// applySites puts the flags into the access of those ends that they are about. own are the flags of each end alone.
func (s *siteFlags) applySites(ends []*end, own []siteFlags) error {
	sites := 0
	for i, e := range ends {
		if !isSite(e.Endpoint) {
			if own[i] != (siteFlags{}) {
				return fmt.Errorf("%w: %s is no Strapi project or database: --uploads, --schemas, --database, --strapi-env and --timezone are not for it",
					transfer.ErrUsage, e)
			}
			continue
		}
		sites++
		access := &e.access
		access.Database = providers.Secret(cmp.Or(own[i].Database, s.Database))
		access.Uploads, access.Schemas = cmp.Or(own[i].Uploads, s.Uploads), cmp.Or(own[i].Schemas, s.Schemas)
		access.Env, access.Zone = cmp.Or(own[i].Env, s.Env), cmp.Or(own[i].Zone, s.Zone)
		if e.Kind == providers.KindDatabase && access.Database != "" {
			return fmt.Errorf("%w: --database is for a project; %s is a database already", transfer.ErrUsage, e)
		}
	}
	switch {
	case sites == 0 && *s != (siteFlags{}):
		return fmt.Errorf("%w: --uploads, --schemas, --database, --strapi-env and --timezone are for a Strapi project or database, and none is given", transfer.ErrUsage)
	case sites > 1 && (s.Database != "" || s.Uploads != "" || s.Schemas != ""):
		return fmt.Errorf("%w: both sides are Strapi projects: say which one is meant, as in --to-uploads or --from-database", transfer.ErrUsage)
	}
	return nil
}

// mergeFlags say how content meets what is there.
type mergeFlags struct {
	Strategy string
	Conflict string
}

const (
	strategyReplace = "replace"
	strategyMerge   = "merge"
)

func (m *mergeFlags) addFlags(f *pflag.FlagSet) {
	f.StringVar(&m.Strategy, "strategy", strategyReplace, "what is there before: replace it, or merge, which keeps what only the destination has")
	f.StringVar(&m.Conflict, "conflict", "", "with --strategy merge, who wins where both differ: source, destination, newer or fail (source)")
}

// applyMerge puts the flags into the access of the destination.
func (m *mergeFlags) applyMerge(to *end) error {
	switch m.Strategy {
	case "", strategyReplace:
		if m.Conflict != "" {
			return fmt.Errorf("%w: --conflict goes with --strategy merge", transfer.ErrUsage)
		}
		return nil
	case strategyMerge:
	default:
		return badChoice("strategy", m.Strategy, "replace, merge")
	}
	if _, err := strapi.ParseConflict(m.Conflict); err != nil {
		return badChoice("conflict", m.Conflict, "source, destination, newer, fail")
	}
	if !isSite(to.Endpoint) && to.Kind != providers.KindServer {
		return fmt.Errorf("%w: --strategy merge is for a Strapi project or database, or a server of ours before one, and %s is none", transfer.ErrUsage, to)
	}
	to.access.Merge, to.access.Conflict = true, m.Conflict
	return nil
}
