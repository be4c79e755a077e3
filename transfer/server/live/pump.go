package live

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server/socketio"
)

// request asks the pump to let a socket into the room of a job.
type request struct {
	socket *socketio.Socket
	event  *socketio.Event
	viewer Viewer
	job    jobs.ID
	after  jobs.Position
	done   chan struct{}
}

// pump hands what the feed tells to the rooms of Socket.IO, until ctx ends. A socket enters a room here too, between two events: so it
// hears each once, those before in its snapshot or as what it has missed, and those after in the room.
func (l *Live) pump(ctx context.Context) {
	var last jobs.Position
	for ctx.Err() == nil {
		s, err := l.config.Feed.Subscribe(ctx, jobs.Subscribe{After: last, MaxWaiting: maxWaiting})
		if err != nil {
			if ctx.Err() == nil {
				l.log.WarnContext(ctx, "Socket.IO clients not told of jobs: trying again", slog.Any(keyError, err))
			}
			if !l.pause(ctx) {
				return
			}
			continue
		}
		if !s.Recovered && last != (jobs.Position{}) {
			l.missed() // what is in between cannot be had
		}
		last = s.Position
		l.follow(ctx, s, &last)
		s.Close()
	}
}

// pumpPause is how long the pump waits before it begins again after a failure.
const pumpPause = time.Second

// pause waits a moment, in which requests are refused.
func (l *Live) pause(ctx context.Context) bool {
	timer := time.NewTimer(pumpPause)
	defer timer.Stop()
	for {
		select {
		case r := <-l.tell:
			l.acknowledge(r.event, refused("unavailable", "the jobs cannot be followed now: try again in a while"))
			close(r.done)
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// follow tells what one subscription brings, until it ends.
func (l *Live) follow(ctx context.Context, s *jobs.Subscription, last *jobs.Position) {
	for {
		events, err := s.Take()
		for _, e := range events {
			l.broadcast(e, last)
		}
		if err != nil {
			return
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-s.Ready():
		case r := <-l.tell:
			l.admitSocket(ctx, s, last, r)
			close(r.done)
		case <-ctx.Done():
			return
		}
	}
}

// broadcast tells an event to the rooms that it is for.
func (l *Live) broadcast(e *jobs.Event, last *jobs.Position) {
	if e.Durable {
		*last = e.Position()
	}
	main, room := l.io.Of("/"), roomJob+string(e.JobID)
	rooms := []string{room}
	if e.Durable && e.Type != jobs.EventProgress { // what users and operators hear of all their jobs
		rooms = append(rooms, roomSystem)
		if e.Job != nil && e.Job.TokenID != "" {
			rooms = append(rooms, roomUser+e.Job.TokenID)
		}
	} else if main.Occupied(room) == 0 && !e.Durable {
		return
	}
	m := messageOf(e)
	l.emit(main.To(rooms...).Except(roomNoEnvelope).Local(), e.Durable, "event", envelopeOf(e, m))
	if name := eventName(m.kind); name != "" {
		l.emit(main.To(room).Except(roomOnlyEvent).Local(), e.Durable, name, json.RawMessage(m.encode()))
	}
}

// emit sends an event to sockets of this server: all servers hear the feed. Progress is not kept for those who come back.
func (l *Live) emit(to socketio.Broadcast, durable bool, name string, body any) {
	if !durable {
		to = to.Volatile()
	}
	if err := to.Emit(name, body); err != nil {
		l.log.Error("event not encoded", slog.Any(keyError, err))
	}
}

// eventName is the name of the event for one sort of message; items have only the envelope.
func eventName(k kind) string {
	switch k {
	case kindProgress, kindError:
		return "job:progress"
	case kindCompleted:
		return "job:completed"
	case kindFailed:
		return "job:error"
	case kindItem:
	}
	return ""
}

// envelope is what clients get who prefer one event for all.
type envelope struct {
	Type      jobs.EventType  `json:"type"`
	JobID     jobs.ID         `json:"jobId"`
	Timestamp time.Time       `json:"timestamp"`
	Position  string          `json:"position"`
	Data      json.RawMessage `json:"data"`
}

func envelopeOf(e *jobs.Event, m message) envelope {
	return envelope{Type: e.Type, JobID: e.JobID, Timestamp: e.Time, Position: e.Position().String(), Data: m.encode()}
}

// admitSocket lets a socket into the room of a job. What it gets before is from a subscription of its own, which ends where that of the pump
// has come to.
func (l *Live) admitSocket(ctx context.Context, pumped *jobs.Subscription, last *jobs.Position, r request) {
	own, err := l.config.Feed.Subscribe(ctx, jobs.Subscribe{Jobs: []jobs.ID{r.job}, Visible: r.viewer.Visible(), After: r.after})
	if err != nil {
		l.acknowledge(r.event, refused("unavailable", "the jobs cannot be followed now: try again in a while"))
		return
	}
	defer own.Close()
	missed, _ := own.Take() // if it has ended, so has that of the pump
	known := own.Position
	for _, e := range missed {
		if e.Durable {
			known = e.Position()
		}
	}
	later, ok := l.catchUp(ctx, pumped, last, known)
	if !ok {
		l.acknowledge(r.event, refused("unavailable", "the jobs cannot be followed now: try again in a while"))
		return
	}
	recovered := own.Recovered
	a := answer{OK: true, Recovered: &recovered, Position: known.String()}
	if len(own.Snapshot) > 0 {
		a.Job = &own.Snapshot[0]
	}
	l.acknowledge(r.event, a)
	if !recovered && a.Job != nil {
		l.give(r.socket, nil, snapshotOf(a.Job, own.Position))
	}
	for _, e := range missed {
		if e.Durable {
			l.give(r.socket, e, messageOf(e))
		}
	}
	r.socket.Join(roomJob + string(r.job))
	for _, e := range later {
		l.broadcast(e, last)
	}
}

// catchUp tells what the pump's subscription holds up to a position, and returns what it holds beyond.
func (l *Live) catchUp(ctx context.Context, s *jobs.Subscription, last *jobs.Position, to jobs.Position) (later []*jobs.Event, ok bool) {
	for {
		events, err := s.Take()
		for i, e := range events {
			if e.Durable && e.Seq > to.Seq {
				return events[i:], true
			}
			l.broadcast(e, last)
		}
		switch {
		case err != nil, last.Epoch != to.Epoch:
			return nil, false
		case last.Seq >= to.Seq:
			return nil, true
		}
		select {
		case <-s.Ready():
		case <-ctx.Done():
			return nil, false
		}
	}
}

// give tells one socket something, in the forms that it wants.
func (l *Live) give(s *socketio.Socket, e *jobs.Event, m message) {
	to := l.io.Of("/").To(s.ID()).Local()
	if e != nil {
		l.emit(to.Except(roomNoEnvelope), true, "event", envelopeOf(e, m))
	} else if text := m.encode(); m.kind != kindItem {
		l.emit(to.Except(roomNoEnvelope), true, "event", envelope{
			Type: envelopeType(m.kind), JobID: m.job, Timestamp: time.Now().UTC(), Data: text,
		})
	}
	if name := eventName(m.kind); name != "" {
		l.emit(to.Except(roomOnlyEvent), true, name, json.RawMessage(m.encode()))
	}
}

// envelopeType is the type of the envelope for how a job stands.
func envelopeType(k kind) jobs.EventType {
	switch k {
	case kindCompleted:
		return jobs.EventCompleted
	case kindFailed:
		return jobs.EventFailed
	case kindError:
		return jobs.EventError
	case kindProgress, kindItem:
	}
	return jobs.EventProgress
}

// missed tells all clients that something was lost on the way here, so that they subscribe anew. It is rare: the log of jobs was cut
// while this server could not read it.
func (l *Live) missed() {
	if err := l.io.Of("/").To().Local().Emit("resync", struct {
		Reason string `json:"reason"`
	}{"events were lost: subscribe again"}); err != nil {
		l.log.Error("event not encoded", slog.Any(keyError, err))
	}
}
