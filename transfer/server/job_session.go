package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// keyJob is the name of the log attribute.
const keyJob = "job_id"

// beginJob writes down that a client's transfer has begun. Without jobs, or when they cannot be written, it returns nil, which is good
// for everything that a recorder is.
func (s *session) beginJob(ctx context.Context, version string) *jobs.Recorder {
	if s.server.jobs == nil {
		return nil
	}
	job := jobs.Job{Who: s.who, TokenID: s.token.ID, Site: s.place.name, Direction: string(s.direction)}
	if s.direction == protocol.Pull {
		job.From = s.place.name
	} else {
		job.To = s.place.name
	}
	recorder, err := s.server.jobs.Begin(ctx, job, s.stop)
	if err != nil {
		s.log.WarnContext(ctx, "transfer not written down", slog.Any(keyError, err))
		return nil
	}
	if version != "" {
		recorder.Note(transfer.NoteInfo, "", "the client has Strapi "+clip(version))
	}
	return recorder
}

// observed is what a session tells of a stage: in the words of the engine, so that all jobs look alike.
func observed(kind transfer.EventKind, stage transfer.Stage, records, bytes int64, item string) transfer.Event {
	return transfer.Event{Kind: kind, Time: time.Now(), Stage: stage, Records: records, Bytes: bytes, Item: item}
}

// told is an error with the text that others than the operator may see of it.
type told struct {
	error
	text string
}

func (t told) Error() string { return t.text }

func (t told) Unwrap() error { return t.error }

// jobError is what is written down of the reason for which a client's transfer ended.
func jobError(cause error) error {
	switch {
	case cause == nil:
		cause = errNotCommitted
	case errors.Is(cause, jobs.ErrCancelled):
		return jobs.ErrCancelled
	case errors.Is(cause, errShutdown):
		return jobs.ErrStopping
	}
	sentinel := cause
	switch {
	case errors.Is(cause, errGone), errors.Is(cause, errSilent), errors.Is(cause, errIdle), errors.Is(cause, errSlow):
		return told{errors.Join(transfer.ErrConnection, cause), "the connection to the client was lost: " + clipLong(cause.Error())}
	case errors.Is(cause, errRolledBack), errors.Is(cause, errNotCommitted), errors.Is(cause, errEnded):
		return told{errors.Join(transfer.ErrRefused, cause), cause.Error()}
	case refusal(cause) != nil, errors.Is(cause, errToken):
		return told{errors.Join(transfer.ErrAuth, cause), errToken.Error()}
	}
	if said, ok := errors.AsType[*protocol.Error](cause); ok {
		return told{sentinel, clipLong(said.Message)}
	}
	return told{sentinel, safeText(protocol.Request{}, cause)}
}

// sessionReport is the report of a client's transfer: what the server knows of it.
type sessionReport struct {
	Source      transfer.Description `json:"source"`
	Destination transfer.Description `json:"destination"`
	Restore     *transfer.Restore    `json:"replaces,omitempty"`
	Stages      []jobs.Stage         `json:"stages"`
	Skipped     []transfer.Skip      `json:"skipped,omitempty"`
	State       transfer.State       `json:"destinationState,omitempty"`
	Notes       []transfer.Note      `json:"notes,omitempty"`
}

// end writes down how the transfer of a session ended.
func endJob(r *jobs.Recorder, report sessionReport, cause error) {
	if r == nil {
		return
	}
	snapshot := r.Snapshot()
	report.Stages = snapshot.Stages
	result := &jobs.Result{Destination: report.State}
	for _, skip := range report.Skipped {
		result.Skipped += skip.Count
	}
	for _, stage := range report.Stages {
		result.Items += stage.Items
		result.Bytes += stage.Bytes
	}
	r.End(jobs.Outcome{Result: result, Report: report}, cause)
}

// endJob writes down how a push ended: nil is that it was committed. It may be called again, when it does nothing.
func (p *push) endJob(cause error) {
	if p.job == nil {
		return
	}
	report := sessionReport{
		Source: p.plan.Source, Destination: p.desc, Restore: &p.plan.Restore, Skipped: p.skipped, State: transfer.StateRolledBack,
	}
	if p.done {
		report.State = transfer.StateCommitted
	} else {
		cause = jobError(cause)
	}
	endJob(p.job, report, cause)
	p.job = nil
}

// endJob writes down how a pull ended: nil is that the client closed it.
func (p *pull) endJob(cause error) {
	if p.job == nil {
		return
	}
	if cause != nil {
		cause = jobError(cause)
	}
	endJob(p.job, sessionReport{Source: p.desc, Destination: transfer.Description{Kind: "pull", Name: p.sess.who}, Skipped: p.skipped}, cause)
	p.job = nil
}

// observe tells how far a stage of a push is.
func (s *step) observe(kind transfer.EventKind) {
	item := ""
	if s.asset != nil {
		item = s.asset.name
	}
	s.push.job.Observe(observed(kind, s.stage, s.finished, s.bytes, item))
}

// count notes how much a stage of a pull is going to be, once its source has begun to read: some know only then.
func (s *stream) count(ctx context.Context) {
	if counter, ok := s.src.(transfer.Counter); ok && s.job != nil && s.total == nil {
		if count, err := counter.Count(ctx, s.stage); err == nil {
			s.total = &count
		}
	}
}

// observe tells how far a stage of a pull is.
func (s *stream) observe(kind transfer.EventKind, item string) {
	e := observed(kind, s.stage, s.items, s.sent, item)
	e.Total = s.total
	s.job.Observe(e)
}
