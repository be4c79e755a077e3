package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer/jobs"
	runnerserver "github.com/transfer-runner/runner/transfer/server"
)

// visitor is somebody who has signed in to the dashboard of a server.
func (s *served) visitor(token string) func(path string) (int, string) {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	client := &http.Client{Jar: jar, Transport: &http.Transport{DisableKeepAlives: true}}
	base := strings.TrimSuffix(s.url, "/admin")
	send := func(method, path string, body io.Reader) (int, string) {
		req, err := http.NewRequestWithContext(s.t.Context(), method, base+path, body)
		require.NoError(s.t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := client.Do(req)
		require.NoError(s.t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(s.t, err)
		return res.StatusCode, string(text)
	}
	code, text := send(http.MethodPost, "/login", strings.NewReader(url.Values{"token": {token}}.Encode()))
	require.Equal(s.t, http.StatusOK, code, text)
	return func(path string) (int, string) { return send(http.MethodGet, path, http.NoBody) }
}

func TestOnlyWhoMayPullReadsSnapshots(t *testing.T) {
	t.Parallel()
	s := bakery(t)
	grant := func(args ...string) string {
		code, out, said := s.command(append([]string{"token", "create", "--data", s.data, "--name", "x"}, args...)...)
		require.Equal(t, exitOK, code, said)
		return strings.TrimSpace(out)
	}
	all := s.visitor(s.token)
	code, page := all("/sites/production")
	require.Equal(t, http.StatusOK, code)
	_, rest, ok := strings.Cut(page, "/download/")
	require.True(t, ok)
	newest, _, _ := strings.Cut(rest, `"`)
	_, rest, ok = strings.Cut(rest, "/download/")
	require.True(t, ok)
	older, _, _ := strings.Cut(rest, `"`)
	compare := "/compare?" + url.Values{"a": {older}, "b": {newest}}.Encode()
	for _, c := range []struct {
		name  string
		get   func(string) (int, string)
		codes map[string]int
	}{
		{"everything", all, map[string]int{"/download/" + newest: 200, compare: 200, "/sites/production": 200}},
		{"pull of this site", s.visitor(grant("--permissions", "pull", "--site", "production")), map[string]int{"/download/" + newest: 200, compare: 200, "/sites/production": 200}},
		{"push of this site", s.visitor(grant("--permissions", "push", "--site", "production")), map[string]int{"/download/" + newest: 403, compare: 403, "/sites/production": 200}},
		{"pull of another", s.visitor(grant("--permissions", "pull", "--site", "staging")), map[string]int{"/download/" + newest: 403, compare: 403, "/sites/production": 403}},
	} {
		for path, want := range c.codes {
			code, _ := c.get(path)
			require.Equal(t, want, code, c.name+" "+path)
		}
	}
	for _, path := range []string{
		"/download/production@0", "/download/nowhere", "/download/production@..%2F..%2Fx", "/compare?a=production@0&b=production", "/sites/nowhere",
		"/compare?a=production", "/download/production%00",
	} {
		code, _ := all(path)
		require.GreaterOrEqual(t, code, 400, path)
		require.Less(t, code, 500, path)
	}
}

func TestTheServersSnapshotsAreThoseOfItsSites(t *testing.T) {
	t.Parallel()
	w, first, second := snapshotWorld(t)
	v, err := vault.Open(t.Context(), w.path("data"), vault.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, v.Close()) }()
	// The site is called otherwise at the server, and another one is a single snapshot.
	s := newVaultSnapshots(v, map[string]runnerserver.Site{
		"shop": vaultSite{vault: v, ref: vault.Reference{Site: "site"}}, "fixed": vaultSite{vault: v, ref: vault.Reference{Site: "site", Snapshot: first}},
	})
	list, err := s.List(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "shop@"+second, list[0].Reference(), "the newest comes first")
	for _, name := range []string{"site", "fixed", "nowhere"} {
		_, err = s.List(t.Context(), name)
		require.ErrorIs(t, err, runnerserver.ErrNoSnapshot, name)
	}
	d, err := s.Diff(t.Context(), "shop@"+first, "shop", 10)
	require.NoError(t, err)
	require.Len(t, d.Removed, 5)
	require.Equal(t, "shop", d.B.Site)

	old := filepath.Join(v.Dir(), exportPrefix+"left")
	require.NoError(t, os.Mkdir(old, 0o700))
	long := time.Now().Add(-2 * exportAge)
	require.NoError(t, os.Chtimes(old, long, long))
	archive, err := s.Export(t.Context(), "shop@"+first)
	require.NoError(t, err)
	require.NoDirExists(t, old, "what a dead server left is swept")
	require.Equal(t, "shop-"+first+".tar.gz", archive.Name)
	data, err := io.ReadAll(archive)
	require.NoError(t, err)
	require.Len(t, data, int(archive.Size))
	require.NoError(t, archive.Close())
	left, err := filepath.Glob(filepath.Join(v.Dir(), exportPrefix+"*"))
	require.NoError(t, err)
	require.Empty(t, left, "an archive goes when it is closed")
	require.NoError(t, os.WriteFile(w.path("got.tar.gz"), data, 0o600))
	require.Equal(t, exitOK, w.run("diff", "--content", w.path("got.tar.gz"), w.path("backup.tar.gz")), w.out.String())
	for _, bad := range []string{"", "@", "shop@", "shop@none", "site", "fixed", "../x", "shop@../x"} {
		_, err := s.Export(t.Context(), bad)
		require.Error(t, err, bad)
	}

	removed, err := s.Prune(t.Context(), "shop", jobs.Keep{Last: 1}, true)
	require.NoError(t, err)
	require.Equal(t, []string{first}, removed)
	removed, err = s.Prune(t.Context(), "shop", jobs.Keep{Last: 1}, false)
	require.NoError(t, err)
	require.Equal(t, []string{first}, removed)
	list, err = s.List(t.Context(), "shop")
	require.NoError(t, err)
	require.Len(t, list, 1)
}
