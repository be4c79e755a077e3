package vault

import "errors"

var (
	// ErrBusy is wrapped by the error that a second writer of a site gets. Its text says who the first is.
	ErrBusy = errors.New("another transfer is writing this site")

	// ErrNoSnapshot is wrapped by the error for a snapshot that is not there, or of a site that has none.
	ErrNoSnapshot = errors.New("no such snapshot")
)
