package main

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// jsonLines writes one JSON text a line.
type jsonLines struct {
	mu  sync.Mutex // one line at a time
	enc *json.Encoder
}

func newJSONLines(w io.Writer) *jsonLines {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &jsonLines{enc: enc}
}

func (l *jsonLines) write(v any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.enc.Encode(v)
}

// eventLine is an event as --json writes it.
type eventLine struct {
	transfer.Event

	Task string `json:"task,omitempty"`
}

// eventLines writes events as JSON lines. Progress within a stage is a state, of which the newest is enough twice a second;
// everything else is written as it comes.
type eventLines struct {
	w    *jsonLines
	last time.Time
}

const eventEvery = 500 * time.Millisecond

func (l *eventLines) observe(task string, e transfer.Event) {
	if e.Kind == transfer.EventStageProgress {
		if e.Time.Sub(l.last) < eventEvery {
			return
		}
		l.last = e.Time
	}
	// A reader that went away is found out when the result is written.
	_ = l.w.write(eventLine{Event: e, Task: task})
}

func (*eventLines) stop() {}
