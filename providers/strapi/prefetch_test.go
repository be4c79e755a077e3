package strapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/uploads"
)

// shelf is a folder of files that notes what is open.
type shelf struct {
	*uploads.Folder

	dir   string
	stuck string // the name of a file that does not come

	mu     sync.Mutex
	opened []string
	open   atomic.Int64
	most   atomic.Int64
}

type shelfFile struct {
	io.ReadCloser
	shelf *shelf
}

func (f shelfFile) Close() error {
	f.shelf.open.Add(-1)
	return f.ReadCloser.Close()
}

func (s *shelf) Open(ctx context.Context, f uploads.File) (io.ReadCloser, int64, error) {
	s.mu.Lock()
	s.opened = append(s.opened, f.Name())
	s.mu.Unlock()
	if f.Name() == s.stuck {
		<-ctx.Done()
		return nil, 0, context.Cause(ctx)
	}
	body, n, err := s.Folder.Open(ctx, f)
	if err != nil {
		return nil, 0, err
	}
	for open := s.open.Add(1); ; {
		most := s.most.Load()
		if most >= open || s.most.CompareAndSwap(most, open) {
			return shelfFile{body, s}, n, nil
		}
	}
}

func (s *shelf) times(name string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.opened {
		if o == name {
			n++
		}
	}
	return n
}

// newShelf makes files of given sizes, called f0.bin and so on.
func newShelf(t *testing.T, sizes ...int) (s *shelf, files []uploads.File, bodies []string) {
	t.Helper()
	dir := t.TempDir()
	for i, size := range sizes {
		body := strings.Repeat(fmt.Sprintf("%d,", i), size)[:size]
		f := uploads.File{Hash: fmt.Sprintf("f%d", i), Ext: ".bin", URL: fmt.Sprintf("/uploads/f%d.bin", i), Provider: "local"}
		require.NoError(t, os.WriteFile(filepath.Join(dir, f.Name()), []byte(body), 0o600))
		files, bodies = append(files, f), append(bodies, body)
	}
	return &shelf{Folder: uploads.NewFolder(dir, uploads.FolderOptions{}), dir: dir}, files, bodies
}

// line puts files in line with the sizes that they have.
func line(p *prefetch, files []uploads.File, bodies []string) (open []func(context.Context) (io.ReadCloser, error)) {
	for i, f := range files {
		open = append(open, p.content(f, int64(len(bodies[i]))))
	}
	return open
}

func requireBody(t *testing.T, open func(context.Context) (io.ReadCloser, error), want string) (early bool) {
	t.Helper()
	body, err := open(t.Context())
	require.NoError(t, err)
	got, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
	if e, ok := body.(*earlyBody); ok {
		sum := sha256.Sum256([]byte(want))
		require.Equal(t, hex.EncodeToString(sum[:]), e.Digest())
		early = true
		require.NoError(t, body.Close(), "twice")
	}
	require.NoError(t, body.Close())
	return early
}

func TestFilesAreReadEarlyAndOnce(t *testing.T) {
	t.Parallel()
	sizes := make([]int, 60)
	for i := range sizes {
		sizes[i] = i * i * 100
	}
	sizes[20], sizes[40] = prefetchFile, prefetchFile+1
	s, files, bodies := newShelf(t, sizes...)
	p := newPrefetch(t.Context(), s)
	open := line(p, files, bodies)
	require.Empty(t, s.opened, "nobody wants any yet")
	early := 0
	for i := range open {
		if requireBody(t, open[i], bodies[i]) {
			early++
		}
		require.Equal(t, 1, s.times(files[i].Name()), "%d", i)
	}
	p.close()
	require.Equal(t, len(files)-2, early, "all but the first and the one that is too large")
	require.LessOrEqual(t, s.most.Load(), int64(prefetchFiles+1))
	require.Zero(t, s.open.Load())
	require.Zero(t, p.held)
	require.Zero(t, p.count)
}

func TestFilesThatNobodyOpensHoldNothingUp(t *testing.T) {
	t.Parallel()
	sizes := make([]int, 28)
	for i := range sizes {
		sizes[i] = prefetchBytes / 5
	}
	s, files, bodies := newShelf(t, sizes...)
	p := newPrefetch(t.Context(), s)
	open := line(p, files, bodies)
	early := 0
	for i := 0; i < len(open); i += 9 { // some of those between were read already
		if requireBody(t, open[i], bodies[i]) {
			early++
		}
	}
	p.close()
	require.Zero(t, p.held)
	require.Zero(t, s.open.Load())
	s, files, bodies = newShelf(t, 10, 10, 10)
	p = newPrefetch(t.Context(), s)
	open = line(p, files, bodies)
	requireBody(t, open[2], bodies[2])
	requireBody(t, open[0], bodies[0]) // out of turn
	p.close()
}

func TestAFileThatCannotBeReadEarlySaysWhyWhenItIsOpened(t *testing.T) {
	t.Parallel()
	s, files, bodies := newShelf(t, 10, 20, 30)
	p := newPrefetch(t.Context(), s)
	defer p.close()
	open := line(p, files, bodies)
	require.NoError(t, os.Remove(filepath.Join(s.dir, files[1].Name())))
	requireBody(t, open[0], bodies[0])
	_, err := open[1](t.Context())
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.True(t, requireBody(t, open[2], bodies[2]))
}

func TestAFileThatHasGrownIsNotReadEarly(t *testing.T) {
	t.Parallel()
	for _, by := range []int{-1, 1} {
		s, files, bodies := newShelf(t, 10, 20, 30)
		p := newPrefetch(t.Context(), s)
		first := p.content(files[0], 10)
		second := p.content(files[1], int64(20+by))
		third := p.content(files[2], 30)
		requireBody(t, first, bodies[0])
		require.False(t, requireBody(t, second, bodies[1]), "it is as it is, and whoever reads it sees that")
		require.True(t, requireBody(t, third, bodies[2]))
		p.close()
		require.Zero(t, p.held)
	}
}

func TestWhoWaitsForAFileStopsWithTheirContext(t *testing.T) {
	t.Parallel()
	s, files, bodies := newShelf(t, 10, 20)
	p := newPrefetch(t.Context(), s)
	defer p.close()
	open := line(p, files, bodies)
	s.stuck = files[1].Name()
	requireBody(t, open[0], bodies[0])
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.ErrUnsupported)
	_, err := open[1](ctx)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}
