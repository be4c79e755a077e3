package jobs_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/transfer-runner/runner/transfer/jobs"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("TRANSFER_TEST_VICTIM"); dir != "" {
		if err := victim(dir); err != nil {
			panic(err)
		}
		return
	}
	goleak.VerifyTestMain(m)
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
			address := postgres(t)
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

// postgres makes a database of the test's own and returns its address. Without a server the test is skipped, but not in CI.
func postgres(t *testing.T) string {
	t.Helper()
	server := os.Getenv("TRANSFER_TEST_POSTGRES")
	if server == "" {
		server = "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable"
	}
	admin, err := sql.Open("pgx", server)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, admin.Close()) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := admin.PingContext(ctx); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("CI needs PostgreSQL; start it, or set TRANSFER_TEST_POSTGRES: %v", err)
		}
		t.Skipf("no PostgreSQL: start one on 127.0.0.1:5432, or set TRANSFER_TEST_POSTGRES: %v", err)
	}
	id, err := jobs.NewID()
	require.NoError(t, err)
	name := "h6_" + strings.ReplaceAll(string(id), "-", "")
	_, err = admin.ExecContext(ctx, "CREATE DATABASE "+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.ExecContext(context.WithoutCancel(t.Context()), fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name))
		require.NoError(t, err)
	})
	u, err := url.Parse(server)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}
