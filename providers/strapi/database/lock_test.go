package database_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/transfer"
)

func TestOneTransferAtATime(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		db, err := database.Open(t.Context(), config)
		require.NoError(t, err)
		lock, err := db.TryLock(t.Context())
		require.NoError(t, err)
		_, err = db.TryLock(t.Context())
		require.ErrorIs(t, err, database.ErrBusy)
		require.ErrorIs(t, err, transfer.ErrUnwritable)
		// Writing is not kept from.
		tx, err := db.Begin(t.Context(), database.TxOptions{})
		require.NoError(t, err)
		require.NoError(t, tx.Close())
		require.NoError(t, lock.Release())
		require.NoError(t, lock.Release())
		again, err := db.TryLock(t.Context())
		require.NoError(t, err)
		require.NoError(t, again.Release())
	})
}
