package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
)

const accessKey = "0123456789abcdef0123456789abcdef"

// labProject makes a project on SQLite with the content that sitetest has, a file for one of its rows, and a transfer token.
func labProject(t *testing.T) string {
	t.Helper()
	return labProjectOn(t, database.SQLite).dir
}

// lab is a project with its database.
type lab struct {
	t      *testing.T
	dir    string
	config database.Config
}

// labProjectOn makes the project on a kind of database.
func labProjectOn(t *testing.T, kind database.Kind) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir()}
	if kind == database.SQLite {
		l.config = database.Config{Kind: kind, Path: filepath.Join(l.dir, ".tmp", "data.db")}
		require.NoError(t, os.MkdirAll(filepath.Dir(l.config.Path), 0o755))
	} else {
		l.config = databasetest.New(t, kind)
	}
	for name, text := range map[string]string{
		"package.json": `{"name":"lab","dependencies":{"@strapi/strapi":"5.54.0"}}`,
		".env": fmt.Sprintf("TRANSFER_TOKEN_SALT=tobemodified\nTZ=UTC\nDATABASE_CLIENT=%s\nDATABASE_HOST=%s\nDATABASE_PORT=%d\nDATABASE_NAME=%s\nDATABASE_USERNAME=%s\nDATABASE_PASSWORD=%s\n",
			kind, l.config.Host, l.config.Port, l.config.Name, l.config.User, l.config.Password),
		"config/database.js": `module.exports = ({ env }) => ({ connection: { client: env('DATABASE_CLIENT', 'sqlite'), connection: env('DATABASE_CLIENT', 'sqlite') === 'sqlite' ?
			{ filename: env('DATABASE_FILENAME', '.tmp/data.db') } :
			{ host: env('DATABASE_HOST'), port: env.int('DATABASE_PORT') || undefined, database: env('DATABASE_NAME'), user: env('DATABASE_USERNAME'), password: env('DATABASE_PASSWORD') } } })`,
		"config/admin.js":   `module.exports = ({ env }) => ({ transfer: { token: { salt: env('TRANSFER_TOKEN_SALT') } } })`,
		"public/robots.txt": "x",
	} {
		write(t, filepath.Join(l.dir, name), text)
	}
	for uid, text := range sitetest.LabComponents(t) {
		write(t, filepath.Join(l.dir, "src", "components", strings.ReplaceAll(uid, ".", "/")+".json"), string(text))
	}
	sitetest.Lab(t, l.config)
	require.NoError(t, os.MkdirAll(filepath.Join(l.dir, "public", "uploads"), 0o755))
	l.execute(
		"INSERT INTO strapi_transfer_tokens (id, name, access_key) VALUES (7, 'panel', '"+token.HashAccessKey("tobemodified", accessKey)+"')",
		"INSERT INTO strapi_transfer_token_permissions (id, action) VALUES (7, 'pull'), (8, 'push')",
		"INSERT INTO strapi_transfer_token_permissions_token_lnk (transfer_token_permission_id, transfer_token_id) VALUES (7, 7), (8, 7)",
	)
	for _, row := range l.rows("SELECT url, formats FROM files") {
		var formats map[string]struct{ URL string }
		if text := database.Text(row[1]); text != "" {
			require.NoError(t, json.Unmarshal([]byte(text), &formats))
		}
		urls := []string{database.Text(row[0])}
		for _, format := range formats {
			urls = append(urls, format.URL)
		}
		for _, url := range urls {
			write(t, filepath.Join(l.dir, "public", url), "content of "+url)
		}
	}
	return l
}

// execute runs statements beside whoever else has the database open.
func (l *lab) execute(statements ...string) {
	l.t.Helper()
	sitetest.Exec(l.t, l.config, strings.Join(statements, ";\n")+";\n")
}

// rows is what a query finds.
func (l *lab) rows(query string) [][]any {
	l.t.Helper()
	db, err := database.Open(l.t.Context(), l.config)
	require.NoError(l.t, err)
	snap, err := db.Snapshot(l.t.Context())
	require.NoError(l.t, err)
	all, err := snap.All(l.t.Context(), query)
	require.NoError(l.t, err)
	require.NoError(l.t, errors.Join(snap.Close(), db.Close()))
	return all
}

// number is the one number that a query finds.
func (l *lab) number(query string) int64 {
	l.t.Helper()
	all := l.rows(query)
	require.Len(l.t, all, 1, query)
	n, ok := database.Int(all[0][0])
	require.True(l.t, ok, query)
	return n
}

// watch lets the database count the rows that anybody writes from here on, and returns what counts them.
func (l *lab) watch() (written func() int64) {
	l.t.Helper()
	quote := l.config.Kind.Quote
	db, err := database.Open(l.t.Context(), l.config)
	require.NoError(l.t, err)
	snap, err := db.Snapshot(l.t.Context())
	require.NoError(l.t, err)
	tables, err := snap.Tables(l.t.Context())
	require.NoError(l.t, err)
	require.NoError(l.t, errors.Join(snap.Close(), db.Close()))
	statements := []string{"CREATE TABLE written (what varchar(100))"}
	if l.config.Kind == database.Postgres {
		statements = append(statements, "CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO written VALUES (TG_TABLE_NAME); RETURN NULL; END'")
	}
	note := map[database.Kind]string{
		database.SQLite:   "BEGIN INSERT INTO written VALUES ('it'); END",
		database.MySQL:    "FOR EACH ROW INSERT INTO written VALUES ('it')",
		database.Postgres: "FOR EACH ROW EXECUTE FUNCTION note_it()",
	}[l.config.Kind]
	for i, table := range tables {
		for _, event := range []string{"INSERT", "UPDATE", "DELETE"} {
			statements = append(statements, fmt.Sprintf("CREATE TRIGGER note_%d_%s AFTER %s ON %s %s", i, event, event, quote(table), note))
		}
	}
	l.execute(statements...)
	return func() int64 {
		l.t.Helper()
		return l.number("SELECT count(*) FROM written")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestAProjectIsAnEndpoint(t *testing.T) {
	t.Parallel()
	from, to := labProject(t), labProject(t)
	s := &served{t: t}
	dir := t.TempDir()
	tar := filepath.Join(dir, "a.tar.gz")
	code, _, said := s.command("pull", "--from", from, "--to", tar)
	require.Equal(t, exitOK, code, said)
	code, out, said := s.command("diff", "--content", from, tar)
	require.Equal(t, exitOK, code, out+said)

	// A project as a destination is asked about, and the plan says which database it is.
	code, _, said = s.command("push", "--from", tar, "--to", to)
	require.Equal(t, exitRefused, code, said)
	require.Contains(t, said, "sqlite:"+filepath.Join(to, ".tmp", "data.db"))
	require.Contains(t, said, "must be restarted")
	write(t, filepath.Join(to, "public", "uploads", "stray.txt"), "old")
	code, _, said = s.command("push", "--from", tar, "--to", to, "--yes")
	require.Equal(t, exitOK, code, said)
	require.NoFileExists(t, filepath.Join(to, "public", "uploads", "stray.txt"))
	code, _, said = s.command("push", "--from", from, "--to", "sqlite:"+filepath.Join(from, ".tmp", "data.db"), "--to-schemas", from, "--yes")
	require.Equal(t, exitUsage, code, said)
	require.Contains(t, said, "the same database")

	// What Strapi had rounded in the first database is exact in the second, and stays as it is from there on.
	again := filepath.Join(dir, "b.tar.gz")
	code, _, said = s.command("pull", "--from", to, "--to", again)
	require.Equal(t, exitOK, code, said)
	code, _, said = s.command("push", "--from", again, "--to", from, "--yes", "--verify")
	require.Equal(t, exitOK, code, said)
	require.Contains(t, said, "verified")

	// Without its folder a database needs schemas from elsewhere, and its files.
	schemas := filepath.Join(dir, "schemas.json")
	code, _, said = s.command("inspect", tar, "--quick", "--schemas", schemas)
	require.Equal(t, exitOK, code, said)
	alone := "sqlite:" + filepath.Join(to, ".tmp", "data.db")
	code, _, said = s.command("inspect", alone)
	require.NotEqual(t, exitOK, code)
	require.Contains(t, said, "--schemas")
	code, out, said = s.command("diff", "--content", "--schemas", schemas, "--uploads", filepath.Join(to, "public", "uploads"), "--timezone", "UTC", alone, again)
	require.Equal(t, exitOK, code, out+said)
}

func TestAProjectIsServedWithItsOwnTokens(t *testing.T) {
	t.Parallel()
	dir, other := labProject(t), labProject(t)
	s := startServe(t, filepath.Join(t.TempDir(), "data"), "--site", dir, "--site", "vault=vault:default")
	tar := filepath.Join(t.TempDir(), "a.tar.gz")
	code, _, said := s.command("pull", "--from", s.url, "--from-token", accessKey, "--to", tar)
	require.Equal(t, exitOK, code, said)
	code, out, said := s.command("diff", "--content", dir, tar)
	require.Equal(t, exitOK, code, out+said)
	code, _, said = s.command("push", "--from", other, "--to", s.url, "--to-token", accessKey, "--yes")
	require.Equal(t, exitOK, code, said)

	// A token of the project is for the project, ours are for all sites.
	vault := strings.Replace(s.url, "/admin", "/vault/admin", 1)
	code, _, said = s.command("push", "--from", tar, "--to", vault, "--to-token", accessKey, "--yes")
	require.Equal(t, exitAuth, code, said)
	code, _, said = s.command("pull", "--from", s.url, "--from-token", s.token, "--to", filepath.Join(t.TempDir(), "b.tar"))
	require.Equal(t, exitOK, code, said)
	code, _, _ = s.command("pull", "--from", s.url, "--from-token", accessKey+"0", "--to", filepath.Join(t.TempDir(), "c.tar"))
	require.Equal(t, exitAuth, code)

	// Its use is written down, and its end is seen.
	db, err := sql.Open("sqlite", filepath.Join(dir, ".tmp", "data.db"))
	require.NoError(t, err)
	defer db.Close()
	var used int64
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT last_used_at FROM strapi_transfer_tokens WHERE id = 7").Scan(&used))
	require.Positive(t, used)
	_, err = db.ExecContext(t.Context(), "UPDATE strapi_transfer_tokens SET expires_at = 1000 WHERE id = 7")
	require.NoError(t, err)
	code, _, said = s.command("pull", "--from", s.url, "--from-token", accessKey, "--to", filepath.Join(t.TempDir(), "d.tar"))
	require.Equal(t, exitAuth, code, said)
	require.NotContains(t, s.err.String()+said, accessKey)
}

// A project whose files were changed since Strapi was last started is read and written as its database is, and that is said: also when a
// push is refused because of it.
func TestAProjectWhoseFilesAreAheadOfItsDatabase(t *testing.T) {
	t.Parallel()
	from, target := labProject(t), labProjectOn(t, database.SQLite)
	to := target.dir
	before := contentOf(t, to)
	target.execute(`UPDATE strapi_core_store_settings SET value = json_remove(value, '$."api::rel-a.rel-a".attributes.friends') WHERE key = 'strapi_content_types_schema'`)
	write(t, filepath.Join(to, "src", "components", "lab", "later.json"), `{"collectionName":"components_lab_laters","info":{},"attributes":{"a":{"type":"string"}}}`)
	write(t, filepath.Join(to, "src", "api", "rel-a", "content-types", "rel-a", "schema.json"), `{"attributes":{"name":{"type":"string"},"friends":{"type":"relation"}}}`)
	s := &served{t: t}
	code, _, said := s.command("push", "--from", from, "--to", to, "--yes")
	require.Equal(t, exitIncompatible, code, said)
	words := strings.Join(strings.Fields(said), " ")
	require.Contains(t, words, "does not have yet")
	require.Contains(t, words, "lab.later, api::rel-a.rel-a.friends; start Strapi once")
	code, _, said = s.command("pull", "--from", to, "--to", filepath.Join(t.TempDir(), "a.tar"))
	require.Equal(t, exitOK, code, said)
	words = strings.Join(strings.Fields(said), " ")
	require.Contains(t, words, "lab.later, api::rel-a.rel-a.friends; start Strapi once")
	require.NotEmpty(t, before.Compare(contentOf(t, to), 5), "the relation was left out")
}

// What a destination holds is what was sent, however its kind of database writes it.
func TestVerifyingBetweenKindsOfDatabases(t *testing.T) {
	t.Parallel()
	for _, from := range databasetest.Kinds() {
		for _, to := range databasetest.Kinds() {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				t.Parallel()
				a, b := labProjectOn(t, from), labProjectOn(t, to)
				a.execute(
					"UPDATE kitchen_sinks SET a_time = '13:45:30.500', a_decimal = 52.989999999999995, a_bigint = 9223372036854775807",
				)
				s := &served{t: t}
				code, _, said := s.command("push", "--from", a.dir, "--to", b.dir, "--yes", "--verify")
				require.Equal(t, exitOK, code, said)
				b.execute("UPDATE kitchen_sinks SET a_time = '13:45:31'")
				code, out, said := s.command("diff", "--content", a.dir, b.dir)
				require.Equal(t, exitDifferent, code, out+said)
			})
		}
	}
}
