package transfer

import (
	"context"
	"log/slog"
	"time"
)

// Options steer [Run]. The zero value moves everything that Strapi moves, strictly, and asks nobody.
type Options struct {
	Filter Filter

	Schemas  SchemaStrategy  // default [SchemaStrict]
	Versions VersionStrategy // default [VersionExact]
	Orphans  OrphanPolicy    // default [OrphansFail]

	// AllowSkipped is how many records may be skipped before the transfer fails instead of being committed. Records that the
	// user's own filters leave out are not skipped but excluded.
	AllowSkipped int64

	// Confirm is shown the plan before the destination is touched. An error stops the transfer; nil as a function confirms.
	// It is not called for a destination that is [Description.Blank].
	Confirm func(ctx context.Context, review Review) error

	// DryRun stops after Confirm.
	DryRun bool

	// Collect gathers a [Digest] of what was sent, for comparison with what the destination holds afterwards.
	Collect bool

	// Throttle is slept after each record, as the stock --throttle. Rate limits bytes of content a second; 0 is no limit.
	Throttle time.Duration
	Rate     int64

	// Observe is called with each event, from one goroutine at a time. It must not block.
	Observe func(Event)

	Logger *slog.Logger // nil discards
}

// Review is what a user decides on before a destination is touched.
type Review struct {
	Plan        Plan
	Source      Description
	Destination Description
	Differences []Difference // of the schemas, ignorable ones left out
	Excluded    []string     // what the filters leave out, in words

	// Totals are the records that will be sent, by stage, as far as they could be counted beforehand; nil when they could not.
	Totals map[Stage]Count
	// Orphans are links that the transfer will skip because they lead nowhere, as far as that is known beforehand.
	Orphans []Skip
}

// VersionStrategy says which Strapi versions may meet.
type VersionStrategy string

// The strategies of Strapi's engine.
const (
	VersionExact  VersionStrategy = "exact"
	VersionPatch  VersionStrategy = "patch"
	VersionMinor  VersionStrategy = "minor"
	VersionMajor  VersionStrategy = "major"
	VersionIgnore VersionStrategy = "ignore"
)

// SchemaStrategy says which schemas may meet.
type SchemaStrategy string

// The strategies of Strapi's engine: no difference, no difference that matters, any.
const (
	SchemaExact  SchemaStrategy = "exact"
	SchemaStrict SchemaStrategy = "strict"
	SchemaIgnore SchemaStrategy = "ignore"
)

// OrphanPolicy says what becomes of links to rows that are not part of the source.
type OrphanPolicy string

// The policies.
const (
	OrphansFail OrphanPolicy = "fail"
	OrphansSkip OrphanPolicy = "skip"
)
