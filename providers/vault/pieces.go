package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// pieces is where a vault keeps its pieces, each by its digest.
type pieces interface {
	// present reports whether a piece of this size is in its place. Its bytes are not looked at.
	present(ctx context.Context, d Digest, size int64) (bool, error)
	// open opens a piece of a known size. Until it is closed ctx must go on.
	open(ctx context.Context, d Digest, size int64) (io.ReadCloser, error)
	// stage begins a write.
	stage(ctx context.Context) (staging, error)
	// sweep removes the pieces that begin with a byte and are not known. Nobody is reading or writing.
	sweep(ctx context.Context, first byte, known map[string]bool, s *Swept) error
}

// staging holds the new pieces of one write until they are published. Until the index names them they mean nothing.
type staging interface {
	// has reports whether a piece need not be written: it is in the vault, or staged.
	has(ctx context.Context, d Digest, size int64) (bool, error)
	// put stages a small piece, which must not be changed any more.
	put(ctx context.Context, d Digest, data []byte) error
	// create returns a file for a piece whose digest is not known yet, and adopt stages it when it has been written and closed.
	create() (*os.File, error)
	adopt(ctx context.Context, d Digest, size int64) error
	// publish puts the pieces into their places, durably.
	publish(ctx context.Context) error
	// drop removes what is left of the staging. It returns true if pieces have been published whose snapshot never came: then
	// something stays in the folder of what is being written, for whoever sweeps next.
	drop(committed bool) (left bool, err error)
}

// folderPieces are files in a folder, 256 folders of them.
type folderPieces struct {
	v   *Vault
	dir string
}

func (p *folderPieces) path(d Digest) string { return filepath.Join(p.dir, d.folder(), d.name()) }

// present implements [pieces].
func (p *folderPieces) present(_ context.Context, d Digest, size int64) (bool, error) {
	info, err := os.Stat(p.path(d))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at piece %s: %w", d, err)
	}
	return info.Mode().IsRegular() && info.Size() == size, nil
}

// open implements [pieces].
func (p *folderPieces) open(_ context.Context, d Digest, size int64) (io.ReadCloser, error) {
	file, err := os.Open(p.path(d))
	if errors.Is(err, os.ErrNotExist) {
		return nil, missing(d)
	}
	if err != nil {
		return nil, fmt.Errorf("open piece %s: %w", d, err)
	}
	info, err := file.Stat()
	if err == nil && info.Size() != size {
		err = misshapen(d, info.Size(), size)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func missing(d Digest) error {
	return fmt.Errorf("%w: the piece %s is missing", transfer.ErrDamaged, d)
}

func misshapen(d Digest, is, want int64) error {
	return fmt.Errorf("%w: the piece %s has %d bytes, not %d", transfer.ErrDamaged, d, is, want)
}

// sweep implements [pieces].
func (p *folderPieces) sweep(_ context.Context, first byte, known map[string]bool, s *Swept) error {
	folder := filepath.Join(p.dir, Digest{first}.folder())
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return layout.Unwritable(err)
	}
	for _, entry := range entries {
		if known[entry.Name()] {
			continue
		}
		if info, err := entry.Info(); err == nil {
			s.Blobs, s.Bytes = s.Blobs+1, s.Bytes+info.Size()
		}
		if err := os.Remove(filepath.Join(folder, entry.Name())); err != nil {
			return layout.Unwritable(err)
		}
	}
	return nil
}
