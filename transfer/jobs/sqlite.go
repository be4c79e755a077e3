package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/gofrs/flock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/transfer-runner/runner/transfer"
)

const (
	sqliteFile = "jobs.db"
	sqliteLock = "jobs.lock"
	fileMode   = 0o600
	folderMode = 0o700

	// sqliteBusy is how long a writer waits for another process, in ms.
	sqliteBusy = 10_000
)

// OpenSQLite opens the store in the data folder dir, and makes both if they are not there. One process at a time can have it open.
func OpenSQLite(ctx context.Context, dir string) (*DB, error) {
	if err := os.MkdirAll(dir, folderMode); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	path := filepath.Join(dir, sqliteFile)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode) //nolint:gosec // a fixed name in the data folder; made here for its mode
	if err != nil {
		return nil, fmt.Errorf("open the jobs: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("open the jobs: %w", err)
	}
	lock := flock.New(filepath.Join(dir, sqliteLock), flock.SetPermissions(fileMode))
	if alone, err := lock.TryLock(); err != nil || !alone {
		return nil, errors.Join(fmt.Errorf("%w: another server has the data folder %s open; give this one a folder of its own, or keep the jobs "+
			"of several servers in PostgreSQL", transfer.ErrUsage, dir), err)
	}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: fmt.Sprintf(
		"_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate", sqliteBusy)}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the jobs: %w", err), lock.Close())
	}
	db.SetMaxOpenConns(4)
	d := &DB{db: db, dialect: sqliteDialect{lock: lock}}
	if err := retryBusy(ctx, func() error { return d.prepare(ctx) }); err != nil {
		return nil, errors.Join(fmt.Errorf("open the jobs in %s: %w", path, err), d.Close())
	}
	return d, nil
}

// retryBusy repeats what SQLite refuses, without waiting, while another process changes the journal mode.
func retryBusy(ctx context.Context, f func() error) error {
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(5*time.Millisecond), backoff.WithMaxElapsedTime(sqliteBusy*time.Millisecond))
	return backoff.Retry(func() error {
		err := f()
		if refused, ok := errors.AsType[*sqlite.Error](err); ok && refused.Code()&0xff == sqlite3.SQLITE_BUSY {
			return err
		}
		if err != nil {
			return backoff.Permanent(err)
		}
		return nil
	}, backoff.WithContext(wait, ctx))
}

// Exclusive reports whether nobody else can be running jobs of this store, so that a job that runs by its row is one of a dead
// process. Only an SQLite store knows that, by a lock on a file that ends with the process.
func (d *DB) Exclusive() bool {
	_, ok := d.dialect.(sqliteDialect)
	return ok
}

// sqliteDialect is what SQLite does. Transactions are immediate, one after the other: nothing else is needed.
type sqliteDialect struct {
	lock *flock.Flock
}

func (sqliteDialect) bind(query string) string                      { return query }
func (sqliteDialect) forUpdate() string                             { return "" }
func (sqliteDialect) serialize(context.Context, *sql.Tx) error      { return nil }
func (sqliteDialect) notify(context.Context, *sql.Tx, string) error { return nil }
func (s sqliteDialect) close() error                                { return s.lock.Close() }
