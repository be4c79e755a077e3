package server_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/providers/archive"
	"github.com/transfer-runner/runner/providers/directory"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func sortedLines(s *transfertest.Site) []string {
	lines := s.Lines()
	slices.Sort(lines)
	return lines
}

// opened is a site made of two functions.
type opened struct {
	source      func() (transfer.Source, error)
	destination func() (transfer.Destination, error)
}

func (o opened) Source(context.Context) (transfer.Source, error) { return o.source() }

func (o opened) Destination(context.Context, string) (transfer.Destination, error) {
	return o.destination()
}

// kinds are sites of every provider that can be read and written.
func kinds(t *testing.T) map[string]server.Site {
	t.Helper()
	dir := t.TempDir()
	v, err := vault.Open(t.Context(), filepath.Join(dir, "vault"), vault.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, v.Close()) })
	tar, folder := filepath.Join(dir, "site.tar.gz"), filepath.Join(dir, "site")
	return map[string]server.Site{
		"memory": &site{blank: true},
		"vault":  vaultSite{v},
		"archive": opened{
			func() (transfer.Source, error) { return archive.Open(tar, archive.Options{}) },
			func() (transfer.Destination, error) { return archive.Create(tar, archive.Options{}) },
		},
		"directory": opened{
			func() (transfer.Source, error) { return directory.Open(folder, directory.Options{}) },
			func() (transfer.Destination, error) { return directory.Create(folder, directory.Options{}) },
		},
	}
}

func TestEveryProviderTakesAndGivesASiteThroughTheServer(t *testing.T) {
	t.Parallel()
	for offer, extensions := range map[string]protocol.Extensions{"stock": {}, "ours": extensions()} {
		for kind, s := range kinds(t) {
			t.Run(offer+"/"+kind, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, &site{}, func(c *server.Config) { c.Sites = map[string]server.Site{server.DefaultSite: s} })
				dst := remote.NewDestination(r.url(), r.options(extensions))
				_, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), dst, transfer.Options{})
				require.NoError(t, err)
				require.NoError(t, dst.Close())
				src := remote.NewSource(r.url(), r.options(extensions))
				got := transfertest.ReadSite(t, src)
				require.NoError(t, src.Close())
				want := transfertest.Sample()
				if !extensions.Schemas { // a stock client has no way to send them
					want.Records[transfer.StageSchemas], got.Records[transfer.StageSchemas] = nil, nil
				} else {
					require.Equal(t, want.Version, got.Version, "told with the extension")
				}
				require.Equal(t, sortedLines(want), sortedLines(got))
			})
		}
	}
}
