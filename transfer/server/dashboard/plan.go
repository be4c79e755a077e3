package dashboard

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// plan is what a transfer is going to do, as its report has it.
type plan struct {
	Stages   []transfer.Stage                  `json:"stages"`
	Restore  transfer.Restore                  `json:"replaces"`
	Totals   map[transfer.Stage]transfer.Count `json:"totals"`
	Excluded []string                          `json:"excluded"`
	Orphans  []transfer.Skip                   `json:"orphans"`
}

// planView is a plan for people.
type planView struct {
	plan

	Lines    []planLine
	There    bool // it is known what is at the destination now
	Replaced string
	Kept     string
}

// planLine is what is moved of one stage, and what is at the destination now.
type planLine struct {
	Word         string
	Items, Bytes int64
	There        int64
}

// planView is the plan of a check.
func (d *dashboard) planView(ctx context.Context, v viewer, j *jobs.Job, p *plan) *planView {
	if p == nil || !j.Options.DryRun {
		return nil
	}
	view := &planView{plan: *p}
	view.Replaced, view.Kept = consequences(p)
	there := d.newest(ctx, v, j.To)
	view.There = there != nil
	for _, name := range transfer.Stages() {
		if n, ok := p.Totals[name]; ok {
			view.Lines = append(view.Lines, planLine{stageWords(name), n.Records, n.Bytes, there[name].Records})
		}
	}
	return view
}

// newest is what the newest snapshot of a site holds; nil if it has none, or the viewer may not know.
func (d *dashboard) newest(ctx context.Context, v viewer, site string) map[transfer.Stage]transfer.Count {
	if d.Snapshots == nil || !v.readsSite(site) || d.remote(site) {
		return nil
	}
	list, err := d.Snapshots.List(ctx, site)
	if err != nil {
		d.Logger.DebugContext(ctx, "no snapshots to compare with", slog.Any(keyError, err))
		return nil
	}
	if len(list) == 0 {
		return nil
	}
	return list[0].Counts
}

// consequences says what of the destination is replaced, and what stays as it is.
func consequences(p *plan) (replaced, kept string) {
	var gone []string
	stays := []string{"users, roles and tokens of the admin panel"}
	sort := func(yes bool, what string) {
		if yes {
			gone = append(gone, what)
		} else {
			stays = append(stays, what)
		}
	}
	r := p.Restore
	switch {
	case !slices.Contains(p.Stages, transfer.StageEntities):
		stays = append(stays, "entities and links")
	case r.Include != nil:
		gone = append(gone, "entities and links of "+strings.Join(r.Include, ", "))
		stays = append(stays, "those of all other content types")
	default:
		gone = append(gone, "entities and links of all content types")
	}
	if len(r.Exclude) > 0 {
		stays = append(stays, "entities of "+strings.Join(r.Exclude, ", "))
	}
	sort(r.Assets, "files")
	sort(r.Configuration, "configuration")
	return listed(gone), strings.Join(stays, "; ")
}

// listed joins words as one says them.
func listed(words []string) string {
	switch n := len(words); n {
	case 0:
		return "nothing"
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}
