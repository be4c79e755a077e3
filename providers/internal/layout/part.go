package layout

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

const partSuffix = ".part"

// A Part is the file or folder that an export is written to, beside the place that it takes in the end. It is locked for as long as
// somebody works on it, so that one that was left behind by a process that is gone can be told from one that is being written.
type Part struct {
	path string
	lock *os.File // nil where the system has no such locks
}

// NewPartFile makes the part for a file, and removes what former writers of the same file have left behind.
func NewPartFile(target string) (*Part, *os.File, error) {
	sweepParts(target, func(info os.FileInfo) bool { return info.Mode().IsRegular() })
	var file *os.File
	part, err := newPart(func() (string, error) {
		if file != nil {
			_ = file.Close() // of the attempt before
		}
		var err error
		if file, err = os.CreateTemp(filepath.Dir(target), partPattern(target)); err != nil {
			return "", err
		}
		return file.Name(), nil
	})
	if err != nil && file != nil {
		err = errors.Join(err, file.Close())
	}
	return part, file, err
}

// NewPartFolder makes the part for a folder, and removes what former writers of the same folder have left behind.
func NewPartFolder(target string) (*Part, error) {
	sweepParts(target, os.FileInfo.IsDir)
	return newPart(func() (string, error) { return os.MkdirTemp(filepath.Dir(target), partPattern(target)) })
}

// Path is where the part is until it takes its place.
func (p *Part) Path() string { return p.path }

// Release lets go of the part, wherever it is by now.
func (p *Part) Release() error {
	if p == nil || p.lock == nil {
		return nil
	}
	err := p.lock.Close()
	p.lock = nil
	return err
}

func partPattern(target string) string { return "." + filepath.Base(target) + ".*" + partSuffix }

// attempts is how often a part is made anew because somebody has swept it away before it was locked.
const attempts = 10

func newPart(create func() (string, error)) (*Part, error) {
	var last error
	for range attempts {
		path, err := create()
		if err != nil {
			return nil, err
		}
		lock, err := lockPart(path)
		if err == nil && (lock == nil || still(path, lock)) {
			return &Part{path: path, lock: lock}, nil
		}
		// A sweep was faster. Its own lock, or the missing name, is no error but a reason to begin again.
		if lock != nil {
			_ = lock.Close()
		}
		_ = os.RemoveAll(path)
		last = err
	}
	return nil, errors.Join(errors.New("somebody removes what is written beside the target"), last)
}

// still reports whether a locked part has its name.
func still(path string, lock *os.File) bool {
	named, err := os.Lstat(path)
	if err != nil {
		return false
	}
	locked, err := lock.Stat()
	return err == nil && os.SameFile(named, locked)
}

// sweepParts removes the parts of a target that nobody works on. What cannot be removed stays: it is only in the way.
func sweepParts(target string, is func(os.FileInfo) bool) {
	folder := filepath.Dir(target)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if !isPart(e.Name(), target) || err != nil || !is(info) {
			continue
		}
		path := filepath.Join(folder, e.Name())
		lock, err := lockPart(path)
		if err != nil || lock == nil {
			continue // somebody works on it, or nobody can tell
		}
		if still(path, lock) {
			_ = os.RemoveAll(path)
		}
		_ = lock.Close()
	}
}

// isPart reports whether a name was made from a target's by partPattern, where digits stand for the star.
func isPart(name, target string) bool {
	before, after, _ := strings.Cut(partPattern(target), "*")
	rest, begins := strings.CutPrefix(name, before)
	digits, ends := strings.CutSuffix(rest, after)
	return begins && ends && digits != "" && strings.Trim(digits, "0123456789") == ""
}
