// Package databasetest gives tests empty databases of every kind.
package databasetest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
)

// Each runs a test with an empty database of each kind. PostgreSQL and MySQL are looked for where TRANSFER_TEST_POSTGRES and
// TRANSFER_TEST_MYSQL say, or on this machine; without them their tests are skipped, unless CI is set.
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
	config := server(tb, kind)
	db, err := database.Open(tb.Context(), config)
	if err != nil && os.Getenv("CI") == "" {
		tb.Skipf("no %s at %s: %v; say where one is with TRANSFER_TEST_POSTGRES or TRANSFER_TEST_MYSQL", kind, config, err)
	}
	require.NoError(tb, err)
	admin := &admin{tb: tb, config: config}
	config.Name = "h4_test_" + random()
	admin.run("CREATE DATABASE " + db.Quote(config.Name))
	tb.Cleanup(func() {
		if kind == database.Postgres {
			admin.run("DROP DATABASE " + db.Quote(config.Name) + " WITH (FORCE)")
			return
		}
		admin.run("DROP DATABASE " + db.Quote(config.Name))
	})
	return config
}

// server is where a test finds databases.
func server(tb testing.TB, kind database.Kind) database.Config {
	tb.Helper()
	address, name := os.Getenv("TRANSFER_TEST_POSTGRES"), "postgres"
	config := database.Config{Kind: kind, Host: "127.0.0.1", User: "postgres"}
	if kind == database.MySQL {
		address, name = os.Getenv("TRANSFER_TEST_MYSQL"), "mysql"
		config.User = "root"
	}
	config.Name = name
	if address == "" {
		return config
	}
	u, err := url.Parse(address)
	require.NoError(tb, err, "TRANSFER_TEST_POSTGRES and TRANSFER_TEST_MYSQL are URLs")
	config.Host, config.User = u.Hostname(), u.User.Username()
	config.Password, _ = u.User.Password()
	if u.Port() != "" {
		config.Port, err = strconv.Atoi(u.Port())
		require.NoError(tb, err)
	}
	return config
}

// admin runs what cannot be part of a transaction.
type admin struct {
	tb     testing.TB
	config database.Config
}

func (a *admin) run(statement string) {
	a.tb.Helper()
	require.NoError(a.tb, database.RunAlone(context.Background(), a.config, statement))
}

func random() string {
	var b [6]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
