//go:build unix

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// A token that does not allow what is asked for ends in exit code 3, before anything is changed.
func TestConformanceTokens(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	s := startSite(t, strapitest.Options{Seed: true})
	before := s.Graph(t)
	archive := filepath.Join(t.TempDir(), "site.tar")
	must(t, []string{"pull", "--to", archive, "--json"}, s.from())

	wrong := strings.Repeat("0123456789abcdef", 8)
	tests := map[string]struct {
		token string
		push  bool
	}{
		"a pull with a wrong token":      {token: wrong},
		"a pull with an expired token":   {token: s.Token(t, strapitest.Expired, "push", "pull")},
		"a pull with a token for pushes": {token: s.Token(t, strapitest.Forever, "push")},
		"a push with a wrong token":      {token: wrong, push: true},
		"a push with an expired token":   {token: s.Token(t, strapitest.Expired, "push", "pull"), push: true},
		"a push with a token for pulls":  {token: s.Token(t, strapitest.Forever, "pull"), push: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			target := filepath.Join(t.TempDir(), "never.tar")
			flags := []string{"pull", "--from", s.URL(), "--from-token", test.token, "--to", target, "--json"}
			if test.push {
				flags = []string{"push", "--from", archive, "--to", s.URL(), "--to-token", test.token, "--yes", "--json"}
			}
			o := command{args: flags}.run(t)
			require.Equal(t, 3, o.code, o.stderr)
			require.Equal(t, transfer.StateUntouched, o.summary(t).DestinationState)
			require.NoFileExists(t, target)
		})
	}
	requireSame(t, before, s.Graph(t))

	t.Run("tokens of one direction suffice for that direction", func(t *testing.T) {
		pull, push := s.Token(t, strapitest.Forever, "pull"), s.Token(t, strapitest.Forever, "push")
		target := filepath.Join(t.TempDir(), "site.tar")
		must(t, []string{"pull", "--from", s.URL(), "--from-token", pull, "--to", target, "--json"})
		must(t, []string{"push", "--from", target, "--to", s.URL(), "--to-token", push, "--yes", "--json"})
		requireSame(t, before, s.Graph(t))
	})
}

// Nothing is changed by what only looks, or was not confirmed, or does not fit.
func TestConformanceNothingChanges(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := startSite(t, strapitest.Options{Seed: true})
	archive := filepath.Join(t.TempDir(), "site.tar")
	must(t, []string{"pull", "--to", archive, "--json"}, source.from())
	source.Stop(t)

	destination := newSite(t, strapitest.Options{Seed: true})
	destination.Alter(t)
	destination.Start(t)
	before := destination.Graph(t)

	push := args([]string{"push", "--from", archive}, destination.to())
	dry := must(t, push, []string{"--dry-run"})
	require.Contains(t, dry.stdout+dry.stderr, "127.0.0.1", "the plan names the host")
	requireSame(t, before, destination.Graph(t))

	seen := must(t, []string{"doctor", destination.URL(), "--token", destination.token})
	require.Regexp(t, `(?m)^ok +version +Strapi 5\.54\.0$`, seen.stdout)
	require.Regexp(t, `(?m)^ok +round trip +\d+\.\d ms$`, seen.stdout)
	requireSame(t, before, destination.Graph(t))

	refused := command{args: push}.run(t)
	require.Equal(t, 4, refused.code, refused.stderr)
	require.Contains(t, refused.stderr, "--yes")
	requireSame(t, before, destination.Graph(t))

	// A field more at the destination, and one less.
	destination.Stop(t)
	schema, replace := destination.Editable(t, "src", "api", "bed", "content-types", "bed", "schema.json")
	changed := strings.Replace(schema, `"area"`, `"surface"`, 1)
	require.NotEqual(t, schema, changed)
	replace(changed)
	destination.Start(t)
	before = destination.Graph(t)
	o := command{args: args(push, []string{"--yes", "--json"})}.run(t)
	require.Equal(t, 5, o.code, o.stderr)
	require.Equal(t, transfer.StateUntouched, o.summary(t).DestinationState)
	require.Contains(t, o.stderr, "area")
	requireSame(t, before, destination.Graph(t))
	require.Empty(t, destination.Backups(t))
}

// A backup is the way back.
func TestConformanceBackupAndVerify(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := startSite(t, strapitest.Options{Seed: true})
	destination := newSite(t, strapitest.Options{Seed: true})
	destination.Alter(t)
	destination.Start(t)
	want, before := source.Graph(t), destination.Graph(t)

	backup := filepath.Join(t.TempDir(), "before.tar.gz")
	must(t, []string{"push", "--yes", "--json", "--verify", "--backup", backup}, source.from(), destination.to())
	requireSame(t, want, destination.Graph(t))
	require.FileExists(t, backup)

	must(t, []string{"push", "--yes", "--json", "--verify", "--from", backup}, destination.to())
	// An upload that no row knows is no content: no transfer carries it.
	known := func(_ strapitest.Section, key string) bool { return !strings.HasPrefix(key, "only_here") }
	requireSame(t, before.Filter(known), destination.Graph(t))
}

// A file that is gone from a server's disk is not passed over in silence.
func TestConformanceMissingFile(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := newSite(t, strapitest.Options{Seed: true})
	gone, err := filepath.Glob(source.Path("public", "uploads", "leaf_*.png"))
	require.NoError(t, err)
	require.Len(t, gone, 1)
	require.NoError(t, os.Remove(gone[0]))
	source.Start(t)

	folder := t.TempDir()
	pull := args([]string{"pull", "--to", filepath.Join(folder, "site.tar"), "--json"}, source.from())
	refused := command{args: pull}.run(t)
	require.Equal(t, 8, refused.code, refused.stdout+refused.stderr)
	require.Contains(t, refused.stderr, filepath.Base(gone[0]))
	requireEmptyFolder(t, folder)

	allowed := command{args: args(pull, []string{"--allow-skipped", "10"})}.run(t)
	require.Equal(t, 9, allowed.code, allowed.stderr)
	require.Positive(t, allowed.summary(t).Report.SkippedRecords())
}

// An archive that is damaged or cannot be opened is found out before the destination is touched.
func TestConformanceDamagedArchive(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := startSite(t, strapitest.Options{Seed: true})
	want := source.Graph(t)
	archive := filepath.Join(t.TempDir(), "site.tar.gz.enc")
	must(t, []string{"pull", "--to", archive, "--key", archiveKey, "--json"}, source.from())
	whole, err := os.ReadFile(archive)
	require.NoError(t, err)
	cut := filepath.Join(t.TempDir(), "cut.tar.gz.enc")
	require.NoError(t, os.WriteFile(cut, whole[:len(whole)*2/3/16*16], 0o600))

	for name, flags := range map[string][]string{
		"a wrong key":     {"--from", archive, "--key", "not the key"},
		"a cut archive":   {"--from", cut, "--key", archiveKey},
		"a missing file":  {"--from", cut + ".tar"},
		"no key, no tty":  {"--from", archive},
		"a strange thing": {"--from", source.Path("package.json")},
	} {
		t.Run(name, func(t *testing.T) {
			o := command{args: args([]string{"push", "--yes", "--json"}, source.to(), flags)}.run(t)
			require.NotZero(t, o.code)
			t.Logf("exit code %d: %s", o.code, o.summary(t).Error)
			require.Equal(t, transfer.StateUntouched, o.summary(t).DestinationState)
		})
	}
	requireSame(t, want, source.Graph(t))
	require.Empty(t, source.Backups(t))
}
