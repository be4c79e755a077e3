package jobs

import (
	"context"
	"errors"

	"github.com/transfer-runner/runner/transfer"
)

var (
	// ErrNotFound marks a job or a schedule that is not there.
	ErrNotFound = errors.New("no such job")
	// ErrLost marks a job that another server has taken over.
	ErrLost = errors.New("another server has taken over the job")
	// ErrCancelled is the cause with which a job's context ends when a cancel reaches it.
	ErrCancelled = errors.New("the job was cancelled")
	// ErrStopping is the cause when the server stops.
	ErrStopping = errors.New("the server is shutting down")
	// ErrSlow is why a subscriber that does not keep up is dropped.
	ErrSlow = errors.New("too slow: more events waited than may")
	// ErrClosed is why a subscription ends when the feed does.
	ErrClosed = errors.New("the feed is closed")
	// ErrEnded marks a cancel of a job that has ended.
	ErrEnded = errors.New("the job has ended")
	// ErrTransient can be wrapped by an error of a runner that may pass, so that the job is tried again.
	ErrTransient = errors.New("may pass")
)

// CodeOf is a word for an error that programs can tell apart.
func CodeOf(err error) string {
	for _, c := range []struct {
		err  error
		code string
	}{
		{ErrCancelled, "cancelled"},
		{ErrLost, "lost"},
		{ErrStopping, "interrupted"},
		{transfer.ErrOutcomeUnknown, "outcome_unknown"},
		{transfer.ErrUsage, "usage"},
		{transfer.ErrAuth, "auth"},
		{transfer.ErrRefused, "refused"},
		{transfer.ErrIncompatible, "incompatible"},
		{transfer.ErrStalled, "stalled"},
		{transfer.ErrDamaged, "damaged"},
		{transfer.ErrUnwritable, "unwritable"},
		{transfer.ErrConnection, "connection"},
		{ErrTransient, "busy"},
		{context.DeadlineExceeded, "timeout"},
	} {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return "internal"
}

// transient reports whether a failure may pass by itself. What is known to stay, such as a token that is refused over a connection
// that was made, does not.
func transient(err error) bool {
	for _, lasting := range []error{
		ErrCancelled, ErrLost, ErrStopping, transfer.ErrOutcomeUnknown, transfer.ErrUsage, transfer.ErrAuth, transfer.ErrRefused,
		transfer.ErrIncompatible, transfer.ErrDamaged, transfer.ErrUnwritable,
	} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	return errors.Is(err, transfer.ErrConnection) || errors.Is(err, transfer.ErrStalled) || errors.Is(err, ErrTransient)
}
