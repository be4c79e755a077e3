package transfer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

func (o Options) withDefaults() Options {
	if o.Schemas == "" {
		o.Schemas = SchemaStrict
	}
	if o.Versions == "" {
		o.Versions = VersionExact
	}
	if o.Orphans == "" {
		o.Orphans = OrphansFail
	}
	if o.Observe == nil {
		o.Observe = func(Event) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Run moves what the filter leaves of a source to a destination. Nothing is changed at the destination before source and destination
// were found to match, the source was found whole as far as it can tell, and Options.Confirm agreed; nothing stays changed, as far
// as the destination can help it, unless everything arrived. Run closes neither side.
//
// The report is complete as far as the transfer came, also when the error is not nil. Errors wrap one of the package's sentinels
// where one fits.
func Run(ctx context.Context, src Source, dst Destination, opts Options) (Report, error) {
	r := &run{
		src: src, dst: dst, opts: opts.withDefaults(), started: time.Now(),
		rows: make(rowSet), skipped: make(tally), excluded: make(tally),
	}
	if r.opts.Rate > 0 {
		r.limiter = rate.NewLimiter(rate.Limit(r.opts.Rate), int(min(r.opts.Rate, 1<<20)))
	}
	r.report.Started, r.report.State = r.started, StateUntouched
	err := r.run(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return r.finish(err), err
}

// run is the state of one transfer.
type run struct {
	src     Source
	dst     Destination
	opts    Options
	started time.Time

	source, destination Description
	sourceModels        map[string]model // for finding components in rows
	targetModels        map[string]model // for dropping what the destination does not know; nil when it takes anything
	plan                Plan
	totals              map[Stage]Count // of the source, when known
	rows                rowSet          // sent so far
	limiter             *rate.Limiter

	skipped, excluded tally
	fields            map[string]int64 // values dropped, by type and field
	report            Report
}

func (r *run) run(ctx context.Context) error {
	if err := r.opts.Filter.Validate(); err != nil {
		return err
	}
	if err := r.describe(ctx); err != nil {
		return err
	}
	if err := r.match(); err != nil {
		return err
	}
	if c, ok := r.src.(Checker); ok {
		r.phase("checking the source")
		if err := c.Check(ctx); err != nil {
			return &Error{Side: FromSource, Op: "check", Err: err}
		}
	}
	r.makePlan()
	if r.destination.FilesNeedRows && r.plan.Has(StageAssets) && !r.plan.replaces(typeUploadFile) {
		return fmt.Errorf("%w: %s takes files only together with the rows of its media library, and would delete its own files before it "+
			"refuses; move content and %s too, or leave the files out with --exclude files", ErrUsage, r.destination.Name, typeUploadFile)
	}
	if err := r.preflight(ctx); err != nil {
		return err
	}
	if !r.destination.Blank && r.opts.Confirm != nil {
		if err := r.opts.Confirm(ctx, r.review()); err != nil {
			return err
		}
	}
	if r.opts.DryRun {
		r.report.DryRun = true
		return nil
	}
	return r.move(ctx)
}

func (r *run) describe(ctx context.Context) error {
	r.phase("connecting")
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		if r.source, err = r.src.Describe(gctx); err != nil {
			return &Error{Side: FromSource, Op: "describe", Err: err}
		}
		return nil
	})
	g.Go(func() (err error) {
		if r.destination, err = r.dst.Describe(gctx); err != nil {
			return &Error{Side: FromDestination, Op: "describe", Err: err}
		}
		return nil
	})
	err := g.Wait()
	r.report.Source, r.report.Destination = r.source, r.destination
	if err != nil {
		return err
	}
	if r.sourceModels, err = r.source.Schemas.models(); err != nil {
		return &Error{Side: FromSource, Op: "describe", Err: err}
	}
	if !r.destination.Blank && r.destination.Schemas != nil {
		if r.targetModels, err = r.destination.Schemas.models(); err != nil {
			return &Error{Side: FromDestination, Op: "describe", Err: err}
		}
	}
	return nil
}

// match compares versions and schemas.
func (r *run) match() error {
	if err := r.opts.Filter.Check(r.source.Schemas); err != nil {
		return err
	}
	if r.destination.Blank {
		return nil
	}
	if err := compareVersions(r.source.Version, r.destination.Version, r.opts.Versions); err != nil {
		return err
	}
	strategy := r.opts.Schemas
	if strategy == SchemaIgnore {
		strategy = SchemaStrict // to say what will be lost
	}
	diffs, err := CompareSchemas(r.source.Schemas, r.destination.Schemas, strategy)
	if err != nil {
		return err
	}
	r.report.Differences = diffs
	if len(diffs) == 0 || r.opts.Schemas == SchemaIgnore {
		return nil
	}
	return &MismatchError{Differences: diffs}
}

// MismatchError is returned when schemas differ in a way that the strategy does not allow. It wraps [ErrIncompatible].
type MismatchError struct{ Differences []Difference }

func (e *MismatchError) Error() string {
	return fmt.Sprintf("%v: the schemas differ in %d places, first: %s; deploy the same content types on both sides, "+
		"or accept the loss with --schema-strategy ignore", ErrIncompatible, len(e.Differences), e.Differences[0])
}

func (e *MismatchError) Unwrap() error { return ErrIncompatible }

func (r *run) makePlan() {
	target := r.destination.Schemas
	if target == nil {
		target = r.source.Schemas
	}
	r.plan = Plan{Source: r.source, Stages: r.opts.Filter.Stages(), Restore: r.opts.Filter.Restore(target)}
	h := sumOf([]byte(r.source.Name), fmt.Append(nil, r.opts.Filter), fmt.Append(nil, r.source.Version, r.source.CreatedAt.UnixNano()))
	for _, uid := range slices.Sorted(maps.Keys(r.source.Schemas)) {
		h = h.plus(sumOf([]byte(uid), r.source.Schemas[uid].raw))
	}
	r.plan.Digest = fmt.Sprintf("%x", h)
}

func (r *run) review() Review {
	return Review{
		Plan: r.plan, Source: r.source, Destination: r.destination, Differences: r.report.Differences,
		Excluded: r.opts.Filter.words(), Totals: r.totals, Orphans: r.skipped.list(),
	}
}

// move does what cannot be taken back.
func (r *run) move(ctx context.Context) error {
	r.phase("preparing the destination")
	if r.opts.Collect {
		d, err := NewDigest(r.source.Schemas)
		if err != nil {
			return err
		}
		r.report.Digest = d
	}
	// Preflight has counted the same records; only what happens from here on is the account.
	r.skipped, r.excluded, r.rows, r.fields = make(tally), make(tally), make(rowSet), nil
	if _, err := r.dst.Begin(ctx, r.plan); err != nil {
		return &Error{Side: FromDestination, Op: "begin", Err: err}
	}
	r.notes()
	for _, stage := range r.plan.Stages {
		if err := r.moveStage(ctx, stage); err != nil {
			return err
		}
	}
	if r.report.Digest != nil {
		r.report.Digest.forget()
	}
	incomplete := r.settle()
	if incomplete != nil && !r.oneWay() {
		return incomplete
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	r.phase("committing")
	if err := r.dst.Commit(ctx); err != nil {
		return &Error{Side: FromDestination, Op: "commit", Err: err}
	}
	r.notes()
	return incomplete
}

// settle decides, before the commit, whether what was skipped may be.
func (r *run) settle() error {
	r.outcome()
	skips := r.skips()
	bad := forbidden(skips)
	if bad <= r.opts.AllowSkipped {
		return nil
	}
	first := firstForbidden(skips)
	return fmt.Errorf("%w: %d records could not be transferred, first %s %s: %s; accept it with --allow-skipped %d",
		ErrDamaged, bad, first.Stage, firstOf(first.Examples), first.Reason, bad)
}

// oneWay reports whether the destination cannot be brought back: its old files are deleted, the new ones are in their place, and
// a rollback would leave the old rows without files. Then all of the source but what it does not have itself is the better of two
// bad outcomes; the error is returned after the commit all the same.
func (r *run) oneWay() bool {
	s, ok := r.dst.(Stater)
	return ok && s.State() == StateNewFiles
}

// firstForbidden returns a skip that nobody allowed; there must be one.
func firstForbidden(skips []Skip) Skip {
	return skips[slices.IndexFunc(skips, func(s Skip) bool { return !s.Allowed })]
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// outcome takes over what the destination says of the records it was given.
func (r *run) outcome() {
	a, ok := r.dst.(Accountant)
	if !ok {
		return
	}
	o := a.Outcome()
	for i := range r.report.Stages {
		s := &r.report.Stages[i]
		if n, ok := o.Acknowledged[s.Stage]; ok {
			s.Acknowledged = n
		}
		if n, ok := o.Stored[s.Stage]; ok {
			s.Stored = n
		}
	}
}

// skips are the records that did not arrive, those that the destination left out included.
func (r *run) skips() []Skip {
	skips := append(r.skipped.list(), r.lacking()...)
	if a, ok := r.dst.(Accountant); ok {
		for _, s := range a.Outcome().Skipped {
			s.Allowed = s.Allowed || r.opts.Orphans == OrphansSkip && s.Stage == StageLinks
			skips = append(skips, s)
		}
	}
	return skips
}

// lacking is what the source left out itself. Links to rows that it does not have are of no use in a copy of it, where they are merely
// worth a note: see excludedLinks.
func (r *run) lacking() (skips []Skip) {
	src, ok := r.src.(Skipper)
	if !ok {
		return nil
	}
	for _, s := range src.Skipped() {
		if s.Stage == StageLinks && r.destination.Blank {
			continue
		}
		s.Allowed = s.Allowed || r.opts.Orphans == OrphansSkip && s.Stage == StageLinks
		skips = append(skips, s)
	}
	return skips
}

// excludedLinks are the links that lacking passes over.
func (r *run) excludedLinks() (skips []Skip) {
	if src, ok := r.src.(Skipper); ok && r.destination.Blank {
		for _, s := range src.Skipped() {
			if s.Stage == StageLinks {
				s.Allowed = true
				skips = append(skips, s)
			}
		}
	}
	return skips
}

func (r *run) finish(err error) Report {
	r.outcome()
	r.notes()
	r.report.Skipped, r.report.Excluded = r.skips(), append(r.excluded.list(), r.excludedLinks()...)
	r.report.Elapsed = time.Since(r.started)
	for _, name := range slices.Sorted(maps.Keys(r.fields)) {
		r.note(NoteWarning, fmt.Sprintf("%s: %d values left out, the destination has no such field or must not get it", name, r.fields[name]))
	}
	switch s, ok := r.dst.(Stater); {
	case ok:
		r.report.State = s.State()
	case err == nil && !r.report.DryRun:
		r.report.State = StateCommitted
	case len(r.report.Stages) > 0:
		r.report.State = StateRolledBack
	}
	return r.report
}

// notes takes over what the endpoints have to say.
func (r *run) notes() {
	for _, end := range []any{r.src, r.dst} {
		if n, ok := end.(Noter); ok {
			for _, note := range n.Notes() {
				r.note(note.Level, note.Message)
			}
		}
	}
}

func (r *run) note(level NoteLevel, message string) {
	n := Note{Level: level, Message: message}
	r.report.Notes = append(r.report.Notes, n)
	r.opts.Observe(Event{Kind: EventNote, Time: time.Now(), Note: &n})
}

func (r *run) phase(name string) {
	r.opts.Observe(Event{Kind: EventPhase, Time: time.Now(), Item: name, Elapsed: time.Since(r.started)})
}
