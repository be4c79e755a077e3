package remote

import (
	"maps"
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

// takeSkips takes over what a server of ours says that it left out of a stage, and returns how many records that are.
func (d *Destination) takeSkips(stage transfer.Stage, skips []protocol.Skip) (n int64) {
	for _, s := range skips {
		skip := transfer.Skip{Stage: stage, Type: clean(s.Type), Reason: clean(s.Reason), Count: s.Count, Allowed: s.Allowed}
		for _, example := range s.Examples {
			skip.Examples = append(skip.Examples, clean(example))
		}
		d.outcome.Skipped = append(d.outcome.Skipped, skip)
		n += s.Count
	}
	return n
}
