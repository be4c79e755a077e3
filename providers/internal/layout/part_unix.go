//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package layout

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// errWorkedOn marks a part that somebody has locked.
var errWorkedOn = errors.New("somebody is writing it")

// lockPart locks a file or folder until the result is closed or the process ends, however that comes about. It does not wait.
func lockPart(path string) (*os.File, error) {
	file, err := os.Open(path) //nolint:gosec // one of our own
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err == nil:
		return file, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		err = errWorkedOn
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOLCK):
		return nil, file.Close() // a file system without locks
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
}
