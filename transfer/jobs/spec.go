package jobs

import (
	"fmt"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// Settings steer a job that the server runs. The zero value moves everything, strictly, once.
type Settings struct {
	Only         []transfer.Group `json:"only,omitempty"`
	Exclude      []transfer.Group `json:"exclude,omitempty"`
	OnlyTypes    []string         `json:"onlyContentTypes,omitempty"`
	ExcludeTypes []string         `json:"excludeContentTypes,omitempty"`

	SchemaStrategy  transfer.SchemaStrategy  `json:"schemaStrategy,omitempty"`
	VersionStrategy transfer.VersionStrategy `json:"versionStrategy,omitempty"`
	Orphans         transfer.OrphanPolicy    `json:"orphans,omitempty"`
	AllowSkipped    int64                    `json:"allowSkipped,omitempty"`
	MaxRate         int64                    `json:"maxRate,omitempty"` // bytes a second
	DryRun          bool                     `json:"dryRun,omitempty"`

	// Rerun says that a job whose server died runs again. Without it the job becomes interrupted.
	Rerun bool `json:"rerun,omitempty"`
	// Attempts is how often a job runs at most, after failures that may pass and after deaths of its server. 0 is [DefaultAttempts].
	Attempts int `json:"attempts,omitempty"`

	Keep *Keep `json:"keep,omitempty"` // of a prune
}

// Keep says which snapshots of a site a prune leaves. Any that one of the rules keeps stays.
type Keep struct {
	Last   int `json:"last,omitempty"`
	Daily  int `json:"daily,omitempty"`
	Weekly int `json:"weekly,omitempty"`
}

// Limits and defaults of options.
const (
	DefaultAttempts = 3
	MaxAttempts     = 20
	maxListed       = 1000 // entries of one list in options
	maxName         = 200  // bytes of a name
)

// Validate reports options that make no sense. Errors wrap [transfer.ErrUsage].
func (o Settings) Validate() error {
	if err := o.Filter().Validate(); err != nil {
		return err
	}
	for _, n := range []int{len(o.Only), len(o.Exclude), len(o.OnlyTypes), len(o.ExcludeTypes)} {
		if n > maxListed {
			return fmt.Errorf("%w: a list of %d, at most %d", transfer.ErrUsage, n, maxListed)
		}
	}
	for _, groups := range [][]transfer.Group{o.Only, o.Exclude} {
		for _, g := range groups {
			if _, err := transfer.ParseGroup(string(g)); err != nil {
				return err
			}
		}
	}
	switch o.SchemaStrategy {
	case "", transfer.SchemaExact, transfer.SchemaStrict, transfer.SchemaIgnore:
	default:
		return fmt.Errorf("%w: unknown schemaStrategy %.40q: one of exact, strict, ignore", transfer.ErrUsage, o.SchemaStrategy)
	}
	switch o.VersionStrategy {
	case "", transfer.VersionExact, transfer.VersionPatch, transfer.VersionMinor, transfer.VersionMajor, transfer.VersionIgnore:
	default:
		return fmt.Errorf("%w: unknown versionStrategy %.40q: one of exact, patch, minor, major, ignore", transfer.ErrUsage, o.VersionStrategy)
	}
	switch o.Orphans {
	case "", transfer.OrphansFail, transfer.OrphansSkip:
	default:
		return fmt.Errorf("%w: unknown orphans %.40q: fail or skip", transfer.ErrUsage, o.Orphans)
	}
	if o.AllowSkipped < 0 || o.MaxRate < 0 || o.Attempts < 0 || o.Attempts > MaxAttempts {
		return fmt.Errorf("%w: allowSkipped and maxRate cannot be negative, attempts is at most %d", transfer.ErrUsage, MaxAttempts)
	}
	if k := o.Keep; k != nil && (k.Last < 0 || k.Daily < 0 || k.Weekly < 0) {
		return fmt.Errorf("%w: what to keep cannot be negative", transfer.ErrUsage)
	}
	return nil
}

// Filter is what of a site is moved.
func (o Settings) Filter() transfer.Filter {
	return transfer.Filter{Only: o.Only, Exclude: o.Exclude, OnlyTypes: o.OnlyTypes, ExcludeTypes: o.ExcludeTypes}
}

// Engine are the options as the engine takes them.
func (o Settings) Engine() transfer.Options {
	return transfer.Options{
		Filter: o.Filter(), Schemas: o.SchemaStrategy, Versions: o.VersionStrategy, Orphans: o.Orphans,
		AllowSkipped: o.AllowSkipped, DryRun: o.DryRun, Rate: o.MaxRate,
	}
}

func (o Settings) attempts() int {
	if o.Attempts == 0 {
		return DefaultAttempts
	}
	return o.Attempts
}

// Spec says what a new job shall do.
type Spec struct {
	Kind     Kind
	From, To string // of a sync
	Site     string // of a prune
	Who      string
	TokenID  string
	Schedule string
	RerunOf  ID
	Options  Settings
}

func (s Spec) job(id ID, now time.Time) (Job, error) {
	for _, name := range []string{s.From, s.To, s.Site} {
		if len(name) > maxName {
			return Job{}, fmt.Errorf("%w: a name of %d bytes, at most %d", transfer.ErrUsage, len(name), maxName)
		}
	}
	switch {
	case s.Kind == KindSync && (s.From == "" || s.To == ""):
		return Job{}, fmt.Errorf("%w: a sync needs from and to", transfer.ErrUsage)
	case s.Kind == KindSync && s.From == s.To:
		return Job{}, fmt.Errorf("%w: from and to are the same: %s", transfer.ErrUsage, s.To)
	case s.Kind == KindPrune && s.Site == "":
		return Job{}, fmt.Errorf("%w: a prune needs a site", transfer.ErrUsage)
	case s.Kind == KindPrune && (s.Options.Keep == nil || *s.Options.Keep == Keep{}):
		return Job{}, fmt.Errorf("%w: a prune needs to know what to keep", transfer.ErrUsage)
	case s.Kind != KindSync && s.Kind != KindPrune:
		return Job{}, fmt.Errorf("%w: a job of kind %.40q cannot be queued: sync or prune", transfer.ErrUsage, s.Kind)
	}
	if err := s.Options.Validate(); err != nil {
		return Job{}, err
	}
	return Job{
		ID: id, Kind: s.Kind, State: StatePending, Who: s.Who, TokenID: s.TokenID, Site: s.Site, From: s.From, To: s.To,
		Options: s.Options, Schedule: s.Schedule, RerunOf: s.RerunOf, Created: now, Step: StepCreated, Revision: 1,
	}, nil
}
