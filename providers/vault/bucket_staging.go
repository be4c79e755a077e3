package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/transfer-runner/runner/providers/internal/layout"
)

// uploadsAtOnce is how many pieces of a write are on their way to a bucket at a time. What has not left yet is held: a small piece in
// memory, a large one on disk.
const uploadsAtOnce = 8

// bucketStaging sends pieces off as they come, so that there is little left to wait for at the end. Nobody refers to them before the
// index does.
type bucketStaging struct {
	p      *bucketPieces
	dir    string // of large pieces that are on their way
	sent   map[Digest]int64
	files  int
	ctx    context.Context //nolint:containedctx // of the uploads, which begin in one call and end in another
	cancel context.CancelFunc
	group  *errgroup.Group
}

// stage implements [pieces].
func (p *bucketPieces) stage(ctx context.Context) (staging, error) {
	dir, err := os.MkdirTemp(p.v.path(tempFolder), "write-")
	if err != nil {
		return nil, layout.Unwritable(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(uploadsAtOnce)
	return &bucketStaging{p: p, dir: dir, sent: make(map[Digest]int64), ctx: ctx, cancel: cancel, group: group}, nil
}

// has implements [staging]. A piece that the index does not vouch for is sent again: whoever sent it may have been swept.
func (s *bucketStaging) has(ctx context.Context, d Digest, size int64) (bool, error) {
	if isEmpty(d, size) {
		return true, nil
	}
	if sent, ok := s.sent[d]; ok {
		return sent == size, nil
	}
	is, vouched, err := s.p.v.index.blobSize(ctx, d)
	if err != nil || !vouched || is != size {
		return false, err
	}
	return s.p.present(ctx, d, size)
}

// put implements [staging].
func (s *bucketStaging) put(ctx context.Context, d Digest, data []byte) error {
	if there, err := s.has(ctx, d, int64(len(data))); there || err != nil {
		return err
	}
	return s.send(ctx, d, int64(len(data)), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }, nil)
}

// send uploads a piece in the background, and tells of what has failed before.
func (s *bucketStaging) send(ctx context.Context, d Digest, size int64, open func() (io.ReadCloser, error), done func() error) error {
	if s.ctx.Err() != nil {
		return s.group.Wait()
	}
	s.sent[d] = size
	stop := context.AfterFunc(ctx, s.cancel) // so that waiting for one's turn ends with ctx
	defer stop()
	s.group.Go(func() error {
		body, err := open()
		if err != nil {
			return layout.Unwritable(err)
		}
		_, err = s.p.client.Client.PutObject(s.ctx, s.p.bucket.Name, s.p.key(d), body, size, minio.PutObjectOptions{ContentType: "application/octet-stream"})
		if err != nil {
			err = s.p.problem("write piece "+d.String(), err)
		}
		if err = errors.Join(err, body.Close()); err == nil && done != nil {
			err = done()
		}
		return err
	})
	return context.Cause(ctx)
}

// create implements [staging].
func (s *bucketStaging) create() (*os.File, error) {
	s.files++
	file, err := os.OpenFile(s.part(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, fileMode)
	return file, layout.Unwritable(err)
}

func (s *bucketStaging) part() string { return filepath.Join(s.dir, fmt.Sprintf("part-%d", s.files)) }

// adopt implements [staging].
func (s *bucketStaging) adopt(ctx context.Context, d Digest, size int64) error {
	part := s.part()
	there, err := s.has(ctx, d, size)
	if err != nil {
		return err
	}
	if there {
		return layout.Unwritable(os.Remove(part))
	}
	return s.send(ctx, d, size, func() (io.ReadCloser, error) { return os.Open(part) }, //nolint:gosec // made by create
		func() error { return layout.Unwritable(os.Remove(part)) })
}

// publish implements [staging]. A bucket that has answered keeps what it was given.
func (s *bucketStaging) publish(ctx context.Context) error {
	s.p.v.opts.fault("written")
	stop := context.AfterFunc(ctx, s.cancel)
	defer stop()
	err := s.group.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	s.p.v.opts.fault("published")
	return err
}

// drop implements [staging].
func (s *bucketStaging) drop(committed bool) (left bool, err error) {
	s.cancel()
	_ = s.group.Wait() // has been told, or does not matter any more
	if len(s.sent) > 0 && !committed {
		return true, nil
	}
	return false, os.RemoveAll(s.dir)
}
