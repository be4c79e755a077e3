package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// Recorder writes down what becomes of one job while it runs. Whoever reports to it never waits for the store or for subscribers. A nil
// Recorder takes everything and keeps nothing.
type Recorder struct {
	m      *Manager
	cancel context.CancelCauseFunc // ends the run
	quit   context.CancelFunc      // ends the recorder, saved or not
	wake   chan struct{}           // something is to be saved
	over   chan struct{}           // closed when the last word has been saved, or given up

	mu      sync.Mutex // guards what follows
	job     Job
	lease   Lease
	pending []Event      // durable ones that are not saved yet
	told    []Diagnostic // since the last event
	item    *Item
	alarms  int // events of errors
	dirty   bool
	ended   bool // nothing is taken any more
	pace    pace
}

// Bounds of what is kept of one job.
const (
	maxDiagnostics = 500
	maxDiagnostic  = 2 << 10 // bytes of one
	maxReport      = 4 << 20 // bytes
	maxAlarms      = 50      // errors that are events of their own; a peer may have any number of them
	tellEvery      = 250 * time.Millisecond
)

func newRecorder(m *Manager, job Job, cancel context.CancelCauseFunc) *Recorder {
	return &Recorder{
		m: m, cancel: cancel, job: job.Clone(), lease: job.Lease, wake: make(chan struct{}, 1), over: make(chan struct{}),
	}
}

// ID is the id of the job, "" of a nil Recorder.
func (r *Recorder) ID() ID {
	if r == nil {
		return ""
	}
	return r.job.ID // never changes
}

// Observe takes an event of the engine, or of a session that reports in the same words. It does not block.
func (r *Recorder) Observe(e transfer.Event) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	r.dirty = true
	if e.Note != nil {
		r.note(Diagnostic{Time: e.Time, Level: e.Note.Level, Stage: e.Stage, Message: e.Note.Message})
		return
	}
	if changed := r.job.observe(e); changed {
		r.event(Event{Type: EventProgress, Time: e.Time})
	}
	if e.Kind == transfer.EventStageProgress && e.Item != "" {
		r.item = &Item{Stage: string(e.Stage), Item: e.Item, Items: e.Records, Bytes: e.Bytes}
	}
}

// Note writes down a remark.
func (r *Recorder) Note(level transfer.NoteLevel, stage transfer.Stage, message string) {
	r.Observe(transfer.Event{Kind: transfer.EventNote, Time: time.Now(), Stage: stage, Note: &transfer.Note{Level: level, Message: message}})
}

// Update changes what is known of the job beside its progress, such as what its ends are called.
func (r *Recorder) Update(change func(*Job)) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.ended {
		change(&r.job)
		r.dirty = true
	}
}

// note keeps a diagnostic, and forgets the oldest when there are too many. r.mu must be held.
func (r *Recorder) note(d Diagnostic) {
	d.Message = clipText(r.m.opts.Redact(d.Message))
	if len(r.job.Diagnostics) >= maxDiagnostics {
		r.job.Diagnostics = slices.Clone(r.job.Diagnostics[len(r.job.Diagnostics)-maxDiagnostics+1:])
	}
	r.job.Diagnostics = append(r.job.Diagnostics, d)
	if len(r.told) < maxDiagnostics {
		r.told = append(r.told, d)
	}
	if d.Level == transfer.NoteError && r.alarms < maxAlarms {
		r.alarms++
		r.event(Event{Type: EventError, Time: d.Time})
	}
}

// event puts a durable event in line, with the job as it is now. r.mu must be held.
func (r *Recorder) event(e Event) {
	r.job.Revision++
	picture := r.picture()
	e.Job, e.Diagnostics = &picture, r.told
	r.told = nil
	r.pending = append(r.pending, e)
	r.nudge()
}

// picture is the job as it is told. r.mu must be held.
func (r *Recorder) picture() Job {
	c := r.job.Clone()
	return c.Public()
}

func (r *Recorder) nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// askCancel ends the run because somebody wishes so.
func (r *Recorder) askCancel() {
	r.mu.Lock()
	if r.ended || r.job.Cancelling {
		r.mu.Unlock()
		return
	}
	r.job.Cancelling, r.dirty = true, true
	r.event(Event{Type: EventProgress, Time: time.Now()})
	r.mu.Unlock()
	r.cancel(ErrCancelled)
}

// Snapshot is the job as it is now, diagnostics included.
func (r *Recorder) Snapshot() Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.job.Clone()
}

// current is the job as it is now, as long as it runs. How it has ended is for nobody to see before it has been saved.
func (r *Recorder) current() (job Job, running bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.job.Clone(), !r.ended
}

// settle sets what became of the job; nothing is taken after it. Only the first counts.
func (r *Recorder) settle(change func(*Job) Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return
	}
	r.ended = true
	e := change(&r.job)
	if r.job.Error != nil {
		r.job.Error.Message = clipText(r.m.opts.Redact(r.job.Error.Message))
	}
	if len(r.job.Report) > 0 {
		r.job.Report = json.RawMessage(r.m.opts.Redact(string(r.job.Report)))
	}
	if len(r.job.Report) > maxReport {
		r.job.Report = nil
		r.note(Diagnostic{Time: time.Now(), Level: transfer.NoteWarning, Message: "the report was too long to be kept"})
	}
	r.job.HasReport = len(r.job.Report) > 0
	r.event(e)
}

// run saves and tells until the job is settled, or until ctx ends, when nothing can be saved any more.
func (r *Recorder) run(ctx context.Context) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	saved := time.Now()
	for {
		var due bool
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
			due = true
		case <-tick.C:
			r.tell(ctx)
			due = time.Since(saved) >= r.m.opts.Beat && r.stale()
		}
		if !due {
			continue
		}
		err := r.save(ctx)
		switch {
		case errors.Is(err, ErrLost):
			r.m.log.WarnContext(ctx, "job lost", slog.String(keyJob, string(r.ID())))
			r.cancel(ErrLost)
			return
		case err != nil:
			r.m.log.WarnContext(ctx, "job not saved", slog.String(keyJob, string(r.ID())), slog.Any(keyError, err))
			if r.m.shared() && time.Since(saved) > r.m.opts.Lease*3/4 {
				// Another server is about to take over; two must not run it.
				r.cancel(ErrLost)
			}
		default:
			saved = time.Now()
		}
		if r.done() {
			return
		}
	}
}

// stale reports whether there is something to be saved, or a sign of life to be given.
func (r *Recorder) stale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dirty || len(r.pending) > 0 || r.m.shared()
}

// done reports whether the last word has been saved.
func (r *Recorder) done() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended && len(r.pending) == 0
}

// tell publishes progress that is not worth an entry in the log.
func (r *Recorder) tell(ctx context.Context) {
	r.mu.Lock()
	r.pace.update(&r.job, time.Now())
	if !r.dirty || r.ended || len(r.pending) > 0 || r.m.opts.Relay == nil && !r.m.feed.watched(r.job.ID) {
		r.mu.Unlock()
		return
	}
	events, err := r.volatile()
	r.mu.Unlock()
	if err != nil {
		r.m.log.ErrorContext(ctx, "progress not told", slog.Any(keyError, err))
		return
	}
	_ = r.m.feed.publish(ctx, events...) // only durable events can fail
	r.m.relay(ctx, events)
}

// volatile are the events of progress. r.mu must be held.
func (r *Recorder) volatile() (events []Event, err error) {
	r.job.Revision++
	picture := r.picture()
	now := time.Now()
	data, err := json.Marshal(picture)
	if err != nil {
		return nil, err
	}
	events = append(events, Event{JobID: picture.ID, Type: EventProgress, Time: now, Data: data, Job: &picture, Diagnostics: r.told})
	r.told = nil
	if r.item != nil {
		if data, err = json.Marshal(r.item); err != nil {
			return nil, err
		}
		events = append(events, Event{JobID: picture.ID, Type: EventTransferred, Time: now, Data: data, Job: &picture})
		r.item = nil
	}
	return events, nil
}

// saveTimeout bounds one attempt to save.
const saveTimeout = 5 * time.Second

// save writes the job and the events that wait, and then tells them.
func (r *Recorder) save(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	r.mu.Lock()
	if len(r.pending) == 0 && r.dirty {
		r.job.Revision++
	}
	job, events := r.job.Clone(), slices.Clone(r.pending)
	job.Lease = r.lease
	r.dirty = false
	r.mu.Unlock()
	change, err := r.m.store.Save(ctx, job, events...)
	r.mu.Lock()
	if err != nil {
		r.dirty = true
		r.mu.Unlock()
		return err
	}
	r.pending = r.pending[len(events):]
	r.lease, r.job.Seq = change.Job.Lease, change.Job.Seq
	r.mu.Unlock()
	r.m.published(ctx, change.Events)
	if change.Job.Cancelling {
		r.askCancel()
		if job.State == StatePending { // the cancel came between the failure of an attempt and its being saved
			_, err = r.m.Cancel(ctx, job.ID)
		}
	}
	return err
}
