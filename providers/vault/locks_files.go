package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/transfer-runner/runner/providers/internal/layout"
)

// lockPoll is how often a lock is asked for again that a sweep holds: sweeps are short.
const lockPoll = 20 * time.Millisecond

// maxHolder bounds what is read of who holds a lock.
const maxHolder = 4 << 10

const holderSuffix = ".holder"

// fileLocks are locked files in a folder: those of one machine.
type fileLocks struct {
	dir   string
	index *index
	now   func() time.Time
}

// fileHolding is the lock of a vault, and of a site.
type fileHolding struct {
	x    *index
	lock *flock.Flock
	site *flock.Flock // nil without
	note string       // the file that says who holds the site; beside the lock, because a locked file cannot be read everywhere
}

func (l *fileLocks) open(name string) *flock.Flock {
	return flock.New(filepath.Join(l.dir, name), flock.SetPermissions(fileMode))
}

// share implements [locks].
func (l *fileLocks) share(ctx context.Context) (holding, error) {
	lock := l.open("vault.lock")
	if _, err := lock.TryRLockContext(ctx, lockPoll); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, errors.Join(fmt.Errorf("lock vault: %w", err), lock.Close())
	}
	return &fileHolding{x: l.index, lock: lock}, nil
}

// alone implements [locks].
func (l *fileLocks) alone(context.Context) (holding, error) {
	lock := l.open("vault.lock")
	ok, err := lock.TryLock()
	if err != nil {
		return nil, errors.Join(layout.Unwritable(fmt.Errorf("lock vault: %w", err)), lock.Close())
	}
	if !ok {
		return nil, lock.Close()
	}
	return &fileHolding{x: l.index, lock: lock}, nil
}

// site implements [locks].
func (l *fileLocks) site(_ context.Context, share holding, site, who string) error {
	h, ok := share.(*fileHolding)
	if !ok {
		return errors.New("lock site: not a share of this vault")
	}
	lock, note := l.open("site."+site+".lock"), filepath.Join(l.dir, "site."+site+holderSuffix)
	ok, err := lock.TryLock()
	if err != nil {
		return errors.Join(layout.Unwritable(fmt.Errorf("lock site %s: %w", site, err)), lock.Close())
	}
	if !ok {
		return errors.Join(&BusyError{Site: site, Holder: readHolder(note)}, lock.Close())
	}
	text, err := json.Marshal(Holder{Who: who, PID: os.Getpid(), Since: l.now().UTC().Truncate(time.Second)})
	if err == nil {
		err = os.WriteFile(note, text, fileMode)
	}
	if err != nil {
		return errors.Join(layout.Unwritable(fmt.Errorf("lock site %s: %w", site, err)), lock.Close())
	}
	h.site, h.note = lock, note
	return nil
}

// tidy implements [locks].
func (l *fileLocks) tidy(context.Context) error {
	left, err := os.ReadDir(l.dir)
	for _, entry := range left {
		if strings.HasSuffix(entry.Name(), holderSuffix) {
			err = errors.Join(err, os.Remove(filepath.Join(l.dir, entry.Name())))
		}
	}
	return err
}

// close implements [locks].
func (*fileLocks) close() error { return nil }

// change implements [holding]: a process does not lose its locks.
func (h *fileHolding) change(ctx context.Context, run func(tx *indexTx) error) error {
	return h.x.change(ctx, run)
}

// Close implements [holding].
func (h *fileHolding) Close() error {
	var err error
	if h.site != nil {
		if err = os.Remove(h.note); errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		err = errors.Join(err, h.site.Close())
	}
	return errors.Join(err, h.lock.Close())
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
