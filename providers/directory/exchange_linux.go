package directory

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// exchange makes each of two folders take the other's name, at once where the file system can.
func exchange(fresh, place string) error {
	err := unix.Renameat2(unix.AT_FDCWD, fresh, unix.AT_FDCWD, place, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return exchangeInSteps(fresh, place)
	}
	if err != nil {
		return fmt.Errorf("exchange %s: %w", place, err)
	}
	return nil
}

// syncTree makes a folder and all in it durable: one call for the file system is much faster than one for each file.
func syncTree(dir string) error {
	folder, err := os.Open(dir) //nolint:gosec // the folder that the user named
	if err != nil {
		return err
	}
	if err := unix.Syncfs(int(folder.Fd())); err != nil {
		err = fmt.Errorf("sync %s: %w", dir, err)
		return errors.Join(err, folder.Close())
	}
	return folder.Close()
}
