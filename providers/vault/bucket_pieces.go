package vault

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/transfer-runner/runner/transfer"
)

// bucketPieces are the objects of a bucket below a prefix.
type bucketPieces struct {
	v      *Vault
	bucket Bucket
	client *minio.Core
}

func newBucketPieces(v *Vault, b Bucket) (*bucketPieces, error) {
	client, err := b.client(0)
	if err != nil {
		return nil, err
	}
	return &bucketPieces{v: v, bucket: b, client: client}, nil
}

// isEmpty reports whether a piece has no bytes. Such a piece is not kept: not every service takes it, and there is nothing to keep.
func isEmpty(d Digest, size int64) bool { return size == 0 && d == sha256.Sum256(nil) }

func (p *bucketPieces) key(d Digest) string { return path.Join(p.folder(d[0]), d.name()) }

func (p *bucketPieces) folder(first byte) string {
	return path.Join(p.bucket.Prefix, blobFolder, Digest{first}.folder())
}

// problem says what was being done, and whose fault it is as far as that makes a difference to the user.
func (p *bucketPieces) problem(doing string, err error) error {
	sentinel := transfer.ErrConnection
	if response := minio.ToErrorResponse(err); response.StatusCode >= http.StatusBadRequest {
		sentinel = transfer.ErrUnwritable
	}
	return fmt.Errorf("%w: bucket %s: %s: %w", sentinel, p.bucket, doing, err)
}

func isMissing(err error) bool {
	response := minio.ToErrorResponse(err)
	return response.Code == minio.NoSuchKey || response.StatusCode == http.StatusNotFound && response.Code != minio.NoSuchBucket
}

// present implements [pieces].
func (p *bucketPieces) present(ctx context.Context, d Digest, size int64) (bool, error) {
	if isEmpty(d, size) {
		return true, nil
	}
	info, err := p.client.StatObject(ctx, p.bucket.Name, p.key(d), minio.StatObjectOptions{})
	if err != nil && isMissing(err) {
		return false, nil
	}
	if err != nil {
		return false, p.problem("look at piece "+d.String(), err)
	}
	return info.Size == size, nil
}

// open implements [pieces].
func (p *bucketPieces) open(ctx context.Context, d Digest, size int64) (io.ReadCloser, error) {
	if isEmpty(d, size) {
		return http.NoBody, nil
	}
	body, info, _, err := p.client.GetObject(ctx, p.bucket.Name, p.key(d), minio.GetObjectOptions{})
	if err != nil && isMissing(err) {
		return nil, missing(d)
	}
	if err != nil {
		return nil, p.problem("open piece "+d.String(), err)
	}
	if info.Size != size {
		return nil, errors.Join(misshapen(d, info.Size, size), body.Close())
	}
	return body, nil
}

// sweep implements [pieces].
func (p *bucketPieces) sweep(ctx context.Context, first byte, known map[string]bool, s *Swept) error {
	ctx, cancel := context.WithCancel(ctx) // ends the listing
	defer cancel()
	prefix := p.folder(first) + "/"
	for object := range p.client.Client.ListObjects(ctx, p.bucket.Name, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if object.Err != nil {
			return p.problem("list", object.Err)
		}
		name := strings.TrimPrefix(object.Key, prefix)
		// What is not called like a piece is not ours.
		if _, err := ParseDigest(Digest{first}.folder() + name); err != nil || known[name] {
			continue
		}
		if err := p.client.RemoveObject(ctx, p.bucket.Name, object.Key, minio.RemoveObjectOptions{}); err != nil {
			return p.problem("remove piece", err)
		}
		s.Blobs, s.Bytes = s.Blobs+1, s.Bytes+object.Size
	}
	return context.Cause(ctx)
}
