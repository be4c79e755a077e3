package jobs

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"strings"
	"time"
)

// Insert implements [Store].
func (d *DB) Insert(ctx context.Context, job Job, events ...Event) (change Change, err error) {
	err = d.change(ctx, func(tx *sql.Tx) error {
		change, err = d.insert(ctx, tx, job, events)
		return err
	})
	return change, failed(err, "queue job %s", job.ID)
}

// Claim implements [Store].
func (d *DB) Claim(ctx context.Context, claim Claim) (change *Change, err error) {
	err = d.change(ctx, func(tx *sql.Tx) error {
		if err := d.dialect.serialize(ctx, tx); err != nil { // or two would be claimed for one destination
			return err
		}
		query, args := `SELECT `+whole+` FROM transfer_jobs WHERE state = 'pending' AND (due <= ? OR due > ?) AND (kind <> 'sync' OR NOT EXISTS (
			SELECT 1 FROM transfer_jobs r WHERE r.state = 'processing' AND r.kind = 'sync' AND r.to_site = transfer_jobs.to_site))
			ORDER BY due, id LIMIT 1`, []any{claim.Now.UnixMicro(), beyond(claim)}
		if s := claim.Seize; s != nil {
			query, args = `SELECT `+whole+` FROM transfer_jobs WHERE id = ? AND state = 'processing' AND owner = ? AND fence = ? AND beat = ?`,
				[]any{s.ID, s.Lease.Owner, s.Lease.Fence, s.Lease.Beat}
		}
		j, err := scanWhole(tx.QueryRowContext(ctx, d.dialect.bind(query)+d.dialect.forUpdate(), args...))
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		held := j.Lease
		j.Lease = Lease{Owner: claim.Owner, Fence: held.Fence + 1, Beat: held.Beat + 1}
		events := claim.Change(&j)
		c, err := d.update(ctx, tx, j, held, events)
		change = &c
		return err
	})
	if err != nil {
		return nil, failed(err, "claim a job")
	}
	return change, nil
}

// beyond is what is due in a future that cannot be meant.
func beyond(c Claim) int64 {
	if c.Beyond.IsZero() {
		return math.MaxInt64
	}
	return c.Beyond.UnixMicro()
}

// Save implements [Store].
func (d *DB) Save(ctx context.Context, job Job, events ...Event) (change Change, err error) {
	held := job.Lease
	job.Lease.Beat++
	err = d.change(ctx, func(tx *sql.Tx) error {
		change, err = d.update(ctx, tx, job, held, events)
		return err
	})
	return change, failed(err, "save job %s", job.ID)
}

// Cancel implements [Store].
func (d *DB) Cancel(ctx context.Context, id ID, now time.Time) (change Change, err error) {
	err = d.change(ctx, func(tx *sql.Tx) error {
		// The row is locked by changing it, or else its owner could save in between.
		result, err := tx.ExecContext(ctx, d.dialect.bind("UPDATE transfer_jobs SET cancelling = 1 WHERE id = ?"), id)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrNotFound, err)
		}
		j, err := scanWhole(tx.QueryRowContext(ctx, d.dialect.bind("SELECT "+whole+" FROM transfer_jobs WHERE id = ?"), id))
		if err != nil {
			return err
		}
		change.Job = j
		switch {
		case j.State.Ended():
			return ErrEnded
		case j.State == StateProcessing:
			return d.dialect.notify(ctx, tx, noticeCancel+string(id))
		}
		j.State, j.Finished, j.Cancelling = StateCancelled, now, false
		j.Error = &Failure{Code: "cancelled", Message: ErrCancelled.Error()}
		j.Revision++
		change, err = d.update(ctx, tx, j, j.Lease, []Event{{Type: EventFailed, Time: now}})
		return err
	})
	return change, failed(err, "cancel job %s", id)
}

// Get implements [Store].
func (d *DB) Get(ctx context.Context, id ID) (Job, error) {
	j, err := scanWhole(d.db.QueryRowContext(ctx, d.dialect.bind("SELECT "+whole+" FROM transfer_jobs WHERE id = ?"), id))
	if errors.Is(err, sql.ErrNoRows) {
		return j, ErrNotFound
	}
	return j, failed(err, "read job %s", id)
}

// List implements [Store].
func (d *DB) List(ctx context.Context, query Query) (list []Job, total int, err error) {
	if query.Limit <= 0 || query.Limit > MaxPage {
		query.Limit = MaxPage
	}
	where, args := query.where()
	if err := d.db.QueryRowContext(ctx, d.dialect.bind("SELECT count(*) FROM transfer_jobs"+where), args...).Scan(&total); err != nil {
		return nil, 0, failed(err, "list jobs")
	}
	rows, err := d.db.QueryContext(ctx, d.dialect.bind("SELECT "+brief+" FROM transfer_jobs"+where+" ORDER BY created DESC, id DESC LIMIT ? OFFSET ?"),
		append(args, query.Limit, max(0, query.Offset))...)
	if err != nil {
		return nil, 0, failed(err, "list jobs")
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	for rows.Next() {
		j, err := scanBrief(rows)
		if err != nil {
			return nil, 0, failed(err, "list jobs")
		}
		list = append(list, j)
	}
	return list, total, failed(rows.Err(), "list jobs")
}

// where is the condition of a query.
func (q Query) where() (string, []any) {
	var parts []string
	var args []any
	add := func(condition string, values ...any) {
		parts, args = append(parts, "("+condition+")"), append(args, values...)
	}
	if len(q.States) > 0 {
		add(oneOf("state", q.States), anys(q.States)...)
	}
	if len(q.Kinds) > 0 {
		add(oneOf("kind", q.Kinds), anys(q.Kinds)...)
	}
	if q.Direction != "" {
		add("direction = ?", q.Direction)
	}
	if q.Name != "" {
		add("site = ? OR from_site = ? OR to_site = ?", q.Name, q.Name, q.Name)
	}
	if q.Schedule != "" {
		add("schedule = ?", q.Schedule)
	}
	if q.Text != "" {
		pattern := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(q.Text)) + "%"
		for i, column := range []string{"who", "from_site", "to_site", "site", "id"} {
			condition := "lower(" + column + `) LIKE ? ESCAPE '\'`
			if i == 0 {
				add(condition, pattern)
				continue
			}
			last := &parts[len(parts)-1]
			*last, args = strings.TrimSuffix(*last, ")")+" OR "+condition+")", append(args, pattern)
		}
	}
	if !q.Since.IsZero() {
		add("created >= ?", q.Since.UnixMicro())
	}
	if v := q.Visible; v != nil && v.Only != "" {
		add("id = ?", string(v.Only))
	}
	if v := q.Visible; v != nil && !v.Everything {
		add("token_id <> '' AND token_id = ? OR ? <> '' AND (site = ? OR from_site = ? OR to_site = ?)", v.TokenID, v.Site, v.Site, v.Site, v.Site)
	}
	if len(parts) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(parts, " AND "), args
}

func oneOf[T any](column string, values []T) string {
	return column + " IN (" + strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", ") + ")"
}

func anys[T ~string](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// Events implements [Store].
func (d *DB) Events(ctx context.Context, after Position, limit int) (events []Event, end Position, ok bool, err error) {
	var first int64
	err = d.db.QueryRowContext(ctx, `SELECT epoch, seq, (SELECT coalesce(min(seq), transfer_log.seq + 1) FROM transfer_events) FROM transfer_log WHERE id = 1`).
		Scan(&end.Epoch, &end.Seq, &first)
	if err != nil || after == (Position{}) {
		return nil, end, err == nil, failed(err, "read the log")
	}
	if after.Epoch != end.Epoch || after.Seq > end.Seq || after.Seq+1 < first {
		return nil, end, false, nil
	}
	rows, err := d.db.QueryContext(ctx, d.dialect.bind("SELECT seq, job, type, at, data, diagnostics FROM transfer_events WHERE seq > ? ORDER BY seq LIMIT ?"),
		after.Seq, limit)
	if err != nil {
		return nil, end, false, failed(err, "read the log")
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	for rows.Next() {
		e, err := d.scanEvent(rows)
		if err != nil {
			return nil, end, false, failed(err, "read the log")
		}
		events = append(events, e)
	}
	return events, end, true, failed(rows.Err(), "read the log")
}

// Forgetter is a [Store] whose history can be cut.
type Forgetter interface {
	// Forget removes jobs that were made before a time and have ended, and what the log holds from before another.
	Forget(ctx context.Context, jobs, events time.Time) (int64, error)
}

// Forget implements [Forgetter].
func (d *DB) Forget(ctx context.Context, jobs, events time.Time) (n int64, err error) {
	err = d.change(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, d.dialect.bind("DELETE FROM transfer_jobs WHERE created < ? AND state NOT IN ('pending', 'processing')"), jobs.UnixMicro())
		if err != nil {
			return err
		}
		if n, err = result.RowsAffected(); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, d.dialect.bind("DELETE FROM transfer_events WHERE at < ?"), events.UnixMicro())
		return err
	})
	return n, failed(err, "forget old jobs")
}
