package vault

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many connections read the index at once.
const readers = 4

// index is the vault's database: one connection that writes, a few that read.
type index struct {
	write *sql.DB
	read  *sql.DB
}

func openIndex(ctx context.Context, path string) (*index, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := ownFile(path); err != nil {
		return nil, err
	}
	open := func(lock string, most int) (*sql.DB, error) {
		// FULL: a commit that was answered survives a power cut.
		query := "?_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(ON)&_txlock=" + lock
		db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()+query)
		if err == nil {
			db.SetMaxOpenConns(most)
		}
		return db, err
	}
	x := &index{}
	if x.write, err = open("immediate", 1); err != nil {
		return nil, err
	}
	if x.read, err = open("deferred", readers); err != nil {
		return nil, errors.Join(err, x.write.Close())
	}
	if err := x.migrate(ctx); err != nil {
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

// ownFile makes a file that belongs to its owner alone, before a library makes one that does not; its companions get its mode.
func ownFile(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode) //nolint:gosec // a fixed name in the vault's folder
	if err != nil {
		return layout.Unwritable(err)
	}
	info, err := file.Stat()
	if err == nil && info.Mode().Perm()&^fileMode != 0 { // older versions made it so
		err = file.Chmod(fileMode)
	}
	return errors.Join(err, file.Close())
}

func (x *index) close() error { return errors.Join(x.read.Close(), x.write.Close()) }

// migrate brings the index to this program's version of it, one numbered file after the other.
func (x *index) migrate(ctx context.Context) error {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return err
	}
	return x.change(ctx, func(tx *sql.Tx) error {
		var version int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
			return damaged(err)
		}
		if version > len(names) {
			return fmt.Errorf("%w: the index is of version %d, this program knows %d: use a newer one", transfer.ErrIncompatible, version, len(names))
		}
		for i, name := range names[version:] {
			text, err := migrations.ReadFile(name)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, string(text)); err != nil {
				return fmt.Errorf("migrate index to version %d: %w", version+i+1, err)
			}
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(names)))
		return err
	})
}

// change runs a function in a transaction that nobody else writes beside.
func (x *index) change(ctx context.Context, run func(tx *sql.Tx) error) error {
	tx, err := x.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin in index: %w", err)
	}
	if err := run(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit in index: %w", err)
	}
	return nil
}

// damaged marks an error of a database that cannot be read.
func damaged(err error) error { return fmt.Errorf("%w: read index: %w", transfer.ErrDamaged, err) }

// rows runs a query and hands over its rows one by one.
func (x *index) rows(ctx context.Context, scan func(row *sql.Rows) error, query string, args ...any) (err error) {
	rows, err := x.read.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// number runs a query for one number.
func (x *index) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	if err := x.read.QueryRowContext(ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("read index: %w", err)
	}
	return n, nil
}

func (x *index) forgotten(ctx context.Context) (int64, error) {
	return x.number(ctx, "SELECT count(*) FROM snapshots WHERE forgotten IS NOT NULL")
}

// blobSize returns the size of a piece that some snapshot is made of, false if none is.
func (x *index) blobSize(ctx context.Context, d Digest) (size int64, known bool, err error) {
	err = x.read.QueryRowContext(ctx, "SELECT size FROM blobs WHERE digest = ?", d[:]).Scan(&size)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read index: %w", err)
	}
	return size, true, nil
}

// segment is a run of records of one stage, as the index knows it.
type segment struct {
	raw     Digest // of the JSON lines
	blob    Digest
	size    int64 // of the blob
	records int64
	bytes   int64 // of the JSON lines, with their ends
}

// knownSegment returns the segment with these lines, false if no snapshot has it.
func (x *index) knownSegment(ctx context.Context, stage transfer.Stage, raw Digest) (segment, bool, error) {
	s := segment{raw: raw}
	err := x.read.QueryRowContext(ctx, `SELECT b.digest, b.size, s.records, s.bytes FROM segments s JOIN blobs b ON b.id = s.blob_id
		WHERE s.stage = ? AND s.raw = ?`, stage, raw[:]).Scan(&s.blob, &s.size, &s.records, &s.bytes)
	if errors.Is(err, sql.ErrNoRows) {
		return segment{}, false, nil
	}
	if err != nil {
		return segment{}, false, fmt.Errorf("read index: %w", err)
	}
	return s, true, nil
}

// placed is a segment with its place in a snapshot.
type placed struct {
	segment

	seq   int64
	first int64 // records of the stage before it
}

// segmentPage is how many segments are asked for at once.
const segmentPage = 256

// segments returns the next segments of a stage of a snapshot: those after seq that hold records after a number of them.
func (x *index) segments(ctx context.Context, snapshot int64, stage transfer.Stage, seq, after int64) (out []placed, err error) {
	err = x.rows(ctx, func(row *sql.Rows) error {
		var p placed
		if err := row.Scan(&p.seq, &p.first, &p.raw, &p.records, &p.bytes, &p.blob, &p.size); err != nil {
			return damaged(err)
		}
		out = append(out, p)
		return nil
	}, `SELECT ss.seq, ss.first, s.raw, s.records, s.bytes, b.digest, b.size
		FROM snapshot_segments ss JOIN segments s ON s.id = ss.segment_id JOIN blobs b ON b.id = s.blob_id
		WHERE ss.snapshot_id = ? AND ss.stage = ? AND ss.seq > ? AND ss.first + s.records > ? ORDER BY ss.seq LIMIT ?`,
		snapshot, stage, seq, after, segmentPage)
	return out, err
}
