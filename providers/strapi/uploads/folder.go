package uploads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// Local is what rows say of files in the project's own folder.
const Local = "local"

const urlPrefix = "/uploads/"

// Folder keeps the files in a folder of this machine, which Strapi serves at /uploads. It implements [Store].
type Folder struct {
	dir  string // as given
	opts FolderOptions
}

// FolderOptions are the choices of a [Folder]. The zero value works.
type FolderOptions struct {
	// HTTP fetches the files of rows that say that theirs are kept elsewhere. nil takes one with time limits.
	HTTP *http.Client

	// Fault is called with the name of each step of a change, so that tests can fail there. nil does nothing.
	Fault func(step string) error
}

var _ Store = (*Folder)(nil)

// NewFolder returns the store of a folder, public/uploads of a project. The folder is made when something is written, if it is not there.
func NewFolder(dir string, opts FolderOptions) *Folder {
	if opts.HTTP == nil {
		opts.HTTP = webClient()
	}
	if opts.Fault == nil {
		opts.Fault = func(string) error { return nil }
	}
	return &Folder{dir: dir, opts: opts}
}

// Provider implements [Store].
func (f *Folder) Provider() string { return Local }

// Open implements [Store].
func (f *Folder) Open(ctx context.Context, file File) (io.ReadCloser, int64, error) {
	if elsewhere(file, Local) {
		return fetch(ctx, f.opts.HTTP, file)
	}
	var opened *os.File
	info, err := f.inside(ctx, file, func(root *os.Root, name string) (err error) {
		opened, err = root.Open(name)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return opened, info.Size(), nil
}

// Stat implements [Store].
func (f *Folder) Stat(ctx context.Context, file File) (int64, error) {
	if elsewhere(file, Local) {
		return measure(ctx, f.opts.HTTP, file)
	}
	info, err := f.inside(ctx, file, func(*os.Root, string) error { return nil })
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// inside calls use with the folder and the name of a file that is in it, also after all links were followed.
func (f *Folder) inside(ctx context.Context, file File, use func(root *os.Root, name string) error) (fs.FileInfo, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	name, err := localName(file)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return nil, fmt.Errorf("open the uploaded files: %w", err)
	}
	defer root.Close() //nolint:errcheck // only read
	info, err := root.Stat(filepath.FromSlash(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("uploaded file %s: %w", name, fs.ErrNotExist)
	case err != nil && escapes(err):
		return nil, fmt.Errorf("%w: the uploaded file %s leads out of its folder", transfer.ErrDamaged, name)
	case err != nil:
		return nil, fmt.Errorf("uploaded file %s: %w", name, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("uploaded file %s: it is not a file: %w", name, fs.ErrNotExist)
	}
	if err := use(root, filepath.FromSlash(name)); err != nil {
		return nil, fmt.Errorf("uploaded file %s: %w", name, err)
	}
	return info, nil
}

// escapes reports whether os.Root refused to follow a link. It has no error value of its own for that.
func escapes(err error) bool { return strings.Contains(err.Error(), "escapes from parent") }

// localName is where in the folder the file of a row is: its url says so, as Strapi has it.
func localName(file File) (string, error) {
	name, ok := strings.CutPrefix(file.URL, urlPrefix)
	if !ok {
		name, ok = strings.CutPrefix(file.URL, urlPrefix[1:])
	}
	if !ok && file.URL != "" {
		return "", fmt.Errorf("the url %q is not one of the folder uploads: %w", file.URL, fs.ErrNotExist)
	}
	if !ok {
		name = file.Name()
	}
	if strings.ContainsRune(name, 0) || strings.Contains(name, "\\") || !filepath.IsLocal(filepath.FromSlash(name)) || path.Clean(name) == "." {
		return "", fmt.Errorf("%w: the url %q leads out of the folder uploads", transfer.ErrDamaged, file.URL)
	}
	return path.Clean(name), nil
}
