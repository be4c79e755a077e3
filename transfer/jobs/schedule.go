package jobs

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/robfig/cron/v3"

	"github.com/transfer-runner/runner/transfer"
)

// Schedule starts a job again and again.
type Schedule struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Cron     string   `json:"cron"`               // five fields, or @daily and its like
	TimeZone string   `json:"timeZone,omitempty"` // an IANA name; "" is UTC
	Paused   bool     `json:"paused,omitempty"`
	Kind     Kind     `json:"kind"`
	From     string   `json:"from,omitempty"`
	To       string   `json:"to,omitempty"`
	Site     string   `json:"site,omitempty"`
	Options  Settings `json:"options,omitzero"`

	Who     string    `json:"who,omitempty"`
	TokenID string    `json:"tokenId,omitempty"`
	Created time.Time `json:"created"`
	Next    time.Time `json:"next,omitzero"` // when it is due
	Last    time.Time `json:"last,omitzero"` // when it last started a job
	LastJob ID        `json:"lastJob,omitempty"`
}

// Schedules is a [Store] that keeps schedules as well.
type Schedules interface {
	// Schedules returns all of them, by name.
	Schedules(ctx context.Context) ([]Schedule, error)
	// PutSchedule adds a schedule, or replaces the one with its id.
	PutSchedule(ctx context.Context, s Schedule) error
	// DeleteSchedule removes one, or returns [ErrNotFound].
	DeleteSchedule(ctx context.Context, id string) error
	// Fire moves a schedule on to s.Next and inserts the job, both or neither. It returns nil if the schedule was not due at due any
	// more, because another server was faster. Without a job it only moves on.
	Fire(ctx context.Context, s Schedule, due time.Time, job *Job, events ...Event) (*Change, error)
}

// maxCron bounds an expression.
const maxCron = 200

// after is when the schedule is due next after t.
func (s Schedule) after(t time.Time) (time.Time, error) {
	zone := time.UTC
	if s.TimeZone != "" {
		var err error
		if zone, err = time.LoadLocation(s.TimeZone); err != nil {
			return time.Time{}, fmt.Errorf("%w: unknown time zone %.60q: give a name such as Europe/Berlin", transfer.ErrUsage, s.TimeZone)
		}
	}
	if len(s.Cron) > maxCron || strings.Contains(s.Cron, "TZ=") {
		return time.Time{}, fmt.Errorf("%w: a cron expression has at most %d characters, and its time zone a field of its own", transfer.ErrUsage, maxCron)
	}
	parsed, err := cron.ParseStandard(s.Cron)
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: cron expression %.60q: %w; give five fields such as \"30 2 * * *\", or @daily", transfer.ErrUsage, s.Cron, err)
	}
	next := parsed.Next(t.In(zone))
	if next.IsZero() {
		return time.Time{}, fmt.Errorf("%w: cron expression %.60q is never due", transfer.ErrUsage, s.Cron)
	}
	return next.UTC(), nil
}

// spec is what the schedule starts.
func (s Schedule) spec() Spec {
	return Spec{
		Kind: s.Kind, From: s.From, To: s.To, Site: s.Site, Options: s.Options, Schedule: s.ID, TokenID: s.TokenID,
		Who: "schedule " + s.Name,
	}
}

// Same reports whether the schedule says the same as another, beside what it has done so far.
func (s Schedule) Same(other Schedule) bool {
	for _, one := range []*Schedule{&s, &other} {
		one.Created, one.Next, one.Last, one.LastJob = time.Time{}, time.Time{}, time.Time{}, ""
	}
	return reflect.DeepEqual(s, other)
}

// complete checks a new schedule and fills in what it lacks.
func (s Schedule) complete(now time.Time) (Schedule, error) {
	s.Name = strings.TrimSpace(s.Name)
	if s.Name == "" || len(s.Name) > maxName || strings.ContainsFunc(s.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return s, fmt.Errorf("%w: a schedule needs a name of at most %d bytes without control characters", transfer.ErrUsage, maxName)
	}
	if _, err := s.spec().job("", now); err != nil {
		return s, err
	}
	next, err := s.after(now)
	if err != nil {
		return s, err
	}
	if s.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return s, fmt.Errorf("make a schedule's id: %w", err)
		}
		s.ID = id.String()
	}
	s.Next = next
	if s.Created.IsZero() {
		s.Created = now
	}
	return s, nil
}
