package dispatcher

import (
	"context"
	"errors"
	"fmt"

	"github.com/transfer-runner/runner/protocol"
)

// Why a call or a connection ended, as far as a caller must tell it apart.
var (
	// ErrConnectionLost marks the end of a connection that this side did not ask for: closed, reset, timed out, or no sign of
	// life for Options.HeartbeatTimeout. All calls fail with it.
	ErrConnectionLost = errors.New("connection lost")
	// ErrStalled marks a peer that is there and made no progress for Options.StallTimeout while it had something to do. The
	// connection ends with it.
	ErrStalled = errors.New("no progress")
	// ErrNoAnswer marks a call whose request was sent as often as allowed and never answered. The connection goes on.
	ErrNoAnswer = errors.New("request timed out")
	// ErrClosed marks calls after, or interrupted by, [Dispatcher.Close].
	ErrClosed = errors.New("connection closed")
	// ErrProtocol marks a peer that says what the protocol does not allow. The connection ends with it.
	ErrProtocol = errors.New("peer does not keep to the protocol")
	// ErrTooLarge marks a message, of either side, above the limit.
	ErrTooLarge = errors.New("message too large")
)

// CloseError is a close frame of the peer.
type CloseError struct {
	Code   int    // as in RFC 6455
	Reason string // at most 123 bytes
}

func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("peer closed the connection with code %d", e.Code)
	}
	return fmt.Sprintf("peer closed the connection with code %d: %q", e.Code, e.Reason)
}

// ended returns why ctx ended, so that both the kind of the end and its cause can be found in it.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if err == nil || errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// lost marks the error of a connection, unless it says already what it is.
func lost(doing string, err error) error {
	for _, known := range []error{ErrProtocol, ErrTooLarge, ErrStalled, ErrConnectionLost, protocol.ErrChanged} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %s: %w", ErrConnectionLost, doing, err)
}
