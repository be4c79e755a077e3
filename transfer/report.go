package transfer

import "time"

// Report says what became of a transfer. It is complete also when [Run] returns an error.
type Report struct {
	Source      Description   `json:"source"`
	Destination Description   `json:"destination"`
	Started     time.Time     `json:"started"`
	Elapsed     time.Duration `json:"elapsedNs"`
	Stages      []StageReport `json:"stages"`
	Skipped     []Skip        `json:"skipped,omitempty"`
	Excluded    []Skip        `json:"excluded,omitempty"` // left out because filters or Strapi's own rules say so
	Differences []Difference  `json:"schemaDifferences,omitempty"`
	Notes       []Note        `json:"notes,omitempty"`
	DryRun      bool          `json:"dryRun,omitempty"`
	State       State         `json:"destinationState"`

	Digest *Digest `json:"-"` // with Options.Collect
}

// StageReport is the account of one stage.
type StageReport struct {
	Stage        Stage            `json:"stage"`
	Read         int64            `json:"read"`         // records that the source yielded
	Sent         int64            `json:"sent"`         // handed to the destination
	Acknowledged int64            `json:"acknowledged"` // that the destination said it received
	Stored       int64            `json:"stored"`       // that the destination said it kept
	Excluded     int64            `json:"excluded"`
	Skipped      int64            `json:"skipped"`
	Bytes        int64            `json:"bytes"` // sent
	Elapsed      time.Duration    `json:"elapsedNs"`
	ByType       map[string]int64 `json:"byType,omitempty"` // sent, by Group
}

// Skip is a number of records that were not transferred for one reason.
type Skip struct {
	Stage    Stage    `json:"stage"`
	Type     string   `json:"type,omitempty"`
	Reason   string   `json:"reason"`
	Count    int64    `json:"count"`
	Examples []string `json:"examples,omitempty"` // at most maxExamples keys
	Allowed  bool     `json:"allowed,omitempty"`
}

// maxExamples bounds what a report says of one reason, so that a million skipped records do not fill memory.
const maxExamples = 10

// SkippedRecords is the number of records that should have arrived and did not.
func (r Report) SkippedRecords() (n int64) {
	for _, s := range r.Skipped {
		n += s.Count
	}
	return n
}

// Event is progress, told to Options.Observe. Counters are totals so far, so that an observer may miss events.
type Event struct {
	Kind    EventKind     `json:"event"`
	Time    time.Time     `json:"time"`
	Stage   Stage         `json:"stage,omitempty"`
	Records int64         `json:"records"`
	Bytes   int64         `json:"bytes"`
	Total   *Count        `json:"total,omitempty"` // of the stage, when known
	Item    string        `json:"item,omitempty"`  // what is being moved
	Elapsed time.Duration `json:"elapsedNs,omitempty"`
	Note    *Note         `json:"note,omitempty"`
}

// EventKind says what an [Event] tells.
type EventKind string

// The kinds of events. EventPhase carries a phase outside the stages in Item: "connecting", "checking", "preparing",
// "committing".
const (
	EventPhase         EventKind = "phase"
	EventStageStarted  EventKind = "stage_started"
	EventStageProgress EventKind = "stage_progress"
	EventStageFinished EventKind = "stage_finished"
	EventNote          EventKind = "note"
)
