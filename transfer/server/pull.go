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
	"golang.org/x/sync/errgroup"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// pull is a conversation in which the site has the content. One connection may carry several, one after the other.
type pull struct {
	sess    *session
	flow    protocol.Flow
	running atomic.Bool

	pullState

	mu      sync.Mutex          // guards flights
	flights map[string]*flights // of streams, by the uuid of a frame that is under way
}

// pullState is what a pull knows of one transfer. The zero value is before init.
type pullState struct {
	init   protocol.InitParams
	agreed protocol.Extensions
	id     string
	began  time.Time

	src     transfer.Source // nil before bootstrap, and after the end
	desc    transfer.Description
	schemas json.RawMessage
	reading chan struct{} // of capacity one: held by the stream that reads the source, which serves one at a time
	streams map[protocol.Stage]*stream
	pumps   *errgroup.Group
	closed  bool
	skipped []transfer.Skip // of the stages that are complete
	job     *jobs.Recorder  // nil before the first stage, and after it was written down how it ended
}

var _ conversation = (*pull)(nil)

func newPull(s *session) *pull {
	return &pull{
		sess: s, flow: protocol.Flow{Rules: protocol.RulesServer, Direction: protocol.Pull}, flights: make(map[string]*flights),
	}
}

func (p *pull) active() bool { return p.running.Load() }

func (p *pull) advance(r protocol.Request) error { return p.flow.Advance(r) }

func (p *pull) ready() (protocol.Request, bool) { return protocol.Request{}, false }

// acknowledge implements [conversation].
func (p *pull) acknowledge(uuid string) {
	p.mu.Lock()
	f := p.flights[uuid]
	delete(p.flights, uuid)
	p.mu.Unlock()
	if f != nil {
		f.land(uuid)
	}
}

// handle implements [conversation].
func (p *pull) handle(ctx context.Context, r protocol.Request) (json.RawMessage, func(), error) {
	switch {
	case r.Type == protocol.TypeCommand:
		data, err := p.command(ctx, r)
		return data, nil, err
	case r.Kind == protocol.KindAction:
		data, err := p.action(ctx, r.Action)
		return data, nil, err
	case r.Kind == protocol.KindStep && r.Verb == protocol.VerbStart:
		return p.start(ctx, r.Stage)
	case r.Kind == protocol.KindStep && r.Verb == protocol.VerbEnd:
		data, err := protocol.EndResult{OK: true, Skipped: p.end(r.Stage)}.Append(nil)
		return data, nil, err
	default:
		return nil, nil, nil
	}
}

func (p *pull) command(ctx context.Context, r protocol.Request) (json.RawMessage, error) {
	switch r.Command {
	case protocol.CommandInit:
		data, err := p.initialize(ctx, r.Params)
		if err != nil {
			p.reset(ctx, err) // an init that is refused does not count
		}
		return data, err
	case protocol.CommandEnd:
		p.reset(ctx, errEnded)
		return json.RawMessage(`{"ok":true}`), nil
	case protocol.CommandStatus:
		return status(protocol.Pull, p.flow.Active(), p.began)
	default:
		return nil, nil
	}
}

func (p *pull) initialize(ctx context.Context, raw json.RawMessage) (json.RawMessage, error) {
	if p.sess.leaving.Load() {
		return nil, errShutdown
	}
	params, err := protocol.ParseInitParams(raw)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, fmt.Errorf("make a transfer id: %w", err)
	}
	p.init, p.id, p.began = params, id.String(), time.Now()
	p.agreed = protocol.Negotiate(params.Extensions, protocol.Extensions{
		Window: p.sess.server.config.Window, Compression: protocol.CompressionZstd, Seals: true, BinaryAssets: true, Skips: true,
	})
	p.sess.seal(p.agreed)
	p.reading = make(chan struct{}, 1)
	p.streams = make(map[protocol.Stage]*stream)
	p.pumps = &errgroup.Group{}
	p.flow.TransferID = p.id
	p.running.Store(true)
	p.sess.log.InfoContext(ctx, "pull began", slog.String(keyTransfer, p.id))
	return protocol.InitResult{TransferID: p.id, Checksums: true, Extensions: p.agreed}.Append(nil)
}

func (p *pull) action(ctx context.Context, action protocol.Action) (json.RawMessage, error) {
	switch action {
	case protocol.ActionBootstrap:
		return nil, p.bootstrap(ctx)
	case protocol.ActionGetMetadata:
		return metadata(p.desc)
	case protocol.ActionGetSchemas:
		if p.schemas == nil {
			p.schemas = schemaMap(p.desc.Schemas)
		}
		return p.schemas, nil
	case protocol.ActionClose:
		if !p.closed {
			p.closed = true
			p.sess.server.metrics.transfers.WithLabelValues(string(protocol.Pull), "closed").Inc()
			p.sess.log.InfoContext(ctx, "pull closed", slog.String(keyTransfer, p.id))
		}
		p.running.Store(false)
		p.endJob(nil)
		return nil, nil
	case protocol.ActionBeforeTransfer, protocol.ActionRollback: // refused before
		return nil, nil
	default:
		return nil, nil
	}
}

func (p *pull) bootstrap(ctx context.Context) error {
	if p.src != nil {
		return nil
	}
	src, err := p.sess.place.Source(ctx)
	if err != nil {
		return err
	}
	p.src = src
	p.desc, err = src.Describe(ctx)
	return err
}

// Why a stream ends before its stage does.
var (
	errEnded = errors.New("the client ended the transfer")
	errStage = errors.New("the client ended the stage")
)

// reset ends the transfer and makes ready for another init.
func (p *pull) reset(ctx context.Context, cause error) {
	for _, s := range p.streams {
		s.cancel(cause)
	}
	if p.pumps != nil {
		_ = p.pumps.Wait() // they report to the client
	}
	if p.src != nil {
		if err := p.src.Close(); err != nil {
			p.sess.log.WarnContext(ctx, "close the source", slog.Any(keyError, err))
		}
	}
	p.endJob(cause)
	p.pullState = pullState{}
	p.running.Store(false)
	p.flow = protocol.Flow{Rules: protocol.RulesServer, Direction: protocol.Pull}
	p.mu.Lock()
	clear(p.flights)
	p.mu.Unlock()
}

// forsake implements [conversation].
func (p *pull) forsake(ctx context.Context, cause error) {
	p.reset(ctx, cause)
	p.flow.Terminate()
}

// start opens a stage. Its frames come when the client has handled the answer.
func (p *pull) start(ctx context.Context, stage protocol.Stage) (json.RawMessage, func(), error) {
	if p.src == nil {
		return nil, nil, errNotReady
	}
	if err := p.sess.claim(ctx); err != nil {
		return nil, nil, err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return nil, nil, fmt.Errorf("make a stream id: %w", err)
	}
	result := protocol.StartResult{OK: true, ID: id.String()}
	if stage == protocol.StageAssets {
		result.Totals = p.totals(ctx)
	}
	data, err := result.Append(nil)
	if err != nil {
		return nil, nil, err
	}
	if p.job == nil && !p.closed {
		p.job = p.sess.beginJob(ctx, "")
	}
	streamCtx, cancel := context.WithCancelCause(ctx)
	s := &stream{pull: p, stage: transfer.Stage(stage), id: result.ID, cancel: cancel, src: p.src, reading: p.reading, since: time.Now(), job: p.job}
	s.window = newFlights(max(1, p.agreed.Window))
	p.streams[stage] = s
	pumps := p.pumps
	return data, func() {
		pumps.Go(func() error {
			defer cancel(nil)
			s.run(ctx, streamCtx)
			return nil
		})
	}, nil
}

// totals is how much the assets are going to be, if that can be told without waiting for another stream.
func (p *pull) totals(ctx context.Context) *protocol.Totals {
	counter, ok := p.src.(transfer.Counter)
	if !ok {
		return nil
	}
	select {
	case p.reading <- struct{}{}:
	default:
		return nil
	}
	defer func() { <-p.reading }()
	count, err := counter.Count(ctx, transfer.StageAssets)
	if err != nil {
		p.sess.log.DebugContext(ctx, "assets not counted", slog.Any(keyError, err))
		return nil
	}
	return &protocol.Totals{TotalBytes: float64(count.Bytes), TotalCount: float64(count.Records)}
}

// end closes a stage and returns what was left out of it, for clients that asked. One that is not through is told to stop, and sends
// its last frame.
func (p *pull) end(stage protocol.Stage) []protocol.Skip {
	s := p.streams[stage]
	if s == nil {
		return nil
	}
	delete(p.streams, stage)
	s.cancel(errStage)
	p.sess.server.metrics.stage(protocol.Pull, stage, s.since)
	skipped := s.skipped.Load()
	if skipped == nil {
		return nil
	}
	p.skipped = append(p.skipped, *skipped...)
	if !p.agreed.Skips {
		return nil
	}
	return wireSkips(*skipped)
}
