package sitetest

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // runs scripts

	"github.com/transfer-runner/runner/providers/strapi/database"
)

// Exec runs many statements at once.
func Exec(tb testing.TB, config database.Config, script string) {
	tb.Helper()
	ctx := tb.Context()
	switch config.Kind {
	case database.Postgres:
		address := fmt.Sprintf("host=%s port=%d user=%s dbname=%s sslmode=disable", cmp.Or(config.Host, "127.0.0.1"), cmp.Or(config.Port, 5432), cmp.Or(config.User, "postgres"), config.Name)
		if config.Password != "" {
			address += " password=" + strconv.Quote(config.Password)
		}
		conn, err := pgconn.Connect(ctx, address)
		require.NoError(tb, err)
		_, err = conn.Exec(ctx, script).ReadAll()
		require.NoError(tb, err)
		require.NoError(tb, conn.Close(ctx))
	case database.MySQL:
		c := mysql.NewConfig()
		c.User, c.Passwd, c.DBName, c.Net, c.MultiStatements = config.User, config.Password, config.Name, "tcp", true
		c.Addr = fmt.Sprintf("%s:%d", cmp.Or(config.Host, "127.0.0.1"), cmp.Or(config.Port, 3306))
		runScript(ctx, tb, "mysql", c.FormatDSN(), script)
	case database.SQLite:
		runScript(ctx, tb, "sqlite", config.Path, script)
	}
}

func runScript(ctx context.Context, tb testing.TB, driver, dsn, script string) {
	tb.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(tb, err)
	_, err = db.ExecContext(ctx, script)
	require.NoError(tb, err)
	require.NoError(tb, db.Close())
}
