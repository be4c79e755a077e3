package vault

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncAll writes out the file system that a folder is on. One call costs less than one for each file; each file is asked for its own
// errors afterwards all the same, which is cheap once it is written.
func syncAll(folder *os.File) error {
	return unix.Syncfs(int(folder.Fd()))
}
