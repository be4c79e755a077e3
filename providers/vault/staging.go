package vault

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/transfer-runner/runner/providers/internal/layout"
)

// How pieces are made durable: from a number of them on, by writing out the whole file system at once where that is possible, and
// several at a time in any case.
const (
	syncAllFrom = 32
	syncAtOnce  = 8
)

// folderStaging is a folder laid out as the vault's, in which pieces become durable before they are moved into their places.
type folderStaging struct {
	p     *folderPieces
	v     *Vault
	dir   string
	root  *os.File // the folder, open since before the first write, so that it hears of failed ones
	files int64
	bytes int64
	sync  [256]bool // folders of the vault in which a piece is that the index does not vouch for
	moved bool      // pieces have been published
}

// stage implements [pieces].
func (p *folderPieces) stage(context.Context) (staging, error) {
	dir, err := os.MkdirTemp(p.v.path(tempFolder), "write-")
	if err != nil {
		return nil, layout.Unwritable(err)
	}
	root, err := os.Open(dir) //nolint:gosec // just made
	if err != nil {
		return nil, layout.Unwritable(errors.Join(err, os.Remove(dir)))
	}
	return &folderStaging{p: p, v: p.v, dir: dir, root: root}, nil
}

// has implements [staging].
func (s *folderStaging) has(ctx context.Context, d Digest, size int64) (bool, error) {
	there, err := s.p.present(ctx, d, size)
	if err != nil {
		return false, err
	}
	if !there {
		info, err := os.Stat(s.path(d))
		return err == nil && info.Size() == size, nil
	}
	_, vouched, err := s.v.index.blobSize(ctx, d)
	if err == nil && !vouched {
		// Somebody else has published it and may not have come to the end of that.
		s.sync[d[0]] = true
	}
	return err == nil, err
}

func (s *folderStaging) path(d Digest) string { return filepath.Join(s.dir, d.folder(), d.name()) }

// put implements [staging].
func (s *folderStaging) put(ctx context.Context, d Digest, data []byte) error {
	if there, err := s.has(ctx, d, int64(len(data))); there || err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.path(d)), folderMode); err != nil {
		return layout.Unwritable(err)
	}
	if err := os.WriteFile(s.path(d), data, fileMode); err != nil {
		return layout.Unwritable(err)
	}
	s.files, s.bytes = s.files+1, s.bytes+int64(len(data))
	return nil
}

// create implements [staging].
func (s *folderStaging) create() (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(s.dir, "part"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fileMode)
	return file, layout.Unwritable(err)
}

// adopt implements [staging].
func (s *folderStaging) adopt(ctx context.Context, d Digest, size int64) error {
	part := filepath.Join(s.dir, "part")
	there, err := s.has(ctx, d, size)
	if err != nil {
		return err
	}
	if there {
		return layout.Unwritable(os.Remove(part))
	}
	if err := os.MkdirAll(filepath.Dir(s.path(d)), folderMode); err != nil {
		return layout.Unwritable(err)
	}
	s.files, s.bytes = s.files+1, s.bytes+size
	return layout.Unwritable(os.Rename(part, s.path(d)))
}

// publish implements [staging].
func (s *folderStaging) publish(ctx context.Context) error {
	if s.files >= syncAllFrom {
		if err := syncAll(s.root); err != nil {
			return layout.Unwritable(fmt.Errorf("sync: %w", err))
		}
	}
	s.v.opts.fault("written")
	for i := range 256 {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := s.publishFolder(ctx, hex.EncodeToString([]byte{byte(i)}), byte(i)); err != nil {
			return layout.Unwritable(err)
		}
	}
	s.v.opts.fault("published")
	for i, dirty := range s.sync {
		if !dirty {
			continue
		}
		if err := layout.SyncFolder(filepath.Join(s.p.dir, hex.EncodeToString([]byte{byte(i)}))); err != nil {
			return layout.Unwritable(err)
		}
	}
	return layout.Unwritable(layout.SyncFolder(s.p.dir))
}

func (s *folderStaging) publishFolder(ctx context.Context, name string, first byte) error {
	from, to := filepath.Join(s.dir, name), filepath.Join(s.p.dir, name)
	entries, err := os.ReadDir(from)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(syncAtOnce)
	for _, entry := range entries {
		g.Go(func() error {
			if err := context.Cause(gctx); err != nil {
				return err
			}
			return syncFile(filepath.Join(from, entry.Name()))
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := os.MkdirAll(to, folderMode); err != nil {
		return err
	}
	s.moved, s.sync[first] = true, true
	for _, entry := range entries {
		if err := os.Rename(filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name())); err != nil {
			return err
		}
		s.v.opts.fault("moved")
	}
	return nil
}

// syncFile makes a file that was written and closed durable.
func syncFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // staged by us
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// drop implements [staging]. What stays is the folder itself.
func (s *folderStaging) drop(committed bool) (left bool, err error) {
	err = s.root.Close()
	if s.moved && !committed {
		return true, err
	}
	return false, errors.Join(err, os.RemoveAll(s.dir))
}
