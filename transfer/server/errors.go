package server

import (
	"context"
	"errors"
	"log/slog"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer"
)

// wire is the one place where errors become what a client is told. What is not known to be fit for a stranger goes to the log, under
// the id of the request.
func (s *session) wire(ctx context.Context, r protocol.Request, err error) *protocol.Error {
	if said, ok := errors.AsType[*protocol.Error](err); ok {
		s.log.DebugContext(ctx, "request refused", slog.String(keyRequest, received(r)), slog.Any(keyError, err))
		return said
	}
	if refused := refusal(err); refused != nil {
		s.log.InfoContext(ctx, "token refused", slog.Any(keyError, err))
		return refused
	}
	s.log.WarnContext(ctx, "request failed", slog.String(keyRequest, received(r)), slog.Any(keyError, err))
	return &protocol.Error{Message: safeText(r, err)}
}

// safeText is the text of an error that a client may see: of what is wrong with its content or its order, all; of what is wrong at the
// server, that it is.
func safeText(r protocol.Request, err error) string {
	for _, own := range []error{
		transfer.ErrUsage, transfer.ErrIncompatible, transfer.ErrDamaged, protocol.ErrMalformed, protocol.ErrInvalidChunk, ErrBusy, ErrReadOnly, ErrEmpty,
		errPanic, errShutdown,
	} {
		if errors.Is(err, own) {
			return clipLong(err.Error())
		}
	}
	switch {
	case errors.Is(err, transfer.ErrOutcomeUnknown):
		return transfer.ErrOutcomeUnknown.Error() + "; the server's log tells more, under " + clip(r.UUID)
	case errors.Is(err, transfer.ErrUnwritable):
		return transfer.ErrUnwritable.Error() + ": permission denied or no space left at the server; its log tells more, under " + clip(r.UUID)
	default:
		return "the server could not do that; its log tells why, under " + clip(r.UUID)
	}
}

// maxErrorText bounds what a client is told of an error, in bytes.
const maxErrorText = 2 << 10

func clipLong(text string) string {
	if len(text) > maxErrorText {
		return text[:maxErrorText] + "…"
	}
	return text
}

// codeOf sorts errors into the few kinds that metrics tell apart.
func codeOf(err error) string {
	var said *protocol.Error
	switch {
	case errors.Is(err, token.ErrExpired):
		return "expired"
	case refusal(err) != nil:
		return "unauthorized"
	case errors.Is(err, ErrBusy):
		return "busy"
	case errors.Is(err, transfer.ErrDamaged), errors.Is(err, protocol.ErrMalformed):
		return "damaged"
	case errors.Is(err, transfer.ErrUnwritable):
		return "unwritable"
	case errors.As(err, &said), errors.Is(err, ErrReadOnly), errors.Is(err, ErrEmpty), errors.Is(err, transfer.ErrUsage):
		return "refused"
	default:
		return "internal"
	}
}
