//go:build !linux

package uploads

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// exchange would make each of two folders take the other's name at once. There is no way to do that here.
func exchange(string, string) bool { return false }

// syncTree makes a folder and all in it durable.
func syncTree(folder *os.File) error {
	return filepath.WalkDir(folder.Name(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && runtime.GOOS == "windows" {
			return err
		}
		mode := os.O_RDWR
		if entry.IsDir() {
			mode = os.O_RDONLY
		}
		file, err := os.OpenFile(path, mode, 0)
		if err != nil {
			return err
		}
		return errors.Join(file.Sync(), file.Close())
	})
}
