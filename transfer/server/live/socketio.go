package live

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"

	"golang.org/x/time/rate"

	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server/socketio"
)

// Rooms of Socket.IO clients. Those that begin with a word and a colon are jobs and users; the others choose what a client hears.
const (
	roomJob    = "job:"
	roomUser   = "user:"
	roomSystem = "system" // who may see everything

	roomNoEnvelope = "events:job"   // wants job:progress and the like only
	roomOnlyEvent  = "events:event" // wants the envelope only
)

// maxPayload is the longest message of a client, in bytes: they have little to say, and may say it before they are known.
const maxPayload = 64 << 10

// requestRate and requestBurst bound what one client may ask for.
const (
	requestRate  = 20 // a second
	requestBurst = 400
)

// principal is what a socket is known by. A client that comes back has it again, and must be the same.
type principal struct {
	viewer Viewer
	rate   *rate.Limiter
}

// makeSocketIO sets up the Socket.IO server.
func (l *Live) makeSocketIO() *socketio.Server {
	c := &l.config
	server := socketio.New(socketio.Options{
		PingInterval: c.PingInterval, PingTimeout: c.PingTimeout, WriteTimeout: c.WriteTimeout, MaxSessions: c.MaxStreams,
		Recovery: c.Recovery, Origins: c.Origins, Adapter: c.Adapter, Logger: c.Logger, MaxPayload: maxPayload,
	})
	main := server.Of("/")
	main.Use(l.authenticate)
	main.OnConnect(l.joined)
	main.OnDisconnect(l.left)
	for _, name := range []string{"job:subscribe", "subscribe"} {
		main.On(name, l.subscribe)
	}
	for _, name := range []string{"job:unsubscribe", "unsubscribe"} {
		main.On(name, l.unsubscribe)
	}
	main.On("job:cancel", l.cancelBySocket)
	return server
}

// authenticate lets a client in by the token that it gave as auth.token, or in the headers.
func (l *Live) authenticate(ctx context.Context, s *socketio.Socket) error {
	refusal := &socketio.ConnectError{Message: "unauthorized", Data: map[string]any{"code": "unauthorized"}}
	var auth struct {
		Token  string `json:"token"`
		Events string `json:"events"`
	}
	if s.Handshake.Auth != nil && json.Unmarshal(s.Handshake.Auth, &auth) != nil {
		return refusal
	}
	if auth.Token == "" {
		auth.Token, _ = strings.CutPrefix(s.Handshake.Header.Get("Authorization"), "Bearer ")
	}
	if auth.Token == "" {
		auth.Token = s.Handshake.Header.Get("X-Api-Key")
	}
	viewer, err := l.config.Authenticate(ctx, strings.TrimPrefix(auth.Token, "Bearer "))
	if err != nil {
		return refusal
	}
	if former, ok := s.Data().(principal); s.Recovered() && (!ok || former.viewer.ID() != viewer.ID()) {
		s.Renounce() // somebody else's state
	}
	if err := l.keepRights(ctx, s, viewer); err != nil {
		return err
	}
	s.SetData(principal{viewer: viewer, rate: rate.NewLimiter(requestRate, requestBurst)})
	s.Join(roomUser + viewer.ID())
	if viewer.Visible() == nil {
		s.Join(roomSystem)
	}
	switch auth.Events {
	case "job":
		s.Join(roomNoEnvelope)
	case "event":
		s.Join(roomOnlyEvent)
	}
	return nil
}

// keepRights takes a socket that comes back out of the rooms of jobs that its token does not permit any more.
func (l *Live) keepRights(ctx context.Context, s *socketio.Socket, viewer Viewer) error {
	for _, room := range s.Rooms() {
		id, ok := strings.CutPrefix(room, roomJob)
		switch {
		case ok:
			status, err := l.visible(ctx, viewer, []jobs.ID{jobs.ID(id)})
			if err != nil && status != 404 {
				return err
			}
			if err != nil {
				s.Leave(room)
			}
		case room == roomSystem && viewer.Visible() != nil:
			s.Leave(room)
		}
	}
	return nil
}

// socketGuard ends a socket when its token does.
type socketGuard struct{ socket *socketio.Socket }

func (g socketGuard) end(why end) {
	if why == endRevoked {
		g.socket.Close()
	}
}

// banish disconnects the Socket.IO clients of a token on all servers. Those would find out themselves, a little later.
func (l *Live) banish(id string) {
	if err := l.io.Of("/").To(roomUser + id).Disconnect(); err != nil {
		l.log.Warn("other servers not told of a token that is not good any more", slog.Any(keyError, err))
	}
}

func (l *Live) joined(_ context.Context, s *socketio.Socket) {
	if p, ok := s.Data().(principal); ok {
		l.guard.add(p.viewer, socketGuard{socket: s})
	}
}

func (l *Live) left(s *socketio.Socket, _ socketio.Reason) {
	if p, ok := s.Data().(principal); ok {
		l.guard.remove(p.viewer, socketGuard{socket: s})
	}
}

// wanted is what a client names a job by: its id, or an object with it.
type wanted struct {
	JobID jobs.ID `json:"jobId"`
	After string  `json:"after"` // the position up to which the client knows
}

// UnmarshalJSON takes both forms.
func (w *wanted) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &w.JobID)
	}
	type plain wanted
	return json.Unmarshal(text, (*plain)(w))
}

// answer is an acknowledgement.
type answer struct {
	OK        bool          `json:"ok"`
	Error     *jobs.Failure `json:"error,omitempty"`
	Result    cancelResult  `json:"result,omitempty"`    // of a cancel
	Recovered *bool         `json:"recovered,omitempty"` // of a subscription: everything after the client's position comes now
	Position  string        `json:"position,omitempty"`
	Job       *jobs.Job     `json:"job,omitempty"`
}

func refused(code, message string) answer {
	return answer{Error: &jobs.Failure{Code: code, Message: message}}
}

// maxRooms is how many jobs one socket may follow.
const maxRooms = 1000

// asks reads what a client wants of which job. If that makes no sense, or is too much, it has been answered.
func (l *Live) asks(s *socketio.Socket, e *socketio.Event) (p principal, w wanted, ok bool) {
	p, ok = s.Data().(principal)
	switch {
	case !ok || e.Decode(0, &w) != nil:
		l.acknowledge(e, refused("bad_request", "give the id of a job, or an object with jobId"))
		return p, w, false
	case !p.rate.Allow():
		l.acknowledge(e, refused("rate_limited", "too many requests: try again in a while"))
		return p, w, false
	}
	return p, w, true
}

// subscribe tells a client of a job from now on; the pump does it, between two events.
func (l *Live) subscribe(ctx context.Context, s *socketio.Socket, e *socketio.Event) {
	p, w, ok := l.asks(s, e)
	if !ok {
		return
	}
	if _, err := jobs.ParseID(string(w.JobID)); err != nil {
		l.acknowledge(e, refused("not_found", "there is no such job"))
		return
	}
	if len(s.Rooms()) >= maxRooms {
		l.acknowledge(e, refused("too_many", "too many jobs for one socket"))
		return
	}
	if status, err := l.visible(ctx, p.viewer, []jobs.ID{w.JobID}); err != nil {
		if status != 404 {
			l.log.ErrorContext(ctx, "job of a subscription not read", slog.Any(keyError, err))
			l.acknowledge(e, refused("internal", "the job could not be read: try again"))
			return
		}
		l.acknowledge(e, refused("not_found", "there is no such job"))
		return
	}
	after, err := jobs.ParsePosition(w.After)
	if err != nil { // of some other server: as good as none
		after = jobs.Position{}
	}
	r := request{socket: s, event: e, viewer: p.viewer, job: w.JobID, after: after, done: make(chan struct{})}
	select {
	case l.tell <- r:
		<-r.done
	case <-ctx.Done():
	}
}

func (l *Live) unsubscribe(_ context.Context, s *socketio.Socket, e *socketio.Event) {
	_, w, ok := l.asks(s, e)
	if !ok {
		return
	}
	s.Leave(roomJob + string(w.JobID))
	l.acknowledge(e, answer{OK: true})
}

func (l *Live) cancelBySocket(ctx context.Context, s *socketio.Socket, e *socketio.Event) {
	p, w, ok := l.asks(s, e)
	if !ok {
		return
	}
	result, err := l.cancel(ctx, p.viewer, w.JobID)
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		l.log.ErrorContext(ctx, "job not cancelled", slog.String(keyJob, string(w.JobID)), slog.Any(keyError, err))
		l.acknowledge(e, refused("internal", "the job could not be cancelled: try again"))
	case result == cancelForbidden, result == cancelUnknown:
		a := refused(string(result), "the job cannot be cancelled with this token")
		a.Result = result
		l.acknowledge(e, a)
	default:
		l.acknowledge(e, answer{OK: true, Result: result})
	}
}

func (l *Live) acknowledge(e *socketio.Event, a answer) {
	if err := e.Ack(a); err != nil {
		l.log.Error("acknowledgement not encoded", slog.Any(keyError, err))
	}
}
