package dashboard

import (
	"fmt"
	"slices"
	"time"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// history is what was told during a job together with what is known of its course, in order. What is there stays: only the end grows,
// but for what was told late.
func history(j *jobs.Job) []jobs.Diagnostic {
	var out []jobs.Diagnostic
	put := func(at time.Time, level transfer.NoteLevel, stage transfer.Stage, text string) {
		if !at.IsZero() {
			out = append(out, jobs.Diagnostic{Time: at, Level: level, Stage: stage, Message: text})
		}
	}
	put(j.Created, transfer.NoteInfo, "", "created by "+j.Who)
	put(j.Started, transfer.NoteInfo, "", "began")
	for _, s := range j.Stages {
		put(s.Started, transfer.NoteInfo, s.Stage, "began")
		put(s.Finished, transfer.NoteInfo, s.Stage, fmt.Sprintf("done: %s, %s", pluralText(s.Items, "item", "items"), bytesText(s.Bytes)))
	}
	out = append(out, j.Diagnostics...)
	slices.SortStableFunc(out, func(a, b jobs.Diagnostic) int { return a.Time.Compare(b.Time) })
	level := transfer.NoteInfo
	switch j.State {
	case jobs.StateFailed, jobs.StateInterrupted:
		level = transfer.NoteError
	case jobs.StateCancelled:
		level = transfer.NoteWarning
	case jobs.StatePending, jobs.StateProcessing, jobs.StateCompleted:
	}
	if j.State.Ended() {
		put(j.Finished, level, "", string(j.State))
	}
	return out
}
