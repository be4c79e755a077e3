package sitetest_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/catalogue"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
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

func TestCreatedTablesAreThoseOfStrapi(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		schemas := sitetest.LabSchemas(t)
		sitetest.Create(t, config, schemas, nil)
		made, err := read(t, config, catalogue.Options{Components: sitetest.Components(schemas)})
		require.NoError(t, err)
		strapi := databasetest.New(t, config.Kind)
		sitetest.Lab(t, strapi)
		want, err := read(t, strapi, catalogue.Options{Components: sitetest.LabComponents(t)})
		require.NoError(t, err)
		for _, typ := range made.Model.Types {
			require.Equal(t, columns(want, typ.Table), columns(made, typ.Table), typ.UID)
			for table := range typ.LinkTables() {
				require.Equal(t, columns(want, table), columns(made, table), table)
			}
		}
		for uid, s := range want.Schemas {
			require.JSONEq(t, string(s.AppendJSON(nil)), string(made.Schemas[uid].AppendJSON(nil)))
		}
	})
}

func TestLabSchemasAreThoseOfStrapi(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		sitetest.Lab(t, config)
		c, err := read(t, config, catalogue.Options{Components: sitetest.LabComponents(t)})
		require.NoError(t, err)
		want := sitetest.LabSchemas(t)
		require.Len(t, c.Schemas, len(want))
		for uid, s := range want {
			require.JSONEq(t, string(s.AppendJSON(nil)), string(c.Schemas[uid].AppendJSON(nil)), uid)
			require.True(t, json.Valid(c.Schemas[uid].AppendJSON(nil)))
		}
	})
}

// columns are the types of a table's columns by name.
func columns(c *catalogue.Catalogue, table string) map[string]string {
	out := make(map[string]string)
	for _, column := range c.Columns[table] {
		out[column.Name] = column.Type
	}
	return out
}
