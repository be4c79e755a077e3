package transfer

import (
	"errors"
	"fmt"
	"strings"
)

// What can go wrong, as far as a caller must tell it apart. Every error of a provider or of the engine that belongs to one of
// these wraps it.
var (
	ErrUsage          = errors.New("wrong usage")
	ErrAuth           = errors.New("authentication or authorization refused")
	ErrRefused        = errors.New("not confirmed")
	ErrIncompatible   = errors.New("source and destination do not match")
	ErrConnection     = errors.New("connection lost or not possible")
	ErrStalled        = errors.New("no progress")
	ErrDamaged        = errors.New("content is damaged or incomplete")
	ErrUnwritable     = errors.New("destination cannot be written")
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// Side is the end of a transfer that an error came from.
type Side string

// The two ends.
const (
	FromSource      Side = "source"
	FromDestination Side = "destination"
)

// Error says where in a transfer something went wrong.
type Error struct {
	Side  Side
	Stage Stage  // "" outside the stages
	Op    string // "describe", "check", "begin", "read", "write", "commit"
	Err   error
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.Side, e.Op)
	if e.Stage != "" {
		fmt.Fprintf(&b, " %s", e.Stage)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }
