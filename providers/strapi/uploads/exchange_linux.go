package uploads

import (
	"os"

	"golang.org/x/sys/unix"
)

// exchange makes each of two folders take the other's name at once. It returns false, and has done nothing, where that cannot be.
func exchange(a, b string) bool {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) == nil
}

// syncTree makes all of the file system that folder is on durable: one call is much faster than one for each file.
func syncTree(folder *os.File) error { return unix.Syncfs(int(folder.Fd())) }
