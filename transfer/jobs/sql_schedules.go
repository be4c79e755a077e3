package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Schedules implements [Schedules].
func (d *DB) Schedules(ctx context.Context) (list []Schedule, err error) {
	rows, err := d.db.QueryContext(ctx, "SELECT doc FROM transfer_schedules ORDER BY name, id")
	if err != nil {
		return nil, failed(err, "list schedules")
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	for rows.Next() {
		var doc string
		var s Schedule
		if err := rows.Scan(&doc); err != nil {
			return nil, failed(err, "list schedules")
		}
		if err := json.Unmarshal([]byte(doc), &s); err != nil {
			return nil, failed(err, "list schedules")
		}
		list = append(list, s)
	}
	return list, failed(rows.Err(), "list schedules")
}

// PutSchedule implements [Schedules].
func (d *DB) PutSchedule(ctx context.Context, s Schedule) error {
	doc, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write schedule %s: %w", s.ID, err)
	}
	_, err = d.db.ExecContext(ctx, d.dialect.bind(`INSERT INTO transfer_schedules (id, name, due, doc) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, due = excluded.due, doc = excluded.doc`), s.ID, s.Name, s.Next.UnixMicro(), string(doc))
	return failed(err, "save schedule %s", s.ID)
}

// DeleteSchedule implements [Schedules].
func (d *DB) DeleteSchedule(ctx context.Context, id string) error {
	result, err := d.db.ExecContext(ctx, d.dialect.bind("DELETE FROM transfer_schedules WHERE id = ?"), id)
	if err != nil {
		return failed(err, "delete schedule %.40q", id)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(ErrNotFound, err)
	}
	return nil
}

// Fire implements [Schedules].
func (d *DB) Fire(ctx context.Context, s Schedule, due time.Time, job *Job, events ...Event) (change *Change, err error) {
	doc, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("write schedule %s: %w", s.ID, err)
	}
	err = d.change(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, d.dialect.bind("UPDATE transfer_schedules SET due = ?, doc = ? WHERE id = ? AND due = ?"),
			s.Next.UnixMicro(), string(doc), s.ID, due.UnixMicro())
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		change = &Change{}
		if job == nil {
			return nil
		}
		*change, err = d.insert(ctx, tx, *job, events)
		return err
	})
	if err != nil {
		return nil, failed(err, "start schedule %s", s.ID)
	}
	return change, nil
}
