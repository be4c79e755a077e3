package strapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"

	"github.com/transfer-runner/runner/providers/strapi/catalogue"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/rows"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
)

// Destination writes a site's content into its database, in one transaction from Begin to Commit, and its files beside it. It
// implements [transfer.Destination], [transfer.Accountant], [transfer.OmissionTeller], [transfer.Stater] and
// [transfer.Noter].
type Destination struct {
	site *Site
	who  string
	opts WriteOptions

	lock      *database.Lock
	plan      transfer.Plan
	catalogue *catalogue.Catalogue
	tx        *database.Tx
	queue     *queue
	builder   *rows.Builder
	writer    *rowWriter
	links     *linkWriter
	spare     chan *rows.Batch
	files     *fileWriter
	tables    systemTables
	merge     *merger        // nil: replace
	keeper    *keeper        // nil unless some content stays
	change    uploads.Change // nil when no file is written

	state  atomic.Value // transfer.State
	stored map[transfer.Stage]int64
	skips  skips
	tell   func(transfer.Omission) // of what is left out; nil when nobody asked
	notes  []transfer.Note
	closed bool
}

var (
	_ transfer.Destination    = (*Destination)(nil)
	_ transfer.Accountant     = (*Destination)(nil)
	_ transfer.OmissionTeller = (*Destination)(nil)
	_ transfer.Stater         = (*Destination)(nil)
	_ transfer.Noter          = (*Destination)(nil)
	_ transfer.LinkResolver   = (*Destination)(nil)
)

// Destination returns a destination. who names the one who writes, for messages.
func (s *Site) Destination(who string, opts WriteOptions) (*Destination, error) {
	conflict, err := ParseConflict(string(opts.Conflict))
	if err != nil {
		return nil, err
	}
	if opts.Conflict != "" && !opts.Merge {
		return nil, fmt.Errorf("%w: a way out of conflicts is for merging; what is replaced cannot differ", transfer.ErrUsage)
	}
	opts.Conflict = conflict
	d := &Destination{site: s, who: who, opts: opts, stored: make(map[transfer.Stage]int64)}
	d.state.Store(transfer.StateUntouched)
	return d, nil
}

// Describe implements [transfer.Destination].
func (d *Destination) Describe(ctx context.Context) (transfer.Description, error) {
	snap, err := d.site.db.Snapshot(ctx)
	if err != nil {
		return transfer.Description{}, err
	}
	c, err := d.site.catalogue(ctx, snap)
	if err := errors.Join(err, snap.Close()); err != nil {
		return transfer.Description{}, err
	}
	return transfer.Description{Kind: d.site.opts.Kind, Name: d.site.opts.Name, Version: d.site.opts.Version, Schemas: c.Schemas}, nil
}

// Begin implements [transfer.Destination]. A transfer is never taken up again: what was not committed is gone.
func (d *Destination) Begin(ctx context.Context, plan transfer.Plan) (map[transfer.Stage]transfer.Cursor, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if d.closed || d.queue != nil {
		return nil, fmt.Errorf("%w: a destination is begun once", transfer.ErrUsage)
	}
	d.plan = plan
	if err := d.begin(ctx); err != nil {
		return nil, errors.Join(err, d.Close()) //nolint:contextcheck // what is given up is given up whatever became of the context
	}
	return nil, nil //nolint:nilnil // the contract: nil starts anew
}

func (d *Destination) begin(ctx context.Context) (err error) {
	if d.lock, err = d.site.db.TryLock(ctx); err != nil {
		return err
	}
	if err := d.beginFiles(ctx); err != nil {
		return err
	}
	tx, err := d.site.db.Begin(ctx, database.TxOptions{Unchecked: d.site.db.Kind() == database.SQLite})
	if err != nil {
		return err
	}
	d.tx, d.queue = tx, newQueue(ctx)
	d.state.Store(transfer.StateRolledBack)
	d.spare = make(chan *rows.Batch, queueDepth+1)
	for range cap(d.spare) {
		d.spare <- new(rows.Batch)
	}
	return d.queue.do(ctx, func(ctx context.Context) error {
		if d.catalogue, err = d.site.catalogue(ctx, tx); err != nil {
			return err
		}
		if d.builder, err = d.newBuilder(ctx); err != nil {
			return err
		}
		// Foreign keys are off here, see below; PostgreSQL has no such switch, and MySQL looks at them while it merges.
		unordered := d.site.db.Kind() == database.SQLite || d.site.db.Kind() == database.MySQL && !d.opts.Merge
		d.writer, d.links, d.tables = newRowWriter(tx, !unordered), newLinkWriter(d), newSystemTables()
		if d.files, err = d.newFileWriter(ctx); err != nil {
			return err
		}
		if d.opts.Merge {
			d.merge = newMerger(d)
			return d.merge.survey(ctx)
		}
		if err := newClearer(d).run(ctx); err != nil {
			return err
		}
		return tx.Uncheck(ctx)
	})
}

// newBuilder returns a builder that knows how long the texts may be that this database takes.
func (d *Destination) newBuilder(ctx context.Context) (*rows.Builder, error) {
	columns, err := d.tx.Columns(ctx)
	if err != nil {
		return nil, err
	}
	length := func(table, column string) int {
		for _, c := range columns[table] {
			if c.Name == column {
				return c.Length
			}
		}
		return 0
	}
	return rows.NewBuilder(d.catalogue.Model, rows.Options{Convert: d.converter(), Now: d.site.opts.Now, Length: length})
}

func (d *Destination) converter() rows.Converter {
	return rows.Converter{Kind: d.site.db.Kind(), Zone: d.site.db.Zone()}
}

// Write implements [transfer.Destination].
func (d *Destination) Write(ctx context.Context, batch transfer.Batch) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if d.queue == nil || d.closed {
		return fmt.Errorf("%w: a destination is written between begin and commit", transfer.ErrUsage)
	}
	var err error
	switch batch.Stage {
	case transfer.StageSchemas: // the destination's own hold
		d.stored[batch.Stage] += int64(len(batch.Records))
	case transfer.StageEntities:
		if d.merge != nil {
			err = d.merge.write(ctx, batch)
			break
		}
		err = d.writeEntities(ctx, batch)
	case transfer.StageAssets:
		err = d.writeAssets(ctx, batch)
	case transfer.StageLinks:
		err = d.writeLinks(ctx, batch)
	case transfer.StageConfiguration:
		err = d.writeSettings(ctx, batch)
	}
	if err != nil || !batch.Last {
		return err
	}
	return d.queue.do(ctx, d.writer.flush)
}

// writeEntities decodes rows while the database works on those before.
func (d *Destination) writeEntities(ctx context.Context, batch transfer.Batch) error {
	out, err := d.spareBatch(ctx)
	if err != nil {
		return err
	}
	for _, r := range batch.Records {
		e, ok := r.(transfer.Entity)
		if !ok {
			return fmt.Errorf("%w: %T among entities", transfer.ErrDamaged, r)
		}
		if err := d.entity(out, e); err != nil {
			return err
		}
	}
	d.stored[transfer.StageEntities] += int64(len(batch.Records))
	return d.queue.submit(ctx, func(ctx context.Context) error {
		err := d.writer.write(ctx, out.Rows)
		out.Reset()
		d.spare <- out
		return err
	})
}

// spareBatch waits until there is room for another batch.
func (d *Destination) spareBatch(ctx context.Context) (*rows.Batch, error) {
	select {
	case out := <-d.spare:
		return out, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-d.queue.failed:
		return nil, d.queue.err
	}
}

func (d *Destination) entity(out *rows.Batch, e transfer.Entity) error {
	t := d.builder.Type(e.Type)
	if t == nil {
		return fmt.Errorf("%w: %s: the destination has no such content type", transfer.ErrIncompatible, e.Key())
	}
	old, ok := e.ID.Int()
	if !ok {
		return fmt.Errorf("%w: %s: its id is no number", transfer.ErrDamaged, e.Key())
	}
	id := t.IDs.Assign(old)
	if d.keeper != nil && len(d.keeper.next) > 0 {
		var err error
		if d.keeper.now, err = d.converter().Identify(e); err != nil {
			return err
		}
		d.builder.Trace = d.keeper.arrive(e.Type)
	}
	return d.builder.Build(out, e, id)
}

// Outcome implements [transfer.Accountant].
func (d *Destination) Outcome() transfer.Outcome {
	o := transfer.Outcome{Stored: maps.Clone(d.stored), Skipped: d.skips.all()}
	for _, s := range o.Skipped {
		o.Stored[s.Stage] += 0 // of which all may have been left out
	}
	return o
}

// State implements [transfer.Stater].
func (d *Destination) State() transfer.State {
	s, _ := d.state.Load().(transfer.State)
	return s
}

// Notes implements [transfer.Noter].
func (d *Destination) Notes() []transfer.Note {
	notes := append(d.site.notes(), d.notes...)
	d.notes = nil
	for _, end := range []any{d.site.opts.Uploads, d.change} {
		if n, ok := end.(uploads.Noter); ok {
			notes = append(notes, n.Notes()...)
		}
	}
	return notes
}
