package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
)

// session is one connection.
type session struct {
	server    *Server
	place     *place
	direction protocol.Direction
	token     token.Token
	who       string // for people: whose token, and from where
	log       *slog.Logger

	conn    *dispatcher.WebSocket
	replays *dispatcher.Replays
	line    chan *request
	room    *semaphore.Weighted // bytes in line
	work    conversation
	barrier barrier

	claimed atomic.Bool  // the token was for one transfer, and this is it
	doomed  atomic.Bool  // the token is no good any more: the client gets a moment to hear it
	leaving atomic.Bool  // ends as soon as no transfer is under way
	lastMsg atomic.Int64 // when the client last said something, in ns since 1970

	mu     sync.Mutex // guards what follows
	cancel context.CancelCauseFunc
}

// request is a message in line for the worker.
type request struct {
	protocol.Request

	weight int64
}

// conversation is what a session is about: a push or a pull. Only the worker calls it, but for acknowledge and active.
type conversation interface {
	// advance notes that a request has come, and returns the error of one that is out of order.
	advance(r protocol.Request) error
	// handle does what a request asks for, and returns the data of its answer. then, unless nil, is called when the answer has been
	// sent.
	handle(ctx context.Context, r protocol.Request) (data json.RawMessage, then func(), err error)
	// acknowledge takes the acknowledgement of a frame. The reader calls it; it must not block.
	acknowledge(uuid string)
	// ready returns a request that handle did not take, with errHeld, and takes now.
	ready() (protocol.Request, bool)
	// active reports whether a transfer is under way. Anybody may call it.
	active() bool
	// forsake discards what was not finished. Nothing is called after it.
	forsake(ctx context.Context, cause error)
}

// queueLength is how many messages may be in line, beside the bound of their bytes.
const queueLength = 2 * protocol.MaxWindow

func newSession(s *Server, p *place, direction protocol.Direction, t token.Token, remote string) *session {
	sess := &session{
		server: s, place: p, direction: direction, token: t, who: fmt.Sprintf("token %q from %s", t.Name, remote),
		log: s.log.With(slog.String(keySite, p.name), slog.String(keyDirection, string(direction)),
			slog.String(keyToken, t.ID), slog.String(keyRemote, remote)),
		replays: dispatcher.NewReplays(),
		line:    make(chan *request, queueLength),
		room:    semaphore.NewWeighted(maxQueued),
	}
	sess.barrier.passed = make(chan struct{}, 1)
	sess.lastMsg.Store(time.Now().UnixNano())
	if direction == protocol.Pull {
		sess.work = newPull(sess)
	} else {
		sess.work = newPush(sess)
	}
	return sess
}

// serve carries the session until it ends.
func (s *session) serve(ctx context.Context, conn *dispatcher.WebSocket) {
	gauge := s.server.metrics.sessions.WithLabelValues(string(s.direction))
	gauge.Inc()
	defer gauge.Dec()
	s.conn = conn
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	if s.server.isClosing() { // which may not have seen cancel
		s.leaveSoon()
	}
	s.log.DebugContext(ctx, "session began")

	var group errgroup.Group
	group.Go(func() error {
		cancel(s.guarded(ctx, s.read))
		return nil
	})
	group.Go(func() error {
		cancel(s.keep(ctx))
		return nil
	})
	cancel(s.guarded(ctx, s.answer))
	cause := context.Cause(ctx)
	s.work.forsake(context.WithoutCancel(ctx), cause)
	s.bye(ctx, cause)
	_ = group.Wait() // they report through cancel
	s.log.DebugContext(ctx, "session ended", slog.Any(keyError, cause))
}

// guarded turns a panic into an error, so that it takes down one session and not the server.
func (s *session) guarded(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.ErrorContext(ctx, "panic", slog.Any(keyError, p), slog.String(keyStack, string(debug.Stack())))
			err = errPanic
		}
	}()
	return f(ctx)
}

var (
	errPanic = errors.New("the server met an error of its own")
	errGone  = errors.New("the client has gone")
)

// stop ends the session with a cause.
func (s *session) stop(cause error) {
	s.mu.Lock()
	cancel := s.cancel
	s.mu.Unlock()
	if cancel != nil {
		cancel(cause)
	}
}

// leaveSoon ends the session when no transfer is under way.
func (s *session) leaveSoon() {
	s.leaving.Store(true)
	if !s.work.active() {
		s.stop(errShutdown)
	}
}

// read takes messages off the wire. It never waits for the worker, except for room.
func (s *session) read(ctx context.Context) error {
	m := s.server.metrics
	in := m.bytes.WithLabelValues(string(s.direction), "in")
	for {
		text, err := s.conn.Read(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return s.lost(err)
		}
		in.Add(float64(len(text)))
		s.lastMsg.Store(time.Now().UnixNano())
		message, err := protocol.ParseClientMessage(text)
		switch {
		case errors.Is(err, protocol.ErrIgnored):
			m.messages.WithLabelValues(string(s.direction), "ignored").Inc()
			continue
		case err != nil:
			return err
		case message.Request == nil:
			m.messages.WithLabelValues(string(s.direction), "ack").Inc()
			s.work.acknowledge(message.Ack)
			continue
		}
		if err := s.admit(ctx, *message.Request, text); err != nil {
			return err
		}
	}
}

// lost tells the end of a connection from a peer that does not keep to the protocol.
func (s *session) lost(err error) error {
	switch {
	case errors.Is(err, dispatcher.ErrTooLarge), errors.Is(err, dispatcher.ErrProtocol), errors.Is(err, protocol.ErrChanged):
		return err
	default:
		return fmt.Errorf("%w: %w", errGone, err)
	}
}

// admit puts a request in line, or answers it if it came before.
func (s *session) admit(ctx context.Context, r protocol.Request, text []byte) error {
	m := s.server.metrics
	if r.UUID == "" {
		m.messages.WithLabelValues(string(s.direction), "invalid").Inc()
		return s.respond(ctx, protocol.Response{Error: &protocol.Error{Message: protocol.MessageMissingUUID}})
	}
	admission, answer := s.replays.Admit(r.UUID, text)
	switch admission {
	case dispatcher.AdmitNew:
	case dispatcher.AdmitRunning:
		m.duplicates.WithLabelValues("running").Inc()
		return nil
	case dispatcher.AdmitAnswered:
		m.duplicates.WithLabelValues("answered").Inc()
		m.resent.Inc()
		return s.respond(ctx, answer)
	case dispatcher.AdmitConflict:
		m.duplicates.WithLabelValues("refused").Inc()
		s.log.WarnContext(ctx, "one uuid for two requests", slog.String(keyUUID, clip(r.UUID)))
		return s.respond(ctx, protocol.Response{UUID: r.UUID, Error: protocol.TransferError("This uuid belongs to another message of the session", nil)})
	case dispatcher.AdmitFull:
		return fmt.Errorf("%w: it sent more messages than a session may have", dispatcher.ErrProtocol)
	}
	m.messages.WithLabelValues(string(s.direction), kindOf(r)).Inc()
	weight := min(int64(len(text)), maxQueued)
	if err := s.room.Acquire(ctx, weight); err != nil {
		return context.Cause(ctx)
	}
	select {
	case s.line <- &request{Request: r, weight: weight}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// kindOf is a word for a request, of few.
func kindOf(r protocol.Request) string {
	switch {
	case r.Type == protocol.TypeCommand:
		return "command"
	case r.Kind == protocol.KindAction:
		return "action"
	case r.Kind == protocol.KindStep && r.Verb == protocol.VerbStream:
		return "stream"
	default:
		return "step"
	}
}

// answer is the worker: it takes requests out of the line, one at a time.
func (s *session) answer(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case r := <-s.line:
			err := s.handle(ctx, r.Request)
			s.room.Release(r.weight)
			for held, ok := s.work.ready(); ok && err == nil; held, ok = s.work.ready() {
				err = s.settle(ctx, held)
			}
			if err != nil {
				return err
			}
		}
		if s.leaving.Load() && !s.work.active() && len(s.line) == 0 {
			return errShutdown
		}
	}
}

// handle answers one request.
func (s *session) handle(ctx context.Context, r protocol.Request) error {
	if err := s.tell(ctx, protocol.DiagnosticInfo, s.origin("handler"), received(r)); err != nil {
		return err
	}
	return s.settle(ctx, r)
}

// settle does what a request asks for and answers it, unless it has to wait for its turn.
func (s *session) settle(ctx context.Context, r protocol.Request) error {
	data, then, err := s.carryOut(ctx, r)
	if errors.Is(err, errHeld) {
		return nil
	}
	if ctx.Err() != nil && err != nil {
		return context.Cause(ctx)
	}
	response := protocol.Response{UUID: r.UUID, Data: data}
	if err != nil {
		response = protocol.Response{UUID: r.UUID, Error: s.wire(ctx, r, err)}
		s.server.metrics.errors.WithLabelValues(string(s.direction), codeOf(err)).Inc()
	}
	for range s.replays.Done(response) {
		if err := s.respond(ctx, response); err != nil {
			return err
		}
	}
	if then != nil {
		then()
	}
	return nil
}

// carryOut does what a request asks for, if it may.
func (s *session) carryOut(ctx context.Context, r protocol.Request) (data json.RawMessage, then func(), err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.ErrorContext(ctx, "panic", slog.Any(keyError, p), slog.String(keyRequest, received(r)), slog.String(keyStack, string(debug.Stack())))
			s.work.forsake(ctx, errPanic)
			data, then, err = nil, nil, errPanic
		}
	}()
	if r.Type == protocol.TypeTransfer || r.Command == protocol.CommandInit || r.Command == protocol.CommandEnd {
		if err := s.authorized(ctx); err != nil {
			s.doomed.Store(refusal(err) != nil)
			s.work.forsake(ctx, err)
			return nil, nil, err
		}
	}
	if err := s.work.advance(r); err != nil {
		return nil, nil, err
	}
	return s.work.handle(ctx, r)
}

// authorized asks again whether the token is good.
func (s *session) authorized(ctx context.Context) error {
	err := s.server.access.check(ctx, s.token.ID, s.direction, s.place.name)
	if errors.Is(err, token.ErrSpent) && s.claimed.Load() {
		return nil
	}
	return err
}

// claim uses up a token that is for one transfer.
func (s *session) claim(ctx context.Context) error {
	if !s.token.Once || s.claimed.Load() {
		return nil
	}
	if err := s.server.config.Tokens.Claim(ctx, s.token.ID); err != nil {
		return err
	}
	s.claimed.Store(true)
	return nil
}

// respond sends a response.
func (s *session) respond(ctx context.Context, r protocol.Response) error {
	return s.send(ctx, r.Append(nil))
}

// send writes a message. It may be called by several at a time.
func (s *session) send(ctx context.Context, text []byte) error {
	return s.sent(ctx, len(text), s.conn.Write(ctx, text))
}

// sendBinary writes a message with bytes of files.
func (s *session) sendBinary(ctx context.Context, text, payload []byte) error {
	return s.sent(ctx, len(text)+len(payload), s.conn.WriteBinary(ctx, text, payload))
}

// sent notes that a message of n bytes was written, or why it was not.
func (s *session) sent(ctx context.Context, n int, err error) error {
	switch {
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%w: %w", errGone, err)
	}
	s.server.metrics.bytes.WithLabelValues(string(s.direction), "out").Add(float64(n))
	return nil
}

// seal makes messages carry checksums from now on, if that was agreed.
func (s *session) seal(agreed protocol.Extensions) {
	if agreed.Seals {
		s.conn.SealWrites(true) // if init itself had none
		s.conn.RequireSeals()
	}
}

// origin names a part of the server as Strapi's diagnostics do.
func (s *session) origin(part string) string { return string(s.direction) + "-" + part }

// tell sends a diagnostic.
func (s *session) tell(ctx context.Context, kind protocol.DiagnosticKind, origin, message string) error {
	d := protocol.Diagnostic{Kind: kind, Details: protocol.DiagnosticDetails{Message: message, CreatedAt: stamp(time.Now())}}
	if kind == protocol.DiagnosticError {
		d.Details.Severity, d.Details.Name = string(protocol.SeverityFatal), "Error"
	} else {
		d.Details.Origin = origin
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("make a uuid: %w", err)
	}
	d.UUID = id.String()
	return s.send(ctx, d.Append(nil))
}

// received is what Strapi's servers say of each request.
func received(r protocol.Request) string {
	if r.Type == protocol.TypeCommand {
		return fmt.Sprintf("received command:%s uuid:%s", clip(string(r.Command)), clip(r.UUID))
	}
	action := string(r.Action)
	if r.Kind == protocol.KindStep {
		action = string(r.Verb)
	}
	return fmt.Sprintf("received transfer action:%s step:%s uuid:%s", clip(action), clip(string(r.Kind)), clip(r.UUID))
}

// maxShown is how much of a peer's word is repeated to it or logged, in bytes.
const maxShown = 200

func clip(text string) string {
	if len(text) > maxShown {
		return text[:maxShown] + "…"
	}
	return text
}
