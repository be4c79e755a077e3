package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gofrs/flock"

	"github.com/transfer-runner/runner/providers/internal/layout"
)

// lockPoll is how often a lock is asked for again that a sweep holds: sweeps are short.
const lockPoll = 20 * time.Millisecond

// maxHolder bounds what is read of who holds a lock.
const maxHolder = 4 << 10

// share keeps the pieces of the vault from being removed, until it is closed. Any number of readers and writers share.
func (v *Vault) share(ctx context.Context) (*flock.Flock, error) {
	lock := flock.New(v.path(locksFolder, "vault.lock"), flock.SetPermissions(fileMode))
	if _, err := lock.TryRLockContext(ctx, lockPoll); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, errors.Join(fmt.Errorf("lock vault: %w", err), lock.Close())
	}
	return lock, nil
}

// alone returns the lock that lets nobody else in, nil if somebody is using the vault.
func (v *Vault) alone() (*flock.Flock, error) {
	lock := flock.New(v.path(locksFolder, "vault.lock"), flock.SetPermissions(fileMode))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, errors.Join(layout.Unwritable(fmt.Errorf("lock vault: %w", err)), lock.Close())
	}
	if !ok {
		return nil, lock.Close()
	}
	return lock, nil
}

// Holder says who is writing a site.
type Holder struct {
	Who   string    `json:"who"`
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

func (h Holder) String() string {
	if h.PID == 0 {
		return "somebody"
	}
	who := h.Who
	if who == "" {
		who = "a transfer"
	}
	return fmt.Sprintf("%s (process %d) since %s", who, h.PID, h.Since.Format(time.RFC3339))
}

const holderSuffix = ".holder"

// siteLock is held by the one writer of a site.
type siteLock struct {
	lock *flock.Flock
	note string // the file that says who holds it; beside the lock, because a locked file cannot be read everywhere
}

func (v *Vault) lockSite(site, who string) (*siteLock, error) {
	l := &siteLock{
		lock: flock.New(v.path(locksFolder, "site."+site+".lock"), flock.SetPermissions(fileMode)),
		note: v.path(locksFolder, "site."+site+holderSuffix),
	}
	ok, err := l.lock.TryLock()
	if err != nil {
		return nil, errors.Join(layout.Unwritable(fmt.Errorf("lock site %s: %w", site, err)), l.lock.Close())
	}
	if !ok {
		return nil, errors.Join(&BusyError{Site: site, Holder: readHolder(l.note)}, l.lock.Close())
	}
	text, err := json.Marshal(Holder{Who: who, PID: os.Getpid(), Since: v.opts.Now().UTC().Truncate(time.Second)})
	if err == nil {
		err = os.WriteFile(l.note, text, fileMode)
	}
	if err != nil {
		return nil, errors.Join(layout.Unwritable(fmt.Errorf("lock site %s: %w", site, err)), l.lock.Close())
	}
	return l, nil
}

func (l *siteLock) release() error {
	err := os.Remove(l.note)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, l.lock.Close())
}

// readHolder says who holds a lock, as far as the note can be read: its writer may be about to write it.
func readHolder(path string) Holder {
	var h Holder
	file, err := os.Open(path) //nolint:gosec // one of our own, its name is checked
	if err != nil {
		return h
	}
	text, err := io.ReadAll(io.LimitReader(file, maxHolder))
	if errors.Join(err, file.Close()) != nil || json.Unmarshal(text, &h) != nil {
		return Holder{}
	}
	return h
}
