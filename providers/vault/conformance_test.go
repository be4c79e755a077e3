package vault_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(sqltest.Main(m)) }

func TestVaultIsASource(t *testing.T) {
	t.Parallel()
	transfertest.TestSource(t, func(t *testing.T, site *transfertest.Site) transfer.Source {
		v := openVault(t, t.TempDir())
		put(t, v, "site", site)
		src, err := v.Source(t.Context(), "site", "")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, src.Close()) })
		return src
	})
}

func TestVaultIsADestination(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]*transfertest.Site{"an empty vault": nil, "a vault with a snapshot": smallSite()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transfertest.TestDestination(t, func(t *testing.T) (transfer.Destination, func(*testing.T) *transfertest.Site) {
				v := openVault(t, t.TempDir())
				if before != nil {
					put(t, v, "site", before)
				}
				dst, err := v.Destination("site", vault.WriteOptions{})
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, dst.Close()) })
				return dst, func(t *testing.T) *transfertest.Site { return get(t, v, "site", "") }
			})
		})
	}
}

// smallSite is another site than the sample.
func smallSite() *transfertest.Site {
	site := transfertest.Sample()
	site.Records[transfer.StageEntities] = site.Records[transfer.StageEntities][:2]
	site.Records[transfer.StageLinks] = nil
	site.Files = site.Files[:1]
	return site
}

func openVault(tb testing.TB, dir string) *vault.Vault {
	tb.Helper()
	v, err := vault.Open(tb.Context(), dir, vault.Options{})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, v.Close()) })
	return v
}

// put makes a snapshot of all of a site.
func put(tb testing.TB, v *vault.Vault, name string, site *transfertest.Site) vault.Snapshot {
	tb.Helper()
	snap, err := push(tb, v, name, transfertest.NewMemory(site), transfer.Filter{})
	require.NoError(tb, err)
	return snap
}

// push runs the engine from a source into a site.
func push(tb testing.TB, v *vault.Vault, name string, src transfer.Source, filter transfer.Filter) (vault.Snapshot, error) {
	tb.Helper()
	dst, err := v.Destination(name, vault.WriteOptions{Who: tb.Name()})
	require.NoError(tb, err)
	_, err = transfer.Run(tb.Context(), src, dst, transfer.Options{Filter: filter})
	return dst.Snapshot(), errors.Join(err, dst.Close())
}

// get returns the content of a snapshot, nil if there is none.
func get(tb testing.TB, v *vault.Vault, name, snapshot string) *transfertest.Site {
	tb.Helper()
	src, err := v.Source(tb.Context(), name, snapshot)
	if errors.Is(err, vault.ErrNoSnapshot) {
		return nil
	}
	require.NoError(tb, err)
	defer func() { require.NoError(tb, src.Close()) }()
	require.NoError(tb, src.Check(tb.Context()))
	return transfertest.ReadSite(tb, src)
}
