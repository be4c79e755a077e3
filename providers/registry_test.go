package providers_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestRegistryOpensEachKind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := providers.New(providers.Config{Data: filepath.Join(dir, "data")})
	for name, tt := range map[string]struct{ endpoint, kind string }{
		"a site":     {"vault:site", "vault"},
		"an archive": {filepath.Join(dir, "a.tar.gz"), "archive"},
		"a folder":   {"dir:" + filepath.Join(dir, "folder"), "directory"},
	} {
		e, err := providers.Parse(tt.endpoint)
		require.NoError(t, err, name)
		dst, err := r.OpenDestination(t.Context(), e, providers.Access{})
		require.NoError(t, err, name)
		d, err := dst.Describe(t.Context())
		require.NoError(t, err)
		require.Equal(t, tt.kind, d.Kind)
		require.NoError(t, dst.Close())
		_, err = r.OpenSource(t.Context(), e, providers.Access{})
		require.Error(t, err, "%s that is not there", name)
		require.ErrorIs(t, err, transfer.ErrUsage)
	}
	_, err := r.OpenSource(t.Context(), providers.Endpoint{Kind: "moon"}, providers.Access{})
	require.ErrorIs(t, err, transfer.ErrUsage)
	_, err = r.OpenDestination(t.Context(), providers.Endpoint{Kind: "moon"}, providers.Access{})
	require.ErrorIs(t, err, transfer.ErrUsage)
}

func TestRegistryOpensTheVault(t *testing.T) {
	t.Parallel()
	r := providers.New(providers.Config{Data: filepath.Join(t.TempDir(), "data")})
	site, err := providers.Parse("vault:site")
	require.NoError(t, err)
	require.Empty(t, site.Path())
	require.Equal(t, "site", site.Label())
	_, err = r.OpenSource(t.Context(), site, providers.Access{})
	require.ErrorContains(t, err, "there is no vault")

	memory := transfertest.NewMemory(transfertest.Sample())
	dst, err := r.OpenDestination(t.Context(), site, providers.Access{})
	require.NoError(t, err)
	_, err = transfer.Run(t.Context(), memory, dst, transfer.Options{})
	require.NoError(t, err)
	require.NoError(t, dst.Close())
	require.NoError(t, dst.Close())

	src, err := r.OpenSource(t.Context(), site, providers.Access{})
	require.NoError(t, err)
	require.Implements(t, (*transfer.Checker)(nil), src)
	require.Implements(t, (*transfer.Counter)(nil), src)
	got := transfertest.ReadSite(t, src)
	require.Equal(t, transfertest.Sample().Records[transfer.StageEntities], got.Records[transfer.StageEntities])
	d, err := src.Describe(t.Context())
	require.NoError(t, err)
	require.NoError(t, src.Close())
	require.NoError(t, src.Close())

	snapshot, err := providers.Parse(d.Name)
	require.NoError(t, err)
	_, err = r.OpenDestination(t.Context(), snapshot, providers.Access{})
	require.ErrorIs(t, err, transfer.ErrUsage)
	require.ErrorContains(t, err, "never changed")
}

func TestRegistryHandsTheKeyToTheArchive(t *testing.T) {
	t.Parallel()
	e, err := providers.Parse(filepath.Join(t.TempDir(), "a.tar.gz.enc"))
	require.NoError(t, err)
	require.True(t, e.Encrypted())
	r := providers.New(providers.Config{})
	_, err = r.OpenDestination(t.Context(), e, providers.Access{})
	require.ErrorIs(t, err, transfer.ErrUsage)
	require.ErrorContains(t, err, "--key")
	dst, err := r.OpenDestination(t.Context(), e, providers.Access{Key: "some key"})
	require.NoError(t, err)
	require.NoError(t, dst.Close())
}

func TestRegistryFindsTheRunnerOfASiteOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			t.Error("a probe must not carry the token")
		}
		if !strings.HasPrefix(r.URL.Path, "/admin/transfer/runner/") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"data":null,"error":{"status":401,"name":"UnauthorizedError","message":"Missing or invalid credentials"}}`)
	}))
	t.Cleanup(server.Close)
	var notes []string
	r := providers.New(providers.Config{Note: func(message string) { notes = append(notes, message) }})
	e, err := providers.Parse(server.URL)
	require.NoError(t, err)
	src, err := r.OpenSource(t.Context(), e, providers.Access{Token: "some-token"})
	require.NoError(t, err)
	require.NoError(t, src.Close())
	before := asked.Load()
	require.Positive(t, before)
	dst, err := r.OpenDestination(t.Context(), e, providers.Access{Token: "some-token"})
	require.NoError(t, err)
	require.NoError(t, dst.Close())
	require.Equal(t, before, asked.Load(), "it was found already")
	require.Len(t, notes, 1)
	require.Contains(t, notes[0], server.URL+"/admin")
}
