package jobs

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// EventType says what an [Event] tells.
type EventType string

// The types. Those that [EventType.Durable] reports are in the log; the others are progress, of which the newest is enough.
const (
	EventStarted     EventType = "job_started"      // the job was made (pending) or has begun to run (processing)
	EventProgress    EventType = "job_progress"     // volatile, but for the first event of a step, which is in the log
	EventTransferred EventType = "item_transferred" // volatile
	EventCompleted   EventType = "job_completed"
	EventFailed      EventType = "job_failed" // failed, cancelled or interrupted: the job's state tells which
	EventError       EventType = "error"      // an attempt failed and another follows, or a diagnostic of level error
)

// Event is something that happened to a job. It is shared by all that hear it: nobody may change it.
type Event struct {
	JobID ID
	// Epoch and Seq are the position in the log. A volatile event has the position of the last durable event before it.
	Epoch   string
	Seq     int64
	Durable bool

	Type EventType
	Time time.Time
	// Data is a JSON object: the [Job] as it was after the event, without diagnostics; of item_transferred an [Item].
	Data json.RawMessage

	// Job is the job as it was after the event, as Data has it. Diagnostics holds what was told since the event before.
	Job         *Job
	Diagnostics []Diagnostic
}

// Position is the position of the event in the log.
func (e *Event) Position() Position { return Position{Epoch: e.Epoch, Seq: e.Seq} }

// Item is the data of item_transferred.
type Item struct {
	Stage string `json:"stage"`
	Item  string `json:"item"`
	Items int64  `json:"items"` // of the stage so far: items that went by between two events are counted, not named
	Bytes int64  `json:"bytes"`
}

// Position is a place in the log of events. The zero Position is that of somebody who has heard nothing.
type Position struct {
	Epoch string // of the log; changes when it is made anew
	Seq   int64
}

// String writes a position as "<epoch>-<seq>", "" for the zero one.
func (p Position) String() string {
	if p == (Position{}) {
		return ""
	}
	return p.Epoch + "-" + strconv.FormatInt(p.Seq, 10)
}

// ParsePosition reads what String wrote.
func ParsePosition(text string) (Position, error) {
	if text == "" {
		return Position{}, nil
	}
	epoch, number, ok := strings.Cut(text, "-")
	seq, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || seq < 0 || epoch == "" || len(epoch) > maxEpoch || strings.Trim(epoch, "0123456789abcdef") != "" {
		return Position{}, fmt.Errorf("%.60q is not the id of an event", text)
	}
	return Position{Epoch: epoch, Seq: seq}, nil
}

// maxEpoch is the length of an epoch, in bytes.
const maxEpoch = 16
