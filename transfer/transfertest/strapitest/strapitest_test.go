//go:build unix

package strapitest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

func TestConformanceHarnessStockRoundTrip(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := strapitest.New(t, strapitest.Options{Seed: true})
	destination := strapitest.New(t, strapitest.Options{})
	want := source.Graph(t)
	require.NotEmpty(t, want[strapitest.Rows])
	require.NotEmpty(t, want[strapitest.Files])
	require.NotEmpty(t, want[strapitest.Config])
	require.Empty(t, want[strapitest.Strays])
	require.NotEmpty(t, strapitest.Diff(want, destination.Graph(t)))

	archive := filepath.Join(t.TempDir(), "stock")
	exported := source.CLI(t, "export", "--no-encrypt", "--no-compress", "-f", archive)
	require.NoError(t, exported.Err, exported.Stdout+exported.Stderr)
	imported := destination.CLI(t, "import", "--force", "-f", archive+".tar")
	require.NoError(t, imported.Err, imported.Stdout+imported.Stderr)

	require.Empty(t, strapitest.Diff(want, destination.Graph(t)))
	require.Empty(t, strapitest.Diff(want, source.Graph(t)))
}

func TestConformanceHarnessSeesEveryChange(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	instance := strapitest.New(t, strapitest.Options{Seed: true})
	before := instance.Graph(t)
	require.Empty(t, strapitest.Diff(before, instance.Clone(t).Graph(t)))

	instance.Alter(t)
	after := instance.Graph(t)
	for _, section := range []strapitest.Section{strapitest.Rows, strapitest.Files, strapitest.Config} {
		require.NotEmpty(t, strapitest.Diff(before.Only(section), after.Only(section)), section)
	}
}

func TestConformanceHarnessServer(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	instance := strapitest.New(t, strapitest.Options{Seed: true})
	before := instance.Graph(t)
	instance.Start(t)
	require.True(t, instance.Running())
	require.Len(t, instance.Token(t, strapitest.Forever, "push", "pull"), 128)
	instance.Kill(t)
	require.False(t, instance.Running())
	instance.Start(t)
	require.Empty(t, strapitest.Diff(before, instance.Graph(t)), "two starts and a kill change nothing")
	instance.Stop(t)
	require.Empty(t, instance.Backups(t))
}

func TestConformanceHarnessLockNamesNoRegistry(t *testing.T) {
	t.Parallel()
	for _, project := range []string{"app", "clients"} {
		lock, err := os.ReadFile(filepath.Join("testdata", project, "package-lock.json"))
		require.NoError(t, err)
		require.NotContains(t, string(lock), `"resolved"`, "the lock file must install from whatever registry npm is set to")
		require.Contains(t, string(lock), `"integrity"`)
	}
}
