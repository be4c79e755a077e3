package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// makePlan turns the client's restore options into a plan. What the options do not say is what Strapi takes it to be.
func (p *push) makePlan() transfer.Plan {
	plan := transfer.Plan{Digest: p.id, Source: transfer.Description{Kind: "push", Name: p.sess.who}}
	if meta := p.init.Source; meta != nil {
		plan.Source.Version = meta.Strapi.Version
		if at, err := time.Parse(time.RFC3339, meta.CreatedAt); err == nil {
			plan.Source.CreatedAt = at
		}
	}
	var restore protocol.Restore
	if p.init.Options != nil && p.init.Options.Restore != nil {
		restore = *p.init.Options.Restore
	}
	if restore.Entities != nil {
		plan.Restore.Exclude = restore.Entities.Exclude
		plan.Restore.Include = restore.Entities.Include
	}
	plan.Restore.Assets = restore.Assets
	plan.Restore.Configuration = restore.Configuration != nil && (restore.Configuration.CoreStore || restore.Configuration.Webhook)
	content := plan.Restore.Include == nil || len(plan.Restore.Include) > 0
	for _, stage := range transfer.Stages() {
		switch stage {
		case transfer.StageSchemas:
			plan.Stages = append(plan.Stages, stage)
		case transfer.StageEntities, transfer.StageLinks:
			if content {
				plan.Stages = append(plan.Stages, stage)
			}
		case transfer.StageAssets:
			if plan.Restore.Assets {
				plan.Stages = append(plan.Stages, stage)
			}
		case transfer.StageConfiguration:
			if plan.Restore.Configuration {
				plan.Stages = append(plan.Stages, stage)
			}
		}
	}
	return plan
}

// step is a stage that is being pushed.
type step struct {
	push  *push
	stage transfer.Stage
	since time.Time

	started, finished int64       // items that came, items that are written
	bytes             int64       // of them
	failure           error       // of a message; the end of the stage repeats it
	asset             *incoming   // that is coming in
	writing           []*incoming // on their way to the destination, oldest first; the last may be asset
	last              int64       // number of the last message that was taken, where they have numbers
}

// step carries out a step whose place in the order has been checked.
func (p *push) step(ctx context.Context, r protocol.Request) (json.RawMessage, error) {
	stage := transfer.Stage(r.Stage)
	switch r.Verb {
	case protocol.VerbStart:
		if err := p.start(ctx, stage); err != nil {
			return nil, err
		}
		known, err := p.knownAssets(ctx, stage)
		if err != nil {
			return nil, p.fail(ctx, stage, err)
		}
		return protocol.StartResult{OK: true, Known: known}.Append(nil)
	case protocol.VerbStream:
		return nil, p.stream(ctx, stage, r)
	case protocol.VerbEnd:
		return p.end(ctx, stage)
	default:
		return nil, nil
	}
}

// start opens a stage.
func (p *push) start(ctx context.Context, stage transfer.Stage) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	at := slices.Index(p.plan.Stages, stage)
	switch {
	case at < 0 && stage == transfer.StageAssets:
		return protocol.TransferError("Attempting to transfer assets when `assets` is not set in restore options", nil)
	case at < 0:
		return protocol.TransferError(fmt.Sprintf("Attempting to transfer %s, which the restore options leave out", clip(string(stage))), nil)
	}
	if err := p.complete(ctx, at); err != nil {
		return p.fail(ctx, stage, err)
	}
	p.stage = &step{push: p, stage: stage, since: time.Now()}
	p.stage.observe(transfer.EventStageStarted)
	return nil
}

// knownAssets are the files that the client need not send, nil if it did not ask.
func (p *push) knownAssets(ctx context.Context, stage transfer.Stage) (map[string]int64, error) {
	knower, ok := p.dst.(transfer.AssetKnower)
	if !ok || !p.agreed.KnownAssets || stage != transfer.StageAssets {
		return nil, nil
	}
	assets, err := knower.KnownAssets(ctx, protocol.MaxKnownAssets)
	if err != nil {
		return nil, err
	}
	known, text := make(map[string]int64, len(assets)), 0
	for _, a := range assets[:min(len(assets), protocol.MaxKnownAssets)] {
		if text += len(a.Filename); text > protocol.MaxKnownText {
			break
		}
		known[a.Filename] = a.Length
	}
	return known, nil
}

// complete ends the planned stages before the one at index until, as far as they are not.
func (p *push) complete(ctx context.Context, until int) error {
	for ; p.at < until; p.at++ {
		stage := p.plan.Stages[p.at]
		batch := transfer.Batch{Stage: stage, Last: true}
		if stage == transfer.StageSchemas && !p.desc.Blank {
			// The client has been given these and has made its content fit.
			batch.Records = schemaRecords(p.desc.Schemas)
		}
		if err := p.dst.Write(ctx, batch); err != nil {
			return fmt.Errorf("complete stage %s: %w", stage, err)
		}
	}
	return nil
}

// stream takes the items of one message.
func (p *push) stream(ctx context.Context, stage transfer.Stage, r protocol.Request) error {
	s := p.stage
	if s == nil || s.stage != stage {
		return &protocol.Error{Message: "You need to init first"}
	}
	if s.failure != nil {
		return s.failure
	}
	if err := p.inTurn(r); err != nil {
		if errors.Is(err, errHeld) {
			return err
		}
		return p.fail(ctx, stage, err)
	}
	if r.Payload != nil && (stage != transfer.StageAssets || !p.agreed.BinaryAssets) {
		return p.fail(ctx, stage, protocol.TransferError("A binary message where none was agreed on", nil))
	}
	if stage == transfer.StageAssets {
		return p.fail(ctx, stage, s.takeAssets(ctx, r.Data, r.Payload))
	}
	data := r.Data
	if p.agreed.Has(protocol.ExtensionCompression) {
		var err error
		if data, err = p.compressor.Expand(data); err != nil {
			return p.fail(ctx, stage, err)
		}
	}
	return p.fail(ctx, stage, s.takeRecords(ctx, data))
}

// errHeld says that a message has to wait for one before it.
var errHeld = errors.New("held until its turn")

// inTurn makes sure that the messages of a stage that are under way together are taken in their order, and once. One that was overtaken
// is waited for: the client sends again what is not answered.
func (p *push) inTurn(r protocol.Request) error {
	if p.agreed.Window < 2 || r.Seq == 0 {
		return nil
	}
	s := p.stage
	switch {
	case r.Seq == s.last+1:
		s.last++
		return nil
	case r.Seq > s.last+1 && r.Seq <= s.last+int64(p.agreed.Window):
		if p.held == nil {
			p.held = make(map[int64]protocol.Request)
		}
		if _, taken := p.held[r.Seq]; !taken {
			p.held[r.Seq] = r
			return errHeld
		}
	}
	return protocol.TransferError(fmt.Sprintf("Message %d of the stage came where %d had to come", r.Seq, s.last+1), nil)
}

// ready returns a message that was held and whose turn has come, or that nothing waits for any more.
func (p *push) ready() (protocol.Request, bool) {
	if len(p.held) == 0 {
		return protocol.Request{}, false
	}
	for seq, r := range p.held {
		if p.stage == nil || p.stage.failure != nil || seq == p.stage.last+1 {
			delete(p.held, seq)
			return r, true
		}
	}
	return protocol.Request{}, false
}

// fail notes what a failed message means. After one of entities, links or schemas the transfer is over, as in Strapi; after others the
// client may go on, but what it pushes can never be committed.
func (p *push) fail(ctx context.Context, stage transfer.Stage, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if p.failure == nil {
		p.failure = err
	}
	if p.stage != nil && p.stage.failure == nil {
		p.stage.failure = err
	}
	if p.begun && (final(stage) || errors.Is(err, errPanic)) {
		p.discard(ctx, err)
		p.flow.Terminate()
		p.running.Store(false)
	}
	return err
}

// final reports whether a failed message of a stage ends the transfer.
func final(stage transfer.Stage) bool {
	return stage == transfer.StageEntities || stage == transfer.StageLinks || stage == transfer.StageSchemas
}

// takeRecords writes the records of one message. All of them are checked before the first is written.
func (s *step) takeRecords(ctx context.Context, data json.RawMessage) error {
	var records []transfer.Record
	for raw, err := range protocol.Items(data) {
		if err != nil {
			return err
		}
		if len(records) == maxItems {
			return fmt.Errorf("%w: a message of more than %d items", transfer.ErrDamaged, maxItems)
		}
		record, err := transfer.ParseRecord(s.stage, raw)
		if refused := s.push.policy.check(s.stage, record, raw, err); refused != nil {
			return refused
		}
		records = append(records, record)
	}
	s.started += int64(len(records))
	if len(records) == 0 {
		return nil
	}
	if err := s.push.dst.Write(ctx, transfer.Batch{Stage: s.stage, Records: records, Cursor: transfer.Cursor(s.started)}); err != nil {
		return err
	}
	s.finished += int64(len(records))
	s.bytes += int64(len(data))
	s.observe(transfer.EventStageProgress)
	return nil
}

// end closes a stage. A stage that never started had nothing to send.
func (p *push) end(ctx context.Context, stage transfer.Stage) (json.RawMessage, error) {
	s := p.stage
	if s == nil || s.stage != stage {
		if err := p.settled(ctx, stage); err != nil {
			return nil, err
		}
		skipped, err := p.account(ctx, stage)
		if err != nil {
			return nil, err
		}
		return protocol.EndResult{OK: true, Stats: &protocol.Stats{}, Skipped: skipped}.Append(nil)
	}
	p.stage = nil
	err := s.failure
	if s.asset != nil && err == nil {
		err = fmt.Errorf("%w: stage assets ends in the middle of file %s", transfer.ErrDamaged, s.asset.name)
		p.stage = s
		err = p.fail(ctx, stage, err)
	}
	if err == nil {
		p.stage = s
		err = p.fail(ctx, stage, s.settle(0))
	}
	s.abort(err)
	p.stage = nil
	s.observe(transfer.EventStageFinished)
	p.sess.server.metrics.stage(protocol.Push, protocol.Stage(stage), s.since)
	if err == nil {
		err = p.settled(ctx, stage)
	}
	if err != nil {
		return nil, err
	}
	skipped, err := p.account(ctx, stage)
	if err != nil {
		return nil, err
	}
	return protocol.EndResult{OK: true, Stats: &protocol.Stats{Started: s.started, Finished: s.finished}, Skipped: skipped}.Append(nil)
}

// settled tells the destination that a stage is complete.
func (p *push) settled(ctx context.Context, stage transfer.Stage) error {
	at := slices.Index(p.plan.Stages, stage)
	if !p.begun || at < 0 {
		return nil
	}
	return p.fail(ctx, stage, p.complete(ctx, at+1))
}

// abort lets go of a file that is coming in, and waits for those that are being written.
func (s *step) abort(cause error) {
	if s.asset != nil {
		s.asset.abort(cause)
		s.asset = nil
	}
	for _, in := range s.writing {
		<-in.done
	}
	s.writing = nil
}
