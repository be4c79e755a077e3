package project_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/project"
	"github.com/transfer-runner/runner/transfer"
)

// files writes a project.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if content["package.json"] == "" {
		content["package.json"] = `{"name":"shop","dependencies":{"@strapi/strapi":"5.54.0"}}`
	}
	for name, text := range content {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

// stockDatabase has the shape of the file that Strapi puts into new projects.
const stockDatabase = `
const path = require('path');
const { isDatabaseClientKind } = require('@strapi/database');
module.exports = ({ env }) => {
  const client = env('DATABASE_CLIENT', 'sqlite');
  if (!isDatabaseClientKind(client)) throw new Error('no such client: ' + client);
  const ssl = env.bool('DATABASE_SSL', false) && {
    ca: env('DATABASE_SSL_CA', undefined),
    rejectUnauthorized: env.bool('DATABASE_SSL_REJECT_UNAUTHORIZED', true),
  };
  const of = (port) => ({
    host: env('DATABASE_HOST', 'localhost'), port: env.int('DATABASE_PORT', port), database: env('DATABASE_NAME', 'strapi'),
    user: env('DATABASE_USERNAME', 'strapi'), password: env('DATABASE_PASSWORD', 'strapi'), ssl,
  });
  const all = {
    mysql: { connection: of(3306), pool: { min: env.int('DATABASE_POOL_MIN', 2) } },
    postgres: { connection: { connectionString: env('DATABASE_URL'), ...of(5432), schema: env('DATABASE_SCHEMA', 'public') } },
    sqlite: { connection: { filename: path.join(__dirname, '..', env('DATABASE_FILENAME', '.tmp/data.db')) }, useNullAsDefault: true },
  };
  return { connection: { client, ...all[client], acquireConnectionTimeout: env.int('DATABASE_CONNECTION_TIMEOUT', 60000) } };
};`

// stockTypes is the same in TypeScript, which is compiled to dist.
const stockTypes = `
import path from 'path';
import type { Core } from '@strapi/strapi';
import { isDatabaseClientKind } from '@strapi/database';
const config = ({ env }: Core.Config.Shared.ConfigParams): Core.Config.Database => {
  const client = env('DATABASE_CLIENT', 'sqlite') as 'sqlite' | 'postgres';
  if (!isDatabaseClientKind(client)) throw new Error('no such client');
  const all: Record<string, Core.Config.Database['connection']> = {
    postgres: { client: 'postgres', connection: { connectionString: env('DATABASE_URL'), database: env('DATABASE_NAME')!, schema: env('DATABASE_SCHEMA', 'public') } },
    sqlite: { client: 'sqlite', connection: { filename: path.join(__dirname, '..', '..', env('DATABASE_FILENAME', '.tmp/data.db')) } },
  };
  return { connection: { ...all[client] } };
};
export default config;`

func TestDatabaseOfAProject(t *testing.T) {
	t.Parallel()
	js := func(env string) map[string]string {
		return map[string]string{"config/database.js": stockDatabase, ".env": env}
	}
	ts := func(env string) map[string]string {
		return map[string]string{"config/database.ts": stockTypes, "tsconfig.json": "{}", ".env": env}
	}
	tests := map[string]struct {
		files   map[string]string
		environ []string
		opts    project.Options
		want    string
		check   func(t *testing.T, c database.Config)
		err     string
	}{
		"JavaScript, SQLite":           {files: js(""), want: "sqlite:DIR/.tmp/data.db"},
		"JavaScript, SQLite elsewhere": {files: js("DATABASE_FILENAME=data/x.db"), want: "sqlite:DIR/data/x.db"},
		"TypeScript, SQLite":           {files: ts(""), want: "sqlite:DIR/.tmp/data.db"},
		"JavaScript, PostgreSQL": {
			files: js("DATABASE_CLIENT=postgres\nDATABASE_HOST=db\nDATABASE_PASSWORD='pa$$wo#rd'\nDATABASE_SCHEMA=cms"),
			want:  "postgres://db:5432/strapi (schema cms)",
			check: func(t *testing.T, c database.Config) {
				t.Helper()
				require.Equal(t, "pa$$wo#rd", c.Password)
				require.Equal(t, "strapi", c.User)
				require.Nil(t, c.TLS)
			},
		},
		"PostgreSQL by URL, which counts": {
			files: js("DATABASE_CLIENT=postgres\nDATABASE_HOST=other\nDATABASE_URL=postgres://bob:s%40x@db:6000/live?sslmode=no-verify"),
			want:  "postgres://db:6000/live",
			check: func(t *testing.T, c database.Config) {
				t.Helper()
				require.Equal(t, "s@x", c.Password)
				require.Equal(t, "bob", c.User)
				require.True(t, c.TLS.InsecureSkipVerify)
			},
		},
		"TypeScript, PostgreSQL by URL": {
			files: ts("DATABASE_CLIENT=postgres\nDATABASE_URL=postgres://u@db/live"), want: "postgres://db:5432/live",
		},
		"JavaScript, MySQL with TLS": {
			files: js("DATABASE_CLIENT=mysql\nDATABASE_SSL=true\nDATABASE_SSL_REJECT_UNAUTHORIZED=false"), want: "mysql://localhost:3306/strapi",
			check: func(t *testing.T, c database.Config) {
				t.Helper()
				require.NotNil(t, c.TLS)
				require.True(t, c.TLS.InsecureSkipVerify)
			},
		},
		"the environment wins over .env": {
			files: js("DATABASE_FILENAME=env.db"), environ: []string{"DATABASE_FILENAME=own.db"}, want: "sqlite:DIR/own.db",
		},
		"another .env": {
			files:   map[string]string{"config/database.js": stockDatabase, ".env": "DATABASE_FILENAME=a.db", "conf/live.env": "DATABASE_FILENAME=b.db"},
			environ: []string{"ENV_PATH=conf/live.env"}, want: "sqlite:DIR/b.db",
		},
		"another .env that is not there": {files: js(""), environ: []string{"ENV_PATH=nope"}, err: "read the environment file"},
		"an environment's own file": {
			files: map[string]string{
				"config/database.js":                stockDatabase,
				"config/env/production/database.js": "module.exports = () => ({ connection: { connection: { filename: '/data/live.db' } } })",
			},
			environ: []string{"NODE_ENV=production"}, want: "sqlite:/data/live.db",
		},
		"an environment by flag": {
			files: map[string]string{
				"config/database.js":             stockDatabase,
				"config/env/staging/database.js": "module.exports = { connection: { connection: { filename: 'st.db' } } }",
			},
			environ: []string{"NODE_ENV=production"}, opts: project.Options{Env: "staging"}, want: "sqlite:DIR/st.db",
		},
		"JSON":                {files: map[string]string{"config/database.json": `{"connection":{"client":"sqlite","connection":"x.db"}}`}, want: "sqlite:DIR/x.db"},
		"a file of its own":   {files: map[string]string{"config/database.js": `module.exports = require('./shared/db').settings`, "config/shared/db.js": `exports.settings = { connection: { client: 'mysql', connection: { database: 'd', socketPath: '/run/m.sock' } } }`}, want: "mysql:/run/m.sock/d"},
		"a URL taken apart":   {files: map[string]string{"config/database.js": `const { parse } = require('pg-connection-string'); module.exports = ({env}) => { const c = parse(env('DATABASE_URL')); return { connection: { client: 'postgres', connection: { host: c.host, port: c.port, database: c.database, user: c.user, password: c.password } } } }`, ".env": "DATABASE_URL=postgres://u:p@h:77/n"}, want: "postgres://h:77/n"},
		"deployed without ts": {files: map[string]string{"tsconfig.json": "{}", "dist/config/database.js": strings.Replace(stockDatabase, "'..', env", "'..', '..', env", 1)}, want: "sqlite:DIR/.tmp/data.db"},
		"by flag":             {files: js(""), opts: project.Options{Database: "mysql://root@127.0.0.1/other"}, want: "mysql://127.0.0.1:3306/other"},

		"a module of npm":      {files: map[string]string{"config/database.js": `const x = require('some-vault'); module.exports = {}`}, err: `needs the module "some-vault"`},
		"a module of Node":     {files: map[string]string{"config/database.js": `module.exports = { connection: require('fs').readFileSync('x') }`}, err: `needs the module "fs"`},
		"outside the project":  {files: map[string]string{"config/database.js": `module.exports = require('../../secret')`}, err: "outside the project"},
		"nothing":              {files: map[string]string{}, err: "names no connection.client"},
		"a function":           {files: map[string]string{"config/database.js": `module.exports = { connection: { client: 'postgres', connection: async () => ({}) } }`}, err: "is a function"},
		"an endless recursion": {files: map[string]string{"config/database.js": `const f = () => f(); module.exports = f()`}, err: "cannot be evaluated"},
		"it throws":            {files: js("DATABASE_CLIENT=oracle"), err: "no such client: oracle"},
		"in memory":            {files: map[string]string{"config/database.js": `module.exports = { connection: { client: 'sqlite', connection: ':memory:' } }`}, err: "in the memory of the Strapi process"},
		"no JavaScript":        {files: map[string]string{"config/database.js": `module.exports = {`}, err: "not JavaScript or TypeScript in line 1"},
		"a bad time zone":      {files: js("TZ=Mars/Olympus"), err: "--timezone"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := files(t, tt.files)
			opts := tt.opts
			opts.Environ = append([]string{"PATH=/bin"}, tt.environ...)
			p, err := project.Open(t.Context(), dir, opts)
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				require.ErrorIs(t, err, transfer.ErrUsage)
				return
			}
			require.NoError(t, err)
			require.Equal(t, strings.ReplaceAll(tt.want, "DIR", dir), p.Database.String())
			if tt.check != nil {
				tt.check(t, p.Database)
			}
		})
	}
}

// TestBoundsOfAnEvaluation runs alone: the bound on memory counts what the whole process takes meanwhile.
func TestBoundsOfAnEvaluation(t *testing.T) { //nolint:paralleltest // see above
	for name, tt := range map[string]struct{ script, err string }{
		"an endless loop": {`for (;;) {}`, "it ran for more than"},
		// Arrays that cost the interpreter next to nothing, so that it comes to the bound of memory long before that of time under the
		// race detector on a busy machine, too.
		"memory without end": {`const a = []; for (;;) a.push(new Uint8Array(20000))`, "MiB of memory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := project.Open(t.Context(), files(t, map[string]string{"config/database.js": tt.script}), project.Options{Environ: []string{"PATH=/bin"}})
			require.ErrorContains(t, err, tt.err)
			require.ErrorIs(t, err, transfer.ErrUsage)
		})
	}
}

func TestTheRestOfAProject(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"config/database.js": stockDatabase,
		"config/admin.js":    `module.exports = ({ env }) => ({ url: '/panel', transfer: { token: { salt: env('TRANSFER_TOKEN_SALT') } } })`,
		"config/server.js":   `module.exports = ({ env }) => ({ dirs: { public: './static' }, transfer: { remote: { enabled: env.bool('REMOTE', true) } } })`,
		"config/plugins.js": `const depth = require('graphql-depth-limit');
			module.exports = ({ env }) => ({ graphql: { config: { rules: [depth(7)] } }, upload: { config: { provider: 'aws-s3',
			providerOptions: { rootPath: env('ROOT'), s3Options: { params: { Bucket: 'b', ACL: env('ACL'), other: undefined }, credentials: { secretAccessKey: env('KEY') } } } } } })`,
		".env":                                      "TRANSFER_TOKEN_SALT=so-salty\nREMOTE=false\nROOT=live\nKEY=geheim\nTZ=America/New_York",
		"src/components/Shared/SEO.json":            `{"collectionName":"components_shared_seos","attributes":{}}`,
		"src/components/shared/quote.js":            `module.exports = { collectionName: 'components_shared_quotes', attributes: { body: { type: 'text' } } }`,
		"src/components/shared/notes.md":            "x",
		"node_modules/@strapi/core/package.json":    `{"version":"5.52.1"}`,
		"node_modules/@strapi/strapi/package.json":  `{"version":"5.0.0"}`,
		"package.json":                              `{"name":"shop","dependencies":{"@strapi/strapi":"^5.0.0"}}`,
		"config/env/development/middlewares.js":     `throw new Error('never read')`,
		"config/functions/something-of-the-user.js": `throw new Error('never read')`,
	})
	p, err := project.Open(t.Context(), dir, project.Options{Environ: []string{}})
	require.NoError(t, err)
	require.Equal(t, "so-salty", string(p.TokenSalt))
	require.Equal(t, "/panel", p.AdminPath)
	require.Equal(t, filepath.Join(dir, "static"), p.Public)
	require.True(t, p.RemoteOff)
	require.Equal(t, "aws-s3", p.Upload.Provider)
	require.Equal(t, "live", p.Upload.Options["rootPath"])
	s3, _ := p.Upload.Options["s3Options"].(map[string]any)
	require.Equal(t, map[string]any{"Bucket": "b", "ACL": nil, "other": nil}, s3["params"])
	require.Equal(t, "5.52.1", p.Version)
	require.Equal(t, "America/New_York", p.Database.Zone.String())
	require.Len(t, p.Components, 2)
	require.JSONEq(t, `{"collectionName":"components_shared_quotes","attributes":{"body":{"type":"text"}}}`, string(p.Components["shared.quote"]))
	require.Contains(t, p.Components, "shared.seo")
	require.Empty(t, p.Notes)
	shown := fmt.Sprintf("%v %+v %#v %s", p, p, *p, p.TokenSalt)
	require.NotContains(t, shown, "geheim")
	require.NotContains(t, shown, "so-salty")
}

func TestWhatIsNotKnownIsSaid(t *testing.T) {
	t.Parallel()
	dir := files(t, map[string]string{
		"config/database.js": stockDatabase,
		"config/admin.js":    `module.exports = ({ env }) => ({ transfer: { token: { salt: require('vault').get() } } })`,
		"config/plugins.js":  `module.exports = { upload: { config: { provider: require('my-provider').name, providerOptions: {} } } }`,
		".env":               "TRANSFER_TOKEN_SALT=s",
		"package.json":       `{"dependencies":{"@strapi/strapi":"^5.40.0"}}`,
	})
	_, err := project.Open(t.Context(), dir, project.Options{Environ: []string{}})
	require.ErrorContains(t, err, `upload.config[0] comes from the module "my-provider"`)
	require.ErrorContains(t, err, "--uploads")
	p, err := project.Open(t.Context(), dir, project.Options{Environ: []string{}, Uploads: filepath.Join(dir, "up")})
	require.NoError(t, err)
	require.Equal(t, project.Upload{Provider: "local", Folder: filepath.Join(dir, "up")}, p.Upload)
	require.Equal(t, "s", string(p.TokenSalt))
	require.Equal(t, "5.40.0", p.Version)
	require.Len(t, p.Notes, 2)
	write := filepath.Join(dir, "config", "env", "production", "server.js")
	require.NoError(t, os.MkdirAll(filepath.Dir(write), 0o755))
	require.NoError(t, os.WriteFile(write, []byte("module.exports = {}"), 0o600))
	p, err = project.Open(t.Context(), dir, project.Options{Environ: []string{}, Uploads: "up"})
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(p.Notes), "--strapi-env")
	p, err = project.Open(t.Context(), dir, project.Options{Environ: []string{"NODE_ENV=production"}, Uploads: "up"})
	require.NoError(t, err)
	require.NotContains(t, fmt.Sprint(p.Notes), "--strapi-env")
	_, err = project.Open(t.Context(), t.TempDir(), project.Options{})
	require.ErrorContains(t, err, "is not a Strapi project")
}

func TestTimeZones(t *testing.T) {
	t.Parallel()
	p, err := project.Open(t.Context(), files(t, map[string]string{"config/database.js": stockDatabase}), project.Options{Environ: []string{}, Zone: "Asia/Tokyo"})
	require.NoError(t, err)
	_, offset := time.Date(2026, 1, 1, 0, 0, 0, 0, p.Database.Zone).Zone()
	require.Equal(t, 9*3600, offset)
}

func TestParseDatabase(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ in, want, password, err string }{
		"postgres":              {in: "postgres://bob:hunter2@h/db", want: "postgres://h:5432/db", password: "hunter2"},
		"postgresql, a schema":  {in: "postgresql://h:7/db?schema=cms", want: "postgres://h:7/db (schema cms)"},
		"mysql":                 {in: "mysql://root@h/db", want: "mysql://h:3306/db"},
		"mariadb":               {in: "mariadb://root:a%40b@h/db", want: "mysql://h:3306/db", password: "a@b"},
		"a socket":              {in: "mysql://root@localhost/db?socket=/run/m.sock", want: "mysql:/run/m.sock/db"},
		"sqlite":                {in: "sqlite:a/b.db", want: "sqlite:a/b.db"},
		"sqlite, absolute":      {in: "sqlite:///a/b.db", want: "sqlite:/a/b.db"},
		"sqlite without a path": {in: "sqlite:", err: "needs the path"},
		"no name":               {in: "postgres://bob:hunter2@h", err: "names no"},
		"a bad escape":          {in: "postgres://bob:hunter2%zz@h/db", err: "percent-encoded"},
		"a fragment":            {in: "postgres://bob:hunter2#x@h/db", err: "percent-encoded"},
		"a fragment at the end": {in: "postgres://bob:hunter2@h/db#x", err: "%23"},
		"another scheme":        {in: "oracle://bob:hunter2@h/db", err: "a database is given as"},
		"a bad port":            {in: "mysql://bob:hunter2@h:99999/db", err: "port"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := project.ParseDatabase(tt.in)
			if tt.err != "" {
				require.ErrorIs(t, err, transfer.ErrUsage)
				require.ErrorContains(t, err, tt.err)
				require.NotContains(t, err.Error(), "hunter2")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.want, c.String())
			require.Equal(t, tt.password, c.Password)
		})
	}
}
