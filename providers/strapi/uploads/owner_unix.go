//go:build unix

package uploads

import (
	"io/fs"
	"os"
	"syscall"
)

// owner is whose the folder of the files is. New files become theirs too, where this process may do that: Strapi often runs as
// another user than who moves content.
type owner struct {
	uid, gid int
	known    bool
}

func ownerOf(info fs.FileInfo) owner {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return owner{}
	}
	return owner{int(stat.Uid), int(stat.Gid), true}
}

func (o owner) give(path string) {
	if o.known {
		_ = os.Lchown(path, o.uid, o.gid)
	}
}

func (o owner) giveFile(file *os.File) {
	if o.known {
		_ = file.Chown(o.uid, o.gid)
	}
}
