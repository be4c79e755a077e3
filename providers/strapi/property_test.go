package strapi_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// property is what a test says of any site, in an empty database whose Strapi runs in any zone.
type property func(t *testing.T, rt *rapid.T, opts strapi.Options, site *transfertest.Site)

// anySite checks a property on databases of every kind, on the fewer sites the more steps it takes with each: a step is a transfer. The
// servers make tables far slower than SQLite does.
func anySite(t *testing.T, steps int, check property) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		most := map[bool]int{false: 75, true: 15}[testing.Short()] / steps
		if config.Kind == database.SQLite {
			most *= 4
		}
		checked, failed := 0, false
		rapid.Check(t, func(rt *rapid.T) {
			if checked >= most && !failed {
				return
			}
			checked++
			passed := false
			defer func() { failed = failed || !passed }() // from then on what is drawn is a smaller form of what failed
			databasetest.Empty(t, config)
			config.Zone = time.FixedZone("somewhere", 900*rapid.IntRange(-48, 56).Draw(rt, "quarters of an hour"))
			site := sitetest.Generate(rt, config.Kind)
			check(t, rt, strapi.Options{Database: config, Schemas: site.Schemas(t), Version: site.Version}, site)
			passed = true
		})
		require.Positive(t, checked)
	})
}

func sortedLines(records []string) []string {
	records = append([]string{}, records...)
	slices.Sort(records)
	return records
}

// violations are the foreign keys of a database that rows break: what writes turns them off, or may.
func violations(t *testing.T, config database.Config) []string {
	t.Helper()
	config.Hook = nil
	db, err := database.Open(t.Context(), config)
	require.NoError(t, err)
	snap, err := db.Snapshot(t.Context())
	require.NoError(t, err)
	keys, err := snap.All(t.Context(), foreignKeys(config.Kind))
	require.NoError(t, err)
	counts := make([]string, len(keys))
	for i, key := range keys {
		var name [4]string
		for k, v := range key {
			name[k] = db.Quote(database.Text(v))
		}
		counts[i] = fmt.Sprintf("SELECT %d, count(*) FROM %s a LEFT JOIN %s b ON a.%s = b.%s WHERE a.%s IS NOT NULL AND b.%s IS NULL", i, name[0], name[2], name[1], name[3], name[1], name[3])
	}
	var broken [][]any
	if len(keys) > 0 {
		broken, err = snap.All(t.Context(), strings.Join(counts, " UNION ALL "))
		require.NoError(t, err)
	}
	require.Len(t, broken, len(keys))
	var out []string
	for _, row := range broken {
		if n, _ := database.Int(row[1]); n > 0 {
			i, _ := database.Int(row[0])
			out = append(out, fmt.Sprintf("%d rows of %v", n, keys[i]))
		}
	}
	require.NoError(t, errors.Join(snap.Close(), db.Close()))
	return out
}

// foreignKeys lists them: a table and its column, the table and the column that it refers to.
func foreignKeys(kind database.Kind) string {
	switch kind {
	case database.Postgres:
		return "SELECT a.relname, x.attname, b.relname, y.attname FROM pg_constraint c JOIN pg_class a ON a.oid = c.conrelid JOIN pg_class b ON b.oid = c.confrelid " +
			"JOIN pg_attribute x ON x.attrelid = a.oid AND x.attnum = c.conkey[1] JOIN pg_attribute y ON y.attrelid = b.oid AND y.attnum = c.confkey[1] WHERE c.contype = 'f'"
	case database.MySQL:
		return "SELECT table_name, column_name, referenced_table_name, referenced_column_name FROM information_schema.key_column_usage " +
			"WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL"
	case database.SQLite:
	}
	return `SELECT m.name, k."from", k."table", k."to" FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) k WHERE m.type = 'table'`
}

// What looks for broken foreign keys finds them.
func TestViolationsAreFound(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		sitetest.Load(t, config, sitetest.Sample())
		require.Empty(t, violations(t, config))
		quote := config.Kind.Quote
		off := map[database.Kind]string{
			database.SQLite: "PRAGMA foreign_keys = OFF", database.Postgres: "SET session_replication_role = replica", database.MySQL: "SET foreign_key_checks = 0",
		}
		sitetest.Exec(t, config, off[config.Kind]+";\nDELETE FROM "+quote("categories")+";\n")
		require.Equal(t, []string{"2 rows of [articles_category_lnk category_id categories id]"}, violations(t, config))
	})
}
