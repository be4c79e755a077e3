package uploads

import (
	"context"
	"crypto/md5" //nolint:gosec // S3 tells objects apart by it
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

const (
	// uploadsAtOnce is how many files are on their way to the bucket.
	uploadsAtOnce = 4
	// partSize is how much of a large file one request carries.
	partSize = 16 << 20
)

// s3Change implements [Change]. Files are uploaded by the keys that they stay at. That harms nobody: the rows that name them are not
// committed yet, and what a key held before is put aside first.
type s3Change struct {
	s     *S3
	id    string
	group *errgroup.Group
	old   map[string]struct{} // keys of the rows that go
	gone  bool                // all of old are to go
	ended bool

	mu      sync.Mutex // guards what follows
	failed  error      // of an upload
	staged  map[string]struct{}
	created map[string]struct{} // keys that were not there
	aside   map[string]struct{} // keys whose object was put aside
	removed map[string]struct{}
	notes   []transfer.Note
}

var _ Noter = (*s3Change)(nil)

// Begin implements [Store]. It proves that the bucket takes files.
func (s *S3) Begin(ctx context.Context, opts BeginOptions) (Change, error) {
	c := &s3Change{
		s: s, id: uuid.NewString(), gone: opts.Replace, old: make(map[string]struct{}), staged: make(map[string]struct{}),
		created: make(map[string]struct{}), aside: make(map[string]struct{}), removed: make(map[string]struct{}),
	}
	probe := c.asideKey("probe")
	if _, err := s.client.Client.PutObject(ctx, s.opts.Bucket, probe, strings.NewReader("x"), 1, minio.PutObjectOptions{}); err != nil {
		return nil, layout.Unwritable(s.wrap(ctx, "write", probe, err))
	}
	if err := s.client.RemoveObject(ctx, s.opts.Bucket, probe, minio.RemoveObjectOptions{}); err != nil {
		return nil, layout.Unwritable(s.wrap(ctx, "delete", probe, err))
	}
	if opts.Old != nil {
		for file, err := range opts.Old {
			if err != nil {
				return nil, err
			}
			if key, ok := s.owned(file); ok {
				c.old[key] = struct{}{}
			}
		}
	}
	c.group = &errgroup.Group{}
	c.group.SetLimit(uploadsAtOnce)
	return c, nil
}

// owned is the key of a row's file if it is one of this site: of its provider, in its bucket and below its root.
func (s *S3) owned(f File) (string, bool) {
	key, ok := s.find(f)
	return key, ok && s.is(f.Provider) && strings.HasPrefix(key, s.opts.prefix())
}

// ID implements [Change].
func (c *s3Change) ID() string { return c.id }

// asideKey is where the object of a key is put aside.
func (c *s3Change) asideKey(key string) string {
	return c.s.opts.prefix() + reserved + c.id + "/" + strings.TrimPrefix(key, c.s.opts.prefix())
}

// Stage implements [Change]. It returns when the content was read; an error of the upload is that of a later call.
func (c *s3Change) Stage(ctx context.Context, f File, body io.Reader) (string, error) {
	if c.ended {
		return "", fmt.Errorf("%w: the change of the uploaded files has ended", transfer.ErrUsage)
	}
	key := c.s.opts.key(f)
	if err := checkName(f.Name()); err != nil {
		return "", err
	}
	spool, err := spoolFile(ctx, c.s.opts.TempDir, body)
	if err != nil {
		return "", fmt.Errorf("uploaded file %s: %w", f.Name(), err)
	}
	c.mu.Lock()
	_, again := c.staged[key]
	c.staged[key] = struct{}{}
	failed := c.failed
	c.mu.Unlock()
	if failed != nil {
		return "", errors.Join(failed, spool.drop())
	}
	if again {
		// Two uploads of one key must not overtake each other.
		if err := c.group.Wait(); err != nil {
			return "", errors.Join(err, spool.drop())
		}
	}
	// An upload that was begun is never broken off: a server may complete it all the same, after the key got its old object back.
	whole := context.WithoutCancel(ctx)
	c.group.Go(func() error {
		err := errors.Join(c.upload(whole, key, f.Mime, spool), spool.drop())
		if err != nil {
			c.mu.Lock()
			c.failed = err
			c.mu.Unlock()
		}
		return err
	})
	return c.s.url(key), nil
}

// spool is a file on its way.
type spool struct {
	file *os.File
	size int64
	sum  string // MD5 in hex
}

func spoolFile(ctx context.Context, dir string, body io.Reader) (*spool, error) {
	file, err := os.CreateTemp(dir, "transfer-upload-*")
	if err != nil {
		return nil, layout.Unwritable(err)
	}
	s := &spool{file: file}
	hash := md5.New() //nolint:gosec // see the import
	s.size, err = io.Copy(io.MultiWriter(fileWriter{file}, hash), contextReader{ctx, body})
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, s.drop())
	}
	s.sum = hex.EncodeToString(hash.Sum(nil))
	return s, nil
}

func (s *spool) drop() error { return errors.Join(s.file.Close(), os.Remove(s.file.Name())) }

// upload puts a file into the bucket unless it is there.
func (c *s3Change) upload(ctx context.Context, key, mime string, body *spool) error {
	there, err := c.s.client.StatObject(ctx, c.s.opts.Bucket, key, minio.StatObjectOptions{})
	switch {
	case err == nil && there.Size == body.size && strings.Trim(there.ETag, `"`) == body.sum:
		return nil
	case err == nil:
		if err := c.putAside(ctx, key); err != nil {
			return err
		}
	case code(err) != 404:
		return layout.Unwritable(c.s.wrap(ctx, "look at", key, err))
	default:
		c.mu.Lock()
		c.created[key] = struct{}{}
		c.mu.Unlock()
	}
	opts := minio.PutObjectOptions{ContentType: mime, PartSize: partSize, UserMetadata: c.s.access()}
	if _, err := c.s.client.Client.PutObject(ctx, c.s.opts.Bucket, key, body.file, body.size, opts); err != nil {
		return layout.Unwritable(c.s.wrap(ctx, "write", key, err))
	}
	return nil
}

// access says who may read an object.
func (s *S3) access() map[string]string {
	if s.opts.ACL == "" {
		return nil
	}
	return map[string]string{"x-amz-acl": s.opts.ACL}
}

// putAside copies what a key holds before it is overwritten.
func (c *s3Change) putAside(ctx context.Context, key string) error {
	c.mu.Lock()
	_, ours := c.old[key]
	_, fresh := c.created[key]
	_, done := c.aside[key]
	c.mu.Unlock()
	if fresh || done {
		return nil // staged again
	}
	if !ours {
		return fmt.Errorf("%w: the bucket %s has another file by the key %s, and no row of this site names it: it may belong to another "+
			"environment with the same bucket; give each a rootPath of its own", transfer.ErrUnwritable, c.s.opts.Bucket, key)
	}
	if err := c.s.copyObject(ctx, key, c.asideKey(key)); err != nil {
		return err
	}
	c.mu.Lock()
	c.aside[key] = struct{}{}
	c.mu.Unlock()
	return nil
}

func (s *S3) copyObject(ctx context.Context, from, to string) error {
	dst := minio.CopyDestOptions{Bucket: s.opts.Bucket, Object: to, UserMetadata: s.access()}
	if _, err := s.client.Client.CopyObject(ctx, dst, minio.CopySrcOptions{Bucket: s.opts.Bucket, Object: from}); err != nil {
		return layout.Unwritable(s.wrap(ctx, "copy", from, err))
	}
	return nil
}

// Remove implements [Change].
func (c *s3Change) Remove(f File) {
	if key, ok := c.s.owned(f); ok {
		c.removed[key] = struct{}{}
	}
}

// Apply implements [Change]. The files are in their place; it waits for the last of them.
func (c *s3Change) Apply(context.Context) error {
	c.ended = true
	return c.group.Wait()
}

// Finish implements [Change]. What cannot be deleted is left, and told: the new content is complete without that.
func (c *s3Change) Finish(ctx context.Context) error {
	ctx, cancel := late(ctx)
	defer cancel()
	goes := c.removed
	if c.gone {
		for key := range c.old {
			goes[key] = struct{}{}
		}
	}
	for key := range c.staged {
		delete(goes, key)
	}
	if c.s.opts.prefix() == "" && len(goes) > 0 {
		c.note("%d files that no row of this site names any more are left in the bucket %s: without a rootPath they may be another site's", len(goes), c.s.opts.Bucket)
		goes = nil
	}
	for key := range c.aside {
		if goes == nil {
			goes = make(map[string]struct{})
		}
		goes[c.asideKey(key)] = struct{}{}
	}
	if err := c.s.remove(ctx, goes); err != nil {
		c.note("old files are left in the bucket %s: %v", c.s.opts.Bucket, err)
	}
	c.created, c.aside = nil, nil
	return nil
}

func (c *s3Change) note(format string, args ...any) {
	c.notes = append(c.notes, transfer.Note{Level: transfer.NoteWarning, Message: fmt.Sprintf(format, args...)})
}

// Notes implements [Noter].
func (c *s3Change) Notes() []transfer.Note {
	notes := c.notes
	c.notes = nil
	return notes
}

// Undo implements [Change].
func (c *s3Change) Undo(ctx context.Context) error {
	c.ended = true
	_ = c.group.Wait() // why they ended is known, or of no interest any more
	ctx, cancel := late(ctx)
	defer cancel()
	var errs []error
	for _, key := range slices.Sorted(keysOf(c.aside)) {
		if err := c.s.copyObject(ctx, c.asideKey(key), key); err != nil {
			errs = append(errs, err)
			continue // it stays aside, for Recover
		}
		errs = append(errs, c.s.remove(ctx, map[string]struct{}{c.asideKey(key): {}}))
	}
	errs = append(errs, c.s.remove(ctx, c.created))
	c.created, c.aside = nil, nil
	return errors.Join(errs...)
}
