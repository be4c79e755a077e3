package jobs_test

import (
	"os"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TRANSFER_TEST_VICTIM"); dir != "" {
		if err := victim(dir); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(sqltest.Main(m))
}

// stores are the kinds of store that pass the suite. Each opens a new handle on one database.
func stores() map[string]func(t *testing.T) func() jobs.Store {
	return map[string]func(t *testing.T) func() jobs.Store{
		"sqlite": func(t *testing.T) func() jobs.Store {
			t.Helper()
			db := openSQLite(t, t.TempDir())
			return func() jobs.Store { return db }
		},
		"postgres": func(t *testing.T) func() jobs.Store {
			t.Helper()
			address := sqltest.New(t, sqltest.Postgres).URL()
			return func() jobs.Store { return openPostgres(t, address) }
		},
	}
}

// each runs a test on every store.
func each(t *testing.T, test func(t *testing.T, open func() jobs.Store)) {
	t.Helper()
	for name, prepare := range stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, prepare(t))
		})
	}
}

func openSQLite(t *testing.T, dir string) *jobs.DB {
	t.Helper()
	db, err := jobs.OpenSQLite(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func openPostgres(t *testing.T, address string) *jobs.Postgres {
	t.Helper()
	db, err := jobs.OpenPostgres(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}
