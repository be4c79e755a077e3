// Package databasetest gives tests empty databases of every kind.
package databasetest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

// Each runs a test with an empty database of each kind. See [sqltest] for where PostgreSQL and MySQL are looked for.
func Each(t *testing.T, test func(t *testing.T, config database.Config)) {
	t.Helper()
	for _, kind := range Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, New(t, kind))
		})
	}
}

// Kinds returns the kinds of databases.
func Kinds() []database.Kind {
	return []database.Kind{database.SQLite, database.Postgres, database.MySQL}
}

// New creates an empty database, which goes when the test ends.
func New(tb testing.TB, kind database.Kind) database.Config {
	tb.Helper()
	if kind == database.SQLite {
		path := filepath.Join(tb.TempDir(), "data.db")
		require.NoError(tb, os.WriteFile(path, nil, 0o600))
		return database.Config{Kind: kind, Path: path}
	}
	server := sqltest.Postgres
	if kind == database.MySQL {
		server = sqltest.MySQL
	}
	db := sqltest.New(tb, server)
	return database.Config{Kind: kind, Host: db.Host, Port: db.Port, Name: db.Name, User: db.User, Password: db.Password}
}

// Empty takes everything out of a database that [New] has made, which is faster than to make another.
func Empty(tb testing.TB, config database.Config) {
	tb.Helper()
	config.Hook = nil
	if config.Kind == database.SQLite {
		for _, suffix := range []string{"-wal", "-shm"} {
			require.NoError(tb, os.RemoveAll(config.Path+suffix))
		}
		require.NoError(tb, os.WriteFile(config.Path, nil, 0o600))
		return
	}
	db, err := database.Open(tb.Context(), config)
	require.NoError(tb, err)
	tx, err := db.Begin(tb.Context(), database.TxOptions{Unchecked: true})
	require.NoError(tb, err)
	statements := []string{"DROP SCHEMA public CASCADE", "CREATE SCHEMA public"}
	if config.Kind == database.MySQL {
		tables, err := tx.Tables(tb.Context())
		require.NoError(tb, err)
		for i, name := range tables {
			tables[i] = db.Quote(name)
		}
		statements = nil
		if len(tables) > 0 {
			statements = []string{"DROP TABLE " + strings.Join(tables, ", ")}
		}
	}
	for _, statement := range statements {
		_, err := tx.Exec(tb.Context(), statement)
		require.NoError(tb, err)
	}
	require.NoError(tb, tx.Commit(tb.Context()))
	require.NoError(tb, errors.Join(tx.Close(), db.Close()))
}
