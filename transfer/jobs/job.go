package jobs

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/transfer-runner/runner/transfer"
)

// ID names a job. It is a UUID that sorts by the time at which the job was made.
type ID string

// NewID makes an ID.
func NewID() (ID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("make a job's id: %w", err)
	}
	return ID(id.String()), nil
}

// ParseID reads an ID.
func ParseID(text string) (ID, error) {
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		return "", fmt.Errorf("%w: %.40q is not the id of a job", ErrNotFound, text)
	}
	return ID(text), nil
}

// Kind is a sort of job.
type Kind string

// The kinds of jobs.
const (
	KindSession Kind = "session" // a client's transfer, which the server only watches
	KindSync    Kind = "sync"    // a transfer that the server runs between two endpoints of its configuration
	KindPrune   Kind = "prune"   // deletes snapshots that are not to be kept
)

// State is where a job is in its life.
type State string

// The states. The first two can become any of those after them, which are for good.
const (
	StatePending     State = "pending"
	StateProcessing  State = "processing"
	StateCompleted   State = "completed"
	StateFailed      State = "failed"
	StateCancelled   State = "cancelled"
	StateInterrupted State = "interrupted" // the server died or was stopped
)

// States returns all states.
func States() []State {
	return []State{StatePending, StateProcessing, StateCompleted, StateFailed, StateCancelled, StateInterrupted}
}

// Ended reports whether the state is for good.
func (s State) Ended() bool { return s != StatePending && s != StateProcessing }

// Step says how far a running job is.
type Step string

// The steps, in order. Those from schemas to configuration are the stages of a transfer.
const (
	StepCreated       Step = "created"
	StepConnecting    Step = "connecting"
	StepChecking      Step = "checking"
	StepSchemas       Step = "schemas"
	StepEntities      Step = "entities"
	StepAssets        Step = "assets"
	StepLinks         Step = "links"
	StepConfiguration Step = "configuration"
	StepCompleted     Step = "completed"
)

// Steps returns all steps in order.
func Steps() []Step {
	return []Step{
		StepCreated, StepConnecting, StepChecking, StepSchemas, StepEntities, StepAssets, StepLinks, StepConfiguration, StepCompleted,
	}
}

// Job is one transfer as an operator sees it. It holds no secrets: endpoints are names.
type Job struct {
	ID    ID    `json:"id"`
	Kind  Kind  `json:"kind"`
	State State `json:"state"`

	Who       string `json:"who,omitempty"`       // for people: whose token, and from where
	TokenID   string `json:"tokenId,omitempty"`   // of the token that it was started with; never its text
	Site      string `json:"site,omitempty"`      // the site that a session or a prune is about
	Direction string `json:"direction,omitempty"` // of a session: push or pull
	From      string `json:"from,omitempty"`      // name of a site, of a snapshot (SITE@ID) or of a remote
	To        string `json:"to,omitempty"`

	Options  Settings `json:"options,omitzero"`
	Schedule string   `json:"schedule,omitempty"` // id of the schedule that started it
	RerunOf  ID       `json:"rerunOf,omitempty"`
	Attempt  int      `json:"attempt"` // of the runs, counted from 1; 0 before the first

	Created  time.Time `json:"created"`
	Started  time.Time `json:"started,omitzero"`
	Finished time.Time `json:"finished,omitzero"`
	Due      time.Time `json:"due,omitzero"` // of a pending job: not before; zero is at once

	Progress float64 `json:"progress"` // 0 to 100, never going back within an attempt
	Step     Step    `json:"step"`
	Phase    string  `json:"phase,omitempty"` // what is done outside the stages, in words

	Stages      []Stage      `json:"stages,omitempty"`
	Diagnostics []Diagnostic `json:"diagnostics,omitempty"` // the last maxDiagnostics
	Result      *Result      `json:"result,omitempty"`
	Error       *Failure     `json:"error,omitempty"`

	Cancelling bool   `json:"cancelling,omitempty"` // a cancel was asked for and is on its way
	Server     string `json:"server,omitempty"`     // who runs it
	HasReport  bool   `json:"hasReport,omitempty"`  // see Store.Report

	// Revision grows with every change that can be seen, progress included. Two answers of one epoch with the same revision are equal.
	Revision int64 `json:"revision"`
	// Seq is the position in the log of the last event of the job.
	Seq int64 `json:"seq"`

	Lease Lease `json:"-"`
	// Report is the engine's report of the last attempt, as JSON. It is kept apart: Get has it, lists and events do not.
	Report json.RawMessage `json:"-"`
}

// Lease says who runs a job, and that it lives.
type Lease struct {
	Owner string
	Fence int64 // grows each time the job is claimed
	Beat  int64 // grows with each sign of life
}

// Stage is the progress of one stage.
type Stage struct {
	Stage      transfer.Stage   `json:"stage"`
	Items      int64            `json:"items"`
	Bytes      int64            `json:"bytes"`
	TotalItems int64            `json:"totalItems,omitempty"` // 0 when unknown
	TotalBytes int64            `json:"totalBytes,omitempty"`
	Rate       float64          `json:"rate"`             // bytes a second, a moving average
	ItemRate   float64          `json:"itemRate"`         // items a second
	ETA        *float64         `json:"etaSeconds"`       // null when unknown
	Item       string           `json:"item,omitempty"`   // what is being moved
	ByType     map[string]int64 `json:"byType,omitempty"` // items by content type, when the stage is through
	Started    time.Time        `json:"started,omitzero"`
	Finished   time.Time        `json:"finished,omitzero"`
}

// Diagnostic is something that was told during a job.
type Diagnostic struct {
	Time    time.Time          `json:"time"`
	Level   transfer.NoteLevel `json:"level"`
	Stage   transfer.Stage     `json:"stage,omitempty"`
	Message string             `json:"message"`
}

// Result says what a job did.
type Result struct {
	Destination transfer.State `json:"destinationState,omitempty"`
	Items       int64          `json:"items"`
	Bytes       int64          `json:"bytes"`
	Skipped     int64          `json:"skipped"`
	Seconds     float64        `json:"seconds"`
	Snapshot    string         `json:"snapshot,omitempty"` // that was made, where it is known
	Removed     []string       `json:"removed,omitempty"`  // snapshots that a prune deleted
	Message     string         `json:"message,omitempty"`
}

// Failure says why a job did not complete.
type Failure struct {
	Code    string `json:"code"` // see [CodeOf]
	Message string `json:"message"`
}

// Clone returns a copy that shares nothing that is changed later.
func (j *Job) Clone() Job {
	c := *j
	c.Stages, c.Diagnostics = slices.Clone(j.Stages), slices.Clone(j.Diagnostics)
	return c
}

// Public is the job as it is told in lists and events: without what is kept apart, and without diagnostics, which are told by
// themselves.
func (j *Job) Public() Job {
	c := *j
	c.Report, c.Diagnostics = nil, nil
	return c
}
