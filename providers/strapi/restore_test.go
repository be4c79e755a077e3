package strapi_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
)

// project is a site with a database and a folder of files.
type project struct {
	options strapi.Options
	folder  string
}

// labProject is the golden site in a database of a kind, with its files.
func labProject(t *testing.T, kind database.Kind) project {
	t.Helper()
	config := databasetest.New(t, kind)
	config.Zone = time.UTC
	sitetest.Lab(t, config)
	p := project{folder: filepath.Join(t.TempDir(), "uploads")}
	require.NoError(t, os.Mkdir(p.folder, 0o700))
	all, _ := goldenAssets(t, kind)
	for _, a := range all {
		body := strings.Repeat(a.Filename, int(a.Stats.Size))[:a.Stats.Size]
		require.NoError(t, os.WriteFile(filepath.Join(p.folder, a.Filename), []byte(body), 0o600))
	}
	p.options = strapi.Options{
		Database: config, Components: sitetest.LabComponents(t), Version: "5.54.0", Name: "lab " + string(kind),
		Uploads: uploads.NewFolder(p.folder, uploads.FolderOptions{}),
	}
	return p
}

func (p project) site(t *testing.T) *strapi.Site {
	t.Helper()
	site, err := strapi.Open(t.Context(), p.options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, site.Close()) })
	return site
}

// run moves a project's content into another.
func run(t *testing.T, from, to project, opts transfer.Options, write strapi.WriteOptions) (transfer.Report, error) {
	t.Helper()
	src, err := from.site(t).Source(t.Context())
	require.NoError(t, err)
	dst, err := to.site(t).Destination("test", write)
	require.NoError(t, err)
	report, err := transfer.Run(t.Context(), src, dst, opts)
	require.NoError(t, src.Close())
	require.NoError(t, dst.Close())
	if err == nil {
		require.Equal(t, transfer.StateCommitted, report.State)
	}
	return report, err
}

// content is what a project holds of what transfers move, by stage, a record's key to what it says. Values that a database cannot
// keep as they are, are levelled: times of day without trailing zeros, decimals with two digits, JSON texts that stand for scalars.
func content(t *testing.T, p project) map[string]any {
	t.Helper()
	src, err := p.site(t).Source(t.Context())
	require.NoError(t, err)
	out := make(map[string]any)
	for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageLinks, transfer.StageConfiguration} {
		for _, r := range readAll(t, src, stage) {
			switch r := r.(type) {
			case transfer.Entity:
				if transfer.Protected(r.Type) {
					continue
				}
			case transfer.Link:
				if transfer.Protected(r.Left.Type) || transfer.Protected(r.Right.Type) {
					continue
				}
			case transfer.Setting:
				if r.Name == "strapi_content_types_schema" {
					continue
				}
			case transfer.Schema, transfer.Asset:
			}
			v := decode(t, string(r.AppendJSON(nil)))
			key := string(stage) + " " + r.Key()
			if stage == transfer.StageConfiguration {
				delete(v["value"].(map[string]any), "id")
			}
			if stage == transfer.StageLinks {
				key += linkKey(v)
			}
			out[key] = level(v)
		}
	}
	for _, r := range readAll(t, src, transfer.StageAssets) {
		a := r.(transfer.Asset)
		out["asset "+a.Filename] = fmt.Sprint(a.Length)
	}
	require.NoError(t, src.Close())
	return out
}

func level(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			switch text, isText := v[k].(string); {
			case k == "aTime" && isText:
				v[k] = strings.TrimRight(strings.TrimRight(text, "0"), ".")
			case text == "9223372036854776000": // what Strapi has made of it on SQLite is taken back
				v[k] = "9223372036854775807"
			default:
				v[k] = level(v[k])
			}
		}
	case []any:
		for i := range v {
			v[i] = level(v[i])
		}
	}
	return v
}

// spoil makes a project different from the golden one: rows are gone, rows are other ones, files are others.
func (p project) spoil(t *testing.T) {
	t.Helper()
	quote := p.options.Database.Kind.Quote
	sitetest.Exec(t, p.options.Database, "DELETE FROM "+quote("rel_as")+";\nUPDATE "+quote("kitchen_sinks")+" SET "+quote("document_id")+" = 'other';\n"+
		"UPDATE "+quote("strapi_webhooks")+" SET "+quote("name")+" = 'other';\n")
	entries, err := os.ReadDir(p.folder)
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(p.folder, entries[0].Name())))
	require.NoError(t, os.WriteFile(filepath.Join(p.folder, "old.txt"), []byte("old"), 0o600))
}

func TestRestoreAcrossDatabases(t *testing.T) {
	t.Parallel()
	for _, from := range databasetest.Kinds() {
		for _, to := range databasetest.Kinds() {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				t.Parallel()
				a, b := labProject(t, from), labProject(t, to)
				b.spoil(t)
				require.NotContains(t, content(t, b), "entities api::rel-a.rel-a 4")
				report, err := run(t, a, b, transfer.Options{}, strapi.WriteOptions{})
				require.NoError(t, err, "%v", report.Skipped)
				require.Empty(t, report.Skipped)
				for _, s := range report.Stages {
					require.Equal(t, s.Sent, s.Stored, s.Stage)
				}
				requireSame(t, content(t, a), content(t, b))
				require.NoFileExists(t, filepath.Join(b.folder, "old.txt"))
			})
		}
	}
}
