package strapi_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// openSample opens a sample site in an empty database, after a script has changed it.
func openSample(t *testing.T, config database.Config, script string) (*strapi.Source, *transfertest.Site) {
	t.Helper()
	site := sitetest.Sample()
	sitetest.Load(t, config, site)
	if script != "" {
		sitetest.Exec(t, config, script)
	}
	return openSite(t, strapi.Options{Database: config, Schemas: site.Schemas(t), Uploads: newBodies(site), Version: site.Version}), site
}

func TestSourceReadsOneMoment(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		if config.Kind == database.SQLite { // with a rollback journal, as Strapi has it, the writer would have to wait
			sitetest.Exec(t, config, "PRAGMA journal_mode = WAL")
		}
		src, site := openSample(t, config, "")
		require.Len(t, readAll(t, src, transfer.StageEntities), len(site.Records[transfer.StageEntities]))
		sitetest.Exec(t, config, "DELETE FROM articles_category_lnk; DELETE FROM strapi_webhooks; DELETE FROM categories")
		require.Len(t, readAll(t, src, transfer.StageEntities), len(site.Records[transfer.StageEntities]))
		require.Equal(t, site.Records[transfer.StageLinks], texts(readAll(t, src, transfer.StageLinks)))
		require.Equal(t, site.Records[transfer.StageConfiguration], texts(readAll(t, src, transfer.StageConfiguration)))
		require.Empty(t, src.Skipped())
	})
}

func TestSourceNoticesOtherSchemas(t *testing.T) {
	t.Parallel()
	config := databasetest.New(t, database.SQLite)
	sitetest.Lab(t, config)
	src := openLab(t, config, sizes{})
	d, err := src.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, strapi.Kind, d.Kind)
	require.False(t, d.Blank)
	sitetest.Exec(t, config, `UPDATE strapi_core_store_settings SET value = replace(value, '"Organize"', '"x"') || ' ' WHERE key = 'strapi_content_types_schema'`)
	for _, err := range src.Read(t.Context(), transfer.StageEntities, 0) {
		require.ErrorIs(t, err, transfer.ErrIncompatible)
		return
	}
	t.Fatal("read nothing")
}

func TestSourceTellsOfTextThatIsNoUTF8(t *testing.T) {
	t.Parallel()
	src, _ := openSample(t, databasetest.New(t, database.SQLite), "UPDATE categories SET name = CAST(x'61ff62' AS TEXT)")
	require.Contains(t, strings.Join(texts(readAll(t, src, transfer.StageEntities)), ""), "a\ufffdb")
	notes := src.Notes()
	require.Len(t, notes, 1)
	require.Contains(t, notes[0].Message, "2 values")
	require.Empty(t, src.Notes())
}

// TestSourceReadsLargeRowsFewAtATime runs alone: it looks at what the whole process holds.
func TestSourceReadsLargeRowsFewAtATime(t *testing.T) { //nolint:paralleltest // see above
	src, site := openSample(t, databasetest.New(t, database.SQLite),
		`WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 140)
		INSERT INTO Articles (id, document_id, title, body) SELECT i, 'doc' || i, 'x', '["' || hex(zeroblob(500000)) || '"]' FROM n`)
	var peak uint64
	records := 0
	for item, err := range src.Read(t.Context(), transfer.StageEntities, 0) {
		require.NoError(t, err)
		require.NotZero(t, item.Record.Size())
		records++
		peak = max(peak, heap())
	}
	require.Equal(t, len(site.Records[transfer.StageEntities])+41, records)
	require.Less(t, peak, uint64(200<<20), "41 rows of a megabyte, a few of which are in memory at the same time")
}

func TestSourceTakesLogosAlong(t *testing.T) {
	t.Parallel()
	settings := `{"menuLogo":{"name":"m","hash":"a_1","url":"/uploads/a_1.txt","ext":".txt"},"authLogo":{"name":"gone","hash":"gone_9","url":"/uploads/gone_9.png","ext":".png","provider":"local"}}`
	src, site := openSample(t, databasetest.New(t, database.SQLite),
		fmt.Sprintf(`INSERT INTO strapi_core_store_settings (key, value, type) VALUES ('core_admin_project-settings', '%s', 'object'), ('transfer_runner_commit', '"1"', 'string'), ('core_last', 'null', 'object')`, settings))
	var found map[string]any
	for _, text := range texts(readAll(t, src, transfer.StageConfiguration)) {
		require.NotContains(t, text, "transfer_runner_commit", "a mark of our own is no content")
		if strings.Contains(text, "core_admin_project-settings") {
			found, _ = decode(t, text)["value"].(map[string]any)
		}
	}
	value, _ := found["value"].(map[string]any)
	menu, _ := value["menuLogo"].(map[string]any)
	require.Equal(t, base64.StdEncoding.EncodeToString(site.Files[0].Body), menu["__transferBuffer"])
	auth, _ := value["authLogo"].(map[string]any)
	require.Equal(t, "gone", auth["name"])
	require.NotContains(t, auth, "__transferBuffer")
	require.Contains(t, src.Notes()[0].Message, "authLogo")
}

func TestSourceRefusesASettingThatIsNoJSON(t *testing.T) {
	t.Parallel()
	src, _ := openSample(t, databasetest.New(t, database.SQLite), `INSERT INTO strapi_core_store_settings (key, value) VALUES ('bad_one', '{')`)
	var last error
	for _, err := range src.Read(t.Context(), transfer.StageConfiguration, 0) {
		last = err
	}
	require.ErrorIs(t, last, transfer.ErrDamaged)
	require.ErrorContains(t, last, "bad_one")
}

func TestSourceReadsAnotherSchemaOfPostgreSQL(t *testing.T) {
	t.Parallel()
	config := databasetest.New(t, database.Postgres)
	sitetest.Exec(t, config, `CREATE SCHEMA "Other one"`)
	other := config
	other.Schema = "Other one"
	src, site := openSample(t, other, "")
	require.Equal(t, site.Records[transfer.StageEntities], texts(readAll(t, src, transfer.StageEntities)))
	require.Equal(t, site.Records[transfer.StageLinks], texts(readAll(t, src, transfer.StageLinks)))
	_, err := strapi.Open(t.Context(), strapi.Options{Database: config})
	require.NoError(t, err)
	empty, err := strapi.Open(t.Context(), strapi.Options{Database: config})
	require.NoError(t, err)
	_, err = empty.Source(t.Context())
	require.ErrorIs(t, err, transfer.ErrUsage, "the tables are not in public")
	require.NoError(t, empty.Close())
}

func TestSourceOfExplicitLinkTableWithoutIDs(t *testing.T) {
	t.Parallel()
	config := databasetest.New(t, database.SQLite)
	site := sitetest.Sample()
	for i, text := range site.Records[transfer.StageSchemas] {
		site.Records[transfer.StageSchemas][i] = strings.Replace(text, `"relation":"manyToMany","target":"api::article.article"`,
			`"relation":"manyToMany","target":"api::article.article","joinTable":{"name":"own_links","joinColumn":{"name":"l"},"inverseJoinColumn":{"name":"r"},"orderColumnName":"o"}`, 1)
	}
	m := sitetest.Tables(t, config, site.Schemas(t), nil)
	sitetest.Exec(t, config, "DROP TABLE own_links; CREATE TABLE own_links (l integer, r integer, o float)")
	sitetest.Fill(t, config, m, site.Records)
	src := openSite(t, strapi.Options{Database: config, Schemas: site.Schemas(t)})
	require.Equal(t, site.Records[transfer.StageLinks], texts(readAll(t, src, transfer.StageLinks)))
}
