package vault

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// pgLocks are advisory locks of PostgreSQL. They end with the connection that holds them, so nobody has to be told that a server has
// died; and what is written under them is written on that connection, so that it fails if they are lost.
type pgLocks struct {
	sessions *sql.DB
	index    *index
	now      func() time.Time
}

// pgUnlock is how long a lock may take to be given back.
const pgUnlock = 10 * time.Second

// pgHolding is a connection and the locks that it holds.
type pgHolding struct {
	conn *sql.Conn
	x    *index
	site string // "" without
}

func (l *pgLocks) session(ctx context.Context) (*pgHolding, error) {
	conn, err := l.sessions.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: lock vault: %w", transfer.ErrConnection, err)
	}
	return &pgHolding{conn: conn, x: l.index}, nil
}

// share implements [locks].
func (l *pgLocks) share(ctx context.Context) (holding, error) {
	h, err := l.session(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := h.conn.ExecContext(ctx, "SELECT pg_advisory_lock_shared("+pgKey+")", "vault"); err != nil {
		return nil, errors.Join(fmt.Errorf("lock vault: %w", err), h.Close()) //nolint:contextcheck // locks are given back also when ctx has ended
	}
	return h, nil
}

// alone implements [locks].
func (l *pgLocks) alone(ctx context.Context) (holding, error) {
	h, err := l.session(ctx)
	if err != nil {
		return nil, err
	}
	var ok bool
	if err := h.conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock("+pgKey+")", "vault").Scan(&ok); err != nil {
		return nil, errors.Join(fmt.Errorf("lock vault: %w", err), h.Close()) //nolint:contextcheck // locks are given back also when ctx has ended
	}
	if !ok {
		return nil, h.Close() //nolint:contextcheck // locks are given back also when ctx has ended
	}
	return h, nil
}

// site implements [locks]. The lock is of the same connection as the share.
func (l *pgLocks) site(ctx context.Context, share holding, site, who string) error {
	h, ok := share.(*pgHolding)
	if !ok {
		return errors.New("lock site: not a share of this vault")
	}
	if err := h.conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock("+pgKey+")", "site:"+site).Scan(&ok); err != nil {
		return fmt.Errorf("%w: lock site %s: %w", transfer.ErrConnection, site, err)
	}
	if !ok {
		return &BusyError{Site: site, Holder: l.holder(ctx, site)}
	}
	h.site = site
	host, _ := os.Hostname() // for people; without it the number of the process stands alone
	note, err := json.Marshal(Holder{Who: who, Host: host, PID: os.Getpid(), Since: l.now().UTC().Truncate(time.Second)})
	if err == nil {
		_, err = h.conn.ExecContext(ctx, `INSERT INTO holders (site, note) VALUES ($1, $2) ON CONFLICT (site) DO UPDATE SET note = excluded.note`, site, string(note))
	}
	if err != nil {
		return fmt.Errorf("lock site %s: %w", site, err)
	}
	return nil
}

// holder says who writes a site, as far as that can be read.
func (l *pgLocks) holder(ctx context.Context, site string) (h Holder) {
	var note string
	if l.index.row(ctx, "SELECT note FROM holders WHERE site = ?", site).Scan(&note) != nil || json.Unmarshal([]byte(note), &h) != nil {
		return Holder{}
	}
	return h
}

// tidy implements [locks]: nobody is writing, so what is told of writers is of dead ones.
func (l *pgLocks) tidy(ctx context.Context) error {
	return l.index.change(ctx, func(tx *indexTx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM holders")
		return err
	})
}

// close implements [locks].
func (l *pgLocks) close() error { return l.sessions.Close() }

// change implements [holding].
func (h *pgHolding) change(ctx context.Context, run func(tx *indexTx) error) error {
	return h.x.changeOn(ctx, h.conn, run)
}

// Close implements [holding]. A connection that does not give its locks back is closed, which gives them back.
func (h *pgHolding) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), pgUnlock)
	defer cancel()
	var err error
	if h.site != "" {
		_, err = h.conn.ExecContext(ctx, "DELETE FROM holders WHERE site = $1", h.site)
	}
	if err == nil {
		_, err = h.conn.ExecContext(ctx, "SELECT pg_advisory_unlock_all()")
	}
	if err != nil {
		_ = h.conn.Raw(func(any) error { return driver.ErrBadConn }) // makes the pool close it
	}
	if err := h.conn.Close(); err != nil && !errors.Is(err, driver.ErrBadConn) && !errors.Is(err, sql.ErrConnDone) {
		return fmt.Errorf("unlock vault: %w", err)
	}
	return nil
}
