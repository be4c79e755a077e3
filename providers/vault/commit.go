package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// Commit implements [transfer.Destination]. It fails, and changes nothing, if a planned stage was not written to its end.
func (d *Destination) Commit(ctx context.Context) error {
	if d.staging == nil || d.closed {
		return errNotBegun()
	}
	if d.failed != nil {
		return fmt.Errorf("commit after an error: %w", d.failed)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := d.commit(ctx); err != nil {
		d.failed = fmt.Errorf("commit snapshot of %s: %w", d.site, errors.Join(err, d.abandon(ctx)))
		return d.failed
	}
	return nil
}

// abandon lets go after a commit that failed, and sweeps what that has published. If somebody is using the vault the next one to open
// it does.
func (d *Destination) abandon(ctx context.Context) error {
	d.closed = true
	left, err := d.release()
	if left {
		_, bad := d.v.Sweep(context.WithoutCancel(ctx))
		err = errors.Join(err, bad)
	}
	return err
}

func (d *Destination) commit(ctx context.Context) error {
	for _, stage := range d.plan.Stages {
		if !d.done[stage] && stage != transfer.StageSchemas { // a peer without schemas has no such stage
			return fmt.Errorf("%w: the stage %s was not written to its end", transfer.ErrDamaged, stage)
		}
	}
	if err := d.writeSchemas(ctx); err != nil {
		return err
	}
	if err := d.keepStages(ctx); err != nil {
		return err
	}
	if err := d.staging.publish(ctx); err != nil {
		return err
	}
	snap := d.describeSnapshot()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	d.v.opts.fault("before the record")
	// From here on the context may end, but the transaction must not end half known.
	ctx = context.WithoutCancel(ctx)
	err := d.lock.change(ctx, func(tx *indexTx) error {
		err := d.record(ctx, tx, &snap)
		d.v.opts.fault("in the record")
		return err
	})
	if err != nil {
		return d.doubt(ctx, snap, err)
	}
	d.v.opts.fault("recorded")
	d.result, d.state = snap, transfer.StateCommitted
	return nil
}

// doubt finds out what became of a transaction that ended in an error.
func (d *Destination) doubt(ctx context.Context, snap Snapshot, err error) error {
	n, lookErr := d.v.index.number(ctx, "SELECT count(*) FROM snapshots WHERE name = ?", snap.ID)
	switch {
	case lookErr != nil:
		d.state = transfer.StateUnknown
		return fmt.Errorf("%w: \"transfer snapshot show %s\" tells: %w", transfer.ErrOutcomeUnknown, snap.Reference(), errors.Join(err, lookErr))
	case n > 0:
		d.result, d.state = snap, transfer.StateCommitted
		return nil
	}
	return layout.Unwritable(err)
}

// writeSchemas writes the schemas of the snapshot: those of the source for what came from it, the old ones for what was kept.
func (d *Destination) writeSchemas(ctx context.Context) error {
	schemas, err := d.finalSchemas(ctx)
	if err != nil || schemas == nil {
		return err
	}
	d.schemas = schemas
	delete(d.counts, transfer.StageSchemas)
	d.cutter = d.newCutter(transfer.StageSchemas)
	for _, uid := range slices.Sorted(maps.Keys(schemas)) {
		if err := d.add(ctx, schemas[uid]); err != nil {
			return err
		}
	}
	return d.cutter.cut(ctx)
}

// finalSchemas returns nil when the schemas are unknown.
func (d *Destination) finalSchemas(ctx context.Context) (transfer.Schemas, error) {
	fresh := d.freshSchemas()
	rows := d.plan.Has(transfer.StageEntities)
	if d.parent == nil || rows && fresh != nil && d.merge == nil {
		return fresh, nil
	}
	old, err := d.parent.schemas(ctx)
	switch {
	case err != nil || old == nil:
		return fresh, err
	case !rows && d.parent.snap.Counts[transfer.StageEntities].Records > 0:
		return old, nil
	case fresh == nil:
		d.warn("the source did not tell its schemas; those of snapshot %s are kept", d.parent.snap.ID)
		return old, nil
	case d.merge == nil:
		return fresh, nil
	}
	// Kept rows have their old shape; components may be part of either.
	out := maps.Clone(fresh)
	for uid, schema := range old {
		if _, known := out[uid]; d.merge.kept[uid] || !known && !isContentType(uid) {
			out[uid] = schema
		}
	}
	return out, nil
}

// freshSchemas are the source's, as far as they are known: as it sent them, or else as it described itself.
func (d *Destination) freshSchemas() transfer.Schemas {
	if d.schemas != nil {
		return d.schemas
	}
	return d.plan.Source.Schemas
}

// keepStages takes over what the plan does not write.
func (d *Destination) keepStages(ctx context.Context) error {
	if d.parent == nil {
		return nil
	}
	for _, stage := range transfer.Stages()[1:] {
		if d.plan.Has(stage) {
			continue
		}
		seq := int64(-1)
		for {
			page, err := d.v.index.segments(ctx, d.parent.snap.row, stage, seq, 0)
			if err != nil {
				return err
			}
			for _, p := range page {
				d.segments[stage] = append(d.segments[stage], p.segment)
				seq = p.seq
			}
			if len(page) < segmentPage {
				break
			}
		}
		if n, ok := d.parent.snap.Counts[stage]; ok {
			d.counts[stage] = n
		}
	}
	return nil
}

// describeSnapshot returns what the record will say.
func (d *Destination) describeSnapshot() Snapshot {
	now := d.v.opts.Now().UTC()
	source := d.plan.Source
	s := Snapshot{
		ID: newID(now), Site: d.site, CreatedAt: now.Truncate(time.Millisecond), Source: source.Name, SourceKind: source.Kind,
		SourceCreatedAt: source.CreatedAt.UTC().Truncate(time.Millisecond), Version: source.Version,
		SchemasKnown: d.schemas != nil, Counts: d.counts,
	}
	if source.CreatedAt.IsZero() {
		s.SourceCreatedAt = time.Time{}
	}
	if d.parent == nil {
		return s
	}
	if d.merge != nil || slices.ContainsFunc(transfer.Stages()[1:], func(stage transfer.Stage) bool {
		return !d.plan.Has(stage) && d.counts[stage].Records > 0
	}) {
		s.Parent = d.parent.snap.ID
	}
	if !d.plan.Has(transfer.StageEntities) && d.parent.snap.Version != "" {
		s.Version = d.parent.snap.Version // of the rows
	}
	return s
}
