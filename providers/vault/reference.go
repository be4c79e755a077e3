package vault

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// Latest names the newest snapshot of a site.
const Latest = "latest"

const (
	maxSiteName     = 64
	maxSnapshotName = 32
)

// Reference names a snapshot: SITE, which means the newest one, or SITE@SNAPSHOT, where SNAPSHOT is the beginning of an id.
type Reference struct {
	Site     string
	Snapshot string // "" and [Latest] are the newest
}

// ParseReference reads a reference. Errors wrap [transfer.ErrUsage].
func ParseReference(text string) (Reference, error) {
	site, snapshot, found := strings.Cut(text, "@")
	r := Reference{Site: site, Snapshot: snapshot}
	if err := checkSite(site); err != nil {
		return r, err
	}
	if found && snapshot == "" {
		return r, fmt.Errorf("%w: %q names no snapshot after the @", transfer.ErrUsage, text)
	}
	return r, checkSnapshot(snapshot)
}

// String returns what [ParseReference] reads.
func (r Reference) String() string {
	if r.Snapshot == "" {
		return r.Site
	}
	return r.Site + "@" + r.Snapshot
}

// checkSite keeps site names to what is safe in file names and addresses.
func checkSite(name string) error {
	if name == "" || len(name) > maxSiteName {
		return fmt.Errorf("%w: a site's name has 1 to %d characters", transfer.ErrUsage, maxSiteName)
	}
	for i, r := range name {
		if !isAlphanumeric(r) && (i == 0 || !strings.ContainsRune("._-", r)) {
			return fmt.Errorf("%w: the site name %q: only letters, digits, dots, dashes and underscores, the first a letter or digit",
				transfer.ErrUsage, name)
		}
	}
	return nil
}

func checkSnapshot(name string) error {
	if len(name) > maxSnapshotName || strings.ContainsFunc(name, func(r rune) bool { return !isAlphanumeric(r) && r != '-' }) {
		return fmt.Errorf("%w: %q is no snapshot: give the beginning of an id such as 20261121-0930, or %s", transfer.ErrUsage, name, Latest)
	}
	return nil
}

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// idDigits sort as they stand, and leave out what is easily taken for something else.
const idDigits = "0123456789abcdefghjkmnpqrstvwxyz"

// newID returns the id of a snapshot: the time to the millisecond, in UTC, so that ids sort and the beginning of one is a day or
// an hour, and three characters of chance.
func newID(now time.Time) string {
	now = now.UTC()
	ms := now.Nanosecond() / int(time.Millisecond)
	chance := make([]byte, 3)
	_, _ = rand.Read(chance) // never fails
	id := []byte(now.Format("20060102-150405-"))
	id = append(id, idDigits[ms>>5], idDigits[ms&31])
	for _, b := range chance {
		id = append(id, idDigits[b&31])
	}
	return string(id)
}
