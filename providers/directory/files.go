package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// listPiece is how many names are asked for at once, so that the bound on files comes before their memory.
const listPiece = 1000

// list returns the names in a folder of the export, sorted. A folder that is not there is empty.
func (s *Source) list(dir string) ([]string, error) {
	info, err := s.root.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%w: %s is not a folder", transfer.ErrDamaged, dir)
	}
	folder, err := s.root.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := listAll(folder, dir)
	return names, errors.Join(err, folder.Close())
}

func listAll(folder *os.File, dir string) ([]string, error) {
	var names []string
	for {
		entries, err := folder.ReadDir(listPiece)
		for _, e := range entries {
			switch {
			case e.IsDir(): // Strapi does not look into it either
			case !e.Type().IsRegular():
				return nil, errNotPlain(dir + "/" + e.Name())
			default:
				names = append(names, e.Name())
			}
		}
		if len(names) > layout.MaxFiles {
			return nil, fmt.Errorf("%w: more than %d files in %s", transfer.ErrDamaged, layout.MaxFiles, dir)
		}
		if errors.Is(err, io.EOF) {
			slices.Sort(names)
			return names, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func errNotPlain(name string) error {
	return fmt.Errorf("%w: %s is not a plain file: links, devices and the like have no place in an export", transfer.ErrDamaged, name)
}

// parts returns the paths of the parts of a stage, in their order.
func (s *Source) parts(stage transfer.Stage) ([]string, error) {
	names, err := s.list(string(stage))
	if err != nil {
		return nil, err
	}
	paths := make([]string, 0, len(names))
	for _, name := range names {
		if layout.IsPart(name) {
			paths = append(paths, string(stage)+"/"+name)
		}
	}
	return paths, nil
}

// file opens a plain file of the export.
func (s *Source) file(name string) (*os.File, int64, error) {
	// A pipe would block in Open, so its kind is asked for first; and again afterwards, should it have been exchanged.
	if _, err := s.size(name); err != nil {
		return nil, 0, err
	}
	file, err := s.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNotPlain(name)
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// size returns the length of a plain file.
func (s *Source) size(name string) (int64, error) {
	info, err := s.root.Lstat(name)
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, errNotPlain(name)
	}
	return info.Size(), nil
}

// row returns the metadata of an uploaded file, by the rules of Strapi's preflight.
func (s *Source) row(asset string) ([]byte, error) {
	file, _, err := s.file(layout.SidecarName(asset))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the file %q comes without its metadata", transfer.ErrDamaged, asset)
	}
	if err != nil {
		return nil, err
	}
	text, err := layout.ReadSidecar(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return text, layout.CheckSidecar(asset, text)
}

// explain turns an error of reading an export into what it means.
func (s *Source) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ended := context.Cause(ctx); ended != nil {
		return ended
	}
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, transfer.ErrDamaged) {
		err = fmt.Errorf("%w: %w", transfer.ErrDamaged, err)
	}
	return fmt.Errorf("export %s: %w", s.path, err)
}

// body opens an uploaded file when it is asked for.
type body struct {
	source *Source
	asset  string
	opened bool
	gone   bool
	file   *os.File
	inner  *layout.Body
}

// Open is for [transfer.Asset].Content.
func (b *body) Open(ctx context.Context) (io.ReadCloser, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if b.gone || b.opened || b.source.root == nil {
		return nil, fmt.Errorf("%w: the file %s was opened before, or has gone by", transfer.ErrUsage, b.asset)
	}
	b.opened = true
	file, _, err := b.source.file(layout.UploadName(b.asset))
	if err != nil {
		return nil, b.source.explain(ctx, err)
	}
	b.file, b.inner = file, layout.NewBody(b.asset, file)
	return b, nil
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) { return b.inner.Read(p) }

// Close implements [io.Closer].
func (b *body) Close() error {
	b.inner.Void()
	if b.file == nil {
		return nil
	}
	err := b.file.Close()
	b.file = nil
	return err
}

// void ends the body's time.
func (b *body) void() error {
	b.gone = true
	if b.inner == nil {
		return nil
	}
	return b.Close()
}
