package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// brief are the columns of which a job is made in lists, whole those of one job.
const (
	brief = "doc, revision, seq, owner, fence, beat, cancelling"
	whole = brief + ", diagnostics, report"
)

// scanner is a row, or rows.
type scanner interface{ Scan(dest ...any) error }

func scanBrief(row scanner, more ...any) (Job, error) {
	var j Job
	var doc string
	var revision, seq, cancelling int64
	var lease Lease
	if err := row.Scan(append([]any{&doc, &revision, &seq, &lease.Owner, &lease.Fence, &lease.Beat, &cancelling}, more...)...); err != nil {
		return j, err
	}
	if err := json.Unmarshal([]byte(doc), &j); err != nil {
		return j, fmt.Errorf("a job in the database: %w", err)
	}
	j.Revision, j.Seq, j.Lease, j.Cancelling = revision, seq, lease, cancelling != 0 && !j.State.Ended()
	return j, nil
}

func scanWhole(row scanner) (Job, error) {
	var diagnostics, report string
	j, err := scanBrief(row, &diagnostics, &report)
	if err != nil {
		return j, err
	}
	if report != "" {
		j.Report = json.RawMessage(report)
	}
	if diagnostics != "" {
		if err := json.Unmarshal([]byte(diagnostics), &j.Diagnostics); err != nil {
			return j, fmt.Errorf("the diagnostics of job %s in the database: %w", j.ID, err)
		}
	}
	return j, nil
}

// texts are the parts of a job that are kept as JSON.
func texts(j Job) (doc, diagnostics, report string, err error) {
	if len(j.Diagnostics) > 0 {
		text, err := json.Marshal(j.Diagnostics)
		if err != nil {
			return "", "", "", fmt.Errorf("write the diagnostics of job %s: %w", j.ID, err)
		}
		diagnostics = string(text)
	}
	text, err := json.Marshal(j.Public())
	if err != nil {
		return "", "", "", fmt.Errorf("write job %s: %w", j.ID, err)
	}
	return string(text), diagnostics, string(j.Report), nil
}

// insert adds a job.
func (d *DB) insert(ctx context.Context, tx *sql.Tx, j Job, events []Event) (Change, error) {
	change, err := d.log(ctx, tx, &j, events)
	if err != nil {
		return Change{}, err
	}
	doc, diagnostics, report, err := texts(j)
	if err != nil {
		return Change{}, err
	}
	_, err = tx.ExecContext(ctx, d.dialect.bind(`INSERT INTO transfer_jobs (id, kind, state, who, token_id, site, direction, from_site, to_site, schedule,
		created, due, revision, seq, owner, fence, beat, cancelling, doc, diagnostics, report)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`),
		j.ID, j.Kind, j.State, j.Who, j.TokenID, j.Site, j.Direction, SiteOf(j.From), SiteOf(j.To), j.Schedule,
		j.Created.UnixMicro(), j.Due.UnixMicro(), j.Revision, j.Seq, j.Lease.Owner, j.Lease.Fence, j.Lease.Beat, doc, diagnostics, report)
	return change, err
}

// update writes a job that belongs to held, and reports whether a cancel was asked for.
func (d *DB) update(ctx context.Context, tx *sql.Tx, j Job, held Lease, events []Event) (Change, error) {
	// The row before the log, always, or two servers could wait for each other.
	touched, err := tx.ExecContext(ctx, d.dialect.bind("UPDATE transfer_jobs SET beat = ? WHERE id = ? AND owner = ? AND fence = ?"),
		j.Lease.Beat, j.ID, held.Owner, held.Fence)
	if err != nil {
		return Change{}, err
	}
	if n, err := touched.RowsAffected(); err != nil || n == 0 {
		return Change{}, errors.Join(ErrLost, err)
	}
	change, err := d.log(ctx, tx, &j, events)
	if err != nil {
		return Change{}, err
	}
	if j.State != StateProcessing {
		j.Lease.Owner = ""
	}
	doc, diagnostics, report, err := texts(j)
	if err != nil {
		return Change{}, err
	}
	var cancelling int64
	err = tx.QueryRowContext(ctx, d.dialect.bind(`UPDATE transfer_jobs SET state = ?, due = ?, revision = ?, seq = ?, owner = ?, fence = ?,
		beat = ?, doc = ?, diagnostics = ?, report = ? WHERE id = ? AND owner = ? AND fence = ? RETURNING cancelling`),
		j.State, j.Due.UnixMicro(), j.Revision, j.Seq, j.Lease.Owner, j.Lease.Fence, j.Lease.Beat, doc, diagnostics, report,
		j.ID, held.Owner, held.Fence).Scan(&cancelling)
	if err != nil {
		return Change{}, err
	}
	change.Job = j
	change.Job.Cancelling = cancelling != 0 && !j.State.Ended()
	return change, nil
}

// log appends events, without gaps: their numbers come from one row, which whoever appends holds until it commits.
func (d *DB) log(ctx context.Context, tx *sql.Tx, j *Job, events []Event) (Change, error) {
	if len(events) > 0 {
		var end int64
		if err := tx.QueryRowContext(ctx, d.dialect.bind("UPDATE transfer_log SET seq = seq + ? WHERE id = 1 RETURNING seq"), len(events)).Scan(&end); err != nil {
			return Change{}, err
		}
		j.Seq = end
		for i := range events {
			if err := d.logOne(ctx, tx, &events[i], *j, end-int64(len(events)-1-i)); err != nil {
				return Change{}, err
			}
		}
		if err := d.dialect.notify(ctx, tx, noticeLog); err != nil {
			return Change{}, err
		}
	} else if err := d.dialect.notify(ctx, tx, noticeProgress+string(j.ID)); err != nil {
		return Change{}, err
	}
	return Change{Job: *j, Events: events}, nil
}

// What servers tell each other.
const (
	noticeLog      = "log"
	noticeProgress = "progress "
	noticeCancel   = "cancel "
)

func (d *DB) logOne(ctx context.Context, tx *sql.Tx, e *Event, j Job, seq int64) error {
	if e.Job != nil {
		j = *e.Job
	}
	j = j.Public()
	j.Seq = seq
	e.JobID, e.Epoch, e.Seq, e.Durable, e.Job = j.ID, d.epoch, seq, true, &j
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	var err error
	if e.Data, err = json.Marshal(j); err != nil {
		return fmt.Errorf("write an event of job %s: %w", j.ID, err)
	}
	diagnostics := ""
	if len(e.Diagnostics) > 0 {
		text, err := json.Marshal(e.Diagnostics)
		if err != nil {
			return fmt.Errorf("write an event of job %s: %w", j.ID, err)
		}
		diagnostics = string(text)
	}
	_, err = tx.ExecContext(ctx, d.dialect.bind("INSERT INTO transfer_events (seq, job, type, at, data, diagnostics) VALUES (?, ?, ?, ?, ?, ?)"),
		seq, j.ID, e.Type, e.Time.UnixMicro(), string(e.Data), diagnostics)
	return err
}

func (d *DB) scanEvent(row scanner) (Event, error) {
	e := Event{Epoch: d.epoch, Durable: true, Job: &Job{}}
	var at int64
	var data, diagnostics string
	if err := row.Scan(&e.Seq, &e.JobID, &e.Type, &at, &data, &diagnostics); err != nil {
		return e, err
	}
	e.Time, e.Data = time.UnixMicro(at).UTC(), json.RawMessage(data)
	if err := json.Unmarshal(e.Data, e.Job); err != nil {
		return e, fmt.Errorf("event %d in the database: %w", e.Seq, err)
	}
	if diagnostics != "" {
		if err := json.Unmarshal([]byte(diagnostics), &e.Diagnostics); err != nil {
			return e, fmt.Errorf("event %d in the database: %w", e.Seq, err)
		}
	}
	return e, nil
}
