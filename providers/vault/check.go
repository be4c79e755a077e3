package vault

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// CheckOptions steer [Vault.Check].
type CheckOptions struct {
	// ReadData reads every piece and compares it with its name. Without it only its being there and its size are looked at.
	ReadData bool

	// Observe is told how far the check is; nil is nobody.
	Observe func(done, total int64)
}

// Problem is something wrong in a vault.
type Problem struct {
	Piece     string   `json:"piece,omitempty"` // SHA-256 of the piece it is about, "" for the index
	Message   string   `json:"message"`
	Snapshots []string `json:"snapshots,omitempty"` // that cannot be read whole because of it, at most maxAffected of them
}

// maxAffected bounds the snapshots that a problem names: a piece may be part of all of them.
const maxAffected = 100

// CheckReport is what a check found.
type CheckReport struct {
	Snapshots int64     `json:"snapshots"`
	Blobs     int64     `json:"blobs"`
	Bytes     int64     `json:"bytes"` // of the pieces, on disk
	Read      bool      `json:"read"`  // every byte of them was read
	Problems  []Problem `json:"problems"`
}

// Check looks for what is missing or changed. What it finds is in the report; the error is for a check that could not be finished.
func (v *Vault) Check(ctx context.Context, opts CheckOptions) (r CheckReport, err error) {
	lock, err := v.locks.share(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if opts.Observe == nil {
		opts.Observe = func(int64, int64) {}
	}
	r.Problems = []Problem{}
	if err := v.checkIndex(ctx, &r); err != nil {
		return r, err
	}
	total, err := v.index.number(ctx, "SELECT count(*) FROM blobs")
	if err != nil {
		return r, err
	}
	r.Read = opts.ReadData
	for i := range 256 {
		if err := v.checkFolder(ctx, byte(i), opts, &r, total); err != nil {
			return r, err
		}
	}
	return r, nil
}

// checkIndex looks at the database by itself.
func (v *Vault) checkIndex(ctx context.Context, r *CheckReport) (err error) {
	if r.Snapshots, err = v.index.number(ctx, "SELECT count(*) FROM snapshots WHERE forgotten IS NULL"); err != nil {
		return err
	}
	if err := v.index.dialect.check(ctx, v.index, r); err != nil {
		return err
	}
	list, err := v.Snapshots(ctx, "")
	if err != nil {
		return err
	}
	for _, s := range list {
		if err := v.checkSnapshot(ctx, s, r); err != nil {
			return err
		}
	}
	return nil
}

// checkSnapshot compares the segments of a snapshot with what it says it holds.
func (v *Vault) checkSnapshot(ctx context.Context, s Snapshot, r *CheckReport) error {
	for _, stage := range transfer.Stages() {
		n, err := v.index.number(ctx, `SELECT coalesce(sum(g.records), 0) FROM snapshot_segments ss JOIN segments g ON g.id = ss.segment_id
			WHERE ss.snapshot_id = ? AND ss.stage = ?`, s.row, stage)
		if err != nil {
			return err
		}
		if want := s.Counts[stage].Records; n != want {
			r.Problems = append(r.Problems, Problem{
				Message:   fmt.Sprintf("index: %s of snapshot %s holds %d records, not %d", stage, s.Reference(), n, want),
				Snapshots: []string{s.Reference().String()},
			})
		}
	}
	return nil
}

type piece struct {
	digest Digest
	size   int64
}

// checkFolder looks at the pieces of one folder.
func (v *Vault) checkFolder(ctx context.Context, first byte, opts CheckOptions, r *CheckReport, total int64) error {
	var pieces []piece
	from, to := folderRange(first)
	err := v.index.rows(ctx, func(row *sql.Rows) error {
		var p piece
		err := row.Scan(&p.digest, &p.size)
		pieces = append(pieces, p)
		return err
	}, "SELECT digest, size FROM blobs WHERE digest >= ? AND digest < ? ORDER BY digest", from, to)
	if err != nil {
		return err
	}
	for _, p := range pieces {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		bad := v.checkPiece(ctx, p, opts.ReadData)
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if bad != nil {
			affected, err := v.affected(ctx, p.digest)
			if err != nil {
				return err
			}
			r.Problems = append(r.Problems, Problem{Piece: p.digest.String(), Message: bad.Error(), Snapshots: affected})
		}
		r.Blobs, r.Bytes = r.Blobs+1, r.Bytes+p.size
		opts.Observe(r.Blobs, total)
	}
	return nil
}

// checkPiece returns what is wrong with a piece.
func (v *Vault) checkPiece(ctx context.Context, p piece, read bool) error {
	file, err := v.pieces.open(ctx, p.digest, p.size)
	if err != nil || !read {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
		return err
	}
	hash := sha256.New()
	_, err = io.CopyBuffer(hash, endsWith(ctx, file), make([]byte, copyBuffer))
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("read piece %s: %w", p.digest, err)
	}
	if Digest(hash.Sum(nil)) != p.digest {
		return fmt.Errorf("%w: the piece %s was changed", transfer.ErrDamaged, p.digest)
	}
	return nil
}

// affected names the snapshots that a piece is part of, newest first.
func (v *Vault) affected(ctx context.Context, d Digest) (out []string, err error) {
	err = v.index.rows(ctx, func(row *sql.Rows) error {
		var site, name string
		var id int64
		err := row.Scan(&site, &name, &id)
		out = append(out, Reference{Site: site, Snapshot: name}.String())
		return err
	}, `SELECT DISTINCT t.name, s.name, s.id FROM blobs b
		LEFT JOIN assets a ON a.blob_id = b.id
		JOIN segments g ON g.blob_id = b.id OR g.id = a.segment_id
		JOIN snapshot_segments ss ON ss.segment_id = g.id
		JOIN snapshots s ON s.id = ss.snapshot_id AND s.forgotten IS NULL
		JOIN sites t ON t.id = s.site_id
		WHERE b.digest = ? ORDER BY s.id DESC LIMIT ?`, d[:], maxAffected)
	return out, err
}

// Stat is the size of a vault.
type Stat struct {
	Sites     int64 `json:"sites"`
	Snapshots int64 `json:"snapshots"`
	Blobs     int64 `json:"blobs"`
	Bytes     int64 `json:"bytes"`    // of the pieces, on disk
	Contents  int64 `json:"contents"` // of what the snapshots hold, as if each were kept by itself

	Oldest time.Time `json:"oldest,omitzero"`
	Newest time.Time `json:"newest,omitzero"`
}

// Stat returns how much the vault holds.
func (v *Vault) Stat(ctx context.Context) (s Stat, err error) {
	list, err := v.Snapshots(ctx, "")
	if err != nil {
		return s, err
	}
	sites := make(map[string]bool)
	for _, snap := range list {
		sites[snap.Site] = true
		for _, n := range snap.Counts {
			s.Contents += n.Bytes
		}
		if s.Oldest.IsZero() || snap.CreatedAt.Before(s.Oldest) {
			s.Oldest = snap.CreatedAt
		}
		if snap.CreatedAt.After(s.Newest) {
			s.Newest = snap.CreatedAt
		}
	}
	s.Sites, s.Snapshots = int64(len(sites)), int64(len(list))
	err = v.index.row(ctx, "SELECT count(*), coalesce(sum(size), 0) FROM blobs").Scan(&s.Blobs, &s.Bytes)
	if err != nil {
		return s, fmt.Errorf("read index: %w", err)
	}
	return s, nil
}
