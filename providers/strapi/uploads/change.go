package uploads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	"github.com/google/uuid"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// A change is kept in a folder called .transfer-ID, beside the files' folder where that is possible, in it otherwise:
//
//	files/    what was staged
//	old/      what was moved away, when files are moved one by one
//	moves     names of what is staged, written before the first file is moved
//	removals  names that go when the change is finished
//
// With a change beside it the folder of the files is replaced as a whole: the two folders take each other's name at once, and a file
// called .transfer-ID tells which is which. Where that cannot be, such as at a mount point, files are moved one by one.
const (
	stagedFolder = "files"
	oldFolder    = "old"
	movesFile    = "moves"
	removalsFile = "removals"
	lockName     = reserved + "lock"

	folderMode = 0o755
	fileMode   = 0o644
)

// folderChange implements [Change].
type folderChange struct {
	f       *Folder
	id      string
	dir     string // of the files, links followed
	work    string // .transfer-ID
	beside  bool
	replace bool
	lock    *flock.Flock
	files   *os.Root // work/files
	sync    *os.File // work, open since before the first write, so that it hears of failed ones
	owner   owner
	staged  map[string]struct{}
	removed map[string]struct{}
	applied bool
	closed  bool
}

// Begin implements [Store].
func (f *Folder) Begin(ctx context.Context, opts BeginOptions) (_ Change, err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	dir, err := f.real()
	if err != nil {
		return nil, layout.Unwritable(fmt.Errorf("prepare the uploaded files: %w", err))
	}
	c := &folderChange{
		f: f, id: uuid.NewString(), dir: dir, replace: opts.Replace, staged: make(map[string]struct{}), removed: make(map[string]struct{}),
	}
	if c.lock, err = lockFolder(dir); err != nil {
		return nil, err
	}
	if err := c.prepare(); err != nil {
		return nil, errors.Join(layout.Unwritable(fmt.Errorf("prepare the uploaded files: %w", err)), c.Undo(ctx))
	}
	return c, nil
}

// real is the folder itself where the path is a link to it. It is made if need be.
func (f *Folder) real() (string, error) {
	dir, err := filepath.EvalSymlinks(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(f.dir, folderMode); err != nil {
			return "", err
		}
		dir, err = filepath.EvalSymlinks(f.dir)
	}
	if err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", dir)
	}
	return dir, err
}

// besideName is how a change of the folder called name is called beside it.
func besideName(dir, id string) string {
	return filepath.Join(filepath.Dir(dir), reserved+filepath.Base(dir)+"-"+id)
}

// lockFolder keeps others from changing the files. The lock is beside the folder or, where that cannot be written, in it.
func lockFolder(dir string) (*flock.Flock, error) {
	var failed error
	for _, path := range lockPaths(dir) {
		lock, err := lockFile(path)
		if err == nil || errors.Is(err, ErrBusy) {
			return lock, err
		}
		failed = err
	}
	return nil, layout.Unwritable(fmt.Errorf("lock the uploaded files: %w", failed))
}

func lockFile(path string) (*flock.Flock, error) {
	for {
		lock := flock.New(path, flock.SetPermissions(0o666))
		locked, err := lock.TryLock()
		if err != nil {
			return nil, err
		}
		if !locked {
			return nil, errors.Join(fmt.Errorf("%w: %w (%s is locked)", transfer.ErrUnwritable, ErrBusy, path), lock.Close())
		}
		// Whoever let go of the lock removed its file: then this is a lock of nothing.
		held, err := lock.Stat()
		if err != nil {
			return nil, errors.Join(err, lock.Close())
		}
		if there, err := os.Stat(path); err == nil && os.SameFile(held, there) {
			return lock, nil
		}
		if err := lock.Close(); err != nil {
			return nil, err
		}
	}
}

func lockPaths(dir string) []string {
	return []string{
		filepath.Join(filepath.Dir(dir), reserved+filepath.Base(dir)+"-lock"),
		filepath.Join(dir, lockName),
	}
}

// prepare makes the change's own folder and finds out how files get from there to their place.
func (c *folderChange) prepare() error {
	info, err := os.Stat(c.dir)
	if err != nil {
		return err
	}
	c.owner = ownerOf(info)
	c.work, c.beside = besideName(c.dir, c.id), true
	if errors.Join(c.f.opts.Fault("beside"), c.tryWork()) != nil {
		_ = os.RemoveAll(c.work)
		c.work, c.beside = filepath.Join(c.dir, reserved+c.id), false
		if err := c.tryWork(); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(c.work, stagedFolder), info.Mode().Perm()); err != nil {
		return err
	}
	if c.files, err = os.OpenRoot(filepath.Join(c.work, stagedFolder)); err != nil {
		return err
	}
	c.sync, err = os.Open(c.work)
	return err
}

// tryWork makes the folder, and moves a file from it into the folder of the files and away again: what is on another file system,
// or on the same one but mounted twice, cannot be.
func (c *folderChange) tryWork() (err error) {
	if err := os.Mkdir(c.work, 0o700); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(c.work))
		}
	}()
	for _, name := range []string{stagedFolder, oldFolder} {
		path := filepath.Join(c.work, name)
		if err := os.Mkdir(path, folderMode); err != nil {
			return err
		}
		c.owner.give(path)
	}
	probe, place := filepath.Join(c.work, "probe"), filepath.Join(c.dir, reserved+"probe-"+c.id)
	if err := os.WriteFile(probe, []byte("x"), 0o600); err != nil {
		return err
	}
	if err := os.Rename(probe, place); err != nil {
		return err
	}
	return os.Remove(place)
}

// ID implements [Change].
func (c *folderChange) ID() string { return c.id }

// Stage implements [Change].
func (c *folderChange) Stage(ctx context.Context, f File, body io.Reader) (string, error) {
	name := f.Name()
	if err := checkName(name); err != nil {
		return "", err
	}
	if c.closed || c.applied {
		return "", fmt.Errorf("%w: the change of the uploaded files has ended", transfer.ErrUsage)
	}
	if err := c.write(ctx, name, body); err != nil {
		return "", fmt.Errorf("write uploaded file %s: %w", name, err)
	}
	c.staged[name] = struct{}{}
	return urlPrefix + name, nil
}

func (c *folderChange) write(ctx context.Context, name string, body io.Reader) error {
	if err := c.f.opts.Fault("stage"); err != nil {
		return layout.Unwritable(err)
	}
	file, err := c.files.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fileMode)
	if err != nil {
		return layout.Unwritable(err)
	}
	_, err = io.Copy(fileWriter{file}, contextReader{ctx, body})
	c.owner.giveFile(file)
	return errors.Join(err, layout.Unwritable(file.Close()))
}

// fileWriter marks errors of writing, to tell them from errors of reading.
type fileWriter struct{ file *os.File }

func (w fileWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	return n, layout.Unwritable(err)
}

// contextReader ends when its context does.
type contextReader struct {
	ctx context.Context //nolint:containedctx // of the one call that reads
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Remove implements [Change].
func (c *folderChange) Remove(f File) {
	if name, err := localName(f); err == nil && checkName(name) == nil && !elsewhere(f, Local) {
		c.removed[name] = struct{}{}
	}
}

// release lets go of what is held. Another change may begin then.
func (c *folderChange) release() error {
	var errs []error
	if c.files != nil {
		errs = append(errs, c.files.Close())
	}
	if c.sync != nil {
		errs = append(errs, c.sync.Close())
	}
	c.closed = true
	return errors.Join(append(errs, os.Remove(c.lock.Path()), c.lock.Close())...)
}
