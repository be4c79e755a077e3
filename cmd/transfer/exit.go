package main

import (
	"context"
	"errors"

	"github.com/transfer-runner/runner/transfer"
)

// The exit codes. They are part of the command's contract; exitHelp documents them.
const (
	exitOK           = 0
	exitFailure      = 1
	exitUsage        = 2
	exitAuth         = 3
	exitRefused      = 4
	exitIncompatible = 5
	exitConnection   = 6
	exitStalled      = 7
	exitDamaged      = 8
	exitSkipped      = 9
	exitUnwritable   = 10
	exitUnknown      = 11
	exitInterrupted  = 130
	exitDifferent    = 1 // of diff: both sides were read and are not the same
)

const exitHelp = `Exit codes:
  0    done, everything accounted for
  1    unexpected failure; of diff: the two sides differ
  2    wrong usage
  3    authentication or authorization refused
  4    refused: not confirmed
  5    schemas or versions do not match
  6    connection lost or not possible
  7    stalled or timed out
  8    content is damaged or incomplete: checksum, count, truncated archive, verification difference
  9    done, with skipped items (only when allowed)
  10   the destination could not be written: full, read-only, locked
  11   outcome unknown: the commit was sent and its answer lost
  130  interrupted, destination rolled back`

var (
	// errInterrupted is the cause with which a signal ends the context.
	errInterrupted = errors.New("interrupted")
	// errSkipped ends a transfer that went well but for records that were allowed to be left behind.
	errSkipped = errors.New("done, but some records were skipped")
	// errDifferent ends a comparison of two sides that are not the same.
	errDifferent = errors.New("the two sides differ")
)

// exitCode is the one place where errors become exit codes. What is known of the destination goes before why the transfer ended.
func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, transfer.ErrOutcomeUnknown):
		return exitUnknown
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.Is(err, errSkipped):
		return exitSkipped
	case errors.Is(err, errDifferent):
		return exitDifferent
	case errors.Is(err, transfer.ErrUsage):
		return exitUsage
	case errors.Is(err, transfer.ErrAuth):
		return exitAuth
	case errors.Is(err, transfer.ErrRefused):
		return exitRefused
	case errors.Is(err, transfer.ErrIncompatible):
		return exitIncompatible
	case errors.Is(err, transfer.ErrStalled), errors.Is(err, context.DeadlineExceeded):
		return exitStalled
	case errors.Is(err, transfer.ErrDamaged):
		return exitDamaged
	case errors.Is(err, transfer.ErrUnwritable):
		return exitUnwritable
	case errors.Is(err, transfer.ErrConnection):
		return exitConnection
	}
	return exitFailure
}
