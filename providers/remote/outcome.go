package remote

import (
	"maps"
	"math"
	"slices"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// Outcome implements [transfer.Accountant].
func (d *Destination) Outcome() transfer.Outcome {
	links := d.diary.skippedLinks()
	out := transfer.Outcome{
		Acknowledged: maps.Clone(d.outcome.Acknowledged),
		Stored:       maps.Clone(d.outcome.Stored),
		Skipped:      append(slices.Clone(d.outcome.Skipped), links.skips()...),
	}
	// A server counts a link that it left out as finished.
	if n, ok := out.Stored[transfer.StageLinks]; ok {
		out.Stored[transfer.StageLinks] = max(n-links.total(), 0)
	}
	return out
}

// skipsOf is what a server of ours says that it left out of a stage.
func skipsOf(stage transfer.Stage, skips []protocol.Skip) (out []transfer.Skip) {
	for _, s := range skips {
		skip := transfer.Skip{Stage: stage, Type: clean(s.Type), Reason: clean(s.Reason), Count: s.Count, Allowed: s.Allowed}
		for _, example := range s.Examples {
			skip.Examples = append(skip.Examples, clean(example))
		}
		out = append(out, skip)
	}
	return out
}

// countSkips is the number of records that were left out. Counts that are beyond all numbers stay so.
func countSkips(skips []transfer.Skip) (n int64) {
	for _, s := range skips {
		if n += s.Count; n < 0 {
			return math.MaxInt64
		}
	}
	return n
}
