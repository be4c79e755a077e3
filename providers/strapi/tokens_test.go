package strapi_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
)

// addTokens makes three tokens as Strapi's admin panel would.
func addTokens(t *testing.T, config database.Config) {
	t.Helper()
	past, future := "'2020-01-01 00:00:00.000'", "'2099-06-01 12:00:00.000'"
	if config.Kind == database.SQLite {
		past, future = "1577836800000", "4083998400000"
	}
	q := config.Kind.Quote
	var script strings.Builder
	for _, row := range []string{
		"(1, 'both', 'hash-1', " + future + ")", "(2, 'old', 'hash-2', " + past + ")", "(3, 'pull only', 'hash-3', NULL)",
	} {
		script.WriteString("INSERT INTO " + q("strapi_transfer_tokens") + " (id, name, access_key, expires_at) VALUES " + row + ";\n")
	}
	for _, row := range []string{"(1, 'push')", "(2, 'pull')", "(3, 'pull')"} {
		script.WriteString("INSERT INTO " + q("strapi_transfer_token_permissions") + " (id, action) VALUES " + row + ";\n")
	}
	for _, row := range []string{"(1, 1)", "(2, 1)", "(3, 3)"} {
		script.WriteString("INSERT INTO " + q("strapi_transfer_token_permissions_token_lnk") +
			" (transfer_token_permission_id, transfer_token_id) VALUES " + row + ";\n")
	}
	sitetest.Exec(t, config, script.String())
}

func TestTransferTokens(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		sitetest.Lab(t, config)
		config.Zone = time.UTC
		addTokens(t, config)
		site, err := strapi.Open(t.Context(), strapi.Options{Database: config, Components: sitetest.LabComponents(t)})
		require.NoError(t, err)
		defer func() { require.NoError(t, site.Close()) }()
		const wait = 5 * time.Second
		both, err := site.TokenByHash(t.Context(), "hash-1", wait)
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"push", "pull"}, both.Permissions)
		require.Equal(t, time.Date(2099, 6, 1, 12, 0, 0, 0, time.UTC), both.Expires.UTC())
		require.True(t, both.LastUsed.IsZero())
		again, err := site.TokenByID(t.Context(), both.ID, wait)
		require.NoError(t, err)
		require.Equal(t, both, again)
		old, err := site.TokenByHash(t.Context(), "hash-2", wait)
		require.NoError(t, err)
		require.Equal(t, 2020, old.Expires.UTC().Year())
		require.Empty(t, old.Permissions)
		_, err = site.TokenByHash(t.Context(), "hash-4", wait)
		require.ErrorIs(t, err, strapi.ErrNoToken)

		// Used now, then not written down again within the hour, then after it.
		first := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
		for _, at := range []time.Time{first, first.Add(59 * time.Minute), first.Add(61 * time.Minute)} {
			require.NoError(t, site.UseToken(t.Context(), 3, at, at.Add(-time.Hour), wait))
			used, err := site.TokenByID(t.Context(), 3, wait)
			require.NoError(t, err)
			require.True(t, used.Expires.IsZero())
			want := first
			if at.Sub(first) > time.Hour {
				want = at
			}
			require.Equal(t, want, used.LastUsed.UTC())
		}
	})
}

func TestALockedDatabaseIsNotWaitedForLong(t *testing.T) {
	t.Parallel()
	config := databasetest.New(t, database.SQLite)
	sitetest.Lab(t, config)
	addTokens(t, config)
	site, err := strapi.Open(t.Context(), strapi.Options{Database: config, Components: sitetest.LabComponents(t)})
	require.NoError(t, err)
	db, err := database.Open(t.Context(), config)
	require.NoError(t, err)
	tx, err := db.Begin(t.Context(), database.TxOptions{})
	require.NoError(t, err)
	err = site.UseToken(t.Context(), 1, time.Now(), time.Now().Add(-time.Hour), 10*time.Millisecond)
	require.True(t, strapi.IsLocked(err), "%v", err)
	require.NoError(t, errors.Join(tx.Close(), db.Close(), site.Close()))
}
