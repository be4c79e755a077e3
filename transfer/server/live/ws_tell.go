package live

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/gorilla/websocket"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// tell waits until the client is ready and tells it everything, until all jobs have ended.
func (c *channel) tell(ctx context.Context, s *jobs.Subscription, ready <-chan struct{}) error {
	timer := time.NewTimer(c.live.config.ReadyTimeout)
	defer timer.Stop()
	select {
	case <-ready:
	case <-timer.C:
		return &closing{CloseNotReady, "no ready_ack came"}
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	going := make(map[jobs.ID]struct{})
	for i := range s.Snapshot {
		j := &s.Snapshot[i]
		if !j.State.Ended() {
			going[j.ID] = struct{}{}
		}
		if s.Recovered {
			continue
		}
		if err := c.sendMessage(snapshotOf(j, s.Position)); err != nil {
			return err
		}
	}
	ping := time.NewTicker(c.live.config.PingInterval)
	defer ping.Stop()
	timer.Reset(c.live.config.MaxAge)
	for {
		events, err := s.Take()
		if sendErr := c.sendEvents(events, going); sendErr != nil {
			return sendErr
		}
		switch {
		case len(going) == 0:
			return nil
		case errors.Is(err, jobs.ErrSlow):
			c.live.slow.Add(1)
			return &closing{websocket.CloseTryAgainLater, endSlow.message()}
		case err != nil:
			return &closing{websocket.CloseServiceRestart, endLost.message()}
		case len(events) > 0:
			continue
		}
		select {
		case <-s.Ready():
		case <-ping.C:
			if err := c.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.live.config.WriteTimeout)); err != nil {
				return errGone
			}
		case <-timer.C:
			return &closing{websocket.CloseServiceRestart, endAge.message()}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *channel) sendEvents(events []*jobs.Event, going map[jobs.ID]struct{}) error {
	for _, e := range events {
		if err := c.sendMessage(messageOf(e)); err != nil {
			return err
		}
		if e.Job != nil && e.Job.State.Ended() {
			delete(going, e.JobID)
		}
	}
	c.live.sent.Add(int64(len(events)))
	return nil
}

// sendMessage writes what is told, as an object with its type first.
func (c *channel) sendMessage(m message) error {
	body := m.encode()
	if len(body) < 2 || body[0] != '{' {
		return nil
	}
	head := `{"type":"progress",`
	switch m.kind {
	case kindProgress:
	case kindCompleted:
		head = `{"type":"job_complete",`
	case kindFailed:
		head = `{"type":"error","final":true,`
	case kindError:
		head = `{"type":"error","final":false,`
	case kindItem:
		head = `{"type":"item_transferred","jobId":"` + string(m.job) + `",`
	}
	return c.sendText(append([]byte(head), body[1:]...))
}

// command is a message of a client.
type command struct {
	Type  string          `json:"type"`
	ID    json.RawMessage `json:"id"` // which the answer has again
	JobID jobs.ID         `json:"jobId"`
}

// read takes what the client says, until it goes. It returns why the channel is to be closed.
func (c *channel) read(ctx context.Context, ready chan<- struct{}) error {
	patience := c.live.config.PingInterval + c.live.config.PingTimeout
	c.conn.SetReadLimit(maxCommand)
	c.conn.SetPongHandler(func(string) error {
		select {
		case <-ctx.Done(): // the reader waits for the end only
			return nil
		default:
			return c.conn.SetReadDeadline(time.Now().Add(patience))
		}
	})
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return errGone
	}
	acknowledged := false
	for {
		kind, text, err := c.conn.ReadMessage()
		if err != nil {
			return errGone
		}
		var said command
		switch {
		case kind != websocket.TextMessage, json.Unmarshal(text, &said) != nil:
			return &closing{CloseBadMessage, "not a JSON object in a text message"}
		case !c.rate.Allow():
			return &closing{websocket.ClosePolicyViolation, "too many messages"}
		case said.Type == "ready_ack" && acknowledged:
			return &closing{CloseReadyAgain, "a second ready_ack"}
		case said.Type == "ready_ack":
			acknowledged = true
			close(ready)
		case !acknowledged:
			return &closing{CloseUnauthorized, "send ready_ack first"}
		case said.Type == "cancel":
			if err := c.cancelJob(ctx, said); err != nil {
				return err
			}
		default:
			return &closing{CloseBadMessage, "unknown type: ready_ack or cancel"}
		}
	}
}

// cancelJob does what the client asks for, if it may: who it is does not settle that.
func (c *channel) cancelJob(ctx context.Context, said command) error {
	c.asked.Lock()
	defer c.asked.Unlock()
	if said.JobID == "" && len(c.jobs) == 1 {
		said.JobID = c.jobs[0]
	}
	result, err := c.live.cancel(ctx, c.viewer, said.JobID)
	if err != nil {
		return err
	}
	return c.send(struct {
		Type   string          `json:"type"`
		ID     json.RawMessage `json:"id,omitempty"`
		JobID  jobs.ID         `json:"jobId"`
		Result cancelResult    `json:"result"`
	}{"cancel_ack", said.ID, said.JobID, result})
}

// cancelResult is what became of a request to cancel.
type cancelResult string

const (
	cancelAccepted  cancelResult = "accepted" // the job ends soon, which is told when it does
	cancelTooLate   cancelResult = "already_done"
	cancelForbidden cancelResult = "forbidden"
	cancelUnknown   cancelResult = "not_found"
)

// cancel asks for the end of a job on behalf of a viewer. Asking again is no error.
func (l *Live) cancel(ctx context.Context, viewer Viewer, id jobs.ID) (cancelResult, error) {
	if _, err := jobs.ParseID(string(id)); err != nil {
		return cancelUnknown, nil //nolint:nilerr // the result says it
	}
	if err := viewer.Check(ctx); err != nil {
		return cancelForbidden, nil //nolint:nilerr // the result says it
	}
	job, err := l.config.Get(ctx, id)
	switch {
	case errors.Is(err, jobs.ErrNotFound), err == nil && !viewer.Sees(&job):
		return cancelUnknown, nil
	case err != nil:
		return "", err
	case !viewer.MayCancel(&job):
		return cancelForbidden, nil
	case job.State.Ended():
		return cancelTooLate, nil
	}
	_, err = l.config.Cancel(ctx, id)
	switch {
	case errors.Is(err, jobs.ErrEnded):
		if now, getErr := l.config.Get(ctx, id); getErr == nil && now.State == jobs.StateCancelled {
			return cancelAccepted, nil // it was faster than its own answer
		}
		return cancelTooLate, nil
	case err != nil:
		return "", err
	}
	return cancelAccepted, nil
}
