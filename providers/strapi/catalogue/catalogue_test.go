package catalogue_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/catalogue"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
)

func read(t *testing.T, config database.Config, opts catalogue.Options) (*catalogue.Catalogue, error) {
	t.Helper()
	db, err := database.Open(t.Context(), config)
	require.NoError(t, err)
	snap, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	c, err := catalogue.Read(t.Context(), snap, db.Quote, opts)
	require.NoError(t, snap.Close())
	require.NoError(t, db.Close())
	return c, err
}

func lab(t *testing.T, script string) database.Config {
	t.Helper()
	config := databasetest.New(t, database.SQLite)
	sitetest.Lab(t, config)
	if script != "" {
		sitetest.Exec(t, config, script)
	}
	return config
}

func TestReadRefusesBySayingWhatToDo(t *testing.T) {
	t.Parallel()
	files := sitetest.LabComponents(t)
	without := maps.Clone(files)
	delete(without, "lab.leaf")
	tests := map[string]struct {
		script     string
		components map[string]json.RawMessage
		want       error
		says       string
	}{
		"some other database":                  {`DROP TABLE strapi_core_store_settings`, files, transfer.ErrUsage, "not one of Strapi"},
		"a database without schemas":           {`DELETE FROM strapi_core_store_settings WHERE key = 'strapi_content_types_schema'`, files, transfer.ErrUsage, "--schemas"},
		"schemas that are damaged":             {`UPDATE strapi_core_store_settings SET value = '{"a":' WHERE key = 'strapi_content_types_schema'`, files, transfer.ErrDamaged, "strapi_core_store_settings"},
		"no project":                           {``, nil, transfer.ErrUsage, "name the project's folder"},
		"a component without a file":           {``, without, transfer.ErrUsage, "lab.leaf"},
		"a component of a plugin":              {`INSERT INTO strapi_core_store_settings (key, value) VALUES ('plugin_content_manager_configuration_components::x.y', '{}')`, files, transfer.ErrUsage, "x.y"},
		"schemas of another site, a table":     {`ALTER TABLE kitchen_sinks RENAME TO other_sinks`, files, transfer.ErrIncompatible, "start Strapi once"},
		"schemas of another site, a column":    {`ALTER TABLE kitchen_sinks DROP COLUMN a_decimal`, files, transfer.ErrIncompatible, "a_decimal"},
		"schemas of another site, a link":      {`ALTER TABLE rel_as_friends_lnk RENAME TO gone`, files, transfer.ErrIncompatible, "rel_as_friends_lnk"},
		"schemas that lack what the table has": {`UPDATE strapi_database_schema SET schema = replace(schema, '"name":"a_decimal"', '"name":"a_decimal"},{"name":"more","type":"string"')`, files, transfer.ErrIncompatible, "more"},
		"a component file that is no JSON":     {``, with(files, "lab.leaf", `{`), transfer.ErrDamaged, "lab.leaf"},
		"a component file without a table":     {``, with(files, "lab.leaf", `{"attributes":{}}`), transfer.ErrDamaged, "collectionName"},
		"a custom field that is not stored":    {`DELETE FROM strapi_database_schema`, with(files, "lab.leaf", `{"collectionName":"components_lab_leaves","attributes":{"hue":{"type":"customField","customField":"plugin::c.c"}}}`), transfer.ErrUsage, "hue"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := read(t, lab(t, test.script), catalogue.Options{Components: test.components})
			require.ErrorIs(t, err, test.want)
			require.ErrorContains(t, err, test.says)
		})
	}
}

func with(files map[string]json.RawMessage, uid, text string) map[string]json.RawMessage {
	files = maps.Clone(files)
	files[uid] = json.RawMessage(text)
	return files
}

func TestReadRefusesStrapi4(t *testing.T) {
	t.Parallel()
	config := databasetest.New(t, database.SQLite)
	sitetest.Exec(t, config, `
		CREATE TABLE strapi_core_store_settings (id integer primary key, key varchar(255), value text, type varchar(255), environment varchar(255), tag varchar(255));
		CREATE TABLE articles (id integer primary key, title varchar(255), published_at datetime);
		CREATE TABLE articles_category_links (id integer primary key, article_id integer, category_id integer)`)
	_, err := read(t, config, catalogue.Options{})
	require.ErrorIs(t, err, transfer.ErrIncompatible)
	require.ErrorContains(t, err, "Strapi 4")
}

func TestReadResolvesCustomFields(t *testing.T) {
	t.Parallel()
	files := with(sitetest.LabComponents(t), "lab.leaf",
		`{"info":{},"collectionName":"components_lab_leaves","attributes":{"num":{"customField":"plugin::x.num","type":"customField","options":{"a":1}},"big":{"type":"biginteger"}}}`)
	c, err := read(t, lab(t, ""), catalogue.Options{Components: files})
	require.NoError(t, err)
	require.JSONEq(t, `{"collectionName":"components_lab_leaves","info":{},"attributes":{"num":{"customField":"plugin::x.num","type":"decimal","options":{"a":1}},"big":{"type":"biginteger"}},"modelType":"component","modelName":"leaf","uid":"lab.leaf","globalId":"ComponentLabLeaf"}`,
		string(c.Schemas["lab.leaf"].AppendJSON(nil)))
}

func TestReadTakesGivenSchemas(t *testing.T) {
	t.Parallel()
	config := lab(t, `DELETE FROM strapi_core_store_settings`)
	c, err := read(t, config, catalogue.Options{Schemas: sitetest.LabSchemas(t)})
	require.NoError(t, err)
	require.Len(t, c.Model.Types, len(sitetest.LabSchemas(t)))
	_, err = read(t, config, catalogue.Options{Schemas: map[string]transfer.Schema{"lab.leaf": sitetest.LabSchemas(t)["lab.outer"]}})
	require.Error(t, err)
}

func TestOrderIsThatOfStrapi(t *testing.T) {
	t.Parallel()
	c, err := read(t, lab(t, ""), catalogue.Options{Components: sitetest.LabComponents(t)})
	require.NoError(t, err)
	var order []string
	for _, t := range c.Model.Types {
		order = append(order, t.UID)
	}
	require.Equal(t, []string{"plugin::upload.file", "plugin::upload.folder", "plugin::i18n.locale", "plugin::content-releases.release", "plugin::content-releases.release-action"}, order[:5])
	require.Equal(t, []string{"lab.outer", "lab.leaf", "lab.inner"}, order[len(order)-3:])
	require.Less(t, slices.Index(order, "api::rel-a.rel-a"), slices.Index(order, "admin::user"))
}

// leaf is the file of lab.leaf with other attributes.
func leaf(t *testing.T, files map[string]json.RawMessage, change func(attributes map[string]json.RawMessage)) map[string]json.RawMessage {
	t.Helper()
	var file map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(files["lab.leaf"], &file))
	var attributes map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(file["attributes"], &attributes))
	change(attributes)
	var err error
	file["attributes"], err = json.Marshal(attributes)
	require.NoError(t, err)
	text, err := json.Marshal(file)
	require.NoError(t, err)
	return with(files, "lab.leaf", string(text))
}

// What has come into the files since Strapi was last started has no place in the tables: it is left out, and what is left is the same as
// without it.
func TestFilesMayBeAheadOfTheDatabase(t *testing.T) {
	t.Parallel()
	before := sitetest.LabComponents(t)
	want, err := read(t, lab(t, ""), catalogue.Options{Components: before})
	require.NoError(t, err)
	require.Empty(t, want.Ahead)
	after := leaf(t, with(before, "lab.later", `{"collectionName":"components_lab_laters","info":{},"attributes":{"a":{"type":"string"}}}`),
		func(attributes map[string]json.RawMessage) {
			attributes["extraText"] = json.RawMessage(`{"type":"string"}`)
			attributes["hue"] = json.RawMessage(`{"type":"customField","customField":"plugin::c.c"}`)
			attributes["laters"] = json.RawMessage(`{"type":"component","repeatable":true,"component":"lab.later"}`)
		})
	got, err := read(t, lab(t, ""), catalogue.Options{
		Components: after,
		ContentTypes: map[string]json.RawMessage{
			"api::rel-a.rel-a": json.RawMessage(`{"attributes":{"name":{"type":"string"},"motto":{"type":"string"}}}`),
			"api::new.new":     json.RawMessage(`{"attributes":{}}`),
		},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"lab.later", "lab.leaf.extraText", "lab.leaf.hue", "lab.leaf.laters", "api::new.new", "api::rel-a.rel-a.motto"}, got.Ahead)
	require.Equal(t, want.Order, got.Order)
	require.Len(t, got.Schemas, len(want.Schemas))
	for uid, schema := range want.Schemas {
		require.JSONEq(t, string(schema.AppendJSON(nil)), string(got.Schemas[uid].AppendJSON(nil)))
	}
}

// What may be an old thing with another name, or has been in use, is not new.
func TestOnlyWhatIsNewIsLeftOut(t *testing.T) {
	t.Parallel()
	files := sitetest.LabComponents(t)
	const later = `{"collectionName":"components_lab_laters","info":{},"attributes":{"a":{"type":"string"}}}`
	for name, test := range map[string]struct {
		script string
		files  map[string]json.RawMessage
		says   string
	}{
		"a field with another name": {``, leaf(t, files, func(attributes map[string]json.RawMessage) {
			attributes["number"] = attributes["num"]
			delete(attributes, "num")
		}), "a column num that they do not have"},
		"a relation": {``, leaf(t, files, func(attributes map[string]json.RawMessage) {
			attributes["owner"] = json.RawMessage(`{"type":"relation","relation":"oneToOne","target":"api::rel-a.rel-a"}`)
		}), "components_lab_leaves_owner_lnk"},
		"a component that the panel knows": {
			`INSERT INTO strapi_core_store_settings (key, value) VALUES ('plugin_content_manager_configuration_components::lab.later', '{}')`,
			with(files, "lab.later", later), "components_lab_laters",
		},
		"a component that a content type has": {
			`UPDATE strapi_core_store_settings SET value = json_set(value, '$."api::rel-a.rel-a".attributes.later', json('{"type":"component","component":"lab.later"}')) WHERE key = 'strapi_content_types_schema'`,
			with(files, "lab.later", later), "no tables yet for components that its content types have (lab.later)",
		},
		"a database that does not say what Strapi had": {`DELETE FROM strapi_database_schema`, with(files, "lab.later", later), "components_lab_laters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := read(t, lab(t, test.script), catalogue.Options{Components: test.files})
			require.ErrorIs(t, err, transfer.ErrIncompatible)
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, err, "start Strapi once")
		})
	}
}
