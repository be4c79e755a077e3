package strapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// markerKey is the key of the row of the core store that says which change of files belongs to what was committed. It is there
// only until the old files are gone.
const markerKey = "transfer_runner_commit"

// Commit implements [transfer.Destination]. The files take their place just before the database commits: what can fail is done
// before, and undone if the commit fails.
func (d *Destination) Commit(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if d.queue == nil || d.closed {
		return fmt.Errorf("%w: a destination is committed after it was written, once", transfer.ErrUsage)
	}
	if err := d.queue.do(ctx, d.settle); err != nil {
		return err
	}
	if d.merge != nil && d.merge.changes == 0 {
		// All of it is there already: nothing is written, not even that.
		d.state.Store(transfer.StateCommitted)
		d.notes = append(d.notes, d.merge.tally.note())
		return d.undoFiles(context.WithoutCancel(ctx))
	}
	if d.change != nil {
		if err := d.change.Apply(ctx); err != nil {
			return err
		}
	}
	// From here on only the database decides.
	late := context.WithoutCancel(ctx)
	err := d.queue.do(late, d.tx.Commit)
	if errors.Is(err, transfer.ErrOutcomeUnknown) && d.change != nil {
		if done, cerr := d.committed(late, d.change.ID()); cerr == nil {
			err = nil
			if !done {
				err = fmt.Errorf("%w: the database did not take the commit", transfer.ErrConnection)
			}
		}
	}
	if errors.Is(err, transfer.ErrOutcomeUnknown) {
		d.state.Store(transfer.StateUnknown)
	}
	if err != nil {
		return err
	}
	d.state.Store(transfer.StateCommitted)
	if d.merge != nil {
		d.notes = append(d.notes, d.merge.tally.note())
	}
	d.finish(late)
	return nil
}

// settle writes what is still held back and leaves the database as Strapi expects it.
func (d *Destination) settle(ctx context.Context) error {
	if err := d.writer.flush(ctx); err != nil || d.merge != nil && d.merge.changes == 0 {
		return err
	}
	if d.keeper != nil {
		if err := d.keeper.attach(ctx); err != nil {
			return err
		}
	}
	if err := d.setSequences(ctx); err != nil {
		return err
	}
	if d.change == nil {
		return nil
	}
	_, err := d.tx.Exec(ctx, "INSERT INTO "+d.quote(model.CoreStore)+" ("+d.quote("key")+", "+d.quote("value")+", "+d.quote("type")+
		") VALUES (?, ?, ?)", markerKey, quotedID(d.change.ID()), "string")
	return err
}

// finish lets go of the old files. The content is in place, whatever happens here, so that what goes wrong is only noted.
func (d *Destination) finish(ctx context.Context) {
	if d.change == nil {
		return
	}
	err := d.change.Finish(ctx)
	if err == nil {
		err = d.site.forgetMarkers(ctx, d.change.ID())
	}
	if err != nil {
		d.warn(fmt.Sprintf("the new content is in place, but the old files could not be cleared away: %v", err))
	}
}

func (d *Destination) warn(message string) {
	d.notes = append(d.notes, transfer.Note{Level: transfer.NoteWarning, Message: message})
}

// committed reports whether the change of files called id is part of what the database holds.
func (d *Destination) committed(ctx context.Context, id string) (bool, error) {
	snap, err := d.site.db.Snapshot(ctx)
	if err != nil {
		return false, err
	}
	all, err := snap.All(ctx, "SELECT count(*) FROM "+d.quote(model.CoreStore)+" WHERE "+d.quote("key")+" = ? AND "+d.quote("value")+" = ?", markerKey, quotedID(id))
	if err := errors.Join(err, snap.Close()); err != nil {
		return false, err
	}
	n, _ := database.Int(all[0][0])
	return n > 0, nil
}

func quotedID(id string) string { return `"` + id + `"` }

// forgetMarkers deletes the markers of changes that are finished.
func (s *Site) forgetMarkers(ctx context.Context, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	tx, err := s.db.Begin(ctx, database.TxOptions{})
	if err != nil {
		return err
	}
	for _, id := range ids {
		_, err = tx.Exec(ctx, "DELETE FROM "+s.db.Quote(model.CoreStore)+" WHERE "+s.db.Quote("key")+" = ? AND "+s.db.Quote("value")+" = ?",
			markerKey, quotedID(id))
		if err != nil {
			return errors.Join(err, tx.Close())
		}
	}
	return errors.Join(tx.Commit(ctx), tx.Close())
}

// setSequences makes PostgreSQL go on behind the ids that were written. The other two have seen them.
func (d *Destination) setSequences(ctx context.Context) error {
	if d.site.db.Kind() != database.Postgres {
		return nil
	}
	for _, t := range d.catalogue.Model.Types {
		top := d.builder.Type(t.UID).IDs.Top()
		if top == 0 {
			continue
		}
		_, err := d.tx.All(ctx, "SELECT setval(s, greatest(?::bigint, coalesce(pg_sequence_last_value(s), 1))) FROM "+
			"(SELECT pg_get_serial_sequence(?, 'id')::regclass AS s) AS q", top, d.quote(t.Table))
		if err != nil {
			return fmt.Errorf("sequence of table %s: %w", t.Table, err)
		}
	}
	return nil
}

func (d *Destination) quote(name string) string { return d.site.db.Quote(name) }

// Close implements [transfer.Destination].
func (d *Destination) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	var errs []error
	if d.queue != nil {
		d.queue.close()
	}
	if d.writer != nil {
		errs = append(errs, d.writer.close(), d.links.close())
	}
	if d.files != nil {
		errs = append(errs, d.files.close())
	}
	if d.tx != nil {
		errs = append(errs, d.tx.Close())
	}
	if d.change != nil {
		errs = append(errs, d.undoFiles(context.Background()))
	}
	return errors.Join(append(errs, d.lock.Release())...)
}

// undoFiles puts the old files back unless the new ones are wanted. When nobody knows, the next transfer asks the database.
func (d *Destination) undoFiles(ctx context.Context) error {
	unchanged := d.merge != nil && d.merge.changes == 0
	switch d.State() {
	case transfer.StateUnknown:
		return nil
	case transfer.StateCommitted:
		if !unchanged || d.change == nil {
			return nil
		}
		return d.change.Undo(ctx)
	case transfer.StateUntouched, transfer.StateRolledBack, transfer.StateFilesGone, transfer.StateNewFiles, transfer.StateUncertain:
	}
	if err := d.change.Undo(ctx); err != nil {
		d.state.Store(transfer.StateFilesGone)
		return err
	}
	return nil
}
