package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/transfer-runner/runner/transfer"
)

const (
	// pgLock is the number of the advisory lock that serializes claims and migrations.
	pgLock = 0x7472616e73666572 // "transfer"
	// pgChannel is where servers tell each other.
	pgChannel = "transfer_jobs"

	pgConns   = 8
	pgTimeout = 10 * time.Second
)

// Postgres is the store of several servers.
type Postgres struct {
	*DB

	config *pgx.ConnConfig
}

var _ Notifier = (*Postgres)(nil)

// OpenPostgres opens the store in the database at a URL, and makes its tables if they are not there.
func OpenPostgres(ctx context.Context, address string) (*Postgres, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		// The text of the error may repeat parts of the address.
		return nil, fmt.Errorf("%w: the address of the database cannot be read; give it as postgres://USER@HOST:PORT/NAME", transfer.ErrUsage)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = pgTimeout
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(pgConns)
	db.SetMaxIdleConns(2)
	db.SetConnMaxIdleTime(time.Minute)
	d := &DB{db: db, dialect: pgDialect{}}
	if err := d.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: open the jobs in PostgreSQL at %s: %w", transfer.ErrConnection, config.Host, err), d.Close())
	}
	return &Postgres{DB: d, config: config}, nil
}

// Listen implements [Notifier]. It has a connection of its own.
func (p *Postgres) Listen(ctx context.Context, hear func(Notice)) error {
	conn, err := pgx.ConnectConfig(ctx, p.config.Copy())
	if err != nil {
		return fmt.Errorf("listen for other servers: %w", err)
	}
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(late) // there is nothing left to lose
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+pgChannel); err != nil {
		return fmt.Errorf("listen for other servers: %w", err)
	}
	hear(Notice{}) // what came before the ear was open
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("listen for other servers: %w", err)
		}
		switch {
		case n.Payload == noticeLog:
			hear(Notice{})
		case strings.HasPrefix(n.Payload, noticeProgress):
			hear(Notice{Job: ID(strings.TrimPrefix(n.Payload, noticeProgress)), Progress: true})
		case strings.HasPrefix(n.Payload, noticeCancel):
			hear(Notice{Job: ID(strings.TrimPrefix(n.Payload, noticeCancel)), Cancel: true})
		}
	}
}

// pgDialect is what PostgreSQL does.
type pgDialect struct{}

func (pgDialect) bind(query string) string { return dollars(query) }

func (pgDialect) forUpdate() string { return " FOR UPDATE SKIP LOCKED" }

func (pgDialect) serialize(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(pgLock))
	return err
}

func (pgDialect) notify(ctx context.Context, tx *sql.Tx, notice string) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_notify($1, $2)", pgChannel, notice)
	return err
}

func (pgDialect) close() error { return nil }
