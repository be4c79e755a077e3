//go:build unix

package strapitest

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// Database is a kind of database, by the name that Strapi's settings give it.
type Database string

// The kinds. The zero value is SQLite.
const (
	SQLite   Database = ""
	Postgres Database = "postgres"
	MySQL    Database = "mysql" // MariaDB, mostly
)

// Databases returns the kinds.
func Databases() []Database { return []Database{SQLite, Postgres, MySQL} }

func (d Database) String() string { return cmp.Or(string(d), "sqlite") }

// Connection says where the database of an instance is.
type Connection struct {
	Kind Database
	File string // of SQLite

	Host     string
	Port     int
	Name     string
	User     string
	Password string
}

// environment is how Strapi's settings, and the project's scripts, take it.
func (c Connection) environment() []string {
	if c.Kind == SQLite {
		return []string{"DATABASE_CLIENT=sqlite", "DATABASE_FILENAME=" + databaseFile}
	}
	return []string{
		"DATABASE_CLIENT=" + string(c.Kind), "DATABASE_HOST=" + c.Host, "DATABASE_PORT=" + strconv.Itoa(c.Port),
		"DATABASE_NAME=" + c.Name, "DATABASE_USERNAME=" + c.User, "DATABASE_PASSWORD=" + c.Password,
	}
}

// newDatabase creates a database on the server that TRANSFER_TEST_POSTGRES or TRANSFER_TEST_MYSQL names, or on this machine's, and
// drops it when the test ends. Without a server the test is skipped, unless CI is set.
func newDatabase(tb testing.TB, kind Database) Connection {
	tb.Helper()
	c := Connection{Kind: kind, Host: "127.0.0.1", Port: 5432, Name: "postgres", User: "postgres"}
	variable := "TRANSFER_TEST_POSTGRES"
	if kind == MySQL {
		c.Port, c.Name, c.User, variable = 3306, "mysql", "root", "TRANSFER_TEST_MYSQL"
	}
	if address := os.Getenv(variable); address != "" {
		var err error
		if c, err = c.at(address); err != nil {
			tb.Fatalf("%s: %v", variable, err)
		}
	}
	var random [6]byte
	_, _ = rand.Read(random[:])
	name := "strapitest_" + hex.EncodeToString(random[:])
	if err := c.run(tb.Context(), "CREATE DATABASE "+name); err != nil {
		if os.Getenv("CI") != "" {
			tb.Fatalf("create a %s database: %v", kind, err)
		}
		tb.Skipf("no %s: %v; %s says where one is", kind, err, variable)
	}
	admin := c
	tb.Cleanup(func() {
		drop := "DROP DATABASE " + name
		if kind == Postgres {
			drop += " WITH (FORCE)"
		}
		if err := admin.run(context.Background(), drop); err != nil { //nolint:usetesting // the test's context has ended
			tb.Logf("drop a database: %v", err)
		}
	})
	c.Name = name
	return c
}

// at is the connection to the server with an address.
func (c Connection) at(address string) (Connection, error) {
	u, err := url.Parse(address)
	if err != nil {
		return c, err
	}
	c.Host, c.User = cmp.Or(u.Hostname(), c.Host), cmp.Or(u.User.Username(), c.User)
	c.Password, _ = u.User.Password()
	if u.Port() != "" {
		c.Port, err = strconv.Atoi(u.Port())
	}
	return c, err
}

func (c Connection) run(ctx context.Context, statement string) error {
	if c.Kind == MySQL {
		config := mysql.NewConfig()
		config.User, config.Passwd, config.DBName, config.Net = c.User, c.Password, c.Name, "tcp"
		config.Addr = net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
		connector, err := mysql.NewConnector(config)
		if err != nil {
			return err
		}
		db := sql.OpenDB(connector)
		defer func() { _ = db.Close() }()
		_, err = db.ExecContext(ctx, statement)
		return err
	}
	address := url.URL{Scheme: "postgres", User: url.UserPassword(c.User, c.Password), Host: net.JoinHostPort(c.Host, strconv.Itoa(c.Port)), Path: c.Name, RawQuery: "sslmode=disable"}
	conn, err := pgconn.Connect(ctx, address.String())
	if err != nil {
		return fmt.Errorf("connect to %s:%d: %w", c.Host, c.Port, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	return conn.Exec(ctx, statement).Close()
}
