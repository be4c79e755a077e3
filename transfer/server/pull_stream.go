package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// stream is a stage that is being pulled.
type stream struct {
	pull    *pull
	stage   transfer.Stage
	id      string
	cancel  context.CancelCauseFunc
	src     transfer.Source
	reading chan struct{}
	window  *flights
	since   time.Time
	job     *jobs.Recorder

	// deliver sends a message for as long as the connection lives: one that is broken off in its middle, because the stage ends, would
	// take the connection with it.
	deliver func(text, payload []byte) error

	items, sent int64 // records, and bytes of them, that were read
	total       *transfer.Count
	skipped     atomic.Pointer[[]transfer.Skip] // nil until the stage has been read

	compressor protocol.Compressor
	data       []byte // the items of the next frame: "[a,b"
	payload    []byte // bytes of files that items of data stand for
	piece      []byte // for reading files that are sent as text
	message    []byte // the text of the last frame that was sent
	bytes      int    // of files in data
}

// run sends the stage. session is the life of the connection, ctx that of the stage.
func (s *stream) run(session, ctx context.Context) {
	defer s.compressor.Close()
	sess := s.pull.sess
	s.deliver = func(text, payload []byte) error {
		if payload != nil {
			return sess.sendBinary(session, text, payload)
		}
		return sess.send(session, text)
	}
	last := protocol.Frame{Stream: s.id, Ended: true}
	err := sess.guarded(ctx, func(ctx context.Context) error { return s.pump(session, ctx) })
	if err != nil && ctx.Err() == nil {
		last.Error, err = s.failed(session, err)
	}
	if err == nil {
		// The last frame comes when all before it have been acknowledged: so that none can be lost unnoticed.
		err = s.window.landed(ctx, sess.server.config.AckTimeout)
	}
	switch cause := context.Cause(ctx); {
	case session.Err() != nil, errors.Is(cause, errEnded):
		return
	case errors.Is(cause, errStage): // the client reads no more: nothing to wait for
		err = s.put(session, protocol.Frame{Stream: s.id, Ended: true})
	case err == nil:
		err = s.put(session, last)
	}
	if err != nil {
		sess.stop(err)
	}
}

// pump reads the stage and sends it, frame by frame. The contexts are those of run.
func (s *stream) pump(session, ctx context.Context) error {
	if s.pull.agreed == (protocol.Extensions{}) {
		// A stock client loses a frame that comes before it has handled the answer to start.
		if err := s.pull.sess.cross(session, ctx); err != nil {
			return err
		}
	}
	select {
	case s.reading <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.reading }()
	s.observe(transfer.EventStageStarted, "")
	for item, err := range s.src.Read(ctx, s.stage, 0) {
		if err != nil {
			return fmt.Errorf("read %s: %w", s.stage, err)
		}
		if s.items == 0 {
			s.count(ctx)
		}
		if asset, ok := item.Record.(transfer.Asset); ok {
			err = s.sendAsset(ctx, asset)
		} else {
			err = s.sendRecord(ctx, item.Record)
		}
		if err != nil {
			return err
		}
		s.items++
	}
	if err := s.flush(ctx); err != nil {
		return err
	}
	if err := s.account(session); err != nil {
		return err
	}
	s.observe(transfer.EventStageFinished, "")
	return nil
}

func (s *stream) sendRecord(ctx context.Context, record transfer.Record) error {
	switch r := record.(type) {
	case transfer.Entity:
		if protected(r.Type) {
			return nil // a push of it would be refused, and it holds secrets
		}
	case transfer.Link:
		if protected(r.Left.Type) || protected(r.Right.Type) {
			return nil
		}
	case transfer.Schema, transfer.Asset, transfer.Setting:
	}
	if size := record.Size(); size > maxRecord {
		return fmt.Errorf("%w: %s %s has %d bytes of JSON, and a frame takes at most %d", transfer.ErrDamaged, s.stage, record.Key(), size, int64(maxRecord))
	}
	if int64(len(s.data))+record.Size() > maxRecord {
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	s.item()
	s.data = record.AppendJSON(s.data)
	s.sent += record.Size()
	most := protocol.FrameBytes
	if s.pull.agreed.Window > 1 {
		most = s.pull.agreed.Batch(protocol.Stage(s.stage), s.window.most())
	}
	if len(s.data) >= most {
		return s.flush(ctx)
	}
	return nil
}

// maxRecord leaves room for the rest of the message.
const maxRecord = protocol.MaxMessage - 4<<10

// item begins another item in the frame. Items of assets are in a list of their own.
func (s *stream) item() {
	switch {
	case len(s.data) > 0:
		s.data = append(s.data, ',')
	case s.stage == transfer.StageAssets:
		s.data = append(s.data, "[["...)
	default:
		s.data = append(s.data, '[')
	}
}

// flush sends the frame that has been gathered, as soon as the window has room.
func (s *stream) flush(ctx context.Context) error {
	if len(s.data) == 0 {
		return nil
	}
	s.data = append(s.data, ']')
	if s.stage == transfer.StageAssets {
		s.data = append(s.data, ']')
	}
	data := s.data
	if s.stage != transfer.StageAssets {
		s.observe(transfer.EventStageProgress, "")
	}
	s.data, s.bytes = data[:0], 0
	if s.stage != transfer.StageAssets && s.pull.agreed.Has(protocol.ExtensionCompression) {
		packed, err := s.compressor.Append(nil, data)
		if err != nil {
			return err
		}
		return s.send(ctx, protocol.Frame{Stream: s.id, Data: packed})
	}
	f := protocol.Frame{Stream: s.id, Data: data}
	if s.stage == transfer.StageAssets && s.pull.agreed.BinaryAssets {
		f.Payload = s.payload
		s.payload = s.payload[:0]
	}
	return s.send(ctx, f)
}

// send sends a frame once there is room for it, and notes that it is under way.
func (s *stream) send(ctx context.Context, f protocol.Frame) error {
	if err := s.window.room(ctx, s.pull.sess.server.config.AckTimeout); err != nil {
		return err
	}
	return s.put(ctx, f)
}

func (s *stream) put(ctx context.Context, f protocol.Frame) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("make a uuid: %w", err)
	}
	f.UUID = id.String()
	s.window.take(f.UUID, len(f.Data)+len(f.Payload))
	s.pull.mu.Lock()
	s.pull.flights[f.UUID] = s.window
	s.pull.mu.Unlock()
	s.pull.sess.server.metrics.messages.WithLabelValues(string(protocol.Pull), "frame").Inc()
	payload := f.Payload
	f.Payload = nil
	if s.message = f.Append(s.message[:0]); cap(s.message) > maxKept {
		defer func() { s.message = nil }()
	}
	return s.deliver(s.message, payload)
}

// maxKept is how much memory a stage keeps for its next frame.
const maxKept = 4 << 20

// failed tells the client what went wrong: a frame's error has no text in stock clients, so a diagnostic goes before it. It returns the
// error of the last frame.
func (s *stream) failed(ctx context.Context, cause error) (json.RawMessage, error) {
	sess := s.pull.sess
	sess.log.WarnContext(ctx, "stage failed", slog.String(keyStage, string(s.stage)), slog.Any(keyError, cause))
	sess.server.metrics.errors.WithLabelValues(string(protocol.Pull), codeOf(cause)).Inc()
	if errors.Is(cause, errSlow) {
		return nil, cause
	}
	text := safeText(protocol.Request{UUID: s.id}, cause)
	failure := &protocol.Error{Message: text, Details: protocol.ErrorDetails{Step: protocol.StepTransfer}}
	return failure.Append(nil), sess.tell(ctx, protocol.DiagnosticError, "", text)
}

// flights are the frames of a stream that are under way.
type flights struct {
	window int

	mu      sync.Mutex // guards what follows
	open    map[string]flight
	bytes   int
	trip    time.Duration // the shortest time in which a frame was acknowledged
	changed chan struct{} // of capacity one
}

// flight is a frame under way.
type flight struct {
	bytes int
	since time.Time
}

func newFlights(window int) *flights {
	return &flights{window: window, open: make(map[string]flight), changed: make(chan struct{}, 1)}
}

// most is how many bytes of frames may be under way before the last, which may be of any size.
func (f *flights) most() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return protocol.InFlight(f.trip)
}

// room waits until another frame may be sent.
func (f *flights) room(ctx context.Context, patience time.Duration) error {
	return f.wait(ctx, patience, func() bool {
		return len(f.open) == 0 || len(f.open) < f.window && f.bytes < protocol.InFlight(f.trip)
	})
}

// landed waits until all frames have been acknowledged.
func (f *flights) landed(ctx context.Context, patience time.Duration) error {
	return f.wait(ctx, patience, func() bool { return len(f.open) == 0 })
}

// wait waits until free, which is called with f.mu held, says so.
func (f *flights) wait(ctx context.Context, patience time.Duration, free func() bool) error {
	var timer *time.Timer
	for {
		f.mu.Lock()
		ok := free()
		f.mu.Unlock()
		if ok {
			return nil
		}
		if timer == nil {
			timer = time.NewTimer(patience)
			defer timer.Stop()
		}
		select {
		case <-f.changed:
		case <-timer.C:
			return fmt.Errorf("%w, %s", errSlow, patience)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (f *flights) take(uuid string, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open[uuid] = flight{bytes: n, since: time.Now()}
	f.bytes += n
}

// land notes that a frame has been acknowledged.
func (f *flights) land(uuid string) {
	f.mu.Lock()
	if frame, ok := f.open[uuid]; ok {
		f.bytes -= frame.bytes
		if trip := time.Since(frame.since); f.trip == 0 || trip < f.trip {
			f.trip = trip
		}
		delete(f.open, uuid)
	}
	f.mu.Unlock()
	select {
	case f.changed <- struct{}{}:
	default:
	}
}
