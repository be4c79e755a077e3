package database

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// TxOptions are the options of [DB.Begin].
type TxOptions struct {
	// Unchecked turns foreign keys off, on SQLite and MySQL: nothing cascades, and rows need not be inserted in an order. Who asks
	// for it answers for what is left behind. See also [Tx.Uncheck].
	Unchecked bool
}

// Tx is the one transaction in which everything is written. It is used by one goroutine at a time.
type Tx struct {
	querier
	unchecked bool
	done      bool
}

// Begin begins a transaction. On SQLite it waits for the lock of the whole file.
func (db *DB) Begin(ctx context.Context, opts TxOptions) (*Tx, error) {
	s, err := db.connect(ctx)
	if err != nil {
		return nil, err
	}
	tx := &Tx{querier: querier{db, s}, unchecked: opts.Unchecked && db.Kind() != Postgres}
	for _, statement := range db.config.beginWriting(tx.unchecked) {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return tx, nil
}

// beginWriting are the statements that begin a transaction: SQLite's switch for foreign keys does nothing inside of one.
func (c Config) beginWriting(unchecked bool) []string {
	wait := c.busyTimeout()
	keys := strconv.Itoa(map[bool]int{true: 0, false: 1}[unchecked])
	switch c.Kind {
	case SQLite:
		// A cache of 32 MiB keeps a transaction of usual size out of the file, and readers in, until it commits.
		return []string{"PRAGMA foreign_keys = " + keys, "PRAGMA cache_size = -32768", "BEGIN IMMEDIATE"}
	case Postgres:
		return []string{"BEGIN", c.searchPath(), fmt.Sprintf("SET LOCAL lock_timeout = %d", wait.Milliseconds())}
	case MySQL:
		return []string{
			fmt.Sprintf("SET SESSION innodb_lock_wait_timeout = %d", max(1, int(wait.Seconds()))),
			fmt.Sprintf("SET SESSION lock_wait_timeout = %d", max(1, int(wait.Seconds()))),
			"SET SESSION foreign_key_checks = " + keys, "START TRANSACTION",
		}
	}
	return nil
}

// Uncheck turns foreign keys off from here on, on MySQL. PostgreSQL can't do that without keeping readers out, SQLite only
// before the transaction; see [TxOptions].
func (t *Tx) Uncheck(ctx context.Context) error {
	if t.db.Kind() != MySQL {
		return nil
	}
	_, err := t.Exec(ctx, "SET SESSION foreign_key_checks = 0")
	return err
}

// Exec runs a statement and returns how many rows it touched. Values are bound as in [Tx.Query].
func (t *Tx) Exec(ctx context.Context, statement string, args ...any) (int64, error) {
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	if err := t.db.hook(statement); err != nil {
		return 0, err
	}
	n, err := t.s.exec(ctx, statement, args)
	if err != nil {
		return 0, t.fault(ctx, err)
	}
	return n, nil
}

// Bulk takes the rows of one table.
type Bulk interface {
	// Add keeps a row, the values in the order of the columns, and reports whether it is time for a Flush. It keeps the values but
	// not the slice.
	Add(values []any) (full bool)
	// Flush hands over the rows that were kept. Rows that they refer to must be there before.
	Flush(ctx context.Context) error
	// Close lets go of what the database holds for it, without a Flush.
	Close() error
}

// Insert prepares to write many rows of one table. Any number of bulks may be open at the same time.
func (t *Tx) Insert(ctx context.Context, table string, columns []string) (Bulk, error) {
	b, err := t.s.bulk(ctx, table, columns)
	if err != nil {
		return nil, t.fault(ctx, err)
	}
	return &hookedBulk{b, t, table}, nil
}

// hookedBulk asks the hook, and explains what goes wrong in a bulk.
type hookedBulk struct {
	Bulk
	tx    *Tx
	table string
}

func (b *hookedBulk) Flush(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	err := b.tx.db.hook("INSERT INTO " + b.table)
	if err == nil {
		err = b.Bulk.Flush(ctx)
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("table %s: %w", b.table, b.tx.fault(ctx, err))
}

// Commit makes what was written durable and visible. After an error that wraps [transfer.ErrOutcomeUnknown] nobody knows
// whether it did.
func (t *Tx) Commit(ctx context.Context) error {
	if t.done {
		return errClosed
	}
	if _, err := t.Exec(ctx, "COMMIT"); err != nil {
		return t.db.config.commitFault(err)
	}
	t.done = true
	return t.end()
}

// Close gives up what was not committed. It may be called twice.
func (t *Tx) Close() error {
	if t.s == nil {
		return nil
	}
	return t.end()
}

// end closes the connection, whose end is a rollback on every database.
func (t *Tx) end() error {
	err := t.s.close()
	t.s = closedSession{}
	if t.done {
		return nil // what was committed is committed
	}
	return err
}
