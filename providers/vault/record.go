package vault

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/transfer-runner/runner/transfer"
)

// recorder writes the rows of one snapshot.
type recorder struct {
	v    *Vault
	tx   *indexTx
	snap *Snapshot

	findSegment, addSegment, place, findBlob, addBlob, addAsset *sql.Stmt
}

// record writes the snapshot into the index.
func (d *Destination) record(ctx context.Context, tx *indexTx, s *Snapshot) error {
	w := &recorder{v: d.v, tx: tx, snap: s}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	if err := w.snapshot(ctx); err != nil {
		return err
	}
	for _, stage := range transfer.Stages() {
		var first int64
		for i, seg := range d.segments[stage] {
			if err := w.segment(ctx, stage, i, first, seg); err != nil {
				return fmt.Errorf("record %s: %w", stage, err)
			}
			first += seg.records
		}
	}
	_, err := tx.ExecContext(ctx, "UPDATE snapshots SET added_blobs = ?, added_bytes = ? WHERE id = ?", s.AddedBlobs, s.AddedBytes, s.row)
	return err
}

// prepare makes the statements. They end with the transaction.
func (w *recorder) prepare(ctx context.Context) error {
	for _, p := range []struct {
		statement **sql.Stmt
		text      string
	}{
		{&w.findSegment, "SELECT id FROM segments WHERE stage = ? AND raw = ?"},
		{&w.addSegment, "INSERT INTO segments (stage, raw, blob_id, records, bytes) VALUES (?, ?, ?, ?, ?) RETURNING id"},
		{&w.place, "INSERT INTO snapshot_segments (snapshot_id, stage, seq, first, segment_id) VALUES (?, ?, ?, ?, ?)"},
		{&w.findBlob, "SELECT id FROM blobs WHERE digest = ?"},
		{&w.addBlob, "INSERT INTO blobs (digest, size) VALUES (?, ?) RETURNING id"},
		{&w.addAsset, "INSERT INTO assets (segment_id, pos, blob_id) VALUES (?, ?, ?)"},
	} {
		var err error
		//nolint:sqlclosecheck // the transaction closes its statements
		if *p.statement, err = w.tx.PrepareContext(ctx, p.text); err != nil {
			return err
		}
	}
	return nil
}

func (w *recorder) snapshot(ctx context.Context) error {
	s := w.snap
	if _, err := w.tx.ExecContext(ctx, "INSERT INTO sites (name, created) VALUES (?, ?) ON CONFLICT DO NOTHING", s.Site, s.CreatedAt.UnixMilli()); err != nil {
		return err
	}
	counts, err := json.Marshal(s.Counts)
	if err != nil {
		return err
	}
	created := sql.NullInt64{Int64: s.SourceCreatedAt.UnixMilli(), Valid: !s.SourceCreatedAt.IsZero()}
	return w.tx.QueryRowContext(ctx, `INSERT INTO snapshots
		(name, site_id, created, source, source_kind, source_created, version, parent, schemas_known, counts, added_blobs, added_bytes)
		VALUES (?, (SELECT id FROM sites WHERE name = ?), ?, ?, ?, ?, ?, ?, ?, ?, 0, 0) RETURNING id`,
		s.ID, s.Site, s.CreatedAt.UnixMilli(), s.Source, s.SourceKind, created, s.Version, s.Parent, s.SchemasKnown, string(counts)).Scan(&s.row)
}

// segment writes a segment into its place, and itself if it is new.
func (w *recorder) segment(ctx context.Context, stage transfer.Stage, seq int, first int64, seg segment) error {
	var id int64
	err := w.findSegment.QueryRowContext(ctx, stage, seg.raw[:]).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		var blob int64
		if blob, err = w.blob(ctx, seg.blob, seg.size); err != nil {
			return err
		}
		err = w.addSegment.QueryRowContext(ctx, stage, seg.raw[:], blob, seg.records, seg.bytes).Scan(&id)
		if err == nil && stage == transfer.StageAssets {
			err = w.assets(ctx, id, seg)
		}
	}
	if err == nil {
		_, err = w.place.ExecContext(ctx, w.snap.row, stage, seq, first, id)
	}
	return err
}

// assets notes which files the lines of a new segment name.
func (w *recorder) assets(ctx context.Context, id int64, seg segment) error {
	lines, err := w.v.linesOf(ctx, seg)
	if err != nil {
		return err
	}
	pos := 0
	for line := range split(lines) {
		a, err := parseAsset(line)
		if err != nil {
			return err
		}
		blob, err := w.blob(ctx, a.digest, a.Length)
		if err != nil {
			return err
		}
		if _, err := w.addAsset.ExecContext(ctx, id, pos, blob); err != nil {
			return err
		}
		pos++
	}
	return nil
}

// blob returns the row of a piece, which it writes if it is new.
func (w *recorder) blob(ctx context.Context, digest Digest, size int64) (id int64, err error) {
	err = w.findBlob.QueryRowContext(ctx, digest[:]).Scan(&id)
	if !errors.Is(err, sql.ErrNoRows) {
		return id, err
	}
	w.snap.AddedBlobs, w.snap.AddedBytes = w.snap.AddedBlobs+1, w.snap.AddedBytes+size
	err = w.addBlob.QueryRowContext(ctx, digest[:], size).Scan(&id)
	return id, err
}
