package database

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// Kind is a kind of database.
type Kind string

// The kinds, by the names that Strapi's own settings give them.
const (
	SQLite   Kind = "sqlite"
	Postgres Kind = "postgres"
	MySQL    Kind = "mysql" // and MariaDB
)

// Config says where a database is. The zero value of every field but Kind, and Path or Name, means what Strapi means by it.
type Config struct {
	Kind Kind
	Path string // of an SQLite file

	Host     string // 127.0.0.1 when empty
	Port     int    // the usual one when zero
	Socket   string // a path, instead of Host and Port
	Name     string
	User     string
	Password string      // never part of an error or of String
	Schema   string      // of PostgreSQL; public when empty
	TLS      *tls.Config `json:"-"` // nil: no encryption

	// Zone is that of the Strapi process, in which PostgreSQL and MySQL hold its times. nil means Local.
	Zone *time.Location `json:"-"`

	// BusyTimeout is how long to wait for a lock that somebody else holds, such as a running Strapi. Zero means 10 s.
	BusyTimeout time.Duration

	// Hook is called before each statement that may change something, and before each commit; what it returns fails the
	// statement. It is for logs, and for tests that let a database fail.
	Hook func(statement string) error `json:"-"`
}

const (
	defaultBusyTimeout = 10 * time.Second
	connectTimeout     = 20 * time.Second
	portPostgres       = 5432
	portMySQL          = 3306
)

// String names the database without saying how to get in.
func (c Config) String() string {
	switch {
	case c.Kind == SQLite:
		return "sqlite:" + c.Path
	case c.Socket != "":
		return fmt.Sprintf("%s:%s/%s", c.Kind, c.Socket, c.Name)
	case c.Kind == Postgres && c.Schema != "" && c.Schema != "public":
		return fmt.Sprintf("%s://%s/%s (schema %s)", c.Kind, c.address(), c.Name, c.Schema)
	}
	return fmt.Sprintf("%s://%s/%s", c.Kind, c.address(), c.Name)
}

// GoString is String, so that no verb prints the password.
func (c Config) GoString() string { return c.String() }

func (c Config) address() string {
	return net.JoinHostPort(cmp.Or(c.Host, "127.0.0.1"), strconv.Itoa(c.port()))
}

func (c Config) port() int {
	if c.Kind == Postgres {
		return cmp.Or(c.Port, portPostgres)
	}
	return cmp.Or(c.Port, portMySQL)
}

func (c Config) zone() *time.Location {
	if c.Zone == nil {
		return time.Local
	}
	return c.Zone
}

func (c Config) busyTimeout() time.Duration { return cmp.Or(c.BusyTimeout, defaultBusyTimeout) }

func (c Config) validate() error {
	switch c.Kind {
	case SQLite:
		if c.Path == "" {
			return fmt.Errorf("%w: an SQLite database needs the path of its file", transfer.ErrUsage)
		}
	case Postgres, MySQL:
		if c.Name == "" {
			return fmt.Errorf("%w: a %s database needs a name", transfer.ErrUsage, c.Kind)
		}
		if c.Port < 0 || c.Port > 65535 {
			return fmt.Errorf("%w: %d is no port", transfer.ErrUsage, c.Port)
		}
	default:
		return fmt.Errorf("%w: unknown kind of database %q: one of sqlite, postgres, mysql", transfer.ErrUsage, c.Kind)
	}
	return nil
}
