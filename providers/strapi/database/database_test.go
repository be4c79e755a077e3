package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
)

func TestValuesComeBackAsTheyWereStored(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		db, err := database.Open(t.Context(), config)
		require.NoError(t, err)
		tx, err := db.Begin(t.Context(), database.TxOptions{})
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "CREATE TABLE "+db.Quote("Some Table")+" ("+db.Quote("order")+" integer, a varchar(255), d date, f double precision, n bigint)")
		require.NoError(t, err)
		bulk, err := tx.Insert(t.Context(), "Some Table", []string{"order", "a", "d", "f", "n"})
		require.NoError(t, err)
		rows := [][]any{
			{int64(1), "tab\tnewline\nback\\slash 'quote' \"q\" ünï 🚢 ?", "2024-02-29", 1.5, int64(9223372036854775807)},
			{int64(2), nil, nil, nil, nil},
			{int64(3), "", "1999-01-01", -0.1, int64(-9007199254740993)},
		}
		for _, row := range rows {
			require.False(t, bulk.Add(row))
		}
		require.NoError(t, bulk.Flush(t.Context()))
		require.NoError(t, bulk.Close())
		require.NoError(t, tx.Commit(t.Context()))
		snap, err := db.Snapshot(t.Context())
		require.NoError(t, err)
		defer snap.Close()
		all, err := snap.All(t.Context(), "SELECT "+db.Expr("order")+", "+db.Expr("a")+", "+db.Expr("d")+", "+db.Expr("f")+", "+db.Expr("n")+" FROM "+db.Quote("Some Table")+" WHERE "+db.Quote("order")+" > ? ORDER BY 1", int64(0))
		require.NoError(t, err)
		require.Equal(t, rows, all)
		tables, err := snap.Tables(t.Context())
		require.NoError(t, err)
		require.Equal(t, []string{"Some Table"}, tables)
	})
}
