package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// desk is where somebody types commands: with variables, and remotes of their own.
type desk struct {
	t   *testing.T
	env map[string]string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return &desk{t, map[string]string{"TRANSFER_REMOTES": filepath.Join(t.TempDir(), "config", "remotes.json")}}
}

func (d *desk) run(args ...string) (code int, out, said string) {
	d.t.Helper()
	var o, e lockedBuffer
	a := &app{in: strings.NewReader(""), out: &o, err: &e, getenv: func(name string) string { return d.env[name] }, now: time.Now}
	code = run(d.t.Context(), a, args)
	return code, o.String(), e.String()
}

// ok runs a command that must do.
func (d *desk) ok(args ...string) string {
	d.t.Helper()
	code, out, said := d.run(args...)
	require.Equal(d.t, exitOK, code, "%v: %s%s", args, out, said)
	return out
}

func lines[T any](t *testing.T, text string) (list []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var v T
		require.NoError(t, json.Unmarshal([]byte(line), &v), line)
		list = append(list, v)
	}
	return list
}

func TestRemotesAreKeptByName(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	secret := filepath.Join(t.TempDir(), "prod.token")
	require.NoError(t, os.WriteFile(secret, []byte("a-secret-of-prod\n"), 0o600))
	require.Empty(t, d.ok("remote", "list"))
	d.ok("remote", "add", "prod", "https://bob:hunter2@cms.example.org/admin?x=1", "--token-file", secret, "--read-only", "--exclude", "files")
	d.ok("remote", "add", "stage", "http://127.0.0.1:1/admin", "--token-env", "STAGE_TOKEN", "--json")
	text, err := os.ReadFile(d.env["TRANSFER_REMOTES"])
	require.NoError(t, err)
	for _, never := range []string{"hunter2", "a-secret-of-prod"} {
		require.NotContains(t, string(text), never)
	}
	info, err := os.Stat(d.env["TRANSFER_REMOTES"])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	list := lines[namedRemote](t, d.ok("remote", "list", "--json"))
	require.Equal(t, []string{"prod", "stage"}, []string{list[0].Name, list[1].Name})
	require.Equal(t, "https://cms.example.org/admin", list[0].URL)
	require.Contains(t, d.ok("remote", "list"), "variable STAGE_TOKEN")
	for name, tt := range map[string]struct {
		args []string
		says string
	}{
		"a name twice":        {[]string{"remote", "add", "prod", "https://h/admin"}, "--replace"},
		"a name like a path":  {[]string{"remote", "add", "../x", "https://h/admin"}, "letters, digits"},
		"no server":           {[]string{"remote", "add", "x", "backup.tar.gz"}, "it must be a server"},
		"two tokens":          {[]string{"remote", "add", "x", "https://h/admin", "--token-file", "a", "--token-env", "B"}, "not both"},
		"a part that is none": {[]string{"remote", "add", "x", "https://h/admin", "--only", "all"}, "unknown part"},
		"no such remote":      {[]string{"remote", "remove", "x"}, "prod, stage"},
		"a push to read-only": {[]string{"push", "--from", "x.tar.gz", "--to", "prod", "--yes"}, "read-only"},
		"another name":        {[]string{"pull", "--from", "live", "--to", "x.tar.gz"}, "the remotes are prod, stage"},
	} {
		code, _, said := d.run(tt.args...)
		require.Equal(t, exitUsage, code, "%s: %s", name, said)
		require.Contains(t, said, tt.says, name)
	}
	code, _, said := d.run("pull", "--from", "stage", "--to", filepath.Join(t.TempDir(), "x.tar.gz"))
	require.Equal(t, exitUsage, code)
	require.Contains(t, said, "--from-token", "its variable is not set")
	d.env["STAGE_TOKEN"] = "a-secret-of-stage"
	code, _, said = d.run("pull", "--from", "stage", "--to", filepath.Join(t.TempDir(), "x.tar.gz"))
	require.Equal(t, exitConnection, code, said)
	d.ok("remote", "remove", "prod")
	require.Len(t, lines[namedRemote](t, d.ok("remote", "list", "--json")), 1)
}

// serveWith starts a server at a desk.
func (d *desk) serveWith(args ...string) *served {
	d.t.Helper()
	return startServeAt(d.t, d.env, filepath.Join(d.t.TempDir(), "data"), args...)
}

func TestJobsOfAServerAreStartedAndFollowed(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	dir := t.TempDir()
	require.NoError(t, unpackSample(filepath.Join(dir, "bakery")))
	prod := d.serveWith()
	secret := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(secret, []byte(prod.token), 0o600))
	d.ok("remote", "add", "prod", prod.url, "--token-file", secret)
	d.ok("push", "--from", "dir:"+filepath.Join(dir, "bakery"), "--to", "prod", "--yes")
	require.Contains(t, d.ok("inspect", "prod"), "article")
	server := d.serveWith("--remote", "prod")
	d.env["TRANSFER_SERVER"], d.env["TRANSFER_TOKEN"] = server.url, server.token

	out := d.ok("job", "start", "--from", "prod", "--to", "default", "--watch", "--json")
	seen := lines[jobs.Job](t, out)
	job := seen[len(seen)-1]
	require.Equal(t, jobs.StateCompleted, job.State)
	require.Equal(t, int64(31), job.Stages[1].Items)
	require.NotEmpty(t, job.Result.Snapshot)
	id := string(job.ID)
	require.Contains(t, d.ok("job", "show", id), "default@"+job.Result.Snapshot)
	require.Contains(t, d.ok("job", "show", id, "--report"), `"destinationState":"committed"`)
	require.Contains(t, d.ok("job", "list", "--state", "completed", "--name", "prod"), id)
	require.Empty(t, d.ok("job", "list", "--state", "failed"))
	list := lines[jobs.Job](t, d.ok("job", "list", "--json", "--server", "prod", "--token", prod.token))
	require.Len(t, list, 3, "what the other server saw: a push, an inspection and a pull")
	require.Equal(t, []string{"pull", "pull", "push"}, []string{list[0].Direction, list[1].Direction, list[2].Direction})

	// Go back, and then keep only the newest.
	restored := lines[jobs.Job](t, d.ok("job", "start", "--from", "default@"+job.Result.Snapshot, "--to", "default", "--watch", "--json"))
	require.Equal(t, jobs.StateCompleted, restored[len(restored)-1].State)
	pruned := lines[jobs.Job](t, d.ok("job", "start", "--prune", "default", "--keep-last", "1", "--watch", "--json"))
	require.Equal(t, []string{job.Result.Snapshot}, pruned[len(pruned)-1].Result.Removed)

	for name, tt := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a name nobody knows":     {[]string{"job", "start", "--from", "https://h/admin", "--to", "default"}, exitUsage, "neither a site nor a remote"},
		"no ends":                 {[]string{"job", "start"}, exitUsage, "--from and --to"},
		"a snapshot that is gone": {[]string{"job", "start", "--from", "default@" + job.Result.Snapshot, "--to", "prod", "--watch", "--attempts", "1"}, exitFailure, ""},
		"an option that is wrong": {[]string{"job", "start", "--from", "prod", "--to", "default", "--orphans", "eat"}, exitUsage, "fail or skip"},
		"no such job":             {[]string{"job", "show", "01a21534-b1ab-73d0-b302-199171a80b57"}, exitUsage, "no such job"},
		"a token that is wrong":   {[]string{"job", "list", "--token", "wrong-token"}, exitAuth, "check the token"},
		"a server that is away":   {[]string{"job", "list", "--server", "http://127.0.0.1:1"}, exitConnection, "--server"},
		"no server":               {[]string{"job", "list", "--server", "vault:x"}, exitUsage, "address of a server"},
	} {
		code, _, said := d.run(tt.args...)
		require.Equal(t, tt.code, code, "%s: %s", name, said)
		require.Contains(t, said, tt.says, name)
		require.NotContains(t, said, server.token)
		require.NotContains(t, said, "wrong-token")
	}
	require.Equal(t, exitOK, prod.stop())
	id = strings.TrimSpace(d.ok("job", "start", "--from", "prod", "--to", "default", "--attempts", "20"))
	require.Eventually(t, func() bool {
		return strings.Contains(d.ok("job", "list", "--json", "--state", "pending"), `"code":"connection"`)
	}, 20*time.Second, 50*time.Millisecond, "it is going to be tried again")
	d.ok("job", "cancel", id)
	code, _, said := d.run("job", "watch", id)
	require.Equal(t, exitInterrupted, code, said)
	require.Contains(t, said, "cancelled")
}

func TestAServersFileNamesRemotesAndSchedules(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	dir := t.TempDir()
	require.NoError(t, unpackSample(filepath.Join(dir, "bakery")))
	other := d.serveWith()
	d.env["OTHER_TOKEN"] = other.token
	d.ok("push", "--from", "dir:"+filepath.Join(dir, "bakery"), "--to", other.url, "--to-token", other.token, "--yes")
	write := func(every string) string {
		path := filepath.Join(dir, "serve.json")
		require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, `{"remotes": {"other": {"url": %q, "tokenEnv": "OTHER_TOKEN", "readOnly": true}},
			"schedules": [{"name": "often", "cron": "@every %s", "from": "other", "to": "default"},
			{"name": "tidy", "cron": "@daily", "kind": "prune", "site": "default", "options": {"keep": {"last": 3}}}]}`, other.url, every), 0o600))
		return path
	}
	data := filepath.Join(dir, "data")
	server := startServeAt(t, d.env, data, "--config", write("1s"))
	d.env["TRANSFER_SERVER"], d.env["TRANSFER_TOKEN"] = server.url, server.token
	require.Eventually(t, func() bool {
		return strings.Contains(d.ok("job", "list", "--state", "completed"), "other → default")
	}, 20*time.Second, 50*time.Millisecond)
	code, _, said := d.run("job", "start", "--from", "default", "--to", "other")
	require.Equal(t, exitUsage, code)
	require.Contains(t, said, "can only be read from")
	var schedules []jobs.Schedule
	api := func(into any) {
		o := &jobOptions{Server: server.url, Token: server.token}
		a := &app{in: strings.NewReader(""), out: &lockedBuffer{}, err: &lockedBuffer{}, getenv: func(string) string { return "" }, now: time.Now}
		a.prepare()
		c, err := o.client(t.Context(), a)
		require.NoError(t, err)
		_, err = c.get(t.Context(), "/api/schedules", nil, into)
		require.NoError(t, err)
	}
	api(&schedules)
	require.Len(t, schedules, 2)
	require.Equal(t, exitOK, server.stop())

	// The file is what counts: what is not in it any more goes.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "serve.json"), []byte(`{"schedules": []}`), 0o600))
	server = startServeAt(t, d.env, data, "--config", filepath.Join(dir, "serve.json"))
	server.token = d.env["TRANSFER_TOKEN"]
	api(&schedules)
	require.Empty(t, schedules)

	for name, text := range map[string]string{
		"a schedule of strangers":   `{"schedules": [{"name": "x", "cron": "@daily", "from": "nobody", "to": "default"}]}`,
		"a remote without token":    `{"remotes": {"x": {"url": "https://h/admin"}}}`,
		"a remote called as a site": `{"remotes": {"default": {"url": "https://h/admin", "tokenEnv": "OTHER_TOKEN"}}}`,
	} {
		path := filepath.Join(dir, "bad.json")
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		code, _, said := d.run("serve", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--config", path)
		require.Contains(t, []int{exitUsage, exitAuth}, code, "%s: %s", name, said)
	}
	code, _, said = d.run("serve", "--listen", "127.0.0.1:0", "--data", data)
	require.Equal(t, exitUsage, code)
	require.Contains(t, said, "PostgreSQL", "another server has the folder")
}
