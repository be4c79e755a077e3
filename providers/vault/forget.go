package vault

import (
	"context"
	"fmt"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// Policy says which snapshots of a site are kept; the others are forgotten. A snapshot that any of the rules keeps is kept.
type Policy struct {
	Last   int // the newest so many
	Daily  int // the newest of each of the newest so many days that have one
	Weekly int // the same of weeks, which begin on Monday

	// Location is where days begin and end; nil is UTC.
	Location *time.Location
}

// Validate reports a policy that would keep nothing, or makes no sense.
func (p Policy) Validate() error {
	if p.Last < 0 || p.Daily < 0 || p.Weekly < 0 {
		return fmt.Errorf("%w: the number of snapshots to keep must not be negative", transfer.ErrUsage)
	}
	if p.Last+p.Daily+p.Weekly == 0 {
		return fmt.Errorf("%w: say which snapshots to keep: this would forget all of them", transfer.ErrUsage)
	}
	return nil
}

// Decision is what a policy says of a snapshot.
type Decision struct {
	Snapshot Snapshot `json:"snapshot"`
	Keep     bool     `json:"keep"`
	Reasons  []string `json:"reasons,omitempty"` // "last", "daily", "weekly"
}

// Decide applies the policy to the snapshots of one site, given oldest first. It returns them newest first.
func (p Policy) Decide(snapshots []Snapshot) []Decision {
	where := p.Location
	if where == nil {
		where = time.UTC
	}
	rules := []struct {
		name   string
		left   int
		bucket func(n int, at time.Time) string
		last   string
	}{
		{name: "last", left: p.Last, bucket: func(n int, _ time.Time) string { return fmt.Sprint(n) }},
		{name: "daily", left: p.Daily, bucket: func(_ int, at time.Time) string { return at.Format(time.DateOnly) }},
		{name: "weekly", left: p.Weekly, bucket: func(_ int, at time.Time) string {
			year, week := at.ISOWeek()
			return fmt.Sprintf("%d/%d", year, week)
		}},
	}
	out := make([]Decision, 0, len(snapshots))
	for n := range snapshots {
		d := Decision{Snapshot: snapshots[len(snapshots)-1-n]}
		for i := range rules {
			r := &rules[i]
			bucket := r.bucket(n, d.Snapshot.CreatedAt.In(where))
			if r.left > 0 && bucket != r.last {
				r.left--
				r.last = bucket
				d.Keep, d.Reasons = true, append(d.Reasons, r.name)
			}
		}
		out = append(out, d)
	}
	return out
}

// Forget forgets the snapshots of a site that the policy does not keep, and sweeps. In [DryRun] it only says which those are.
func (v *Vault) Forget(ctx context.Context, site string, p Policy, mode Mode) ([]Decision, Swept, error) {
	if err := p.Validate(); err != nil {
		return nil, Swept{}, err
	}
	if err := checkSite(site); err != nil {
		return nil, Swept{}, err
	}
	list, err := v.Snapshots(ctx, site)
	if err != nil {
		return nil, Swept{}, err
	}
	if len(list) == 0 {
		return nil, Swept{}, fmt.Errorf("%w: %w: the vault has no site %q%s", transfer.ErrUsage, ErrNoSnapshot, site, v.hint(ctx))
	}
	decisions := p.Decide(list)
	if mode == DryRun {
		return decisions, Swept{}, nil
	}
	var drop []Snapshot
	for _, d := range decisions {
		if !d.Keep {
			drop = append(drop, d.Snapshot)
		}
	}
	swept, err := v.drop(ctx, drop)
	return decisions, swept, err
}

// Mode says whether something is done or only told.
type Mode string

// The modes.
const (
	DoIt   Mode = "do it"
	DryRun Mode = "dry run"
)

// Drop forgets one snapshot and sweeps.
func (v *Vault) Drop(ctx context.Context, s Snapshot) (Swept, error) {
	return v.drop(ctx, []Snapshot{s})
}

// drop marks snapshots as forgotten. Whoever is reading one may go on: their rows and pieces go with the next sweep, which waits for
// readers.
func (v *Vault) drop(ctx context.Context, list []Snapshot) (Swept, error) {
	if len(list) == 0 {
		return Swept{}, nil
	}
	err := v.index.change(ctx, func(tx *indexTx) error {
		for _, s := range list {
			_, err := tx.ExecContext(ctx, "UPDATE snapshots SET forgotten = ? WHERE name = ? AND forgotten IS NULL", v.opts.Now().UnixMilli(), s.ID)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Swept{}, fmt.Errorf("forget snapshots: %w", err)
	}
	return v.Sweep(ctx)
}
