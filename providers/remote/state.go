package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// fail notes the first failure of a push and what it means for how the push ends.
func (d *Destination) fail(err error) error {
	if err == nil || d.failure != nil {
		return err
	}
	d.failure = err
	if d.phase == phasePreparing || d.phase == phaseWriting {
		d.warnFiles()
	}
	if answer, ok := errors.AsType[*protocol.Error](err); ok {
		// A server that has given up, or does not know us any more, takes no rollback: it rolls back when the connection ends.
		d.final = d.final || final(answer) || d.terminal()
	}
	return err
}

// final reports whether a server takes nothing more after this error.
func final(err error) bool {
	return errors.Is(err, protocol.ErrTerminated) || errors.Is(err, protocol.ErrUnauthorized)
}

// terminal reports whether an error of the stage that is being written makes a server give up: since 5.53 a refused entity or link
// does, and rolls back at once. What to do about earlier servers does not depend on it: they roll back when the connection ends.
func (d *Destination) terminal() bool {
	return d.step != nil && d.step.refused && (d.step.stage == transfer.StageEntities || d.step.stage == transfer.StageLinks)
}

// answered reports whether err is an answer of the server, so that nothing is under way any more.
func answered(err error) bool {
	var answer *protocol.Error
	return errors.As(err, &answer)
}

// State implements [transfer.Stater]: how the server is left if the push ends now, or was left.
func (d *Destination) State() transfer.State {
	switch d.phase {
	case phaseIdle, phaseOpen:
		return transfer.StateUntouched
	case phasePreparing, phaseWriting:
		return d.undone(d.sess != nil && d.sess.lost() == nil)
	case phaseCommitting:
		return transfer.StateUnknown
	case phaseCommitted:
		return transfer.StateCommitted
	case phaseClosed:
		return d.state
	}
	return transfer.StateUnknown
}

// undone is the state after what was written has been discarded. told says that the server took part in that.
func (d *Destination) undone(told bool) transfer.State {
	switch {
	case d.swapped && !d.ours:
		return transfer.StateNewFiles
	case d.plan.Restore.Assets && !d.ours:
		return transfer.StateFilesGone
	case told:
		return transfer.StateRolledBack
	default:
		return transfer.StateUncertain
	}
}

// Commit implements [transfer.Destination]. Its error wraps [transfer.ErrOutcomeUnknown] when the server was told to commit and the
// answer did not arrive.
func (d *Destination) Commit(ctx context.Context) error {
	switch {
	case d.failure != nil:
		return d.failure
	case d.phase != phaseWriting:
		return fmt.Errorf("%w: nothing to commit to %s", transfer.ErrUsage, d.Name())
	}
	if err := d.sess.lost(); err != nil {
		return d.fail(err)
	}
	if err := context.Cause(ctx); err != nil {
		return d.fail(err)
	}
	d.phase = phaseCommitting
	_, err := d.sess.call(ctx, "close", actionRequest(protocol.ActionClose), d.opts.patient(d.opts.PrepareTimeout))
	switch {
	case answered(err): // refused, so that nothing was committed
		d.phase = phaseWriting
		d.final = true // whether a rollback would be answered now is not certain; the end of the connection does the same
		return d.fail(err)
	case err != nil:
		return d.fail(fmt.Errorf("%w: the commit was sent to %s and its answer did not come: %w; look at the server's content, or "+
			"compare it with the source, before starting again", transfer.ErrOutcomeUnknown, d.Name(), err))
	}
	d.phase = phaseCommitted
	if err := d.sess.end(ctx); err != nil {
		d.diary.note(transfer.NoteInfo, "the transfer is committed, but the server did not take leave: "+err.Error())
	}
	return nil
}

// Close implements [transfer.Destination]. Without a commit the server is asked to roll back, as far as it answers in time, and
// otherwise left to do so when the connection ends.
func (d *Destination) Close() error {
	if d.sess == nil {
		return nil
	}
	sess := d.sess
	d.sess = nil
	ctx, cancel := farewell(d.opts.CloseTimeout)
	defer cancel()
	switch d.phase {
	case phaseCommitted:
		sess.leave(ctx)
	case phaseCommitting:
		sess.drop(ctx)
	case phaseOpen:
		d.phase, d.state = phaseClosed, transfer.StateUntouched
		if d.final {
			sess.leave(ctx)
			return nil
		}
		// Nothing was changed. A transaction that has hardly begun is rolled back by some servers and not by others; committed,
		// with nothing in it, by all.
		if err := sess.conclude(); err != nil {
			d.diary.note(transfer.NoteInfo, "the server did not take leave: "+err.Error())
		}
	case phaseIdle, phasePreparing, phaseWriting, phaseClosed:
		d.warnFiles()
		d.state = d.undone(d.discard(ctx, sess))
		d.phase = phaseClosed
	}
	return nil
}

// discard undoes what was written and ends the session. It reports whether the server is known to have rolled back.
func (d *Destination) discard(ctx context.Context, sess *session) (told bool) {
	switch {
	case sess.lost() != nil, d.phase == phasePreparing:
		// While a server prepares it hears nothing, so that it learns of the end of the connection first.
		sess.drop(ctx)
		return false
	case d.final:
		sess.leave(ctx)
		return d.rolledBack()
	}
	if _, err := sess.action(ctx, protocol.ActionRollback); err != nil {
		d.diary.note(transfer.NoteWarning, "the server did not confirm the rollback: "+err.Error())
		sess.drop(ctx)
		return false
	}
	if err := sess.conclude(); err != nil { //nolint:contextcheck // taking leave has its own clock: ctx may have ended
		d.diary.note(transfer.NoteInfo, "the server rolled back, but did not take leave: "+err.Error())
	}
	return true
}

// rolledBack reports whether the failure itself says that the server has rolled back.
func (d *Destination) rolledBack() bool {
	return d.terminal() && !errors.Is(d.failure, protocol.ErrTokenExpired)
}

// warnFiles tells that uploads are not part of the transaction.
func (d *Destination) warnFiles() {
	if d.warned || d.ours || !d.plan.Restore.Assets {
		return
	}
	d.warned = true
	if d.swapped {
		d.diary.note(transfer.NoteWarning, "the server's uploaded files are the new ones already, and the old ones are deleted: the rollback does not bring them back; push again, or restore the files from a backup")
		return
	}
	where := "a folder " + backupFolder + "… beside public/uploads, if it keeps them on its own disk"
	if name := d.diary.backupName(); name != "" {
		where = "the folder " + name + " beside public/uploads"
	}
	d.diary.note(transfer.NoteWarning, "the server's uploaded files are not restored by the rollback: the old ones are in "+where+
		"; move them back to public/uploads, or push again")
}
