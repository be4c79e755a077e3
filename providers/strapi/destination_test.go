package strapi_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// movable is the sample without what transfers never touch.
func movable() *transfertest.Site {
	site := sitetest.Sample()
	for stage := range site.Records {
		site.Records[stage] = slices.DeleteFunc(site.Records[stage], func(text string) bool {
			return stage != transfer.StageSchemas && strings.Contains(text, `"admin::user"`)
		})
	}
	return site
}

// former is what is there before: other rows, other files, other settings.
func former() *transfertest.Site {
	site := sitetest.Sample()
	for stage, texts := range site.Records {
		if stage == transfer.StageSchemas {
			continue
		}
		for i := range texts {
			texts[i] = strings.NewReplacer(`"art1"`, `"old1"`, `"cat2"`, `"old2"`, `"news"`, `"olds"`, `"en"`, `"de"`).Replace(texts[i])
		}
	}
	site.Records[transfer.StageLinks] = slices.Delete(site.Records[transfer.StageLinks], 1, 2)
	for i := range site.Files {
		site.Files[i].Body = []byte("old " + site.Files[i].Name)
	}
	return site
}

// load makes a project of a site.
func load(t *testing.T, kind database.Kind, site *transfertest.Site) project {
	t.Helper()
	config := databasetest.New(t, kind)
	config.Zone = time.FixedZone("somewhere", -5*60*60)
	sitetest.Load(t, config, site)
	p := project{folder: filepath.Join(t.TempDir(), "uploads")}
	require.NoError(t, os.Mkdir(p.folder, 0o700))
	for _, f := range site.Files {
		require.NoError(t, os.WriteFile(filepath.Join(p.folder, f.Name), f.Body, 0o600))
	}
	p.options = strapi.Options{
		Database: config, Schemas: site.Schemas(t), Version: site.Version, Name: "a site",
		Uploads: uploads.NewFolder(p.folder, uploads.FolderOptions{}),
	}
	return p
}

var rowID = regexp.MustCompile(`"value":\{"id":\d+`)

// readBack is what a project holds of what transfers move, in the words of the sample: settings have the ids that those have.
func readBack(t *testing.T, p project, all bool) *transfertest.Site {
	t.Helper()
	src, err := p.site(t).Source(t.Context())
	require.NoError(t, err)
	site := transfertest.ReadSite(t, src)
	require.NoError(t, src.Close())
	site.CreatedAt = sitetest.Sample().CreatedAt
	ids := make(map[string]string)
	for _, text := range sitetest.Sample().Records[transfer.StageConfiguration] {
		ids[settingName(t, text)] = rowID.FindString(text)
	}
	for stage := range site.Records {
		site.Records[stage] = slices.DeleteFunc(site.Records[stage], func(text string) bool {
			own := stage == transfer.StageConfiguration && ids[settingName(t, text)] == ""
			return stage != transfer.StageSchemas && (!all && strings.Contains(text, `"admin::user"`) || own)
		})
	}
	for i, text := range site.Records[transfer.StageConfiguration] {
		site.Records[transfer.StageConfiguration][i] = rowID.ReplaceAllString(text, ids[settingName(t, text)])
	}
	return site
}

func settingName(t *testing.T, text string) string {
	t.Helper()
	r, err := transfer.ParseRecord(transfer.StageConfiguration, []byte(text))
	require.NoError(t, err)
	return r.Key()
}

func TestDestinationKeepsTheContract(t *testing.T) {
	t.Parallel()
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			transfertest.TestDestinationOf(t, movable, func(t *testing.T) (transfer.Destination, func(*testing.T) *transfertest.Site) {
				p := load(t, kind, former())
				dst, err := p.site(t).Destination("test", strapi.WriteOptions{})
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, dst.Close()) })
				return dst, func(t *testing.T) *transfertest.Site {
					site := readBack(t, p, true)
					require.Contains(t, strings.Join(site.Records[transfer.StageEntities], ""), `"adm1"`, "admin users are never touched")
					return readBack(t, p, false)
				}
			})
		})
	}
}
