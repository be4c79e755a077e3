package uploads

import (
	"context"
	"errors"
	"iter"
	"maps"
	"strings"

	"github.com/google/uuid"
	"github.com/minio/minio-go/v7"
)

func keysOf(m map[string]struct{}) iter.Seq[string] { return maps.Keys(m) }

// remove deletes objects.
func (s *S3) remove(ctx context.Context, keys map[string]struct{}) error {
	var errs []error
	for key := range keys {
		if err := s.client.RemoveObject(ctx, s.opts.Bucket, key, minio.RemoveObjectOptions{}); err != nil {
			errs = append(errs, s.wrap(ctx, "delete", key, err))
			if len(errs) >= 3 {
				break
			}
		}
	}
	return errors.Join(errs...)
}

// Recover implements [Store]. What a process that is no more had put aside goes back to its key, or away. New files that it left are
// named by no row; the next transfer of the same content finds them there.
func (s *S3) Recover(ctx context.Context, committed func(ctx context.Context, id string) (bool, error)) (ids []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	prefix := s.opts.prefix() + reserved
	known := make(map[string]bool)
	for object := range s.client.Client.ListObjects(ctx, s.opts.Bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if object.Err != nil {
			return ids, s.wrap(ctx, "list", prefix, object.Err)
		}
		id, rest, ok := strings.Cut(strings.TrimPrefix(object.Key, prefix), "/")
		if !ok || uuid.Validate(id) != nil {
			continue
		}
		done, asked := known[id]
		if !asked {
			if done, err = committed(ctx, id); err != nil {
				return ids, err
			}
			known[id] = done
			ids = append(ids, id)
		}
		if !done && rest != "probe" {
			if err := s.copyObject(ctx, object.Key, s.opts.prefix()+rest); err != nil {
				return ids, err
			}
		}
		if err := s.remove(ctx, map[string]struct{}{object.Key: {}}); err != nil {
			return ids, err
		}
	}
	return ids, nil
}
