package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// push is a conversation in which the client has the content. One connection may carry several, one after the other.
type push struct {
	sess    *session
	flow    protocol.Flow
	running atomic.Bool

	pushState
}

// pushState is what a push knows of one transfer. The zero value is before init.
type pushState struct {
	init       protocol.InitParams
	agreed     protocol.Extensions
	compressor protocol.Compressor
	id         string
	began      time.Time

	dst     transfer.Destination // nil before bootstrap, and after the end
	desc    transfer.Description
	schemas json.RawMessage // as getSchemas answers; nil before it was asked
	policy  *policy

	plan    transfer.Plan
	begun   bool
	release func() // lets the next writer in
	at      int    // stages of the plan before this one are complete
	stage   *step
	skipped []transfer.Skip            // of the stages that are complete
	told    *omissions                 // nil when they are part of the answers
	held    map[int64]protocol.Request // messages that came before their turn
	failure error                      // why what was written must not be committed
	done    bool                       // committed
	job     *jobs.Recorder             // nil before it begins, and after it was written down how it ended
}

var _ conversation = (*push)(nil)

func newPush(s *session) *push {
	return &push{sess: s, flow: protocol.Flow{Rules: protocol.RulesServer, Direction: protocol.Push}}
}

func (p *push) active() bool { return p.running.Load() }

func (p *push) acknowledge(string) {} // nothing is ever sent that wants it

func (p *push) advance(r protocol.Request) error {
	if r.Kind == protocol.KindStep && r.Verb == protocol.VerbStart && p.begun {
		// The order lets a stage start once more. The destination has it complete, and Strapi's client never does.
		if at := slices.Index(p.plan.Stages, transfer.Stage(r.Stage)); at >= 0 && at < p.at {
			return protocol.TransferError(fmt.Sprintf("Stage %s is complete and cannot be started again", r.Stage), nil)
		}
	}
	return p.flow.Advance(r)
}

// handle implements [conversation].
func (p *push) handle(ctx context.Context, r protocol.Request) (json.RawMessage, func(), error) {
	var data json.RawMessage
	var err error
	switch {
	case r.Type == protocol.TypeCommand:
		data, err = p.command(ctx, r)
	case r.Kind == protocol.KindAction:
		data, err = p.action(ctx, r.Action)
	case r.Kind == protocol.KindStep:
		data, err = p.step(ctx, r)
	}
	return data, nil, err
}

func (p *push) command(ctx context.Context, r protocol.Request) (json.RawMessage, error) {
	switch r.Command {
	case protocol.CommandInit:
		data, err := p.initialize(ctx, r.Params)
		if err != nil {
			p.reset(ctx, err) // an init that is refused does not count
		}
		return data, err
	case protocol.CommandEnd:
		p.reset(ctx, errNotCommitted)
		return json.RawMessage(`{"ok":true}`), nil
	case protocol.CommandStatus:
		return status(protocol.Push, p.flow.Active(), p.began)
	default:
		return nil, nil
	}
}

// errNotCommitted is why a transfer is discarded whose end comes without close.
var errNotCommitted = errors.New("the transfer ended without close")

// status answers the command of that name.
func status(direction protocol.Direction, active bool, began time.Time) (json.RawMessage, error) {
	if !active {
		return protocol.Status{}.Append(nil)
	}
	at, elapsed := began.UnixMilli(), time.Since(began).Milliseconds()
	return protocol.Status{Active: true, Kind: &direction, StartedAt: &at, Elapsed: &elapsed}.Append(nil)
}

// initialize answers init.
func (p *push) initialize(ctx context.Context, raw json.RawMessage) (json.RawMessage, error) {
	if p.sess.leaving.Load() {
		return nil, errShutdown
	}
	if err := p.sess.place.busy(); err != nil {
		return nil, err
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
	p.running.Store(true)
	supported := protocol.Extensions{
		Window: p.sess.server.config.Window, Compression: protocol.CompressionZstd, Seals: true, BinaryAssets: true, Skips: true,
	}
	_, supported.Merge = p.sess.place.Site.(MergeSite)
	p.agreed = protocol.Negotiate(params.Extensions, supported)
	if (params.Extensions.Schemas || params.Extensions.KnownAssets) && p.strategy() == nil {
		if err := p.open(ctx); err != nil {
			return nil, err
		}
		supported.Schemas = p.desc.Blank // others have schemas of their own
		_, supported.KnownAssets = p.dst.(transfer.AssetKnower)
		p.agreed = protocol.Negotiate(params.Extensions, supported)
	}
	p.sess.seal(p.agreed)
	p.flow.TransferID, p.flow.Schemas = p.id, p.agreed.Schemas
	p.sess.log.InfoContext(ctx, "push began", slog.String(keyTransfer, p.id))
	return protocol.InitResult{TransferID: p.id, Checksums: true, AssetEncoding: params.AssetEncoding, Extensions: p.agreed}.Append(nil)
}

// open opens the site's destination.
func (p *push) open(ctx context.Context) error {
	if p.dst != nil {
		return nil
	}
	if err := p.strategy(); err != nil {
		return err
	}
	dst, err := p.destination(ctx)
	if err != nil {
		return err
	}
	p.dst = dst
	p.desc, err = dst.Describe(ctx)
	return err
}

// destination opens the site for the strategy of the push.
func (p *push) destination(ctx context.Context) (transfer.Destination, error) {
	if site, ok := p.sess.place.Site.(MergeSite); ok && p.merges() {
		return site.Merge(ctx, p.sess.who, p.init.Options.Conflict)
	}
	return p.sess.place.Destination(ctx, p.sess.who)
}

// merges reports whether the push is to keep what only the site has.
func (p *push) merges() bool {
	return p.init.Options != nil && p.init.Options.Strategy == protocol.StrategyMerge
}

// strategy refuses a strategy that has not been agreed on, in Strapi's words.
func (p *push) strategy() error {
	valid := []string{protocol.StrategyRestore}
	if p.agreed.Merge {
		valid = append(valid, protocol.StrategyMerge)
	}
	if p.init.Options == nil || slices.Contains(valid, p.init.Options.Strategy) {
		return nil
	}
	name := clip(p.init.Options.Strategy)
	details, err := json.Marshal(map[string]any{"check": "strategy", "strategy": name, "validStrategies": valid})
	if err != nil {
		return fmt.Errorf("write the error's details: %w", err)
	}
	return &protocol.Error{
		Message: "Invalid strategy " + name,
		Details: protocol.ErrorDetails{Step: protocol.StepValidation, Details: details},
	}
}

// action carries out an action whose place in the order has been checked.
func (p *push) action(ctx context.Context, action protocol.Action) (json.RawMessage, error) {
	switch action {
	case protocol.ActionBootstrap:
		return nil, p.open(ctx)
	case protocol.ActionGetMetadata:
		return p.metadata()
	case protocol.ActionGetSchemas:
		return p.schemaMap()
	case protocol.ActionBeforeTransfer:
		return nil, p.before(ctx)
	case protocol.ActionRollback:
		p.discard(ctx, errRolledBack)
		return nil, nil
	case protocol.ActionClose:
		return nil, p.commit(ctx)
	default:
		return nil, nil
	}
}

var errRolledBack = errors.New("the client asked for a rollback")

// metadata answers getMetadata. A destination that takes any version says none, or else stock clients of another would refuse it.
func (p *push) metadata() (json.RawMessage, error) {
	if p.desc.Blank {
		return nil, nil
	}
	return metadata(p.desc)
}

func metadata(d transfer.Description) (json.RawMessage, error) {
	if d.Version == "" {
		return nil, nil
	}
	at := d.CreatedAt
	if at.IsZero() {
		at = time.Now()
	}
	return protocol.Metadata{CreatedAt: stamp(at), Strapi: protocol.StrapiMetadata{Version: d.Version}}.Append(nil)
}

// schemaMap answers getSchemas. A destination that takes any schema has none to compare with: a stock client drops what does not fit the
// answer, and of what was pushed before that would be the content types that are new. One of ours is told, and drops nothing.
func (p *push) schemaMap() (json.RawMessage, error) {
	if p.schemas == nil {
		known := p.desc.Schemas
		if p.desc.Blank && !p.agreed.Schemas {
			known = nil
		}
		p.schemas = schemaMap(known)
	}
	return p.schemas, nil
}

// schemaMap is the answer to getSchemas: null where nothing is known, which turns the client's comparison off. An empty object would
// make it send nothing.
func schemaMap(schemas transfer.Schemas) json.RawMessage {
	if len(schemas) == 0 {
		return json.RawMessage("null")
	}
	out := []byte{'{'}
	for i, uid := range slices.Sorted(maps.Keys(schemas)) {
		if i > 0 {
			out = append(out, ',')
		}
		name, err := json.Marshal(uid)
		if err != nil { // a string always can be
			continue
		}
		out = append(append(out, name...), ':')
		out = schemas[uid].AppendJSON(out)
	}
	return append(out, '}')
}

// before answers beforeTransfer. Its errors must be without details, or the stock client ends with an exception of its own.
func (p *push) before(ctx context.Context) error {
	err := p.begin(ctx)
	if err == nil || refusal(err) != nil {
		return err
	}
	return &protocol.Error{Message: "restore failed " + p.sess.wire(ctx, protocol.Request{Type: protocol.TypeTransfer, UUID: p.id}, err).Message}
}

// begin makes the destination ready, once, and keeps other writers out.
func (p *push) begin(ctx context.Context) error {
	if p.begun {
		return nil
	}
	if p.dst == nil {
		return errNotReady
	}
	release, err := p.sess.place.take(p.sess.who)
	if err != nil {
		return err
	}
	p.release = release
	if err := p.sess.claim(ctx); err != nil {
		p.discard(ctx, err)
		return err
	}
	p.plan = p.makePlan()
	p.job = p.sess.beginJob(ctx, p.plan.Source.Version)
	p.policy = newPolicy(p.desc)
	p.listen(ctx)
	if _, err := p.dst.Begin(ctx, p.plan); err != nil {
		p.discard(ctx, err)
		return err
	}
	p.begun = true
	return nil
}

// errNotReady is the answer to a step that needs bootstrap.
var errNotReady = &protocol.Error{Message: "Strapi instance not found"}

// commit makes what was pushed the site's content. A second close, or one after a rollback, changes nothing.
func (p *push) commit(ctx context.Context) error {
	if p.dst == nil || p.done {
		return nil
	}
	if !p.begun {
		p.discard(ctx, nil)
		return nil
	}
	if p.failure != nil {
		err := fmt.Errorf("%w: nothing was committed, because the transfer failed before: %s", transfer.ErrDamaged,
			p.sess.wire(ctx, protocol.Request{Type: protocol.TypeTransfer, UUID: p.id}, p.failure).Message)
		p.discard(ctx, p.failure)
		return err
	}
	// From here on the client's going away changes nothing any more.
	ctx = context.WithoutCancel(ctx)
	err := p.complete(ctx, len(p.plan.Stages))
	if err == nil {
		err = p.dst.Commit(ctx)
	}
	if err != nil {
		p.discard(ctx, err)
		return err
	}
	p.done = true
	p.remark(ctx)
	p.endJob(nil)
	p.sess.server.metrics.transfers.WithLabelValues(string(protocol.Push), "committed").Inc()
	p.sess.log.InfoContext(ctx, "push committed", slog.String(keyTransfer, p.id))
	p.letGo(ctx)
	return nil
}

// remark tells the client what the destination has to say.
func (p *push) remark(ctx context.Context) {
	noter, ok := p.dst.(transfer.Noter)
	if !ok {
		return
	}
	for _, note := range noter.Notes() {
		kind := protocol.DiagnosticInfo
		if note.Level != transfer.NoteInfo {
			kind = protocol.DiagnosticWarning
		}
		if p.sess.tell(ctx, kind, "site", clipLong(note.Message)) != nil {
			return // the client has gone, and the commit stays
		}
	}
}

// discard gives up what was written; the site stays as it was.
func (p *push) discard(ctx context.Context, cause error) {
	if p.begun && !p.done {
		p.sess.server.metrics.transfers.WithLabelValues(string(protocol.Push), "discarded").Inc()
		p.sess.log.InfoContext(ctx, "push discarded", slog.String(keyTransfer, p.id), slog.Any(keyError, cause))
	}
	if p.stage != nil {
		p.stage.abort(cause)
		p.stage = nil
	}
	p.letGo(ctx)
	p.endJob(cause)
}

// letGo closes the destination and lets the next writer in.
func (p *push) letGo(ctx context.Context) {
	if p.dst != nil {
		if err := p.dst.Close(); err != nil {
			p.sess.log.WarnContext(ctx, "close the destination", slog.Any(keyError, err))
		}
		p.dst = nil
	}
	if p.release != nil {
		p.release()
		p.release = nil
	}
	p.begun = false
}

// reset ends the transfer and makes ready for another init.
func (p *push) reset(ctx context.Context, cause error) {
	p.discard(ctx, cause)
	p.compressor.Close()
	p.running.Store(false)
	p.pushState = pushState{}
	p.flow = protocol.Flow{Rules: protocol.RulesServer, Direction: protocol.Push}
}

// forsake implements [conversation].
func (p *push) forsake(ctx context.Context, cause error) {
	p.discard(ctx, cause)
	p.compressor.Close()
	p.flow.Terminate()
	p.running.Store(false)
}
