//go:build unix

package strapitest

import (
	"cmp"
	"strconv"
	"testing"

	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
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

// newDatabase creates a database that goes when the test ends. Without a server the test is skipped, unless CI is set.
func newDatabase(tb testing.TB, kind Database) Connection {
	tb.Helper()
	d := sqltest.New(tb, sqltest.Kind(kind))
	return Connection{Kind: kind, Host: d.Host, Port: d.Port, Name: d.Name, User: d.User, Password: d.Password}
}
