package uploads

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/transfer-runner/runner/transfer"
)

// S3 keeps the files in a bucket, by the keys that Strapi's own provider gives them. It implements [Store].
//
// Others may keep files in the same bucket. So nothing is overwritten or deleted there but what the rows of this site name.
type S3 struct {
	opts   S3Options
	client *minio.Core
	own    string // what urls of the bucket begin with
}

var _ Store = (*S3)(nil)

// NewS3 returns the store of a bucket. Nothing is connected to yet.
func NewS3(opts S3Options) (*S3, error) {
	opts.Provider = cmp.Or(opts.Provider, S3Provider)
	opts.Expires = cmp.Or(opts.Expires, defaultExpires)
	if opts.HTTP == nil {
		opts.HTTP = webClient()
	}
	u, err := opts.address()
	if err != nil {
		return nil, err
	}
	client, err := opts.client(u)
	if err != nil {
		return nil, err
	}
	own := u.Scheme + "://" + u.Host + "/" + url.PathEscape(opts.Bucket) + "/"
	switch {
	case opts.BaseURL != "":
		own = strings.TrimRight(opts.BaseURL, "/") + "/"
	case opts.PathStyle:
	case strings.HasPrefix(u.Hostname(), opts.Bucket+"."):
		own = u.Scheme + "://" + u.Host + "/"
	default:
		own = u.Scheme + "://" + opts.Bucket + "." + u.Host + "/"
	}
	return &S3{opts: opts, client: client, own: own}, nil
}

// Provider implements [Store].
func (s *S3) Provider() string { return s.opts.Provider }

// url is the address that rows have for a key.
func (s *S3) url(key string) string {
	if s.opts.BaseURL != "" {
		return s.own + key
	}
	parts := strings.Split(key, "/")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(part), "+", "%20")
	}
	return s.own + strings.Join(parts, "/")
}

// find is the key of a row's file, false if the row says that it is somewhere else.
func (s *S3) find(f File) (string, bool) {
	if f.URL == "" {
		return s.opts.key(f), true
	}
	rest, ok := strings.CutPrefix(f.URL, s.own)
	if !ok {
		return "", false
	}
	rest, _, _ = strings.Cut(rest, "?")
	if s.opts.BaseURL == "" {
		if plain, err := url.PathUnescape(rest); err == nil {
			rest = plain
		}
	}
	return rest, rest != ""
}

// Open implements [Store].
func (s *S3) Open(ctx context.Context, f File) (io.ReadCloser, int64, error) {
	key, ok := s.find(f)
	if !ok || f.Provider != "" && !s.is(f.Provider) {
		return s.elsewhere(ctx, f)
	}
	body, info, _, err := s.client.GetObject(ctx, s.opts.Bucket, key, minio.GetObjectOptions{})
	if err != nil {
		if code(err) == http.StatusForbidden && s.opts.ACL != "private" && strings.HasPrefix(f.URL, "http") {
			return fetch(ctx, s.opts.HTTP, f) // keys that may only write, and objects that all may read
		}
		return nil, 0, s.wrap(ctx, "read", key, err)
	}
	return body, info.Size, nil
}

// Stat implements [Store].
func (s *S3) Stat(ctx context.Context, f File) (int64, error) {
	key, ok := s.find(f)
	if !ok || f.Provider != "" && !s.is(f.Provider) {
		if !strings.HasPrefix(f.URL, "http") {
			return 0, s.notHere(f)
		}
		return measure(ctx, s.opts.HTTP, f)
	}
	info, err := s.client.StatObject(ctx, s.opts.Bucket, key, minio.StatObjectOptions{})
	if err != nil {
		if code(err) == http.StatusForbidden && s.opts.ACL != "private" && strings.HasPrefix(f.URL, "http") {
			return measure(ctx, s.opts.HTTP, f)
		}
		return 0, s.wrap(ctx, "look at", key, err)
	}
	return info.Size, nil
}

func (s *S3) elsewhere(ctx context.Context, f File) (io.ReadCloser, int64, error) {
	if !strings.HasPrefix(f.URL, "http://") && !strings.HasPrefix(f.URL, "https://") {
		return nil, 0, s.notHere(f)
	}
	return fetch(ctx, s.opts.HTTP, f)
}

func (s *S3) notHere(f File) error {
	return fmt.Errorf("uploaded file %s is not in the bucket, says its url: %w", f.Name(), fs.ErrNotExist)
}

// is reports whether a row's provider means this store, whichever of its two names is used.
func (s *S3) is(provider string) bool {
	return provider == s.opts.Provider || IsS3(provider) && IsS3(s.opts.Provider)
}

// Sign returns an address by which anybody can read a file for a while, or the file's own where files are public. Strapi does the
// same for what it hands out of a private bucket.
func (s *S3) Sign(ctx context.Context, f File) (string, error) {
	key, ok := s.find(f)
	if !ok || s.opts.ACL != "private" {
		return f.URL, nil
	}
	signed, err := s.client.PresignedGetObject(ctx, s.opts.Bucket, key, s.opts.Expires, nil)
	if err != nil {
		return "", s.wrap(ctx, "sign", key, err)
	}
	return signed.String(), nil
}

// code is the HTTP status of an error, 0 without.
func code(err error) int {
	if answer, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return answer.StatusCode
	}
	return 0
}

// wrap says what an error of the bucket means here.
func (s *S3) wrap(ctx context.Context, verb, key string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	what := fmt.Sprintf("%s %s in the bucket %s", verb, key, s.opts.Bucket)
	answer, ok := errors.AsType[minio.ErrorResponse](err)
	switch {
	case !ok:
		if refused, ok := errors.AsType[*url.Error](err); ok {
			err = refused.Err // without the address, which may be signed
		}
		return fmt.Errorf("%w: %s: %w", transfer.ErrConnection, what, err)
	case answer.StatusCode == http.StatusNotFound && answer.Code != "NoSuchBucket":
		return fmt.Errorf("%s: %w", what, fs.ErrNotExist)
	case answer.StatusCode == http.StatusForbidden, answer.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: %s: %s (%s)", transfer.ErrAuth, what, answer.Code, answer.Message)
	}
	return fmt.Errorf("%s: %s (%s)", what, answer.Code, answer.Message)
}

// undoTime is how long bringing a bucket back may take, however the transfer ended.
const undoTime = 10 * time.Minute

// late is a context for what must be done although ctx may have ended.
func late(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), undoTime)
}
