package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"
)

// Relay carries what is not worth an entry in the log between servers, so that subscribers of each hear it. Without one they hear of
// other servers' jobs what the store tells.
type Relay interface {
	// Publish hands a message to all other servers. It does not wait for them.
	Publish(ctx context.Context, message []byte) error
	// Subscribe calls deliver for each message of other servers, in order, until ctx ends; missed is called when some were lost.
	Subscribe(ctx context.Context, deliver func(message []byte), missed func()) error
}

// relayed is a volatile event on its way to other servers.
type relayed struct {
	Type        EventType       `json:"type"`
	Time        time.Time       `json:"time"`
	Data        json.RawMessage `json:"data"`
	Job         *Job            `json:"job,omitempty"` // where Data is not the job
	Diagnostics []Diagnostic    `json:"diagnostics,omitempty"`
}

// relay tells other servers volatile events of a job that runs here.
func (m *Manager) relay(ctx context.Context, events []Event) {
	if m.opts.Relay == nil {
		return
	}
	for i := range events {
		e := &events[i]
		r := relayed{Type: e.Type, Time: e.Time, Data: e.Data, Diagnostics: e.Diagnostics}
		if e.Type != EventProgress {
			r.Job = e.Job
		}
		text, err := json.Marshal(r)
		if err == nil {
			err = m.opts.Relay.Publish(ctx, text)
		}
		if err != nil {
			m.log.DebugContext(ctx, "progress not told to other servers", slog.String(keyJob, string(e.JobID)), slog.Any(keyError, err))
		}
	}
}

// relayLoop tells here what other servers relay.
func (m *Manager) relayLoop(ctx context.Context) {
	if m.opts.Relay == nil {
		return
	}
	err := m.opts.Relay.Subscribe(ctx, func(message []byte) {
		e, err := unrelay(message)
		if err != nil {
			m.log.WarnContext(ctx, "message of another server not understood", slog.Any(keyError, err))
			return
		}
		if err := m.feed.follow(ctx, e); err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "progress of another server not told", slog.String(keyJob, string(e.JobID)), slog.Any(keyError, err))
		}
	}, func() {}) // newer progress follows
	if err != nil && ctx.Err() == nil {
		m.log.WarnContext(ctx, "progress of other servers not heard", slog.Any(keyError, err))
	}
}

// unrelay reads an event that another server has relayed.
func unrelay(message []byte) (*Event, error) {
	var r relayed
	if err := json.Unmarshal(message, &r); err != nil {
		return nil, err
	}
	if r.Type != EventProgress && r.Type != EventTransferred {
		return nil, fmt.Errorf("an event of type %.40q is not relayed", r.Type)
	}
	if r.Job == nil {
		r.Job = &Job{}
		if err := json.Unmarshal(r.Data, r.Job); err != nil {
			return nil, err
		}
	}
	if _, err := ParseID(string(r.Job.ID)); err != nil {
		return nil, err
	}
	return &Event{JobID: r.Job.ID, Type: r.Type, Time: r.Time, Data: r.Data, Job: r.Job, Diagnostics: r.Diagnostics}, nil
}
