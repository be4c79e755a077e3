// Package sqltest lends tests empty databases on the PostgreSQL and the MariaDB (or MySQL) that TRANSFER_TEST_POSTGRES and
// TRANSFER_TEST_MYSQL name, or on those of this machine. Without a server a test is skipped, but not in CI.
package sqltest

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Kind is a kind of server, by the name that Strapi's settings give it.
type Kind string

// The kinds.
const (
	Postgres Kind = "postgres"
	MySQL    Kind = "mysql" // MariaDB, mostly
)

// Database says where a database is.
type Database struct {
	Kind     Kind
	Host     string
	Port     int
	Name     string
	User     string
	Password string
}

// URL is the database as an address, without TLS.
func (d Database) URL() string {
	u := url.URL{Scheme: string(d.Kind), User: url.User(d.User), Host: net.JoinHostPort(d.Host, strconv.Itoa(d.Port)), Path: "/" + d.Name}
	if d.Password != "" {
		u.User = url.UserPassword(d.User, d.Password)
	}
	if d.Kind == Postgres {
		u.RawQuery = "sslmode=disable"
	}
	return u.String()
}

// at is the same server's database of another name.
func (d Database) at(name string) Database {
	d.Name = name
	return d
}

const (
	// prefix begins the names of all our databases; when one was made follows, and then what tells it from others.
	prefix = "transfer_test_"
	// abandoned is the age from which a database is taken for one that a killed run has left behind: no run of tests takes as long.
	abandoned = 3 * time.Hour
	// patience bounds every request of ours to a server.
	patience = time.Minute
)

// New lends a test an empty database until the test ends.
func New(tb testing.TB, kind Kind) Database {
	tb.Helper()
	server, err := find(kind)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	if err := reach(ctx, server); err != nil {
		what, variable := "PostgreSQL", variable(kind)
		if kind == MySQL {
			what = "MariaDB"
		}
		if os.Getenv("CI") != "" {
			tb.Fatalf("CI needs %s; start it on %s:%d, or set %s: %v", what, server.Host, server.Port, variable, err)
		}
		tb.Skipf("no %s: start one on %s:%d, or set %s: %v", what, server.Host, server.Port, variable, err)
	}
	db, err := shelf.lend(ctx, server)
	if err != nil {
		tb.Fatalf("create a %s database for a test: %v", kind, err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience) //nolint:usetesting // the test's context has ended
		defer cancel()
		if err := shelf.takeBack(ctx, server, db); err != nil {
			tb.Errorf("take back the database %s of a test: %v", db.Name, err)
		}
	})
	return db
}

// Main makes a package's tests use databases again, which is much faster than making one for each, and drops them after the last:
// the package's TestMain runs what it returns.
func Main(m interface{ Run() int }) interface{ Run() int } { return &runner{m} }

type runner struct{ tests interface{ Run() int } }

func (r *runner) Run() int {
	shelf.open()
	code := r.tests.Run()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := shelf.close(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "drop the databases of tests:", err)
		return max(code, 1)
	}
	return code
}

func variable(kind Kind) string {
	if kind == MySQL {
		return "TRANSFER_TEST_MYSQL"
	}
	return "TRANSFER_TEST_POSTGRES"
}

// find is where tests find a server, with a database that is always there.
func find(kind Kind) (Database, error) {
	d := Database{Kind: kind, Host: "127.0.0.1", Port: 5432, Name: "postgres", User: "postgres"}
	if kind == MySQL {
		d.Port, d.Name, d.User = 3306, "mysql", "root"
	}
	address := os.Getenv(variable(kind))
	if address == "" {
		return d, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return d, fmt.Errorf("%s is not an address such as %s", variable(kind), d.URL()) // not the address: it may have a password in it
	}
	d.Host, d.User = cmp.Or(u.Hostname(), d.Host), cmp.Or(u.User.Username(), d.User)
	d.Password, _ = u.User.Password()
	if u.Port() != "" {
		if d.Port, err = strconv.Atoi(u.Port()); err != nil {
			return d, fmt.Errorf("%s: the port: %w", variable(kind), err)
		}
	}
	return d, nil
}

// newName names a database made now.
func newName(now time.Time) string {
	return fmt.Sprintf("%s%d_%s", prefix, now.Unix(), strings.ToLower(rand.Text()[:12]))
}

// stale reports whether a name is that of a database of ours which a killed run has left behind.
func stale(name string, now time.Time) bool {
	rest, ours := strings.CutPrefix(name, prefix)
	made, _, whole := strings.Cut(rest, "_")
	seconds, err := strconv.ParseInt(made, 10, 64)
	return ours && whole && err == nil && now.Sub(time.Unix(seconds, 0)) > abandoned
}

// shelf is where databases wait for the next test of this process.
var shelf pool //nolint:gochecknoglobals // a process has one set of tests

// pool keeps databases of PostgreSQL, where making one copies a template of several megabytes and waits for the disk. MariaDB makes
// one in no time.
type pool struct {
	mu    sync.Mutex
	on    bool                // guarded by mu, like what follows
	swept map[Kind]bool       // whether what killed runs have left has been looked for
	free  map[string]Database // empty databases, by name
}

func (p *pool) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on = true
}

// close drops what waits.
func (p *pool) close(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.on = false
	for name, db := range p.free {
		server, err := find(db.Kind)
		if err != nil {
			return err
		}
		if err := drop(ctx, server, name); err != nil {
			return err
		}
		delete(p.free, name)
	}
	return nil
}

// lend takes an empty database out, or makes one.
func (p *pool) lend(ctx context.Context, server Database) (Database, error) {
	if db, ok := p.take(server); ok {
		return db, nil
	}
	if p.first(server.Kind) {
		if err := sweep(ctx, server, time.Now()); err != nil {
			return Database{}, err
		}
	}
	db := server.at(newName(time.Now()))
	return db, create(ctx, server, db.Name)
}

func (p *pool) take(server Database) (Database, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, db := range p.free {
		if server.at(name) == db {
			delete(p.free, name)
			return db, true
		}
	}
	return Database{}, false
}

// first reports whether nobody has asked before.
func (p *pool) first(kind Kind) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.swept[kind] {
		return false
	}
	if p.swept == nil {
		p.swept = make(map[Kind]bool)
	}
	p.swept[kind] = true
	return true
}

// takeBack empties a database for the next test, or drops it.
func (p *pool) takeBack(ctx context.Context, server, db Database) error {
	p.mu.Lock()
	keep := p.on && db.Kind == Postgres
	p.mu.Unlock()
	if !keep {
		return drop(ctx, server, db.Name)
	}
	// Under its old name nobody finds it any more: what a test has left running does not write into the database of the next one.
	next := server.at(newName(time.Now()))
	if err := renamePostgres(ctx, server, db.Name, next.Name); err != nil {
		return err
	}
	if err := setPostgres(ctx, server, next.Name); err != nil {
		return err
	}
	if err := emptyPostgres(ctx, next); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == nil {
		p.free = make(map[string]Database)
	}
	p.free[next.Name] = next
	return nil
}

// sweep drops what killed runs have left behind. Databases that somebody uses stay.
func sweep(ctx context.Context, server Database, now time.Time) error {
	names, err := list(ctx, server)
	if err != nil {
		return err
	}
	for _, name := range names {
		if stale(name, now) {
			_ = run(ctx, server, "DROP DATABASE IF EXISTS "+name) // another process may be at it, or somebody look at it
		}
	}
	return ctx.Err()
}
