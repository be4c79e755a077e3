package strapi

import (
	"fmt"

	"github.com/transfer-runner/runner/transfer"
)

// WriteOptions steer a [Destination]. The zero value replaces what is there, as Strapi's restore does.
type WriteOptions struct {
	// Merge keeps what only the destination has, and writes only what differs. Rows are the same if their type, document, locale
	// and status are.
	Merge bool
	// Conflict says which side wins where both have a row and they differ; with Merge alone. "" is [ConflictSource].
	Conflict Conflict
}

// Conflict says what becomes of a row that both sides have, in different forms.
type Conflict string

// The ways out of a conflict.
const (
	ConflictSource      Conflict = "source"      // the source's row is written
	ConflictDestination Conflict = "destination" // the destination's row stays
	ConflictNewer       Conflict = "newer"       // the one that was updated last; the source's if both were at once
	ConflictFail        Conflict = "fail"        // the transfer fails, and nothing changes
)

// ParseConflict returns the way out called name.
func ParseConflict(name string) (Conflict, error) {
	switch c := Conflict(name); c {
	case "":
		return ConflictSource, nil
	case ConflictSource, ConflictDestination, ConflictNewer, ConflictFail:
		return c, nil
	}
	return "", fmt.Errorf("%w: unknown way out of a conflict %q: one of source, destination, newer, fail", transfer.ErrUsage, name)
}
