package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// runJob does what a job is for. It is the [jobs.Runner] of the server's manager.
func (s *Server) runJob(ctx context.Context, job jobs.Job, r *jobs.Recorder) (jobs.Outcome, error) {
	if job.Kind == jobs.KindPrune {
		return s.prune(ctx, job, r)
	}
	outcome, err := s.sync(ctx, job, r)
	if errors.Is(err, ErrBusy) {
		err = fmt.Errorf("%w: %w", jobs.ErrTransient, err)
	}
	return outcome, err
}

// syncReport is the report of a transfer between two endpoints: the engine's, and what it was going to do.
type syncReport struct {
	transfer.Report

	Plan *planReport `json:"plan,omitempty"`
}

// planReport is what a transfer is going to do, as the engine shows it before anything is changed.
type planReport struct {
	Stages   []transfer.Stage                  `json:"stages"`
	Restore  transfer.Restore                  `json:"replaces"`
	Totals   map[transfer.Stage]transfer.Count `json:"totals,omitempty"`
	Excluded []string                          `json:"excluded,omitempty"`
	Orphans  []transfer.Skip                   `json:"orphans,omitempty"`
}

// sync moves content between two endpoints of the configuration.
func (s *Server) sync(ctx context.Context, job jobs.Job, r *jobs.Recorder) (outcome jobs.Outcome, err error) {
	if err := s.CheckJob(jobs.Spec{Kind: job.Kind, From: job.From, To: job.To}); err != nil { // it may have changed since
		return outcome, err
	}
	from, err := s.find(job.From)
	if err != nil {
		return outcome, err
	}
	to, err := s.find(job.To)
	if err != nil {
		return outcome, err
	}
	who := fmt.Sprintf("job %s of %s", job.ID, job.Who)
	if to.place != nil && !job.Options.DryRun {
		release, err := to.place.take(who)
		if err != nil {
			return outcome, err
		}
		defer release()
	}
	src, err := from.source(ctx)
	if err != nil {
		return outcome, &transfer.Error{Side: transfer.FromSource, Op: "open", Err: err}
	}
	defer func() { letGo(&err, src) }()
	dst, err := to.Destination(ctx, who)
	if err != nil {
		return outcome, &transfer.Error{Side: transfer.FromDestination, Op: "open", Err: err}
	}
	report := &syncReport{}
	opts := job.Options.Engine()
	opts.Observe, opts.Logger = r.Observe, s.log.With(slog.String(keyJob, string(job.ID)))
	opts.Confirm = func(_ context.Context, review transfer.Review) error {
		report.Plan = &planReport{
			Stages: review.Plan.Stages, Restore: review.Plan.Restore, Totals: review.Totals, Excluded: review.Excluded, Orphans: review.Orphans,
		}
		return nil
	}
	report.Report, err = transfer.Run(ctx, src, dst, opts)
	if report.DryRun && report.Plan == nil { // the engine asks nobody before it fills what is empty
		report.Plan = &planReport{Stages: opts.Filter.Stages(), Restore: opts.Filter.Restore(report.Source.Schemas), Totals: countAll(ctx, src)}
	}
	letGo(&err, dst) // what was not committed goes only now
	report.after(dst, r)
	return jobs.Outcome{Result: report.result(dst), Report: report}, err
}

// letGo closes an endpoint. Its error counts unless something more telling has gone wrong before.
func letGo(err *error, c io.Closer) {
	if closing := c.Close(); *err == nil {
		*err = closing
	}
}

// after takes over what a destination has to say once it has been let go of.
func (r *syncReport) after(dst transfer.Destination, recorder *jobs.Recorder) {
	if state, ok := dst.(transfer.Stater); ok {
		r.State = state.State()
	}
	if noter, ok := dst.(transfer.Noter); ok {
		for _, note := range noter.Notes() {
			r.Notes = append(r.Notes, note)
			recorder.Note(note.Level, "", note.Message)
		}
	}
}

// result is the report in short.
func (r *syncReport) result(dst transfer.Destination) *jobs.Result {
	result := &jobs.Result{Destination: r.State, Skipped: r.SkippedRecords(), Seconds: r.Elapsed.Seconds()}
	for _, stage := range r.Stages {
		result.Items += stage.Stored
		result.Bytes += stage.Bytes
	}
	if made, ok := dst.(interface{ SnapshotID() string }); ok && r.State == transfer.StateCommitted {
		result.Snapshot = made.SnapshotID()
	}
	if r.DryRun {
		result.Message = "dry run: nothing was changed"
	}
	return result
}

// countAll is what a source says it holds, as far as it can tell.
func countAll(ctx context.Context, src transfer.Source) map[transfer.Stage]transfer.Count {
	counter, ok := src.(transfer.Counter)
	if !ok {
		return nil
	}
	totals := make(map[transfer.Stage]transfer.Count)
	for _, stage := range transfer.Stages() {
		if count, err := counter.Count(ctx, stage); err == nil {
			totals[stage] = count
		}
	}
	return totals
}

// prune deletes the snapshots of a site that are not to be kept.
func (s *Server) prune(ctx context.Context, job jobs.Job, r *jobs.Recorder) (jobs.Outcome, error) {
	pruner := s.config.Jobs.Pruner
	if pruner == nil || job.Options.Keep == nil {
		return jobs.Outcome{}, fmt.Errorf("%w: this server deletes no snapshots", transfer.ErrUsage)
	}
	removed, err := pruner.Prune(ctx, job.Site, *job.Options.Keep, job.Options.DryRun)
	for _, id := range removed {
		r.Note(transfer.NoteInfo, "", "snapshot "+job.Site+"@"+id+" is not kept")
	}
	result := &jobs.Result{Items: int64(len(removed)), Removed: removed}
	if job.Options.DryRun {
		result.Message = "dry run: nothing was deleted"
	}
	return jobs.Outcome{Result: result}, err
}
