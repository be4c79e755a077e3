package remote

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

var (
	_ transfer.Destination = (*Destination)(nil)
	_ transfer.Accountant  = (*Destination)(nil)
	_ transfer.Stater      = (*Destination)(nil)
	_ transfer.Noter       = (*Destination)(nil)
)

// typeFile is the content type of an uploaded file's row.
const typeFile = "plugin::upload.file"

// phase is how far a push has come.
type phase int

// The phases. A push only goes forward.
const (
	phaseIdle       phase = iota // nothing at the server depends on us
	phaseOpen                    // a transaction is open, and nothing has been changed in it
	phasePreparing               // beforeTransfer has been sent and not answered
	phaseWriting                 // the old content is gone, inside the transaction
	phaseCommitting              // close has been sent and not answered
	phaseCommitted
	phaseClosed // without commit
)

// Destination pushes to a runner. What a server does to its rows it does in a transaction; what it does to uploaded files it
// cannot take back.
type Destination struct {
	base  string
	opts  Options
	diary *diary

	desc    *transfer.Description
	sess    *session // of the push
	plan    transfer.Plan
	phase   phase
	step    *step // the stage that is being written
	failure error // the first failure of the push; nothing is written after it
	final   bool  // the server has given up the transfer: there is nobody left to roll back for us
	ours    bool  // the server discards files with everything else
	swapped bool  // the old files are deleted at the server
	warned  bool  // that files are not restored
	passed  int   // number of stages, in transfer order, that are over
	state   transfer.State
	outcome transfer.Outcome
}

// NewDestination returns a destination for the runner whose admin API is at base, such as https://host/admin.
func NewDestination(base string, opts Options) *Destination {
	opts = opts.withDefaults()
	return &Destination{
		base: base, opts: opts, diary: &diary{log: opts.Logger}, state: transfer.StateUntouched,
		outcome: transfer.Outcome{Acknowledged: make(map[transfer.Stage]int64), Stored: make(map[transfer.Stage]int64)},
	}
}

// Name is the runner's address without user name, password and query.
func (d *Destination) Name() string { return protocol.RedactURL(d.base) }

// Describe implements [transfer.Destination]. The server is asked once, over a connection of its own: what a push replaces must be
// said when it is initialised, and is not known before the server has been described.
//
// A server opens a database transaction as soon as it is asked anything. So that it does not stay open while a user thinks, which
// on SQLite blocks the whole site, the transfer is closed at once: committed with nothing in it, the one way to end that no version
// of Strapi gets stuck in.
func (d *Destination) Describe(ctx context.Context) (transfer.Description, error) {
	if d.desc != nil {
		return *d.desc, nil
	}
	blank := transfer.Description{Kind: kind, Name: d.Name()}
	sess, err := open(ctx, d.base, protocol.Push, d.initParams(transfer.Restore{Include: []string{}}), d.opts, d.diary)
	if err != nil {
		return blank, err
	}
	desc, err := sess.describe(ctx)
	if final(err) {
		sess.leave(ctx)
		return blank, err
	}
	if goodbye := sess.conclude(); err == nil && goodbye != nil { //nolint:contextcheck // taking leave has its own clock: ctx may have ended
		// The transaction may still be open there. The server should not be sent a second one.
		err = goodbye
	}
	if err != nil {
		return blank, err
	}
	desc.FilesNeedRows = !sess.ours()
	d.desc = &desc
	return desc, nil
}

// initParams are the params of init for what is to be replaced.
func (d *Destination) initParams(restore transfer.Restore) protocol.InitParams {
	strategy, offer := protocol.StrategyRestore, d.opts.Offer
	if d.opts.Merge {
		strategy, offer.Merge = protocol.StrategyMerge, true
	}
	return protocol.InitParams{
		Options: &protocol.InitOptions{
			Strategy: strategy,
			Conflict: d.opts.Conflict,
			Restore: &protocol.Restore{
				Entities:      &protocol.RestoreEntities{Exclude: restore.Exclude, Include: restore.Include},
				Assets:        restore.Assets,
				Configuration: &protocol.RestoreConfiguration{Webhook: restore.Configuration, CoreStore: restore.Configuration},
			},
		},
		Transfer:      protocol.Push,
		Checksums:     d.opts.Checksums == ChecksumsOn,
		AssetEncoding: protocol.AssetEncodingBase64,
		Extensions:    offer,
	}
}

// sourceMetadata tells a server of ours, which keeps what comes, where it comes from.
func (d *Destination) sourceMetadata(source transfer.Description) *protocol.Metadata {
	if !d.opts.Offer.Schemas || source.Version == "" {
		return nil
	}
	m := &protocol.Metadata{Strapi: protocol.StrapiMetadata{Version: source.Version}}
	if !source.CreatedAt.IsZero() {
		m.CreatedAt = source.CreatedAt.UTC().Format(time.RFC3339Nano)
	}
	return m
}

// Begin implements [transfer.Destination]. From here on uploaded files that are being replaced may be gone. A push always starts
// anew.
func (d *Destination) Begin(ctx context.Context, plan transfer.Plan) (map[transfer.Stage]transfer.Cursor, error) {
	if d.phase != phaseIdle {
		return nil, fmt.Errorf("%w: a push to %s begins only once", transfer.ErrUsage, d.Name())
	}
	if plan.Has(transfer.StageAssets) && !sendsFileRows(plan) {
		return nil, fmt.Errorf("%w: a server takes files only together with the rows of its media library, and would delete its own "+
			"files before it refuses; push content too, or leave the files out", transfer.ErrUsage)
	}
	before := d.desc
	params := d.initParams(plan.Restore)
	params.Source = d.sourceMetadata(plan.Source)
	sess, err := open(ctx, d.base, protocol.Push, params, d.opts, d.diary)
	if err != nil {
		return nil, err
	}
	d.sess, d.plan, d.phase, d.ours = sess, plan, phaseOpen, sess.ours()
	desc, err := sess.describe(ctx)
	if err != nil {
		return nil, d.fail(err)
	}
	d.desc = &desc
	if err := unchanged(before, desc); err != nil {
		return nil, d.fail(err)
	}
	d.phase = phasePreparing
	_, err = sess.call(ctx, "beforeTransfer", actionRequest(protocol.ActionBeforeTransfer), d.opts.patient(d.opts.PrepareTimeout))
	if err != nil {
		switch {
		case answered(err) && d.ours: // it has not begun, because another one writes, for example
			d.phase, d.final = phaseOpen, true
		case answered(err):
			d.phase = phaseWriting
		}
		return nil, d.fail(err)
	}
	d.phase = phaseWriting
	return nil, nil
}

// sendsFileRows reports whether the rows that files belong to are part of the plan. Servers find the row of a file by the id that it
// had at the source, which they learn only in the same transfer.
func sendsFileRows(plan transfer.Plan) bool {
	r := plan.Restore
	return plan.Has(transfer.StageEntities) && (r.Include == nil || slices.Contains(r.Include, typeFile)) && !slices.Contains(r.Exclude, typeFile)
}

// unchanged makes sure that the server is still what was compared with the source and shown to the user.
func unchanged(before *transfer.Description, now transfer.Description) error {
	if before == nil {
		return nil
	}
	if before.Version != now.Version {
		return fmt.Errorf("%w: the server's version went from %s to %s since it was compared; start again", transfer.ErrIncompatible, before.Version, now.Version)
	}
	if len(before.Schemas) != len(now.Schemas) {
		return fmt.Errorf("%w: the server's content types have changed since they were compared; start again", transfer.ErrIncompatible)
	}
	for uid, schema := range before.Schemas {
		if string(schema.AppendJSON(nil)) != string(now.Schemas[uid].AppendJSON(nil)) {
			return fmt.Errorf("%w: the server's content type %s has changed since it was compared; start again", transfer.ErrIncompatible, uid)
		}
	}
	return nil
}

// Notes implements [transfer.Noter].
func (d *Destination) Notes() []transfer.Note { return d.diary.take() }
