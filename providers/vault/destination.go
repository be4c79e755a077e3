package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/transfer-runner/runner/transfer"
)

// WriteOptions steer a [Destination]. The zero value works.
type WriteOptions struct {
	// Who is told to others who want to write the site meanwhile, such as the name of a token. It must hold no secret.
	Who string
}

// Destination adds a snapshot to a site. A plan that does not replace everything takes the rest over from the site's newest snapshot:
// stages that are not planned, and content types that the plan's Restore leaves alone, with the links among their rows and
// those to rows that come again.
//
// It implements [transfer.Destination], [transfer.Accountant], [transfer.Stater] and [transfer.Noter].
type Destination struct {
	v    *Vault
	site string
	opts WriteOptions

	plan    transfer.Plan
	parent  *Source // the newest snapshot, nil if there is none
	lock    holding // of the vault and of the site
	staging staging
	encoder *zstd.Encoder
	cutter  *cutter
	stage   int // index in the plan
	done    map[transfer.Stage]bool
	merge   *merge // nil when nothing is taken over row by row

	schemas  transfer.Schemas // as written so far
	segments map[transfer.Stage][]segment
	counts   map[transfer.Stage]transfer.Count
	written  map[transfer.Stage]int64 // of the records that were handed over

	notes  []transfer.Note
	state  transfer.State
	result Snapshot
	failed error
	closed bool
}

var (
	_ transfer.Destination = (*Destination)(nil)
	_ transfer.Accountant  = (*Destination)(nil)
	_ transfer.Stater      = (*Destination)(nil)
	_ transfer.Noter       = (*Destination)(nil)
)

// Destination prepares to add a snapshot to a site, which is made if it is not there. Nothing is changed, and nobody is kept from
// writing the site, before Begin.
func (v *Vault) Destination(site string, opts WriteOptions) (*Destination, error) {
	if err := checkSite(site); err != nil {
		return nil, err
	}
	return &Destination{v: v, site: site, opts: opts, state: transfer.StateUntouched}, nil
}

// Describe implements [transfer.Destination]. A vault takes any schema and any version, so it is blank; the schemas are those of the
// newest snapshot, nil if there is none or it does not know them.
func (d *Destination) Describe(ctx context.Context) (transfer.Description, error) {
	out := transfer.Description{Kind: kind, Name: scheme + d.site, Blank: true}
	src, err := d.v.Source(ctx, d.site, Latest)
	if errors.Is(err, ErrNoSnapshot) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Schemas, err = src.schemas(ctx)
	if errors.Is(err, transfer.ErrDamaged) {
		// A new snapshot is the way out of that. What must be taken over from the damaged one fails where it is needed.
		d.warn("snapshot %s is damaged: %v", src.snap.ID, err)
		out.Schemas, err = nil, nil
	}
	return out, errors.Join(err, src.Close())
}

// Begin implements [transfer.Destination]. If somebody is writing the site the error wraps [ErrBusy] and says who. An interrupted
// write is not taken up again.
func (d *Destination) Begin(ctx context.Context, plan transfer.Plan) (map[transfer.Stage]transfer.Cursor, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if d.closed || d.lock != nil {
		return nil, fmt.Errorf("%w: a snapshot is begun once", transfer.ErrUsage)
	}
	// First the vault, then the site: whoever is alone in the vault knows that nobody holds a site.
	lock, err := d.v.locks.share(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.v.locks.site(ctx, lock, d.site, d.opts.Who); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	d.lock = lock
	if err := d.begin(ctx, plan); err != nil {
		return nil, errors.Join(fmt.Errorf("begin snapshot of %s: %w", d.site, err), d.Close())
	}
	d.state = transfer.StateRolledBack
	return nil, nil
}

func (d *Destination) begin(ctx context.Context, plan transfer.Plan) (err error) {
	d.plan = plan
	d.done = make(map[transfer.Stage]bool)
	d.segments = make(map[transfer.Stage][]segment)
	d.counts = make(map[transfer.Stage]transfer.Count)
	d.written = make(map[transfer.Stage]int64)
	snap, err := d.v.Resolve(ctx, Reference{Site: d.site})
	switch {
	case err == nil:
		d.parent = &Source{v: d.v, snap: snap}
	case !errors.Is(err, ErrNoSnapshot):
		return err
	}
	if d.staging, err = d.v.pieces.stage(ctx); err != nil {
		return err
	}
	if d.encoder, err = newEncoder(); err != nil {
		return err
	}
	return d.prepareMerge(ctx)
}

// Write implements [transfer.Destination].
func (d *Destination) Write(ctx context.Context, batch transfer.Batch) error {
	if d.staging == nil || d.closed {
		return errNotBegun()
	}
	if d.failed != nil {
		return fmt.Errorf("write after an error: %w", d.failed)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := d.write(ctx, batch); err != nil {
		d.failed = fmt.Errorf("snapshot of %s: %w", d.site, err)
	}
	return d.failed
}

func errNotBegun() error {
	return fmt.Errorf("%w: the snapshot was not begun, or is closed", transfer.ErrUsage)
}

func (d *Destination) write(ctx context.Context, batch transfer.Batch) error {
	if err := d.enter(batch.Stage); err != nil {
		return err
	}
	for _, record := range batch.Records {
		if record.Stage() != batch.Stage {
			return fmt.Errorf("%w: %s %s in a batch of %s", transfer.ErrUsage, record.Stage(), record.Key(), batch.Stage)
		}
		if err := d.take(ctx, record); err != nil {
			return err
		}
		d.written[batch.Stage]++
	}
	if batch.Last {
		return d.leave(ctx, batch.Stage)
	}
	return nil
}

// enter begins a stage with its first batch.
func (d *Destination) enter(stage transfer.Stage) error {
	if d.done[stage] {
		return fmt.Errorf("%w: records after the last batch of %s", transfer.ErrUsage, stage)
	}
	at := d.stage
	for at < len(d.plan.Stages) && d.plan.Stages[at] != stage {
		at++
	}
	if at == len(d.plan.Stages) {
		return fmt.Errorf("%w: stage %s is not planned, or comes too late", transfer.ErrUsage, stage)
	}
	if at != d.stage && d.cutter != nil {
		return fmt.Errorf("%w: stage %s before the last batch of %s", transfer.ErrUsage, stage, d.plan.Stages[d.stage])
	}
	if d.stage = at; d.cutter == nil {
		d.cutter = d.newCutter(stage)
	}
	return nil
}

func (d *Destination) newCutter(stage transfer.Stage) *cutter {
	return newCutter(func(ctx context.Context, lines []byte, records int64) error {
		return d.addSegment(ctx, stage, lines, records)
	})
}

// take adds a record that was handed over.
func (d *Destination) take(ctx context.Context, record transfer.Record) error {
	switch r := record.(type) {
	case transfer.Asset:
		return d.takeAsset(ctx, r)
	case transfer.Schema:
		if d.schemas == nil {
			d.schemas = make(transfer.Schemas)
		}
		d.schemas[r.UID] = r
		return nil // written when it is known which of the old ones stay
	case transfer.Entity:
		if d.merge != nil {
			if err := d.merge.see(r); err != nil {
				return err
			}
		}
	case transfer.Link:
		if d.merge != nil && d.merge.strays(r) {
			return nil
		}
	case transfer.Setting:
	}
	return d.add(ctx, record)
}

// add puts a record into the stage that is being written.
func (d *Destination) add(ctx context.Context, record transfer.Record) error {
	group := ""
	switch r := record.(type) {
	case transfer.Entity:
		group = r.Type
	case transfer.Link:
		group = r.Left.Type
	case transfer.Schema, transfer.Setting, transfer.Asset:
	}
	if err := d.cutter.add(ctx, group, record.AppendJSON); err != nil {
		return fmt.Errorf("%s: %w", record.Key(), err)
	}
	d.count(record.Stage(), record.Group(), record.Size())
	return nil
}

func (d *Destination) count(stage transfer.Stage, group string, size int64) {
	n := d.counts[stage]
	if n.ByType == nil {
		n.ByType = make(map[string]int64)
	}
	n.Records, n.Bytes = n.Records+1, n.Bytes+size
	n.ByType[group]++
	d.counts[stage] = n
}

// leave ends a stage after its last batch.
func (d *Destination) leave(ctx context.Context, stage transfer.Stage) error {
	if d.merge != nil {
		if err := d.merge.keep(ctx, stage); err != nil {
			return fmt.Errorf("take over what is kept: %w", err)
		}
	}
	if err := d.cutter.cut(ctx); err != nil {
		return err
	}
	d.cutter, d.done[stage] = nil, true
	return nil
}

// Outcome implements [transfer.Accountant].
func (d *Destination) Outcome() transfer.Outcome {
	o := transfer.Outcome{Acknowledged: make(map[transfer.Stage]int64), Stored: make(map[transfer.Stage]int64)}
	for stage, n := range d.written {
		o.Acknowledged[stage], o.Stored[stage] = n, n
	}
	return o
}

// State implements [transfer.Stater].
func (d *Destination) State() transfer.State { return d.state }

// Notes implements [transfer.Noter].
func (d *Destination) Notes() []transfer.Note {
	notes := d.notes
	d.notes = nil
	return notes
}

func (d *Destination) warn(format string, args ...any) {
	d.notes = append(d.notes, transfer.Note{Level: transfer.NoteWarning, Message: fmt.Sprintf(format, args...)})
}

func (d *Destination) note(format string, args ...any) {
	d.notes = append(d.notes, transfer.Note{Level: transfer.NoteInfo, Message: fmt.Sprintf(format, args...)})
}

// Snapshot returns the snapshot that Commit made; before that its ID is "".
func (d *Destination) Snapshot() Snapshot { return d.result }

// Close implements [transfer.Destination].
func (d *Destination) Close() error {
	if d.closed || d.lock == nil {
		d.closed = true
		return nil
	}
	d.closed = true
	_, err := d.release()
	return err
}

// release lets go of everything. It returns true if pieces were published that no snapshot refers to.
func (d *Destination) release() (left bool, err error) {
	var errs []error
	if d.staging != nil {
		left, err = d.staging.drop(d.state == transfer.StateCommitted)
		errs = append(errs, err)
	}
	if d.encoder != nil {
		errs = append(errs, d.encoder.Close())
	}
	errs = append(errs, d.lock.Close())
	return left, errors.Join(errs...)
}
