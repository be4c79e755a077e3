package uploads

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"

	"github.com/transfer-runner/runner/providers/internal/layout"
)

// Recover implements [Store].
func (f *Folder) Recover(ctx context.Context, committed func(ctx context.Context, id string) (bool, error)) (ids []string, err error) {
	dir, err := filepath.EvalSymlinks(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the uploaded files: %w", err)
	}
	left, err := leftovers(dir)
	if len(left) == 0 || err != nil {
		return nil, err
	}
	lock, err := lockFolder(dir)
	if errors.Is(err, ErrBusy) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	held := &folderChange{lock: lock}
	defer func() { err = errors.Join(err, held.release()) }()
	// Only now nobody else is at it.
	if left, err = leftovers(dir); err != nil {
		return nil, err
	}
	for id, work := range left {
		if info, err := os.Lstat(work); err == nil && !info.IsDir() {
			// A mark without its folder: all has been done but to remove it.
			if err := os.Remove(work); err != nil {
				return ids, layout.Unwritable(err)
			}
			ids = append(ids, id)
			continue
		}
		done, err := committed(ctx, id)
		if err != nil {
			return ids, fmt.Errorf("look for the transfer %s in the database: %w", id, err)
		}
		if done {
			err = finish(dir, work, id)
		} else if err = putBack(dir, work, id); err == nil {
			err = os.RemoveAll(work)
		}
		if err != nil {
			return ids, layout.Unwritable(fmt.Errorf("recover the uploaded files from %s: %w", work, err))
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// leftovers are the folders of changes, by id.
func leftovers(dir string) (map[string]string, error) {
	out := make(map[string]string)
	for _, at := range []struct{ folder, prefix string }{
		{filepath.Dir(dir), reserved + filepath.Base(dir) + "-"}, {dir, reserved},
	} {
		entries, err := os.ReadDir(at.folder)
		if err != nil && at.folder == dir {
			return nil, err
		}
		for _, entry := range entries {
			id, ok := strings.CutPrefix(entry.Name(), at.prefix)
			if !ok || uuid.Validate(id) != nil {
				continue
			}
			// The mark of an exchange is a file; its folder is the one beside, or gone when only the mark was left to remove.
			if _, known := out[id]; !known {
				out[id] = filepath.Join(at.folder, entry.Name())
			}
		}
	}
	return out, nil
}
