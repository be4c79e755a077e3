//go:build !linux

package directory

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/transfer-runner/runner/providers/internal/layout"
)

// exchange makes each of two folders take the other's name.
func exchange(fresh, place string) error { return exchangeInSteps(fresh, place) }

// syncTree makes a folder and all in it durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return layout.SyncFolder(path)
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(file.Sync(), file.Close())
	})
}
