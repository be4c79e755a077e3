package providers_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

func TestARemoteIsAnEndpoint(t *testing.T) {
	t.Parallel()
	remotes := providers.Remotes{"prod": "https://cms.example.org/admin", "odd": "./backup.tar.gz", "bad": "https://bob:hunter2@h:port"}
	e, err := remotes.Parse(" prod ")
	require.NoError(t, err)
	require.Equal(t, providers.Endpoint{Kind: providers.KindServer, Location: "https://cms.example.org/admin", Name: "prod"}, e)
	e, err = remotes.Parse("https://other.example.org/admin")
	require.NoError(t, err)
	require.Empty(t, e.Name)
	for text, want := range map[string]string{
		"staging": "the remotes are bad, odd, prod", "odd": "it must be a server", "bad": "address of remote bad", "Prod": "the remotes are",
	} {
		_, err := remotes.Parse(text)
		require.ErrorIs(t, err, transfer.ErrUsage, text)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "hunter2")
	}
	_, err = providers.Remotes(nil).Parse("staging")
	require.ErrorContains(t, err, "transfer remote add")
}

func TestAFolderOfARemotesNameIsReachedByItsPath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "prod"), 0o755))
	remotes := providers.Remotes{"prod": "https://cms.example.org/admin"}
	e, err := remotes.Parse("prod")
	require.NoError(t, err)
	require.Equal(t, providers.KindServer, e.Kind)
	e, err = remotes.Parse("./prod")
	require.NoError(t, err)
	require.Equal(t, providers.KindDirectory, e.Kind)
}
