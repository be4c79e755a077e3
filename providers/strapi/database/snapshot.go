package database

import (
	"context"
	"errors"
)

// Snapshot is one consistent view of the database, which nobody can change. It is used by one goroutine at a time.
type Snapshot struct{ querier }

// Snapshot begins a view. Until it is closed, writers of an SQLite database that keeps a rollback journal (Strapi's does) have
// to wait with their commits; elsewhere nobody notices.
func (db *DB) Snapshot(ctx context.Context) (*Snapshot, error) {
	s, err := db.connect(ctx)
	if err != nil {
		return nil, err
	}
	snap := &Snapshot{querier{db, s}}
	for _, statement := range db.config.beginSnapshot() {
		if _, err := s.exec(ctx, statement, nil); err != nil {
			return nil, errors.Join(snap.fault(ctx, err), s.close())
		}
	}
	return snap, nil
}

func (c Config) beginSnapshot() []string {
	switch c.Kind {
	case SQLite:
		// A deferred transaction takes its view when it first reads.
		return []string{"PRAGMA query_only = ON", "BEGIN", "SELECT count(*) FROM sqlite_schema"}
	case Postgres:
		return append([]string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}, c.searchPath())
	case MySQL:
		return []string{"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"}
	}
	return nil
}

// Close ends the view. It may be called twice.
func (s *Snapshot) Close() error {
	if s.s == nil {
		return nil
	}
	err := s.s.close()
	s.s = closedSession{}
	return err
}
