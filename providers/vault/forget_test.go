package vault_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestPolicies(t *testing.T) {
	t.Parallel()
	var list []vault.Snapshot
	for _, at := range []string{
		"2026-11-02T10:00", "2026-11-08T10:00", "2026-11-09T10:00", "2026-11-18T23:30", "2026-11-20T08:00", "2026-11-20T20:00", "2026-11-21T08:00", "2026-11-21T09:00",
	} {
		when, err := time.Parse("2006-01-02T15:04", at)
		require.NoError(t, err)
		list = append(list, vault.Snapshot{ID: at, CreatedAt: when})
	}
	east := time.FixedZone("east", 3600)
	for name, tt := range map[string]struct {
		policy vault.Policy
		keep   []string
	}{
		"the last two":            {vault.Policy{Last: 2}, []string{"2026-11-21T09:00", "2026-11-21T08:00"}},
		"more than there are":     {vault.Policy{Last: 99}, []string{"2026-11-21T09:00", "2026-11-21T08:00", "2026-11-20T20:00", "2026-11-20T08:00", "2026-11-18T23:30", "2026-11-09T10:00", "2026-11-08T10:00", "2026-11-02T10:00"}},
		"three days":              {vault.Policy{Daily: 3}, []string{"2026-11-21T09:00", "2026-11-20T20:00", "2026-11-18T23:30"}},
		"three weeks":             {vault.Policy{Weekly: 3}, []string{"2026-11-21T09:00", "2026-11-09T10:00", "2026-11-08T10:00"}},
		"all rules together":      {vault.Policy{Last: 1, Daily: 2, Weekly: 2}, []string{"2026-11-21T09:00", "2026-11-20T20:00", "2026-11-09T10:00"}},
		"days of another place":   {vault.Policy{Daily: 3, Location: east}, []string{"2026-11-21T09:00", "2026-11-20T20:00", "2026-11-18T23:30"}},
		"weeks begin on a Monday": {vault.Policy{Weekly: 2}, []string{"2026-11-21T09:00", "2026-11-09T10:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, tt.policy.Validate())
			var keep []string
			decisions := tt.policy.Decide(list)
			require.Len(t, decisions, len(list))
			for _, d := range decisions {
				if d.Keep {
					keep = append(keep, d.Snapshot.ID)
					require.NotEmpty(t, d.Reasons)
				}
			}
			require.Equal(t, tt.keep, keep)
		})
	}
	require.ErrorIs(t, vault.Policy{}.Validate(), transfer.ErrUsage)
	require.ErrorIs(t, vault.Policy{Last: -1, Daily: 5}.Validate(), transfer.ErrUsage)
}

func TestForgettingFreesWhatNothingElseNeeds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openVault(t, dir)
	put(t, v, "other", wide(500, 3))
	shared := blobs(t, dir)
	put(t, v, "site", wide(500, 3))
	site := wide(500, 30)
	site.Records[transfer.StageEntities][7] = strings.Replace(site.Records[transfer.StageEntities][7], "Article", "Other", 1)
	put(t, v, "site", site)
	put(t, v, "site", wide(500, 3))

	decisions, swept, err := v.Forget(t.Context(), "site", vault.Policy{Last: 1}, vault.DryRun)
	require.NoError(t, err)
	require.Len(t, decisions, 3)
	require.Zero(t, swept)
	require.Len(t, snapshots(t, v, "site"), 3)

	before := blobs(t, dir)
	_, swept, err = v.Forget(t.Context(), "site", vault.Policy{Last: 1}, vault.DoIt)
	require.NoError(t, err)
	require.False(t, swept.Busy)
	require.Equal(t, total(before)-total(shared), swept.Bytes)
	require.Equal(t, shared, blobs(t, dir))
	require.Len(t, snapshots(t, v, "site"), 1)
	require.Equal(t, lines(sortedSchemas(wide(500, 3))), lines(get(t, v, "site", "")))
	report, err := v.Check(t.Context(), vault.CheckOptions{ReadData: true})
	require.NoError(t, err)
	require.Empty(t, report.Problems)

	_, _, err = v.Forget(t.Context(), "nosite", vault.Policy{Last: 1}, vault.DoIt)
	require.ErrorIs(t, err, vault.ErrNoSnapshot)

	for _, name := range []string{"site", "other"} {
		for _, s := range snapshots(t, v, name) {
			_, err = v.Drop(t.Context(), s)
			require.NoError(t, err)
		}
	}
	require.Empty(t, blobs(t, dir))
	_, err = v.Source(t.Context(), "site", "")
	require.ErrorIs(t, err, vault.ErrNoSnapshot)
}

func TestAReaderFinishesASnapshotThatIsForgotten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openVault(t, dir)
	put(t, v, "site", wide(500, 10))
	src, err := v.Source(t.Context(), "site", "")
	require.NoError(t, err)
	put(t, v, "site", smallSite())
	var swept vault.Swept
	n := 0
	for _, err := range src.Read(t.Context(), transfer.StageEntities, 0) {
		require.NoError(t, err)
		if n++; n == 1 {
			_, swept, err = v.Forget(t.Context(), "site", vault.Policy{Last: 1}, vault.DoIt)
			require.NoError(t, err)
		}
	}
	require.True(t, swept.Busy, "nothing is removed under a reader")
	require.Equal(t, 500, n)
	require.Len(t, snapshots(t, v, "site"), 1, "nobody else sees it")
	require.Equal(t, lines(sortedSchemas(wide(500, 10))), lines(transfertest.ReadSite(t, src)))
	require.NoError(t, src.Close())

	again := openVault(t, dir)
	report, err := again.Check(t.Context(), vault.CheckOptions{})
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	require.Len(t, blobs(t, dir), int(report.Blobs), "the next one who opens the vault sweeps")
	require.Less(t, report.Blobs, int64(15))
}

func TestNobodySweepsWhatAWriterIsAbout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := openVault(t, dir)
	dst, err := v.Destination("site", vault.WriteOptions{})
	require.NoError(t, err)
	second := openVault(t, dir)
	_, err = transfer.Run(t.Context(), &meanwhile{Source: transfertest.NewMemory(wide(200, 5)), do: func() {
		swept, err := second.Sweep(t.Context())
		require.NoError(t, err)
		require.True(t, swept.Busy)
		third, err := vault.Open(t.Context(), dir, vault.Options{})
		require.NoError(t, err)
		require.NoError(t, third.Close())
	}}, dst, transfer.Options{})
	require.NoError(t, err)
	require.NoError(t, dst.Close())
	require.Equal(t, lines(sortedSchemas(wide(200, 5))), lines(get(t, v, "site", "")))
}
