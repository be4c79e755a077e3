package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

const (
	// scheduleEvery is how often schedules are looked at without being told. It bounds how late one starts after a clock was set.
	scheduleEvery = 15 * time.Second
	// forgetEvery is how often old jobs are removed.
	forgetEvery = time.Hour
)

// errNoSchedules is the answer of a store that keeps none.
var errNoSchedules = errors.New("the store of jobs keeps no schedules")

// Schedules returns all schedules, by name.
func (m *Manager) Schedules(ctx context.Context) ([]Schedule, error) {
	s, ok := m.store.(Schedules)
	if !ok {
		return nil, errNoSchedules
	}
	return s.Schedules(ctx)
}

// AddSchedule adds a schedule, or replaces the one with its id.
func (m *Manager) AddSchedule(ctx context.Context, schedule Schedule) (Schedule, error) {
	s, ok := m.store.(Schedules)
	if !ok {
		return schedule, errNoSchedules
	}
	schedule, err := schedule.complete(time.Now())
	if err != nil {
		return schedule, err
	}
	if err := s.PutSchedule(ctx, schedule); err != nil {
		return schedule, err
	}
	wake(m.plans)
	return schedule, nil
}

// RemoveSchedule removes a schedule. Jobs that it has started go on.
func (m *Manager) RemoveSchedule(ctx context.Context, id string) error {
	s, ok := m.store.(Schedules)
	if !ok {
		return errNoSchedules
	}
	return s.DeleteSchedule(ctx, id)
}

// scheduleLoop starts what is due.
func (m *Manager) scheduleLoop(ctx context.Context) {
	s, ok := m.store.(Schedules)
	if !ok {
		return
	}
	for {
		wait, err := m.startDue(ctx, s)
		if err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "schedules not looked at", slog.Any(keyError, err))
		}
		if !pause(ctx, wait, m.plans) {
			return
		}
	}
}

// startDue starts what is due, and returns how long nothing else will be. What was missed, because no server ran, starts once.
func (m *Manager) startDue(ctx context.Context, store Schedules) (time.Duration, error) {
	list, err := store.Schedules(ctx)
	if err != nil {
		return scheduleEvery, err
	}
	now, wait := time.Now(), scheduleEvery
	for _, s := range list {
		if s.Paused {
			continue
		}
		if until := s.Next.Sub(now); until > 0 {
			wait = min(wait, until)
			continue
		}
		if err := m.fire(ctx, store, s, now); err != nil {
			m.log.WarnContext(ctx, "schedule not started", slog.String(keySchedule, s.Name), slog.Any(keyError, err))
		}
		wait = min(wait, time.Second)
	}
	return wait, nil
}

// fire starts one schedule's job, unless the one before has not ended.
func (m *Manager) fire(ctx context.Context, store Schedules, s Schedule, now time.Time) error {
	due := s.Next
	next, err := s.after(now)
	if err != nil {
		return err
	}
	s.Next = next
	if s.LastJob != "" {
		if last, err := m.Get(ctx, s.LastJob); err == nil && !last.State.Ended() {
			m.log.WarnContext(ctx, "schedule skipped: its last job has not ended", slog.String(keySchedule, s.Name), slog.String(keyJob, string(s.LastJob)))
			_, err := store.Fire(ctx, s, due, nil)
			return err
		}
	}
	id, err := NewID()
	if err != nil {
		return err
	}
	job, err := s.spec().job(id, now)
	if err != nil {
		return err
	}
	s.Last, s.LastJob = now, id
	change, err := store.Fire(ctx, s, due, &job, Event{Type: EventStarted, Time: now})
	if err != nil || change == nil {
		return err
	}
	m.published(ctx, change.Events)
	wake(m.claims)
	return nil
}

// forgetLoop cuts the history.
func (m *Manager) forgetLoop(ctx context.Context) {
	f, ok := m.store.(Forgetter)
	if !ok {
		return
	}
	for {
		now := time.Now()
		n, err := f.Forget(ctx, now.Add(-m.opts.History), now.Add(-m.opts.Replay))
		switch {
		case err != nil && ctx.Err() == nil:
			m.log.WarnContext(ctx, "old jobs not removed", slog.Any(keyError, err))
		case n > 0:
			m.log.InfoContext(ctx, "old jobs removed", slog.Int64(keyCount, n))
		}
		if !pause(ctx, forgetEvery, nil) {
			return
		}
	}
}
