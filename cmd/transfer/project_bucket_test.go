package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"
)

// bucketServer is an S3 server with one bucket. While refuse is set it takes no files with that in their name.
func bucketServer(t *testing.T) (backend *s3mem.Backend, url string, refuse *atomic.Value) {
	t.Helper()
	backend = s3mem.New()
	require.NoError(t, backend.CreateBucket("media"))
	handler := gofakes3.New(backend).Server()
	refuse = new(atomic.Value)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if part, _ := refuse.Load().(string); part != "" && r.Method == http.MethodPut && strings.Contains(r.URL.Path, part) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return backend, server.URL, refuse
}

func objects(t *testing.T, backend *s3mem.Backend) map[string]string {
	t.Helper()
	list, err := backend.ListBucket("media", &gofakes3.Prefix{}, gofakes3.ListBucketPage{})
	require.NoError(t, err)
	out := make(map[string]string)
	for _, item := range list.Contents {
		object, err := backend.GetObject("media", item.Key, nil)
		require.NoError(t, err)
		text, err := io.ReadAll(object.Contents)
		require.NoError(t, err)
		out[item.Key] = string(text)
	}
	return out
}

func TestAProjectWithABucket(t *testing.T) {
	t.Parallel()
	backend, url, refuse := bucketServer(t)
	local, cloud := labProject(t), labProject(t)
	write(t, filepath.Join(cloud, "config", "plugins.js"), fmt.Sprintf(`module.exports = ({ env }) => ({ upload: { config: {
		provider: 'aws-s3', providerOptions: { rootPath: 'live', s3Options: { endpoint: '%s', forcePathStyle: true, region: 'us-east-1',
		credentials: { accessKeyId: env('KEY'), secretAccessKey: env('SECRET') }, params: { Bucket: env('BUCKET'), ACL: 'private' } } } } } })`, url))
	write(t, filepath.Join(cloud, ".env"), "TZ=UTC\nKEY=key\nSECRET=very-secret\nBUCKET=media\n")
	s := &served{t: t}
	push := func(want int, args ...string) {
		t.Helper()
		code, _, said := s.command(append([]string{"push", "--from", local, "--to", cloud, "--yes"}, args...)...)
		require.Equal(t, want, code, said)
		require.NotContains(t, said, "very-secret")
	}
	push(exitOK)
	first := objects(t, backend)
	require.Len(t, first, 9)
	for key, text := range first {
		require.Equal(t, "content of /uploads/"+strings.TrimPrefix(key, "live/"), text)
	}
	// What is read back from the bucket is what was in the folder.
	tar, folder := filepath.Join(t.TempDir(), "cloud.tar"), filepath.Join(t.TempDir(), "cloud")
	code, _, said := s.command("pull", "--from", cloud, "--to", tar)
	require.Equal(t, exitOK, code, said)
	code, _, said = s.command("pull", "--from", tar, "--to", "dir:"+folder)
	require.Equal(t, exitOK, code, said)
	found, err := filepath.Glob(filepath.Join(folder, "assets", "uploads", "*"))
	require.NoError(t, err)
	require.Len(t, found, 9)

	// A push that fails leaves the bucket as it was; one that succeeds takes away what nothing names any more.
	name := strings.TrimPrefix(slices.Sorted(maps.Keys(first))[4], "live/")
	write(t, filepath.Join(local, "public", "uploads", name), "another content")
	refuse.Store(name)
	push(exitAuth) // by the bucket
	require.Equal(t, first, objects(t, backend))
	refuse.Store("")
	push(exitOK)
	second := maps.Clone(first)
	second["live/"+name] = "another content"
	require.Equal(t, second, objects(t, backend))
}
