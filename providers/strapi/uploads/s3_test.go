package uploads_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
)

// bucket is an S3 server with one bucket.
type bucket struct {
	*s3mem.Backend

	server *httptest.Server
	refuse func(r *http.Request) bool
}

func newBucket(t testing.TB) *bucket {
	t.Helper()
	b := &bucket{Backend: s3mem.New()}
	require.NoError(t, b.CreateBucket("media"))
	handler := gofakes3.New(b.Backend).Server()
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.refuse != nil && b.refuse(r) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(b.server.Close)
	return b
}

func (b *bucket) options(root string) uploads.S3Options {
	return uploads.S3Options{
		Bucket: "media", Endpoint: b.server.URL, RootPath: root, ACL: "public-read", PathStyle: true, AccessKey: "k", SecretKey: "geheim",
	}
}

func (b *bucket) store(t testing.TB, root string) *uploads.S3 {
	t.Helper()
	s, err := uploads.NewS3(b.options(root))
	require.NoError(t, err)
	return s
}

func (b *bucket) put(t testing.TB, objects map[string]string) {
	t.Helper()
	for key, text := range objects {
		meta := map[string]string{"Last-Modified": "Mon, 02 Jan 2026 15:04:05 GMT"}
		_, err := b.PutObject("media", key, meta, strings.NewReader(text), int64(len(text)), nil)
		require.NoError(t, err)
	}
}

func (b *bucket) content(t testing.TB) map[string]string {
	t.Helper()
	list, err := b.ListBucket("media", &gofakes3.Prefix{}, gofakes3.ListBucketPage{})
	require.NoError(t, err)
	out := make(map[string]string)
	for _, item := range list.Contents {
		object, err := b.GetObject("media", item.Key, nil)
		require.NoError(t, err)
		text, err := io.ReadAll(object.Contents)
		require.NoError(t, err)
		out[item.Key] = string(text)
	}
	return out
}

// row is a row of the site whose files are below "live".
func (b *bucket) row(name string) uploads.File {
	return uploads.File{Hash: name, Ext: ".txt", URL: b.server.URL + "/media/live/" + name + ".txt", Provider: "aws-s3"}
}

func rows(list ...uploads.File) iter.Seq2[uploads.File, error] {
	return func(yield func(uploads.File, error) bool) {
		for _, f := range list {
			if !yield(f, nil) {
				return
			}
		}
	}
}

func before() map[string]string {
	return map[string]string{"live/a.txt": "old a", "live/b.txt": "old b", "live/same.txt": "same", "staging/x.txt": "of another site", "live/y.txt": "of nobody"}
}

// change stages new content over before.
func (b *bucket) change(t testing.TB, s *uploads.S3) uploads.Change {
	t.Helper()
	foreign := b.row("x")
	foreign.URL = b.server.URL + "/media/staging/x.txt"
	c, err := s.Begin(t.Context(), uploads.BeginOptions{Replace: true, Old: rows(b.row("a"), b.row("b"), b.row("same"), foreign, uploads.File{URL: "/uploads/z.txt", Provider: "local"})})
	require.NoError(t, err)
	for name, text := range map[string]string{"a": "new a", "same": "same", "d": "new d"} {
		url, err := c.Stage(t.Context(), uploads.File{Hash: name, Ext: ".txt", Mime: "text/plain"}, strings.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, b.server.URL+"/media/live/"+name+".txt", url)
	}
	return c
}

func TestBucketIsReplaced(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	b.put(t, before())
	c := b.change(t, b.store(t, "live/"))
	require.NoError(t, c.Apply(t.Context()))
	require.NoError(t, c.Finish(t.Context()))
	require.NoError(t, c.Undo(t.Context()))
	require.Equal(t, map[string]string{
		"live/a.txt": "new a", "live/d.txt": "new d", "live/same.txt": "same", "staging/x.txt": "of another site", "live/y.txt": "of nobody",
	}, b.content(t))
}

func TestBucketIsBroughtBack(t *testing.T) {
	t.Parallel()
	for _, applied := range []bool{false, true} {
		b := newBucket(t)
		b.put(t, before())
		c := b.change(t, b.store(t, "live"))
		if applied {
			require.NoError(t, c.Apply(t.Context()))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, c.Undo(ctx))
		require.Equal(t, before(), b.content(t))
	}
}

func TestBucketAfterAProcessThatIsNoMore(t *testing.T) {
	t.Parallel()
	for _, committed := range []bool{false, true} {
		b := newBucket(t)
		b.put(t, before())
		s := b.store(t, "live")
		require.NoError(t, b.change(t, s).Apply(t.Context()))
		ids, err := s.Recover(t.Context(), func(context.Context, string) (bool, error) { return committed, nil })
		require.NoError(t, err)
		require.Len(t, ids, 1)
		want := before()
		want["live/d.txt"] = "new d" // named by no row, or by those that were committed
		if committed {
			want["live/a.txt"] = "new a"
		}
		require.Equal(t, want, b.content(t))
	}
}

func TestBucketOfOthers(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	b.put(t, before())
	s := b.store(t, "live")
	c, err := s.Begin(t.Context(), uploads.BeginOptions{Replace: true})
	require.NoError(t, err)
	_, err = c.Stage(t.Context(), uploads.File{Hash: "y", Ext: ".txt"}, strings.NewReader("new y"))
	require.NoError(t, errors.Join(err))
	err = c.Apply(t.Context())
	require.ErrorIs(t, err, transfer.ErrUnwritable)
	require.ErrorContains(t, err, "rootPath")
	require.NoError(t, c.Undo(t.Context()))
	require.Equal(t, before(), b.content(t))

	// Without a rootPath nobody knows whose the old files are.
	b.put(t, map[string]string{"q.txt": "old q"})
	s = b.store(t, "")
	c, err = s.Begin(t.Context(), uploads.BeginOptions{Replace: true, Old: rows(uploads.File{URL: b.server.URL + "/media/q.txt", Provider: "aws-s3"})})
	require.NoError(t, err)
	require.NoError(t, c.Apply(t.Context()))
	require.NoError(t, c.Finish(t.Context()))
	require.Contains(t, b.content(t), "q.txt")
	noter, ok := c.(uploads.Noter)
	require.True(t, ok)
	require.Contains(t, fmt.Sprint(noter.Notes()), "1 files that no row")
}

func TestBucketReads(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	b.put(t, before())
	opts := b.options("live")
	opts.ACL = "private"
	s, err := uploads.NewS3(opts)
	require.NoError(t, err)
	body, size, err := s.Open(t.Context(), b.row("a"))
	require.NoError(t, err)
	text, err := io.ReadAll(body)
	require.NoError(t, errors.Join(err, body.Close()))
	require.Equal(t, "old a", string(text))
	require.EqualValues(t, 5, size)
	size, err = s.Stat(t.Context(), b.row("b"))
	require.NoError(t, err)
	require.EqualValues(t, 5, size)
	for _, f := range []uploads.File{b.row("gone"), {URL: "/uploads/x.txt", Provider: "local"}} {
		_, err = s.Stat(t.Context(), f)
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, _, err = s.Open(t.Context(), f)
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	signed, err := s.Sign(t.Context(), b.row("a"))
	require.NoError(t, err)
	require.Contains(t, signed, "X-Amz-Signature=")
	require.Contains(t, signed, "X-Amz-Expires=900")
}

func TestBucketThatRefuses(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	b.put(t, before())
	b.refuse = func(r *http.Request) bool { return r.Method == http.MethodPut }
	_, err := b.store(t, "live").Begin(t.Context(), uploads.BeginOptions{})
	require.ErrorIs(t, err, transfer.ErrUnwritable)
	require.ErrorIs(t, err, transfer.ErrAuth)
	b.refuse = func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/d.txt")
	}
	c := b.change(t, b.store(t, "live"))
	err = c.Apply(t.Context())
	require.ErrorIs(t, err, transfer.ErrUnwritable)
	require.NotContains(t, err.Error(), "geheim")
	require.NoError(t, c.Undo(t.Context()))
	require.Equal(t, before(), b.content(t))
}

func TestParseS3(t *testing.T) {
	t.Parallel()
	none := func(string) string { return "" }
	params := map[string]any{"Bucket": "b"}
	for name, tt := range map[string]struct {
		in   map[string]any
		env  map[string]string
		want uploads.S3Options
		url  string // of a/ä b.txt
		err  string
	}{
		"as documented": {
			in: map[string]any{"baseUrl": "https://cdn/", "rootPath": "live", "s3Options": map[string]any{
				"credentials": map[string]any{"accessKeyId": "i", "secretAccessKey": "s"}, "region": "eu-west-1", "params": params,
			}},
			want: uploads.S3Options{Bucket: "b", Region: "eu-west-1", RootPath: "live", BaseURL: "https://cdn/", ACL: "public-read", AccessKey: "i", SecretKey: "s"},
		},
		"as it was": {
			in:   map[string]any{"accessKeyId": "i", "secretAccessKey": "s", "region": "r", "params": map[string]any{"Bucket": "b", "ACL": "private"}},
			want: uploads.S3Options{Bucket: "b", Region: "r", ACL: "private", AccessKey: "i", SecretKey: "s"},
		},
		"keys from the environment, no ACL": {
			in:   map[string]any{"s3Options": map[string]any{"params": map[string]any{"Bucket": "b", "ACL": nil}, "endpoint": "https://s3.example.org", "forcePathStyle": true}},
			env:  map[string]string{"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "r"},
			want: uploads.S3Options{Bucket: "b", Region: "r", Endpoint: "https://s3.example.org", PathStyle: true, AccessKey: "i", SecretKey: "s"},
		},
		"no bucket": {in: map[string]any{"s3Options": map[string]any{}}, err: "params.Bucket"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := none
			if tt.env != nil {
				env = func(name string) string { return tt.env[name] }
			}
			got, err := uploads.ParseS3(tt.in, env)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			require.NotContains(t, fmt.Sprintf("%v %#v", got, got), "AccessKey")
			_, err = uploads.NewS3(got)
			require.NoError(t, err)
		})
	}
}
