package vault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/transfer-runner/runner/transfer"
)

// readers is how many connections read the index at once.
const readers = 4

// index is the vault's database: connections that write, one at a time, and a few that read.
type index struct {
	write   *sql.DB
	read    *sql.DB
	dialect dialect
}

// dialect is what databases say differently.
type dialect interface {
	// text turns a statement with ? for its values into the database's own.
	text(statement string) string
	// begin is called first in every transaction that writes: after it nobody else writes.
	begin(ctx context.Context, tx *sql.Tx) error
	// migrate brings the index to this program's version of it.
	migrate(ctx context.Context, x *index) error
	// check adds what is wrong with the database by itself.
	check(ctx context.Context, x *index, r *CheckReport) error
}

// indexTx is a transaction that writes.
type indexTx struct {
	*sql.Tx

	dialect dialect
}

// ExecContext runs a statement with ? for its values.
func (t *indexTx) ExecContext(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	return t.Tx.ExecContext(ctx, t.dialect.text(statement), args...)
}

// QueryRowContext runs a query for one row, with ? for its values.
func (t *indexTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return t.Tx.QueryRowContext(ctx, t.dialect.text(query), args...)
}

// PrepareContext prepares a statement with ? for its values. It ends with the transaction.
func (t *indexTx) PrepareContext(ctx context.Context, statement string) (*sql.Stmt, error) {
	return t.Tx.PrepareContext(ctx, t.dialect.text(statement))
}

func (x *index) close() error { return errors.Join(x.read.Close(), x.write.Close()) }

// change runs a function in a transaction that nobody else writes beside.
func (x *index) change(ctx context.Context, run func(tx *indexTx) error) error {
	return x.changeOn(ctx, x.write, run)
}

// beginner is a database or one connection to it.
type beginner interface {
	BeginTx(ctx context.Context, opts *sql.TxOptions) (*sql.Tx, error)
}

// changeOn is change on a connection that holds locks: it fails if those are lost.
func (x *index) changeOn(ctx context.Context, conn beginner, run func(tx *indexTx) error) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin in index: %w", err)
	}
	if err = x.dialect.begin(ctx, tx); err == nil {
		err = run(&indexTx{Tx: tx, dialect: x.dialect})
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit in index: %w", err)
	}
	return nil
}

// row runs a query for one row.
func (x *index) row(ctx context.Context, query string, args ...any) *sql.Row {
	return x.read.QueryRowContext(ctx, x.dialect.text(query), args...)
}

// damaged marks an error of a database that cannot be read.
func damaged(err error) error { return fmt.Errorf("%w: read index: %w", transfer.ErrDamaged, err) }

// rows runs a query and hands over its rows one by one.
func (x *index) rows(ctx context.Context, scan func(row *sql.Rows) error, query string, args ...any) (err error) {
	rows, err := x.read.QueryContext(ctx, x.dialect.text(query), args...)
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
	if err := x.row(ctx, query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("read index: %w", err)
	}
	return n, nil
}

func (x *index) forgotten(ctx context.Context) (int64, error) {
	return x.number(ctx, "SELECT count(*) FROM snapshots WHERE forgotten IS NOT NULL")
}

// blobSize returns the size of a piece that some snapshot is made of, false if none is.
func (x *index) blobSize(ctx context.Context, d Digest) (size int64, known bool, err error) {
	err = x.row(ctx, "SELECT size FROM blobs WHERE digest = ?", d[:]).Scan(&size)
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
	err := x.row(ctx, `SELECT b.digest, b.size, s.records, s.bytes FROM segments s JOIN blobs b ON b.id = s.blob_id
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
