package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// query runs statements outside of a transaction and returns the first column of what the last of them answers.
func query(ctx context.Context, in Database, statement string) ([]string, error) {
	if in.Kind == MySQL {
		return queryMySQL(ctx, in, statement)
	}
	conn, err := pgconn.Connect(ctx, in.URL())
	if err != nil {
		return nil, fmt.Errorf("connect to %s:%d: %w", in.Host, in.Port, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	results, err := conn.Exec(ctx, statement).ReadAll()
	if err != nil || len(results) == 0 {
		return nil, err
	}
	var column []string
	for _, row := range results[len(results)-1].Rows {
		column = append(column, string(row[0]))
	}
	return column, nil
}

func queryMySQL(ctx context.Context, in Database, statement string) (column []string, err error) {
	config := mysql.NewConfig()
	config.User, config.Passwd, config.DBName, config.Net = in.User, in.Password, in.Name, "tcp"
	config.Addr = net.JoinHostPort(in.Host, strconv.Itoa(in.Port))
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, statement)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		column = append(column, text)
	}
	return column, rows.Err()
}

func run(ctx context.Context, in Database, statement string) error {
	_, err := query(ctx, in, statement)
	return err
}

func reach(ctx context.Context, server Database) error { return run(ctx, server, "SELECT 1") }

func create(ctx context.Context, server Database, name string) error {
	if err := run(ctx, server, "CREATE DATABASE "+name); err != nil {
		return err
	}
	if server.Kind == MySQL {
		return nil
	}
	return setPostgres(ctx, server, name)
}

// setPostgres gives a database the settings that it has when it is lent, whatever a test has set.
func setPostgres(ctx context.Context, server Database, name string) error {
	// No test stops the server, so that none can tell whether it waits for the disk at every commit.
	return run(ctx, server, fmt.Sprintf("ALTER DATABASE %[1]s RESET ALL; ALTER DATABASE %[1]s SET synchronous_commit = off", name))
}

func drop(ctx context.Context, server Database, name string) error {
	statement := "DROP DATABASE IF EXISTS " + name
	if server.Kind == Postgres {
		statement += " WITH (FORCE)"
	}
	return run(ctx, server, statement)
}

// list names the server's databases.
func list(ctx context.Context, server Database) ([]string, error) {
	if server.Kind == MySQL {
		return query(ctx, server, "SHOW DATABASES")
	}
	return query(ctx, server, "SELECT datname FROM pg_database WHERE NOT datistemplate")
}

// renamePostgres disconnects who is connected to a database, and renames it.
func renamePostgres(ctx context.Context, server Database, from, to string) error {
	for {
		if err := run(ctx, server, fmt.Sprintf("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '%s'", from)); err != nil {
			return err
		}
		err := run(ctx, server, fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", from, to))
		var answer *pgconn.PgError
		if !errors.As(err, &answer) || answer.Code != "55006" || ctx.Err() != nil { // object_in_use: somebody has connected in between
			return err
		}
	}
}

// emptyPostgres makes a database as if it were new. Extensions and all that tests make are in schemas, but for large objects.
func emptyPostgres(ctx context.Context, db Database) error {
	return run(ctx, db, `
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT nspname FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname NOT LIKE 'pg\_%' LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', name);
  END LOOP;
  PERFORM lo_unlink(oid) FROM pg_largeobject_metadata;
  CREATE SCHEMA public;
  GRANT ALL ON SCHEMA public TO PUBLIC;
END $$`)
}
