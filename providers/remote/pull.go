package remote

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// errNoTotals is returned by Count for what the server does not tell.
var errNoTotals = errors.New("the server does not tell its totals")

// How long a server may take to find its files before it answers the start of the assets stage: the figures of Strapi's client.
const (
	assetsStartTimeout = 120 * time.Second
	assetsStartRetries = 30
)

// abandonTimeout bounds the clean end of a stage that nobody reads to its end.
const abandonTimeout = 2 * time.Second

// pull is one stage being read.
type pull struct {
	sess   *session
	stage  transfer.Stage
	id     string
	lane   *lane
	done   bool // end was answered
	failed bool // the server ended the stream with an error: end would never be answered
}

// pull starts a stage.
func (s *Source) pull(ctx context.Context, stage transfer.Stage) (*pull, error) {
	sess, err := s.session(ctx)
	if err != nil {
		return nil, err
	}
	var opts dispatcher.CallOptions
	if stage == transfer.StageAssets {
		opts = dispatcher.CallOptions{Timeout: s.opts.AssetsStartTimeout, MaxRetries: assetsStartRetries, NoStall: true}
	}
	raw, err := sess.call(ctx, "start "+string(stage), stepRequest(protocol.VerbStart, stage), opts)
	if err != nil {
		s.abandon(ctx) // the stage may have begun
		return nil, err
	}
	start, err := protocol.ParseStartResult(raw)
	if err == nil && start.ID == "" {
		err = fmt.Errorf("%w: it names no stream", protocol.ErrInvalidAnswer)
	}
	if err != nil {
		s.abandon(ctx)
		return nil, explain("start "+string(stage), err)
	}
	if start.Totals != nil {
		s.totals[stage] = transfer.Count{Records: whole(start.Totals.TotalCount), Bytes: whole(start.Totals.TotalBytes)}
	}
	return &pull{sess: sess, stage: stage, id: start.ID, lane: sess.inbox.open(start.ID)}, nil
}

// whole makes a number of records or bytes of what a server estimates, which may be a fraction.
func whole(f float64) int64 {
	if math.IsNaN(f) || f <= 0 {
		return 0
	}
	return int64(min(math.Round(f), 1<<53))
}

// next returns the next frame with data, or nil after the last. The stage has then ended at the server, too.
func (p *pull) next(ctx context.Context) (*arrival, error) {
	for !p.done {
		a, err := p.sess.next(ctx, p.lane)
		if err != nil {
			return nil, err
		}
		switch {
		case a.Payload != nil && (p.stage != transfer.StageAssets || !p.sess.agreed.BinaryAssets):
			return nil, fmt.Errorf("%w: read %s: the server sent a binary message that was not agreed on; %s", transfer.ErrDamaged, p.stage, hintNotRunner)
		case protocol.Truthy(a.Error):
			p.failed = true
			return nil, p.refusal(a)
		case a.Ended:
			if err := p.end(ctx); err != nil {
				return nil, err
			}
			if len(a.Data) > 0 && protocol.Truthy(a.Data) {
				return &a, nil
			}
		default:
			return &a, nil
		}
	}
	return nil, nil
}

func (p *pull) end(ctx context.Context) error {
	raw, err := p.sess.call(ctx, "end "+string(p.stage), stepRequest(protocol.VerbEnd, p.stage), dispatcher.CallOptions{})
	p.done = true
	if err != nil || !p.sess.agreed.Skips {
		return err
	}
	result, err := protocol.ParseEndResult(raw)
	if err != nil {
		return explain("end "+string(p.stage), err)
	}
	p.sess.diary.lacks(skipsOf(p.stage, result.Skipped))
	return nil
}

// refusal is the error of a frame that ends a stage with one. The frame has hardly ever a text, an earlier report has.
func (p *pull) refusal(a arrival) error {
	doing := "read " + string(p.stage)
	err := protocol.ParseError(a.Error)
	if err.Message == "" || a.report != "" {
		err = &protocol.Error{Code: err.Code, Message: a.report, Details: err.Details}
	}
	if errors.Is(err, protocol.ErrUnauthorized) {
		return explain(doing, err)
	}
	return mapped(transfer.ErrDamaged, doing, fmt.Errorf("the server cannot read its own content: %w", err), hintLog)
}

// finish lets go of the stage. A stage that was not read to its end is ended at the server; if that does not work out, the
// connection is given up.
func (s *Source) finish(ctx context.Context, p *pull) {
	defer p.sess.inbox.close(p.id)
	switch {
	case p.failed && s.sess == p.sess:
		// The server would not answer end any more, nor start the stage again. The rest it does.
		s.sess = nil
		if err := p.sess.conclude(); err != nil { //nolint:contextcheck // taking leave has its own clock: ctx may have ended
			s.opts.Logger.DebugContext(ctx, "no leave taken after a failed stage", slog.String(keyError, err.Error()))
		}
	case p.done && ctx.Err() == nil:
	case ctx.Err() != nil, p.sess.lost() != nil, !p.giveUp(ctx):
		s.opts.Logger.DebugContext(ctx, "stage given up with its connection", slog.String(keyStage, string(p.stage)))
		s.abandon(ctx)
	}
}

// giveUp ends a stage early: the server is asked to end it, what it has sent already is acknowledged, and its last frame awaited.
func (p *pull) giveUp(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, abandonTimeout)
	defer cancel()
	p.sess.diary.hush(true)
	defer p.sess.diary.hush(false)
	if p.end(ctx) != nil {
		return false
	}
	p.lane.giveUp()
	for {
		if p.lane.over() {
			return true
		}
		select {
		case <-p.lane.signal:
		case <-p.sess.disp.Done():
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// readRecords reads a stage whose records are JSON text.
func (s *Source) readRecords(ctx context.Context, stage transfer.Stage, after transfer.Cursor, yield func(transfer.Item, error) bool) error {
	p, err := s.pull(ctx, stage)
	if err != nil {
		return err
	}
	defer s.finish(ctx, p)
	var cursor transfer.Cursor
	for {
		a, err := p.next(ctx)
		if err != nil || a == nil {
			return err
		}
		data := a.Data
		if p.sess.agreed.Has(protocol.ExtensionCompression) {
			if data, err = p.sess.packer.Expand(a.Data); err != nil {
				return mapped(transfer.ErrDamaged, "read "+string(stage), err, hintNotRunner)
			}
		}
		for raw, err := range protocol.Items(data) {
			if err != nil {
				return mapped(transfer.ErrDamaged, "read "+string(stage), err, hintNotRunner)
			}
			if err := context.Cause(ctx); err != nil {
				return err
			}
			cursor++
			if cursor <= after {
				continue
			}
			record, err := transfer.ParseRecord(stage, raw)
			if err != nil {
				return fmt.Errorf("read %s: %w; %s", stage, err, hintLog)
			}
			if !yield(transfer.Item{Record: record, Cursor: cursor}, nil) {
				return nil
			}
		}
	}
}
