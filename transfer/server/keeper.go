package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// Why a session ends that the keeper ends.
var (
	errSilent = errors.New("nothing was heard of the client")
	errIdle   = errors.New("the client had nothing to say for too long")
	errSlow   = errors.New("the client acknowledged nothing for too long")
	errToken  = errors.New(protocol.ReasonToken)
)

// keepEvery is how often the keeper looks after a session whose heartbeat is not shorter: so long does a revoked token work at most,
// beside Config.AuthInterval.
const keepEvery = 2 * time.Second

// keep watches over the peer's signs of life and its token. It returns why the session ends.
func (s *session) keep(ctx context.Context) error {
	c := s.server.config
	ticker := time.NewTicker(min(keepEvery, c.HeartbeatInterval))
	defer ticker.Stop()
	heard, heardAt, pingAt := int64(-1), time.Now(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		now := time.Now()
		if progress := s.conn.Progress(); progress.Heard != heard {
			heard, heardAt = progress.Heard, now
		}
		switch {
		case now.Sub(heardAt) >= c.HeartbeatTimeout:
			return fmt.Errorf("%w for %s", errSilent, c.HeartbeatTimeout)
		case now.Sub(time.Unix(0, s.lastMsg.Load())) >= c.IdleTimeout:
			return fmt.Errorf("%w, %s", errIdle, c.IdleTimeout)
		case s.doomed.Load():
			return errToken
		}
		if err := s.authorized(ctx); err != nil && refusal(err) != nil {
			return fmt.Errorf("%w: %w", errToken, err)
		}
		if now.Sub(pingAt) >= c.HeartbeatInterval {
			pingAt = now
			if err := s.conn.Ping(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%w: %w", errGone, err)
			}
		}
	}
}

// bye tells the peer why the session ends, as far as it is still there, and closes the connection.
func (s *session) bye(ctx context.Context, cause error) {
	code, reason := websocket.CloseNormalClosure, ""
	switch {
	case errors.Is(cause, errShutdown):
		code, reason = websocket.CloseGoingAway, errShutdown.Error()
	case errors.Is(cause, jobs.ErrCancelled):
		code, reason = websocket.ClosePolicyViolation, jobs.ErrCancelled.Error()
	case errors.Is(cause, errToken):
		code, reason = websocket.ClosePolicyViolation, errToken.Error()
	case errors.Is(cause, errIdle), errors.Is(cause, errSlow), errors.Is(cause, errSilent):
		code, reason = websocket.ClosePolicyViolation, cause.Error()
	case errors.Is(cause, protocol.ErrMalformed):
		code, reason = websocket.CloseInvalidFramePayloadData, cause.Error()
	case errors.Is(cause, dispatcher.ErrTooLarge):
		code, reason = websocket.CloseMessageTooBig, "message too large"
	case errors.Is(cause, dispatcher.ErrProtocol):
		code, reason = websocket.CloseProtocolError, "not of this protocol"
	case errors.Is(cause, errPanic):
		code, reason = websocket.CloseInternalServerErr, errPanic.Error()
	}
	// Errors are of a connection that has gone, which is what it is to be.
	_ = s.conn.CloseWith(code, reason)
	_ = ctx
}

// barrier makes sure that the peer has read what was sent before.
type barrier struct {
	sent   atomic.Int64 // number of the last ping
	heard  atomic.Int64 // number of the last pong
	passed chan struct{}
}

// pong takes a pong's text from the reader.
func (s *session) pong(text string) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return
	}
	s.barrier.heard.Store(n)
	select {
	case s.barrier.passed <- struct{}{}:
	default:
	}
}

// cross waits until the peer has handled what was sent so far, as proven by its answer to a ping: no client can answer that before it
// has read the rest. Where no answer comes it waits for the time that is long enough in practice.
func (s *session) cross(session, ctx context.Context) error {
	n := s.barrier.sent.Add(1)
	// A ping that is broken off takes the connection with it: it must not end before the session does.
	if err := s.conn.PingText(session, strconv.FormatInt(n, 10)); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: %w", errGone, err)
	}
	timer := time.NewTimer(protocol.FirstFrameDelay)
	defer timer.Stop()
	for s.barrier.heard.Load() < n {
		select {
		case <-s.barrier.passed:
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
