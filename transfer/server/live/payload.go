package live

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// progress is what is told of a job that goes on.
type progress struct {
	JobID    jobs.ID    `json:"jobId"`
	Progress float64    `json:"progress"` // 0 to 100
	Status   jobs.State `json:"status"`
	Step     jobs.Step  `json:"step"`
	Phase    string     `json:"phase,omitempty"`
	Attempt  int        `json:"attempt"`

	// Of the stage that is under way.
	Items      int64    `json:"items"`
	Bytes      int64    `json:"bytes"`
	TotalItems int64    `json:"totalItems,omitempty"`
	TotalBytes int64    `json:"totalBytes,omitempty"`
	Rate       float64  `json:"rate"`
	ItemRate   float64  `json:"itemRate"`
	ETA        *float64 `json:"etaSeconds"`
	Item       string   `json:"item,omitempty"`

	Cancelling bool          `json:"cancelling,omitempty"`
	Error      *jobs.Failure `json:"error,omitempty"` // of an attempt that failed, while another follows

	stamp
}

// completed is what is told of a job that has reached its end.
type completed struct {
	JobID    jobs.ID      `json:"jobId"`
	Data     *jobs.Result `json:"data"`
	Source   string       `json:"source"` // where the content came from
	Progress float64      `json:"progress"`
	Status   jobs.State   `json:"status"`
	Step     jobs.Step    `json:"step"`
	stamp
}

// failed is what is told of a job that has ended in any other way.
type failed struct {
	JobID    jobs.ID      `json:"jobId"`
	Error    jobs.Failure `json:"error"`
	Progress float64      `json:"progress"`
	Status   jobs.State   `json:"status"`
	Step     jobs.Step    `json:"step"`
	stamp
}

// stamp says when and where in the log.
type stamp struct {
	Timestamp time.Time `json:"timestamp"`
	Position  string    `json:"position"`
	// Snapshot marks what is told to begin with; Recovered is there then, and false: what was told before it is of no use.
	Snapshot  bool      `json:"snapshot,omitempty"`
	Recovered *bool     `json:"recovered,omitempty"`
	Job       *jobs.Job `json:"job,omitempty"` // of a snapshot
}

// message is one thing to tell, in the form that all channels share.
type message struct {
	job  jobs.ID
	kind kind
	body any
}

// kind is what sort of thing is told.
type kind string

const (
	kindProgress  kind = "progress"
	kindCompleted kind = "completed"
	kindFailed    kind = "failed"
	kindItem      kind = "item"
	kindError     kind = "error" // goes on in spite of it
)

// messageOf returns what an event tells.
func messageOf(e *jobs.Event) message {
	s := stamp{Timestamp: e.Time, Position: e.Position().String()}
	if e.Type == jobs.EventTransferred {
		return message{job: e.JobID, kind: kindItem, body: e.Data}
	}
	if e.Job == nil {
		return message{job: e.JobID, kind: kindProgress, body: e.Data}
	}
	m := state(e.Job, s)
	if m.kind == kindProgress && e.Type == jobs.EventError {
		m.kind = kindError
		if p, ok := m.body.(*progress); ok && p.Error == nil {
			p.Error = diagnosed(e)
		}
	}
	return m
}

// snapshotOf returns how a job stands, for somebody who has heard nothing yet, or too little.
func snapshotOf(j *jobs.Job, at jobs.Position) message {
	recovered := false
	return state(j, stamp{Timestamp: time.Now().UTC(), Position: at.String(), Snapshot: true, Recovered: &recovered, Job: j})
}

// state returns how a job stands.
func state(j *jobs.Job, s stamp) message {
	switch j.State {
	case jobs.StateCompleted:
		return message{job: j.ID, kind: kindCompleted, body: &completed{
			JobID: j.ID, Data: j.Result, Source: source(j), Progress: j.Progress, Status: j.State, Step: j.Step, stamp: s,
		}}
	case jobs.StateFailed, jobs.StateCancelled, jobs.StateInterrupted:
		failure := jobs.Failure{Code: string(j.State), Message: "the job was " + string(j.State)}
		if j.Error != nil {
			failure = *j.Error
		}
		return message{job: j.ID, kind: kindFailed, body: &failed{
			JobID: j.ID, Error: failure, Progress: j.Progress, Status: j.State, Step: j.Step, stamp: s,
		}}
	case jobs.StatePending, jobs.StateProcessing:
	}
	p := &progress{
		JobID: j.ID, Progress: j.Progress, Status: j.State, Step: j.Step, Phase: j.Phase, Attempt: j.Attempt,
		Cancelling: j.Cancelling, Error: j.Error, stamp: s,
	}
	for i := range j.Stages {
		if stage := &j.Stages[i]; string(stage.Stage) == string(j.Step) {
			p.Items, p.Bytes, p.TotalItems, p.TotalBytes = stage.Items, stage.Bytes, stage.TotalItems, stage.TotalBytes
			p.Rate, p.ItemRate, p.ETA, p.Item = stage.Rate, stage.ItemRate, stage.ETA, stage.Item
		}
	}
	return message{job: j.ID, kind: kindProgress, body: p}
}

// source names where the content of a job comes from.
func source(j *jobs.Job) string { return cmp.Or(j.From, j.Site, j.Who) }

// diagnosed is the failure that an event tells of when its job has none.
func diagnosed(e *jobs.Event) *jobs.Failure {
	for _, d := range e.Diagnostics {
		if d.Level == transfer.NoteError {
			return &jobs.Failure{Code: "diagnostic", Message: d.Message}
		}
	}
	return nil
}

// encode returns the body as JSON. Everything that is told has a form; what has none is told as nothing.
func (m message) encode() []byte {
	if raw, ok := m.body.(json.RawMessage); ok {
		return raw
	}
	text, err := json.Marshal(m.body)
	if err != nil {
		return []byte("null")
	}
	return text
}
