package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gofrs/flock"

	"github.com/transfer-runner/runner/transfer"
)

// ErrBusy means that another transfer is writing the database. Errors that wrap it wrap [transfer.ErrUnwritable] too.
var ErrBusy = errors.New("another transfer is writing this site")

// Lock keeps other transfers from writing the same database. Strapi does not ask for it.
type Lock struct {
	s      session
	unlock string // a statement
	file   *flock.Flock
}

// releaseTimeout is how long letting go of a lock may take.
const releaseTimeout = 5 * time.Second

// lockID is what the lock is called in a server: the same number for all, in a name of each database's own.
const lockID = 7_207_340_011

// TryLock takes the lock, or gives an error that wraps [ErrBusy]. It lasts until it is released, or its process ends.
func (db *DB) TryLock(ctx context.Context) (*Lock, error) {
	if db.config.Kind == SQLite {
		return lockFile(db.config.Path)
	}
	s, err := db.connect(ctx)
	if err != nil {
		return nil, err
	}
	statement := fmt.Sprintf("SELECT CASE WHEN pg_try_advisory_lock(%d) THEN 1 ELSE 0 END", lockID)
	l := &Lock{s: s, unlock: fmt.Sprintf("SELECT pg_advisory_unlock(%d)", lockID)}
	if db.config.Kind == MySQL {
		statement, l.unlock = "SELECT GET_LOCK(CONCAT('transfer-runner-', MD5(DATABASE())), 0)", "SELECT RELEASE_LOCK(CONCAT('transfer-runner-', MD5(DATABASE())))"
	}
	taken, err := collect(s.query(ctx, statement, nil))
	if err != nil {
		return nil, errors.Join(db.config.explain(err, "lock"), s.close())
	}
	if n, _ := Int(taken[0][0]); n != 1 {
		return nil, errors.Join(fmt.Errorf("%w: %w", transfer.ErrUnwritable, ErrBusy), s.close())
	}
	return l, nil
}

// lockFile locks a file beside that of the database.
func lockFile(path string) (*Lock, error) {
	for {
		lock := flock.New(path+"-transfer-lock", flock.SetPermissions(0o666))
		taken, err := lock.TryLock()
		if err != nil {
			return nil, fmt.Errorf("%w: lock the database %s: %w", transfer.ErrUnwritable, path, err)
		}
		if !taken {
			return nil, errors.Join(fmt.Errorf("%w: %w", transfer.ErrUnwritable, ErrBusy), lock.Close())
		}
		// Whoever let go of the lock removed its file: then this is a lock of nothing.
		held, err := lock.Stat()
		if err != nil {
			return nil, errors.Join(err, lock.Close())
		}
		if there, err := os.Stat(lock.Path()); err == nil && os.SameFile(held, there) {
			return &Lock{file: lock}, nil
		}
		if err := lock.Close(); err != nil {
			return nil, err
		}
	}
}

// Release lets go of the lock. It may be called twice, and on nil.
func (l *Lock) Release() error {
	switch {
	case l == nil:
		return nil
	case l.file != nil:
		file := l.file
		l.file = nil
		return errors.Join(os.Remove(file.Path()), file.Close())
	case l.s != nil:
		s := l.s
		l.s = nil
		// A server notices the end of a connection only after a while. If this fails it will do that.
		ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
		defer cancel()
		_, err := collect(s.query(ctx, l.unlock, nil))
		return errors.Join(err, s.close())
	}
	return nil
}
