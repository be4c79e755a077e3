package database

import (
	"context"
	"errors"
	"strings"
	"time"
)

// DB is a database that was found to be there. It holds no connection; it is safe for concurrent use.
type DB struct{ config Config }

// Open checks that the database can be reached.
func Open(ctx context.Context, config Config) (*DB, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	db := &DB{config: config}
	s, err := db.connect(ctx)
	if err != nil {
		return nil, err
	}
	_, err = collect(s.query(ctx, "SELECT 1", nil))
	return db, errors.Join(err, s.close())
}

// Kind says which dialect the database speaks.
func (db *DB) Kind() Kind { return db.config.Kind }

// Zone is the time zone in which the database holds Strapi's times; without meaning on SQLite.
func (db *DB) Zone() *time.Location { return db.config.zone() }

// String names the database without saying how to get in.
func (db *DB) String() string { return db.config.String() }

// Waiting is the same database, for which locks are waited for only so long.
func (db *DB) Waiting(limit time.Duration) *DB {
	config := db.config
	config.BusyTimeout = limit
	return &DB{config: config}
}

// Close lets go of the database. Snapshots and transactions are closed by themselves.
func (db *DB) Close() error { return nil }

// Quote writes a name so that no dialect takes it for anything else.
func (db *DB) Quote(name string) string { return db.config.Kind.Quote(name) }

// Quote writes a name so that the dialect takes it for nothing else.
func (k Kind) Quote(name string) string {
	if k == MySQL {
		return "`" + strings.ReplaceAll(name, "`", "``") + "`"
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// Expr is the expression that selects a column as it is stored. SQLite's driver turns text in columns declared as dates into
// times unless the column is part of an expression.
func (db *DB) Expr(column string) string {
	if db.config.Kind == SQLite {
		return "+" + db.Quote(column)
	}
	return db.Quote(column)
}

// session is one connection.
type session interface {
	exec(ctx context.Context, statement string, args []any) (int64, error)
	query(ctx context.Context, statement string, args []any) (rows, error)
	bulk(ctx context.Context, table string, columns []string) (Bulk, error)
	close() error
}

// rows is a result while it is read. The slice that next returns is valid until the next call.
type rows interface {
	next() ([]any, error) // io.EOF at the end
	close() error
}

func (db *DB) connect(ctx context.Context) (session, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var s session
	var err error
	switch db.config.Kind {
	case SQLite:
		s, err = connectSQLite(ctx, db.config)
	case Postgres:
		s, err = connectPostgres(ctx, db.config)
	case MySQL:
		s, err = connectMySQL(ctx, db.config)
	}
	if err != nil {
		return nil, db.config.explain(err, "connect to")
	}
	return s, nil
}

// hook asks whether a statement may run.
func (db *DB) hook(statement string) error {
	if db.config.Hook == nil {
		return nil
	}
	return db.config.Hook(statement)
}
