package remote

import (
	"maps"

	"github.com/transfer-runner/runner/transfer"
)

// Outcome implements [transfer.Accountant].
func (d *Destination) Outcome() transfer.Outcome {
	links := d.diary.skippedLinks()
	out := transfer.Outcome{
		Acknowledged: maps.Clone(d.outcome.Acknowledged),
		Stored:       maps.Clone(d.outcome.Stored),
		Skipped:      links.skips(),
	}
	// A server counts a link that it left out as finished.
	if n, ok := out.Stored[transfer.StageLinks]; ok {
		out.Stored[transfer.StageLinks] = max(n-links.total(), 0)
	}
	return out
}
