package jobs

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// DB is the [Store] on an SQL database. Make one with [OpenSQLite] or [OpenPostgres].
type DB struct {
	db      *sql.DB
	dialect dialect
	epoch   string
	secret  []byte
}

var (
	_ Store     = (*DB)(nil)
	_ Schedules = (*DB)(nil)
	_ Forgetter = (*DB)(nil)
)

// dialect is what databases do differently.
type dialect interface {
	// bind turns the ? of a statement into what the database wants.
	bind(query string) string
	// forUpdate follows a SELECT that finds what is changed next, skipping what others are changing.
	forUpdate() string
	// serialize makes what needs it wait for others that do the same.
	serialize(ctx context.Context, tx *sql.Tx) error
	// notify tells other servers, when the transaction commits.
	notify(ctx context.Context, tx *sql.Tx, notice string) error
	// close frees what the dialect holds.
	close() error
}

// migrations are the statements that bring a database from one version to the next.
func migrations() []string {
	return []string{
		`CREATE TABLE transfer_jobs (
			id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, who TEXT NOT NULL, token_id TEXT NOT NULL, site TEXT NOT NULL, direction TEXT NOT NULL,
			from_site TEXT NOT NULL, to_site TEXT NOT NULL, schedule TEXT NOT NULL, created BIGINT NOT NULL, due BIGINT NOT NULL,
			revision BIGINT NOT NULL, seq BIGINT NOT NULL, owner TEXT NOT NULL, fence BIGINT NOT NULL, beat BIGINT NOT NULL,
			cancelling BIGINT NOT NULL, doc TEXT NOT NULL, diagnostics TEXT NOT NULL, report TEXT NOT NULL);
		CREATE INDEX transfer_jobs_state ON transfer_jobs (state, due);
		CREATE INDEX transfer_jobs_created ON transfer_jobs (created);
		CREATE TABLE transfer_events (
			seq BIGINT PRIMARY KEY, job TEXT NOT NULL, type TEXT NOT NULL, at BIGINT NOT NULL, data TEXT NOT NULL, diagnostics TEXT NOT NULL);
		CREATE INDEX transfer_events_at ON transfer_events (at);
		CREATE TABLE transfer_log (id BIGINT PRIMARY KEY, epoch TEXT NOT NULL, seq BIGINT NOT NULL, secret TEXT NOT NULL);
		CREATE TABLE transfer_schedules (id TEXT PRIMARY KEY, name TEXT NOT NULL, due BIGINT NOT NULL, doc TEXT NOT NULL)`,
	}
}

const secretSize = 32

// prepare makes the tables, or brings them up to date. lock makes other servers wait.
func (d *DB) prepare(ctx context.Context) error {
	return d.change(ctx, func(tx *sql.Tx) error {
		if err := d.dialect.serialize(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS transfer_version (version BIGINT NOT NULL)"); err != nil {
			return err
		}
		version := 0
		if err := tx.QueryRowContext(ctx, "SELECT version FROM transfer_version").Scan(&version); errors.Is(err, sql.ErrNoRows) {
			_, err = tx.ExecContext(ctx, "INSERT INTO transfer_version (version) VALUES (0)")
			if err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		steps := migrations()
		if version > len(steps) {
			return fmt.Errorf("it is of version %d, and this program knows %d: use a newer one", version, len(steps))
		}
		for _, step := range steps[version:] {
			for statement := range strings.SplitSeq(step, ";") {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return err
				}
			}
		}
		if _, err := tx.ExecContext(ctx, d.dialect.bind("UPDATE transfer_version SET version = ?"), len(steps)); err != nil {
			return err
		}
		return d.prepareLog(ctx, tx)
	})
}

// prepareLog gives the log its epoch and the servers their common secret, if there are none.
func (d *DB) prepareLog(ctx context.Context, tx *sql.Tx) error {
	random := make([]byte, maxEpoch/2+secretSize)
	_, _ = rand.Read(random) // never fails
	_, err := tx.ExecContext(ctx, d.dialect.bind("INSERT INTO transfer_log (id, epoch, seq, secret) VALUES (1, ?, 0, ?) ON CONFLICT (id) DO NOTHING"),
		hex.EncodeToString(random[:maxEpoch/2]), hex.EncodeToString(random[maxEpoch/2:]))
	if err != nil {
		return err
	}
	var secret string
	if err := tx.QueryRowContext(ctx, "SELECT epoch, secret FROM transfer_log WHERE id = 1").Scan(&d.epoch, &secret); err != nil {
		return err
	}
	d.secret, err = hex.DecodeString(secret)
	return err
}

// Secret is a key that all servers of the database have in common.
func (d *DB) Secret() []byte { return d.secret }

// SQL is the database, and what its statements must look like, for others who keep things in it.
func (d *DB) SQL() (db *sql.DB, bind func(query string) string) { return d.db, d.dialect.bind }

// Close closes the database.
func (d *DB) Close() error { return errors.Join(d.db.Close(), d.dialect.close()) }

// change runs f in a transaction, all or nothing.
func (d *DB) change(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it has nothing to do
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// dollars turns ? into $1, $2 and so on. None of the statements has one in a text.
func dollars(query string) string {
	var b strings.Builder
	n := 0
	for part := range strings.SplitSeq(query, "?") {
		if n > 0 {
			b.WriteString("$" + strconv.Itoa(n))
		}
		b.WriteString(part)
		n++
	}
	return b.String()
}

// failed says what a database could not do.
func failed(err error, what string, args ...any) error {
	if err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrLost) || errors.Is(err, ErrEnded) {
		return err
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(what, args...), err)
}
