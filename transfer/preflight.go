package transfer

import (
	"context"
	"fmt"
)

// preflight reads the source's rows and links through before the destination is touched. It counts them, for the plan, and finds what
// could not be transferred: once the destination has been emptied, an orphan in the source would be a reason to undo what cannot be
// undone everywhere, because a Strapi server does not bring deleted files back.
//
// It costs a second read of the source, so it is left out where nothing is lost by a late failure: for new archives, and when
// orphans are to be skipped anyway and the source is not at hand.
func (r *run) preflight(ctx context.Context) error {
	_, local := r.src.(Checker)
	if r.destination.Blank || !local && r.opts.Orphans == OrphansSkip {
		return nil
	}
	r.phase("reading the source")
	r.totals = make(map[Stage]Count)
	for _, stage := range r.plan.Stages {
		if err := r.survey(ctx, stage, local); err != nil {
			return err
		}
	}
	skips := r.skipped.list()
	for _, s := range r.lacking() {
		if s.Stage == StageLinks { // files are not read for a preflight
			skips = append(skips, s)
		}
	}
	if n := forbidden(skips); n > r.opts.AllowSkipped {
		first := firstForbidden(skips)
		return fmt.Errorf("%w: the source holds %d records that lead nowhere, first %s %s: %s; repair it, or leave them out with "+
			"--orphans skip", ErrDamaged, n, first.Stage, firstOf(first.Examples), first.Reason)
	}
	return nil
}

// survey counts a stage. Files are never read for it, only counted where the source knows their number.
func (r *run) survey(ctx context.Context, stage Stage, local bool) error {
	switch stage {
	case StageEntities, StageLinks:
	case StageAssets, StageSchemas:
		if c, ok := r.src.(Counter); ok && local {
			if n, err := c.Count(ctx, stage); err == nil {
				r.totals[stage] = n
			}
		}
		return nil
	case StageConfiguration:
		if !local {
			return nil
		}
	}
	s := &stageRun{run: r}
	count := Count{ByType: make(map[string]int64)}
	for item, err := range r.src.Read(ctx, stage, 0) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return &Error{Side: FromSource, Stage: stage, Op: "read", Err: err}
		}
		record, err := s.admit(item.Record)
		if err != nil {
			return &Error{Side: FromSource, Stage: stage, Op: "read", Err: err}
		}
		if record != nil {
			count.Records++
			count.Bytes += record.Size()
			count.ByType[record.Group()]++
		}
	}
	r.totals[stage] = count
	return nil
}
