package vault

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/transfer-runner/runner/providers/internal/layout"
)

// Swept is what a sweep removed.
type Swept struct {
	Busy  bool  `json:"busy,omitempty"` // somebody was using the vault, and nothing was removed
	Blobs int64 `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

// Sweep removes what no snapshot refers to: what interrupted writes left behind, and the pieces of forgotten snapshots. While
// anybody reads or writes it does nothing and says so; a later sweep does it then, at the latest when the vault is opened next.
func (v *Vault) Sweep(ctx context.Context) (s Swept, err error) {
	lock, err := v.locks.alone(ctx)
	if err != nil {
		return s, err
	}
	if lock == nil {
		return Swept{Busy: true}, nil
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	// As long as this is there the next one who opens the vault sweeps, whatever becomes of this process.
	mark := v.path(tempFolder, "sweep")
	if err := os.WriteFile(mark, nil, fileMode); err != nil {
		return s, layout.Unwritable(fmt.Errorf("sweep vault: %w", err))
	}
	if err := prune(ctx, lock); err != nil {
		return s, fmt.Errorf("sweep vault: %w", err)
	}
	v.opts.fault("pruned")
	for i := range 256 {
		if err := v.sweepFolder(ctx, byte(i), &s); err != nil {
			return s, fmt.Errorf("sweep vault: %w", err)
		}
	}
	return s, layout.Unwritable(errors.Join(v.locks.tidy(ctx), v.sweepTemp()))
}

// sweepTemp empties the folder of what is being written: nobody is writing.
func (v *Vault) sweepTemp() error {
	left, err := os.ReadDir(v.path(tempFolder))
	for _, entry := range left {
		err = errors.Join(err, os.RemoveAll(v.path(tempFolder, entry.Name())))
	}
	return err
}

// prune takes what belongs to no snapshot out of the index.
func prune(ctx context.Context, lock holding) error {
	return lock.change(ctx, func(tx *indexTx) error {
		for _, statement := range []string{
			"DELETE FROM snapshots WHERE forgotten IS NOT NULL",
			"DELETE FROM segments WHERE id NOT IN (SELECT segment_id FROM snapshot_segments)",
			"DELETE FROM blobs WHERE id NOT IN (SELECT blob_id FROM segments) AND id NOT IN (SELECT blob_id FROM assets)",
			"DELETE FROM sites WHERE id NOT IN (SELECT site_id FROM snapshots)",
		} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("prune index: %w", err)
			}
		}
		return nil
	})
}

// sweepFolder removes the pieces that begin with a byte and that the index does not name.
func (v *Vault) sweepFolder(ctx context.Context, first byte, s *Swept) error {
	known, err := v.index.blobsIn(ctx, first)
	if err != nil {
		return err
	}
	return v.pieces.sweep(ctx, first, known, s)
}

// blobsIn returns the names of the pieces that belong into a folder.
func (x *index) blobsIn(ctx context.Context, first byte) (map[string]bool, error) {
	names := make(map[string]bool)
	from, to := folderRange(first)
	err := x.rows(ctx, func(row *sql.Rows) error {
		var d Digest
		err := row.Scan(&d)
		names[d.name()] = true
		return err
	}, "SELECT digest FROM blobs WHERE digest >= ? AND digest < ?", from, to)
	return names, err
}

// folderRange returns between which digests the pieces of a folder are, the second excluded.
func folderRange(first byte) (from, to []byte) {
	if first == 0xff {
		return []byte{first}, bytes.Repeat([]byte{0xff}, len(Digest{})+1) // longer than any digest
	}
	return []byte{first}, []byte{first + 1}
}
