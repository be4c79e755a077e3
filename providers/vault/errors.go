package vault

import (
	"errors"
	"fmt"

	"github.com/transfer-runner/runner/transfer"
)

var (
	// ErrBusy is wrapped by the error that a second writer of a site gets. Its text says who the first is.
	ErrBusy = errors.New("another transfer is writing this site")

	// ErrNoSnapshot is wrapped by the error for a snapshot that is not there, or of a site that has none.
	ErrNoSnapshot = errors.New("no such snapshot")
)

// BusyError says who is writing a site that somebody else wants to write. It wraps [ErrBusy] and [transfer.ErrUnwritable].
type BusyError struct {
	Site   string
	Holder Holder
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%v: %v: %s is being written by %s", transfer.ErrUnwritable, ErrBusy, e.Site, e.Holder)
}

// Unwrap returns the sentinels.
func (e *BusyError) Unwrap() []error { return []error{transfer.ErrUnwritable, ErrBusy} }
