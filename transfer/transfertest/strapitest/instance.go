//go:build unix

package strapitest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	databaseFile   = ".tmp/data.db"
	strapiCommand  = "node_modules/@strapi/strapi/bin/strapi.js"
	commandTimeout = 10 * time.Minute
)

// Lifespans of transfer tokens.
const (
	Forever time.Duration = 0
	Expired time.Duration = -time.Hour
)

// Options say what an instance starts with. The zero value is an application without content.
type Options struct {
	Seed     bool // with the content of scripts/seed.js
	Database Database
}

// Instance is one Strapi project with its own database, files and port. Its methods fail the test that they are given; it
// is stopped and removed at the end of the test that made it.
type Instance struct {
	dir      string
	port     int
	database Connection
	server   *server // nil when not running
}

// New makes an instance. It is not started.
func New(tb testing.TB, opts Options) *Instance {
	tb.Helper()
	c := openCache(tb)
	if opts.Database != SQLite {
		return newElsewhere(tb, c, opts)
	}
	from := c.blank
	if opts.Seed {
		from = c.seeded
	}
	return newInstance(tb, from, Connection{})
}

// newElsewhere makes an instance on a database of its own, where content cannot be copied with the folder.
func newElsewhere(tb testing.TB, c cache, opts Options) *Instance {
	tb.Helper()
	i := newInstance(tb, c.blank, newDatabase(tb, opts.Database))
	i.script(tb, "prepare.js")
	if opts.Seed {
		i.script(tb, "seed.js")
	}
	return i
}

// Clone makes an instance with the content and the tokens of a stopped one.
func (i *Instance) Clone(tb testing.TB) *Instance {
	tb.Helper()
	if i.server != nil {
		tb.Fatal("clone a running instance: stop it first")
	}
	if i.database.Kind != SQLite {
		tb.Fatal("clone an instance: only one on SQLite can be copied")
	}
	return newInstance(tb, i.dir, Connection{})
}

// Database says where the database of the instance is.
func (i *Instance) Database() Connection {
	c := i.database
	if c.Kind == SQLite {
		c.File = i.Path(databaseFile)
	}
	return c
}

func newInstance(tb testing.TB, from string, database Connection) *Instance {
	tb.Helper()
	i := &Instance{database: database, dir: filepath.Join(tb.TempDir(), "strapi")}
	if err := os.CopyFS(i.dir, os.DirFS(from)); err != nil {
		tb.Fatalf("copy the instance %s: %v", from, err)
	}
	port, err := freePort(tb.Context())
	if err != nil {
		tb.Fatalf("find a free port: %v", err)
	}
	i.port = port
	if err := os.WriteFile(i.Path(".env"), []byte(strings.Join(i.settings(), "\n")+"\n"), 0o600); err != nil {
		tb.Fatalf("write the settings of the instance: %v", err)
	}
	tb.Cleanup(func() { i.Kill(tb) })
	return i
}

// URL returns the address that transfers are pointed at, also while the instance is not running.
func (i *Instance) URL() string { return fmt.Sprintf("http://127.0.0.1:%d/admin", i.port) }

// Path returns the path of a file of the project.
func (i *Instance) Path(elements ...string) string {
	return filepath.Join(append([]string{i.dir}, elements...)...)
}

// Token makes a transfer token with permissions ("push", "pull") and returns its access key. The instance may be running.
func (i *Instance) Token(tb testing.TB, lifespan time.Duration, permissions ...string) string {
	tb.Helper()
	random := make([]byte, 64)
	_, _ = rand.Read(random)
	key := hex.EncodeToString(random)
	i.script(tb, "token.js", key, strings.Join(permissions, ","), strconv.FormatInt(lifespan.Milliseconds(), 10))
	return key
}

// Alter changes content of every kind, so that a transfer from or to an unaltered instance makes a difference. The instance
// may be running.
func (i *Instance) Alter(tb testing.TB) {
	tb.Helper()
	i.script(tb, "alter.js")
}

// CLI runs the stock command line in the project, such as "export", "--no-encrypt". What it exits with is the caller's to
// judge.
func (i *Instance) CLI(tb testing.TB, args ...string) Result {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), commandTimeout)
	defer cancel()
	return run(ctx, i.dir, i.environment(), append([]string{"node", strapiCommand}, args...)...)
}

// Backups returns the names of the upload folders that transfers moved away and nobody moved back.
func (i *Instance) Backups(tb testing.TB) []string {
	tb.Helper()
	found, err := fs.Glob(os.DirFS(i.Path("public")), "uploads_backup_*")
	if err != nil {
		tb.Fatalf("list upload backups: %v", err)
	}
	slices.Sort(found)
	return found
}

// Editable returns a file of the project as text and a function that replaces it. Content types change at the next Start.
func (i *Instance) Editable(tb testing.TB, elements ...string) (text string, replace func(string)) {
	tb.Helper()
	path := i.Path(elements...)
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatalf("read a file of the project: %v", err)
	}
	return string(content), func(text string) {
		tb.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			tb.Fatalf("change a file of the project: %v", err)
		}
	}
}

func (i *Instance) script(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), commandTimeout)
	defer cancel()
	result := run(ctx, i.dir, i.environment(), append([]string{"node", "scripts/" + name}, args...)...)
	result.Command = "node scripts/" + name // the arguments may be secret
	if err := result.err(); err != nil {
		tb.Fatal(err)
	}
	return result.Stdout
}

// environment is what an application needs to run in its folder. Its secrets guard nothing: the server listens on loopback
// and holds made-up content.
func (i *Instance) environment() []string {
	return append(i.settings(), "STRAPITEST_LEASH=1", "NODE_OPTIONS=--require="+i.Path("scripts", "leash.js"))
}

// settings are those that a project has in its .env.
func (i *Instance) settings() []string {
	return append(environment(i.port), i.database.environment()...)
}

func environment(port int) []string {
	return []string{
		"PORT=" + strconv.Itoa(port),
		"APP_KEYS=strapitest-app-key-1,strapitest-app-key-2",
		"ADMIN_JWT_SECRET=strapitest-admin-jwt-secret",
		"API_TOKEN_SALT=strapitest-api-token-salt",
		"ENCRYPTION_KEY=strapitest-encryption-key",
		"JWT_SECRET=strapitest-jwt-secret",
		"TRANSFER_TOKEN_SALT=strapitest-transfer-token-salt",
		"NODE_ENV=development",
		"STRAPI_TELEMETRY_DISABLED=true",
		"STRAPI_DISABLE_UPDATE_NOTIFICATION=true",
		"NO_COLOR=1",
		"BROWSER=none",
	}
}

func freePort(ctx context.Context) (int, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return 0, err
	}
	if err := listener.Close(); err != nil {
		return 0, err
	}
	return strconv.Atoi(port)
}
