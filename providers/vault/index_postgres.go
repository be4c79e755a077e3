package vault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/transfer-runner/runner/transfer"
)

// How the database of several servers is used.
const (
	pgSchema   = "transfer_vault" // where the tables are, apart from everybody else's
	pgWriters  = 4
	pgSessions = 64 // connections that hold locks: one for each snapshot that is read or written
	pgTimeout  = 10 * time.Second
	pgIdle     = time.Minute
)

// openPostgres opens the index that several servers share, in a database at a URL. sessions are connections for locks.
func openPostgres(ctx context.Context, address string) (x *index, sessions *sql.DB, err error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		// The text of the error may repeat parts of the address.
		return nil, nil, fmt.Errorf("%w: the address of the database cannot be read; give it as postgres://USER@HOST:PORT/NAME", transfer.ErrUsage)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = pgTimeout
	}
	config.RuntimeParams["search_path"] = pgSchema
	// A machine that is gone says nothing, and PostgreSQL would keep its locks for hours.
	for name, value := range map[string]string{"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "4"} {
		if _, ok := config.RuntimeParams[name]; !ok {
			config.RuntimeParams[name] = value
		}
	}
	open := func(most int) *sql.DB {
		db := stdlib.OpenDB(*config)
		db.SetMaxOpenConns(most)
		db.SetMaxIdleConns(2)
		db.SetConnMaxIdleTime(pgIdle)
		return db
	}
	x = &index{write: open(pgWriters), read: open(readers), dialect: pgDialect{}}
	if err := x.dialect.migrate(ctx, x); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%w: open the vault's index in PostgreSQL at %s: %w", transfer.ErrConnection, config.Host, err), x.close())
	}
	return x, open(pgSessions), nil
}

// pgDialect is PostgreSQL's.
type pgDialect struct{}

// text numbers the values. Those that are numbered keep their numbers.
func (pgDialect) text(statement string) string {
	var b strings.Builder
	n := 0
	for i := range len(statement) {
		if statement[i] != '?' {
			b.WriteByte(statement[i])
			continue
		}
		b.WriteByte('$')
		if i+1 == len(statement) || statement[i+1] < '0' || statement[i+1] > '9' {
			n++
			b.WriteString(strconv.Itoa(n))
		}
	}
	return b.String()
}

// begin makes writers take turns.
func (pgDialect) begin(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock("+pgKey+")", "index")
	return err
}

// pgKey is the number of an advisory lock of a name, which is the statement's first value.
const pgKey = "hashtextextended('" + pgSchema + ":' || $1::text, 0)"

func (pgDialect) migrate(ctx context.Context, x *index) error {
	return x.change(ctx, func(tx *indexTx) error {
		for _, statement := range []string{
			"CREATE SCHEMA IF NOT EXISTS " + pgSchema,
			"CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
		} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return migrate(ctx, tx, "postgres", func() (version int, err error) {
			err = tx.QueryRowContext(ctx, "SELECT coalesce(max(value::integer), 0) FROM settings WHERE key = 'version'").Scan(&version)
			return version, err
		}, func(version int) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES ('version', ?)
				ON CONFLICT (key) DO UPDATE SET value = excluded.value`, strconv.Itoa(version))
			return err
		})
	})
}

// check has nothing to find: PostgreSQL keeps the promises of its constraints.
func (pgDialect) check(context.Context, *index, *CheckReport) error { return nil }
