package layout

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/transfer-runner/runner/transfer"
)

// Unwritable marks an error of the medium that an export is written to.
func Unwritable(err error) error {
	if err == nil || errors.Is(err, transfer.ErrUnwritable) {
		return err
	}
	return fmt.Errorf("%w: %w", transfer.ErrUnwritable, err)
}

// SyncFolder makes a rename in a folder durable. Windows has no such call and needs none.
func SyncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir) //nolint:gosec // the folder of a file that the user named
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return errors.Join(f.Sync(), f.Close())
}
