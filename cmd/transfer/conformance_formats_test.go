//go:build unix

package main_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// What we pull, the stock import restores completely.
func TestConformancePullThenStockImport(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := startSite(t, strapitest.Options{Seed: true})
	want := source.Graph(t)
	blank := newSite(t, strapitest.Options{})

	tests := map[string]struct {
		file  string
		flags []string // of our pull
		stock []string // of the stock import
	}{
		"a plain archive":      {file: "site.tar"},
		"a compressed archive": {file: "site.tar.gz"},
		"an encrypted archive": {file: "site.tar.gz.enc", flags: []string{"--key", archiveKey}, stock: []string{"--key", archiveKey}},
		"a folder":             {file: "site"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), test.file)
			endpoint := path
			if filepath.Ext(path) == "" {
				endpoint = "dir:" + path
			}
			must(t, []string{"pull", "--to", endpoint, "--json"}, source.from(), test.flags)
			destination := &site{Instance: blank.Clone(t)}
			stockImport(t, destination, path, test.stock...)
			requireSame(t, want, destination.Graph(t))
		})
	}
	requireSame(t, want, source.Graph(t))
}

// What the stock export writes, and what we pulled ourselves, we push into a server completely.
func TestConformancePush(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := newSite(t, strapitest.Options{Seed: true})
	want := source.Graph(t)
	destination := startSite(t, strapitest.Options{Seed: true})

	push := func(t *testing.T, path string, flags ...string) {
		t.Helper()
		destination.Alter(t)
		require.NotEmpty(t, strapitest.Diff(want, destination.Graph(t)))
		must(t, []string{"push", "--from", path, "--yes", "--json"}, destination.to(), flags)
		requireSame(t, want, destination.Graph(t))
		require.Empty(t, destination.Backups(t))
	}

	stock := map[string]struct {
		name   string
		export []string
		push   []string
	}{
		"a plain archive of the stock export":      {name: "stock.tar", export: []string{"--no-encrypt", "--no-compress"}},
		"a compressed archive of the stock export": {name: "stock.tar.gz", export: []string{"--no-encrypt"}},
		"an encrypted archive of the stock export": {name: "stock.tar.gz.enc", export: []string{"--key", archiveKey}, push: []string{"--key", archiveKey}},
		"an encrypted, uncompressed archive of the stock export": {
			name: "stock.tar.enc", export: []string{"--no-compress", "--key", archiveKey}, push: []string{"--key", archiveKey},
		},
		"a folder of the stock export": {name: "stock", export: []string{"--no-encrypt", "--format", "dir"}},
	}
	for name, test := range stock {
		t.Run(name, func(t *testing.T) {
			push(t, stockExport(t, source, test.name, test.export...), test.push...)
		})
	}

	source.Start(t)
	ours := map[string]struct {
		name  string
		flags []string
	}{
		"an archive of ours":             {name: "site.tar.gz"},
		"an encrypted archive of ours":   {name: "site.tar.gz.enc", flags: []string{"--key", archiveKey}},
		"an authenticated archive":       {name: "site.tar.gz.age", flags: []string{"--key", archiveKey}},
		"a folder of ours":               {name: "dir"},
		"an archive without compression": {name: "site.tar"},
	}
	for name, test := range ours {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), test.name)
			if test.name == "dir" {
				path = "dir:" + path
			}
			must(t, []string{"pull", "--to", path, "--json"}, source.from(), test.flags)
			push(t, path, test.flags...)
		})
	}
}

func TestConformanceRemoteToRemote(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := startSite(t, strapitest.Options{Seed: true})
	destination := startSite(t, strapitest.Options{})
	want := source.Graph(t)
	for _, verb := range []string{"pull", "push"} {
		must(t, []string{verb, "--yes", "--json", "--verify"}, source.from(), destination.to())
		requireSame(t, want, destination.Graph(t))
		requireSame(t, want, source.Graph(t))
		destination.Alter(t)
	}
}

// What looks at a site without changing it.
func TestConformanceInspectDiffDoctor(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	here := startSite(t, strapitest.Options{Seed: true})
	there := startSite(t, strapitest.Options{Seed: true})
	before := here.Graph(t)
	archive := filepath.Join(t.TempDir(), "site.tar.gz")
	must(t, []string{"pull", "--to", archive, "--json"}, here.from())

	require.Contains(t, must(t, []string{"inspect", archive}).stdout, "api::plant.plant")
	doctor := command{args: []string{"doctor", here.URL(), "--token", here.token}}.run(t)
	require.Zero(t, doctor.code, doctor.stdout+doctor.stderr)

	compare := args([]string{"diff", archive, there.URL(), "--content", "--to-token", there.token})
	same := command{args: compare}.run(t)
	require.Zero(t, same.code, same.stdout+same.stderr)
	there.Alter(t)
	different := command{args: compare}.run(t)
	require.Equal(t, 1, different.code, different.stdout+different.stderr)
	requireSame(t, before, here.Graph(t))
}

// What is written to a file is there whole or not at all, also with a name that exists.
func TestConformancePullReplacesOnlyWithPermission(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := startSite(t, strapitest.Options{Seed: true})
	path := filepath.Join(t.TempDir(), "site.tar")
	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))

	refused := command{args: args([]string{"pull", "--to", path}, source.from())}.run(t)
	require.Equal(t, 4, refused.code, refused.stderr)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "precious", string(text))

	must(t, []string{"pull", "--to", path, "--yes"}, source.from())
	must(t, []string{"inspect", path})
}
