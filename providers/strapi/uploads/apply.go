package uploads

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// Apply implements [Change].
func (c *folderChange) Apply(ctx context.Context) error {
	if c.closed || c.applied {
		return fmt.Errorf("%w: the change of the uploaded files has ended", transfer.ErrUsage)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := c.apply(); err != nil {
		return errors.Join(layout.Unwritable(fmt.Errorf("put the uploaded files into their place: %w", err)), c.putBack())
	}
	c.applied = true
	return nil
}

func (c *folderChange) apply() error {
	for name := range c.staged {
		delete(c.removed, name)
	}
	if err := c.list(removalsFile, c.removed); err != nil {
		return err
	}
	if c.replace && c.beside {
		swapped, err := c.swap()
		if swapped || err != nil {
			return err
		}
	}
	if err := c.list(movesFile, c.staged); err != nil {
		return err
	}
	if err := syncTree(c.sync); err != nil {
		return err
	}
	if err := c.f.opts.Fault("move"); err != nil {
		return err
	}
	if err := c.move(); err != nil {
		return err
	}
	return errors.Join(layout.SyncFolder(c.dir), syncTree(c.sync), c.f.opts.Fault("moved"))
}

// swap replaces the folder at once. It returns false where that cannot be.
func (c *folderChange) swap() (bool, error) {
	fresh := filepath.Join(c.work, stagedFolder)
	for name, content := range map[string][]byte{reserved + c.id: nil, gitkeep: readKept(c.dir)} {
		if err := os.WriteFile(filepath.Join(fresh, name), content, fileMode); err != nil {
			return false, err
		}
		c.owner.give(filepath.Join(fresh, name))
	}
	if err := syncTree(c.sync); err != nil {
		return false, err
	}
	if err := c.f.opts.Fault("swap"); err != nil {
		return false, err
	}
	if !exchange(fresh, c.dir) {
		return false, os.Remove(filepath.Join(fresh, reserved+c.id))
	}
	return true, errors.Join(layout.SyncFolder(filepath.Dir(c.dir)), layout.SyncFolder(c.work), c.f.opts.Fault("swapped"))
}

// readKept returns what is in the file that keeps the folder in a repository.
func readKept(dir string) []byte {
	text, err := os.ReadFile(filepath.Join(dir, gitkeep)) //nolint:gosec // a fixed name in the folder of the files
	if err != nil || len(text) > 1<<16 {
		return nil
	}
	return text
}

// list writes names to a file of the change, durably.
func (c *folderChange) list(file string, names map[string]struct{}) error {
	if len(names) == 0 && file == removalsFile {
		return nil
	}
	lines := make([]string, 0, len(names))
	for name := range names {
		lines = append(lines, name+"\n")
	}
	slices.Sort(lines)
	handle, err := os.OpenFile(filepath.Join(c.work, file+".part"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // a fixed name in a folder of ours
	if err != nil {
		return err
	}
	_, err = handle.WriteString(strings.Join(lines, ""))
	if err = errors.Join(err, handle.Sync(), handle.Close()); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(c.work, file+".part"), filepath.Join(c.work, file)); err != nil {
		return err
	}
	return layout.SyncFolder(c.work)
}

// readList is what list wrote, nil and false if it did not.
func readList(work, file string) ([]string, bool, error) {
	text, err := os.ReadFile(filepath.Join(work, file)) //nolint:gosec // a fixed name in a folder of ours
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var names []string
	for name := range strings.Lines(string(text)) {
		name = strings.TrimSuffix(name, "\n")
		if err := checkName(name); err != nil {
			return nil, false, err
		}
		names = append(names, name)
	}
	return names, true, nil
}

// move puts the staged files into their place one by one, and what was there before into old. What is where tells how far it came.
func (c *folderChange) move() error {
	old, fresh := filepath.Join(c.work, oldFolder), filepath.Join(c.work, stagedFolder)
	if c.replace {
		entries, err := os.ReadDir(c.dir)
		if err != nil {
			return err
		}
		for _, entry := range entries {
			name := entry.Name()
			if _, staged := c.staged[name]; staged || name == gitkeep || strings.HasPrefix(name, reserved) {
				continue
			}
			if err := os.Rename(filepath.Join(c.dir, name), filepath.Join(old, name)); err != nil {
				return err
			}
		}
	}
	for name := range c.staged {
		place := filepath.Join(c.dir, name)
		if err := os.Rename(place, filepath.Join(old, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Rename(filepath.Join(fresh, name), place); err != nil {
			return err
		}
		if err := c.f.opts.Fault("one moved"); err != nil {
			return err
		}
	}
	return nil
}

// Finish implements [Change].
func (c *folderChange) Finish(ctx context.Context) error {
	if c.closed {
		return nil
	}
	if !c.applied {
		return fmt.Errorf("%w: the change of the uploaded files was not applied", transfer.ErrUsage)
	}
	_ = ctx // what was committed is finished
	return errors.Join(c.f.opts.Fault("finish"), finish(c.dir, c.work, c.id), c.release())
}

// Undo implements [Change].
func (c *folderChange) Undo(context.Context) error {
	if c.closed {
		return nil
	}
	err := c.putBack()
	if err == nil && c.work != "" {
		err = os.RemoveAll(c.work)
	}
	return errors.Join(err, c.release())
}

func (c *folderChange) putBack() error {
	if c.work == "" {
		return nil
	}
	if err := putBack(c.dir, c.work, c.id); err != nil {
		return fmt.Errorf("put the old uploaded files back; they are in %s: %w", c.work, err)
	}
	c.applied = false
	return nil
}

// putBack brings the folder of the files into the state before Apply, from wherever Apply or putBack itself have come. It may be
// repeated.
func putBack(dir, work, id string) error {
	mark := filepath.Join(dir, reserved+id)
	if work != mark && exists(mark) {
		if !exchange(filepath.Join(work, stagedFolder), dir) {
			return errors.New("the folders cannot be exchanged")
		}
		return errors.Join(layout.SyncFolder(filepath.Dir(dir)), layout.SyncFolder(work))
	}
	names, begun, err := readList(work, movesFile)
	if err != nil || !begun {
		return err
	}
	for _, name := range names {
		fresh, place := filepath.Join(work, stagedFolder, name), filepath.Join(dir, name)
		if exists(fresh) {
			continue // it never got to its place, or is back already
		}
		if err := os.Rename(place, fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	entries, err := os.ReadDir(filepath.Join(work, oldFolder))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.Rename(filepath.Join(work, oldFolder, entry.Name()), filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return layout.SyncFolder(dir)
}

// finish lets go of what a change replaced. It may be repeated.
func finish(dir, work, id string) error {
	names, _, err := readList(work, removalsFile)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if mark := filepath.Join(dir, reserved+id); mark != work {
		if err := os.Remove(mark); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
