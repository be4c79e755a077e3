package sitetest

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/transfer"
)

//go:embed testdata
var testdata embed.FS

// Lab fills an empty database with a site that Strapi 5.54 made on the same kind of database: every type of attribute, every kind of
// relation, nested components, two locales, drafts, shortened names. Its Strapi ran in UTC.
func Lab(tb testing.TB, config database.Config) {
	tb.Helper()
	if config.Kind == database.SQLite {
		require.NoError(tb, os.WriteFile(config.Path, unpack(tb, "sqlite/data.db"), 0o600))
		return
	}
	Exec(tb, config, string(unpack(tb, string(config.Kind)+"/dump.sql")))
}

// LabComponents returns the component files of the site.
func LabComponents(tb testing.TB) map[string]json.RawMessage {
	tb.Helper()
	entries, err := testdata.ReadDir("testdata/lab/components")
	require.NoError(tb, err)
	files := make(map[string]json.RawMessage)
	for _, e := range entries {
		text, err := testdata.ReadFile("testdata/lab/components/" + e.Name())
		require.NoError(tb, err)
		files["lab."+strings.TrimSuffix(e.Name(), path.Ext(e.Name()))] = text
	}
	return files
}

// LabGolden returns what Strapi itself yields of the site, a JSON text a record; of files it is the metadata, name and size.
func LabGolden(tb testing.TB, kind database.Kind, stage transfer.Stage) []string {
	tb.Helper()
	return lines(unpack(tb, string(kind)+"/"+string(stage)+".jsonl"))
}

// LabSchemas returns the schemas that Strapi hands out for the site.
func LabSchemas(tb testing.TB) transfer.Schemas {
	tb.Helper()
	var all map[string]json.RawMessage
	require.NoError(tb, json.Unmarshal(unpack(tb, "sqlite/schemas.json"), &all))
	out := make(transfer.Schemas)
	for uid, text := range all {
		s, err := transfer.ParseSchema(text, uid)
		require.NoError(tb, err)
		out[uid] = s
	}
	return out
}

// LabOrphans damages the site in an SQLite database: links to rows, types and owners that are gone, positions that are missing, and
// components where they do not belong.
func LabOrphans(tb testing.TB, config database.Config) {
	tb.Helper()
	text, err := testdata.ReadFile("testdata/lab/orphans/orphans.sql")
	require.NoError(tb, err)
	Exec(tb, config, string(text))
}

// LabOrphansGolden returns what Strapi yields of the damaged site, and what it warns of.
func LabOrphansGolden(tb testing.TB, stage transfer.Stage) (records, warnings []string) {
	tb.Helper()
	var said []struct{ Details struct{ Message string } }
	require.NoError(tb, json.Unmarshal(unpack(tb, "orphans/warnings.json"), &said))
	for _, w := range said {
		warnings = append(warnings, w.Details.Message)
	}
	return lines(unpack(tb, "orphans/"+string(stage)+".jsonl")), warnings
}

func lines(text []byte) []string {
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func unpack(tb testing.TB, name string) []byte {
	tb.Helper()
	packed, err := testdata.ReadFile("testdata/lab/" + name + ".gz")
	require.NoError(tb, err)
	r, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(tb, err)
	text, err := io.ReadAll(r)
	require.NoError(tb, errors.Join(err, r.Close()))
	return text
}
