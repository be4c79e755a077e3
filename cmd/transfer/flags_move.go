package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/transfer"
)

// moveOptions are the flags of push and pull.
type moveOptions struct {
	outputOptions
	filterFlags
	netFlags
	keyFlags
	siteFlags
	mergeFlags
	stockFlags

	From, To endFlags

	DryRun, Yes     bool
	Backup          string
	Verify          bool
	Throttle        span
	MaxRate         byteRate
	SchemaStrategy  string
	VersionStrategy string
	Orphans         string
	AllowSkipped    int64
	Report          string
}

func (o *moveOptions) addFlags(f *pflag.FlagSet) {
	o.From.addFlags(f, "from", "where content comes from: an endpoint")
	o.To.addFlags(f, "to", "where content goes to: an endpoint")
	o.filterFlags.addFlags(f)
	f.BoolVar(&o.DryRun, "dry-run", false, "show the plan and stop; changes nothing")
	f.BoolVarP(&o.Yes, "yes", "y", false, "do not ask before content is replaced")
	f.StringVar(&o.Backup, "backup", "", "archive to save the destination in before it is replaced")
	f.BoolVar(&o.Verify, "verify", false, "read the destination back afterwards and compare")
	f.StringVar(&o.SchemaStrategy, "schema-strategy", "strict", "which schemas may meet: strict, exact or ignore")
	f.StringVar(&o.VersionStrategy, "version-strategy", "exact", "which Strapi versions may meet: exact, patch, minor, major or ignore")
	f.StringVar(&o.Orphans, "orphans", "fail", "links that lead nowhere: fail or skip")
	f.Int64Var(&o.AllowSkipped, "allow-skipped", 0, "how many records may be left behind before the transfer fails")
	f.Var(&o.Throttle, "throttle", "pause after each record")
	f.Var(&o.MaxRate, "max-rate", "highest speed, such as 5MiB/s")
	f.StringVar(&o.Report, "report", "", "file for a report in JSON")
	o.mergeFlags.addFlags(f)
	o.siteFlags.addFlags(f, "", "schemas", "database")
	o.keyFlags.addFlags(f)
	o.netFlags.addFlags(f)
	o.outputOptions.addFlags(f)
	o.stockFlags.addFlags(f)
}

// engine translates the flags into options of the engine.
func (o *moveOptions) engine() (transfer.Options, error) {
	opts := transfer.Options{
		Throttle: time.Duration(o.Throttle), Rate: int64(o.MaxRate), AllowSkipped: o.AllowSkipped, DryRun: o.DryRun,
		Schemas: transfer.SchemaStrategy(o.SchemaStrategy), Versions: transfer.VersionStrategy(o.VersionStrategy),
		Orphans: transfer.OrphanPolicy(o.Orphans),
	}
	switch opts.Schemas {
	case transfer.SchemaStrict, transfer.SchemaExact, transfer.SchemaIgnore:
	default:
		return opts, badChoice("schema-strategy", o.SchemaStrategy, "strict, exact, ignore")
	}
	switch opts.Versions {
	case transfer.VersionExact, transfer.VersionPatch, transfer.VersionMinor, transfer.VersionMajor, transfer.VersionIgnore:
	default:
		return opts, badChoice("version-strategy", o.VersionStrategy, "exact, patch, minor, major, ignore")
	}
	switch opts.Orphans {
	case transfer.OrphansFail, transfer.OrphansSkip:
	default:
		return opts, badChoice("orphans", o.Orphans, "fail, skip")
	}
	if o.AllowSkipped < 0 {
		return opts, fmt.Errorf("%w: --allow-skipped must not be negative", transfer.ErrUsage)
	}
	var err error
	opts.Filter, err = o.filter()
	return opts, err
}

func badChoice(flag, got, choices string) error {
	return fmt.Errorf("%w: --%s %q: one of %s", transfer.ErrUsage, flag, got, choices)
}

// filterFlags say which part of a site is moved.
type filterFlags struct {
	Only, Exclude           []string
	preferred               bool // Only and Exclude are a remote's
	OnlyTypes, ExcludeTypes []string
}

func (o *filterFlags) addFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.Only, "only", nil, "parts to move and no others: content, files, config")
	f.StringSliceVar(&o.Exclude, "exclude", nil, "parts to leave out: content, files, config, media-library")
	f.StringSliceVar(&o.OnlyTypes, "only-content-types", nil, "content types to move and no others, by uid")
	f.StringSliceVar(&o.ExcludeTypes, "exclude-content-types", nil, "content types to leave out, by uid")
}

func (o *filterFlags) filter() (transfer.Filter, error) {
	f := transfer.Filter{OnlyTypes: trimmed(o.OnlyTypes), ExcludeTypes: trimmed(o.ExcludeTypes)}
	for _, list := range []struct {
		names []string
		into  *[]transfer.Group
	}{{o.Only, &f.Only}, {o.Exclude, &f.Exclude}} {
		for _, name := range trimmed(list.names) {
			g, err := transfer.ParseGroup(name)
			if err != nil {
				return f, err
			}
			*list.into = append(*list.into, g)
		}
	}
	return f, f.Validate()
}

func trimmed(list []string) []string {
	var out []string
	for _, s := range list {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// prefer takes over what a remote leaves out by default, if no flag says what is moved.
func (o *filterFlags) prefer(r remote) {
	if len(o.Only)+len(o.Exclude) == 0 && len(r.Only)+len(r.Exclude) > 0 {
		o.Only, o.Exclude, o.preferred = r.Only, r.Exclude, true
	}
}
