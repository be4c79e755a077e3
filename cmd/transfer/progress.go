package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// progress shows events of the engine.
type progress interface {
	// observe is called with each event of a task ("", "backup" or "verify") from one goroutine at a time.
	observe(task string, e transfer.Event)
	// stop ends the showing and waits for it. It may be called twice.
	stop()
}

// newProgress chooses the form: JSON lines, nothing, bars or plain lines.
func newProgress(a *app, c *console, o outputOptions) progress {
	switch {
	case o.JSON:
		return &eventLines{w: newJSONLines(a.out)}
	case o.Quiet:
		return silence{}
	case a.terminal.file != nil && !o.Verbose:
		return &bars{console: c, out: a.terminal.file, now: a.now}
	}
	return &plainLines{console: c, now: a.now, every: 5 * time.Second}
}

type silence struct{}

func (silence) observe(string, transfer.Event) {}
func (silence) stop()                          {}

// stageView is what is known of a stage in motion.
type stageView struct {
	mu      sync.Mutex // guards what follows: bars are drawn on their own goroutine
	name    string
	records int64
	bytes   int64
	total   *transfer.Count
	item    string
	done    bool
	elapsed time.Duration
	pace    pace // of bytes
	steps   pace // of records
}

func (v *stageView) update(e transfer.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.records, v.bytes, v.item = e.Records, e.Bytes, e.Item
	if e.Total != nil {
		v.total = e.Total
	}
	v.pace.add(e.Time, e.Bytes)
	v.steps.add(e.Time, e.Records)
	if e.Kind == transfer.EventStageFinished {
		v.done, v.elapsed = true, e.Elapsed
	}
}

// amount returns how far the stage is and how far it goes, in bytes where those are known and else in records; 0 if unknown.
func (v *stageView) amount() (current, total int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.amountLocked()
}

func (v *stageView) amountLocked() (current, total int64) {
	switch {
	case v.total == nil:
		return v.records, 0
	case v.total.Bytes > 0 && v.name == string(transfer.StageAssets):
		// A server's total may be far too small: it is for showing, and is not shown once it is passed.
		if v.bytes > v.total.Bytes {
			return v.bytes, 0
		}
		return v.bytes, v.total.Bytes
	case v.records > v.total.Records:
		return v.records, 0
	}
	return v.records, v.total.Records
}

// text writes items, bytes, speed and the time that is left.
func (v *stageView) text(now time.Time) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var parts []string
	if v.total != nil && v.total.Records > 0 {
		parts = append(parts, fmt.Sprintf("%s/%s", formatCount(v.records), formatCount(v.total.Records)))
	} else {
		parts = append(parts, formatCount(v.records))
	}
	parts = append(parts, formatBytes(v.bytes))
	if v.done {
		return strings.Join(append(parts, formatElapsed(v.elapsed)), "  ")
	}
	if speed := v.pace.perSecond(now); speed > 0 {
		parts = append(parts, formatBytes(int64(speed))+"/s")
	}
	current, total := v.amountLocked()
	estimate := &v.steps
	if v.total != nil && total == v.total.Bytes && current == v.bytes {
		estimate = &v.pace
	}
	if total > 0 {
		if left, ok := estimate.left(now, total); ok {
			parts = append(parts, "ETA "+formatElapsed(left.Round(time.Second)))
		}
	}
	return strings.Join(parts, "  ")
}

// noteLine writes a note for people.
func noteLine(n transfer.Note) string {
	switch n.Level {
	case transfer.NoteWarning:
		return "warning: " + n.Message
	case transfer.NoteError:
		return "error: " + n.Message
	case transfer.NoteInfo:
	}
	return "note: " + n.Message
}

// titled puts the task before the name of a stage or phase.
func titled(task, name string) string {
	if task == "" {
		return name
	}
	return task + ": " + name
}
