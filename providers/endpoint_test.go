package providers_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

func TestParse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		return path
	}
	export := filepath.Dir(write("export/metadata.json", "{}"))
	project := filepath.Dir(write("project/package.json", `{"dependencies":{"@strapi/strapi":"5.54.0"}}`))
	other := filepath.Dir(write("other/readme.txt", "x"))
	plain := write("dump.sql", "x")
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.Mkdir(empty, 0o755))

	tests := map[string]struct {
		in    string
		kind  providers.Kind
		loc   string
		notes int
		err   string
	}{
		"a server":                        {in: "https://cms.example.org/admin", kind: providers.KindServer, loc: "https://cms.example.org/admin"},
		"one trailing slash goes":         {in: "https://cms.example.org/admin/", kind: providers.KindServer, loc: "https://cms.example.org/admin"},
		"a server below a path":           {in: "http://host:1337/cms/admin", kind: providers.KindServer, loc: "http://host:1337/cms/admin"},
		"the site root":                   {in: "HTTPS://cms.example.org", kind: providers.KindServer, loc: "https://cms.example.org"},
		"an IPv6 address":                 {in: "http://[::1]:1337/admin", kind: providers.KindServer, loc: "http://[::1]:1337/admin"},
		"query and fragment go":           {in: "https://h/admin?x=1#y", kind: providers.KindServer, loc: "https://h/admin", notes: 1},
		"a password goes":                 {in: "https://bob:hunter2@h/admin", kind: providers.KindServer, loc: "https://h/admin", notes: 1},
		"the full runner path is cut":     {in: "https://h/admin/transfer/runner/pull", kind: providers.KindServer, loc: "https://h/admin", notes: 1},
		"a tar":                           {in: "./backup.tar", kind: providers.KindArchive, loc: "backup.tar"},
		"a compressed tar":                {in: "backup.tar.gz", kind: providers.KindArchive, loc: "backup.tar.gz"},
		"an encrypted tar":                {in: "/x/backup.tar.gz.enc", kind: providers.KindArchive, loc: "/x/backup.tar.gz.enc"},
		"an age archive":                  {in: "backup.tar.gz.age", kind: providers.KindArchive, loc: "backup.tar.gz.age"},
		"a file URL":                      {in: "file:///x/backup.tar", kind: providers.KindArchive, loc: "/x/backup.tar"},
		"a folder by scheme":              {in: "dir:some/where", kind: providers.KindDirectory, loc: "some/where"},
		"a folder by content":             {in: export, kind: providers.KindDirectory, loc: export},
		"a folder to be":                  {in: dir + "/new/", kind: providers.KindDirectory, loc: dir + "/new"},
		"an empty folder":                 {in: empty, kind: providers.KindDirectory, loc: empty},
		"a project":                       {in: project, kind: providers.KindProject, loc: project},
		"a project by scheme":             {in: "strapi:./x/", kind: providers.KindProject, loc: "x"},
		"a project without a path":        {in: "strapi:", err: "needs the folder"},
		"a database":                      {in: "postgres://u:geheim@h/db", kind: providers.KindDatabase, loc: "postgres://u@h/db"},
		"a password in the query":         {in: "mysql://u@h:1/db?password=geheim&ssl=true", kind: providers.KindDatabase, loc: "mysql://u@h:1/db?ssl=true"},
		"MariaDB":                         {in: "MARIADB://u@h/db", kind: providers.KindDatabase, loc: "mariadb://u@h/db"},
		"an SQLite file":                  {in: "sqlite:.tmp/data.db", kind: providers.KindDatabase, loc: "sqlite:.tmp/data.db"},
		"a database that cannot be read":  {in: "postgres://u:gehei%zzm@h/db", err: "percent-encoded"},
		"a database without a name":       {in: "postgres://u:geheim@h", err: "names no"},
		"a site in the vault":             {in: "vault:site", kind: providers.KindVault, loc: "site"},
		"a snapshot":                      {in: "VAULT:my.site_1@20261121-0930", kind: providers.KindVault, loc: "my.site_1@20261121-0930"},
		"a vault without a site":          {in: "vault:", err: "a site's name has 1 to 64 characters"},
		"a site like a path":              {in: "vault:../x", err: "only letters, digits"},
		"a snapshot without an id":        {in: "vault:site@", err: "names no snapshot"},
		"a name":                          {in: "staging", err: "neither a file nor a remote called"},
		"another folder":                  {in: other, err: "holds no metadata.json"},
		"another file":                    {in: plain, err: "is not an archive by its name"},
		"a tgz":                           {in: "backup.tgz", err: "rename the file"},
		"nothing":                         {in: "  ", err: "an endpoint is missing"},
		"a pipe":                          {in: "-", err: "pipe"},
		"another scheme":                  {in: "ftp://h/admin", err: `unknown kind of endpoint "ftp:"`},
		"a WebSocket address":             {in: "wss://bob:hunter2@h/admin?token=geheim", err: "https://h/admin"},
		"no scheme, but a port":           {in: "localhost:1337/admin", err: "http://localhost:1337/admin"},
		"no host":                         {in: "https:///admin", err: "names no host"},
		"a port that is none":             {in: "http://bob:hunter2@h:port/admin", err: "cannot be read"},
		"too long":                        {in: strings.Repeat("x", 5000), err: "at most 4096"},
		"a NUL":                           {in: "a\x00b.tar", err: "NUL"},
		"no path after dir:":              {in: "dir:", err: "needs a path"},
		"an unknown path":                 {in: "./no/such/thing", err: "is not an endpoint"},
		"archive: with another file name": {in: "archive:x.zip", err: "is not an endpoint"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := providers.Parse(tt.in)
			if tt.err != "" {
				require.ErrorIs(t, err, transfer.ErrUsage)
				require.ErrorContains(t, err, tt.err)
				require.NotContains(t, err.Error(), "hunter2")
				require.NotContains(t, err.Error(), "geheim")
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.kind, got.Kind)
			require.Equal(t, tt.loc, got.Location)
			require.Len(t, got.Notes, tt.notes)
			require.NotContains(t, strings.Join(got.Notes, ""), "hunter2")
			require.NotContains(t, fmt.Sprintf("%v %+v %s", got, got, got.Label()), "geheim")
			again, err := providers.Parse(got.String())
			require.NoError(t, err, "an endpoint can be given again")
			require.Equal(t, got.Location, again.Location)
		})
	}
}

func TestLabelIsAFileName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://cms.example.org:8443/admin": "cms.example.org-8443",
		"http://[::1]:1337/admin":            "1--1337",
		"./old/backup.tar.gz.enc":            "backup",
		"dir:/":                              "site",
	} {
		e, err := providers.Parse(in)
		require.NoError(t, err)
		require.Equal(t, want, strings.TrimLeft(e.Label(), "-"))
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"https://h/admin", "backup.tar.gz", "dir:x", "vault:a@b", "-", "http://u:p@h", "c:\\x.tar"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := providers.Parse(text)
		if err != nil {
			require.ErrorIs(t, err, transfer.ErrUsage)
			return
		}
		require.NotEmpty(t, e.Location)
		require.NotContains(t, e.Label(), "/")
		require.NotEmpty(t, e.Label())
		if e.Remote() {
			require.NotContains(t, strings.TrimPrefix(e.Location, "https://"), "?")
		}
	})
}
