package strapi_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
)

// digest sums up what a project holds, by identity.
func digest(t *testing.T, p project) *transfer.Digest {
	t.Helper()
	src, err := p.site(t).Source(t.Context())
	require.NoError(t, err)
	d, err := transfer.Collect(t.Context(), src, transfer.Filter{})
	require.NoError(t, err)
	require.NoError(t, src.Close())
	return d
}

// damage changes a project in every way that a merge has to repair, without adding anything that only it has.
func (p project) damage(t *testing.T) {
	t.Helper()
	quote := p.options.Database.Kind.Quote
	for _, statement := range []string{
		"DELETE FROM " + quote("rel_as"),
		"UPDATE " + quote("rel_bs") + " SET " + quote("name") + " = 'changed'",
		"UPDATE " + quote("components_lab_inners") + " SET " + quote("label") + " = 'changed'",
		"DELETE FROM " + quote("files_related_mph"),
		"DELETE FROM " + quote("rel_as_bi_many_to_many_lnk"),
		"UPDATE " + quote("strapi_webhooks") + " SET " + quote("url") + " = 'http://other'",
		"DELETE FROM " + quote("strapi_core_store_settings") + " WHERE " + quote("key") + " = 'plugin_i18n_default_locale'",
	} {
		sitetest.Exec(t, p.options.Database, statement+";\n")
	}
	entries, err := os.ReadDir(p.folder)
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(p.folder, entries[0].Name())))
	require.NoError(t, os.WriteFile(filepath.Join(p.folder, entries[1].Name()), []byte("other"), 0o600))
}

// exact replaces what not every database keeps as it is: integers that Strapi has rounded beyond what fits, and times that end in zeros.
func (p project) exact(t *testing.T) {
	t.Helper()
	quote := p.options.Database.Kind.Quote
	for _, set := range [][3]string{
		{"kitchen_sinks", "a_bigint", "9007199254740993"},
		{"components_lab_leaves", "big", "9007199254740993"},
		{"kitchen_sinks", "a_time", "'13:14:15.123'"},
	} {
		sitetest.Exec(t, p.options.Database, "UPDATE "+quote(set[0])+" SET "+quote(set[1])+" = "+set[2]+";\n")
	}
}

// recorder remembers the statements that write.
type recorder struct {
	mu         sync.Mutex
	statements []string
}

func (r *recorder) hook(statement string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, harmless := range []string{"BEGIN", "PRAGMA", "SET ", "START ", "LOCK "} {
		if strings.HasPrefix(statement, harmless) {
			return nil
		}
	}
	r.statements = append(r.statements, statement)
	return nil
}

// It does so from any kind of database to any other.
func TestMergeMakesTheSameOfWhatDiffers(t *testing.T) {
	t.Parallel()
	kinds := databasetest.Kinds()
	for i, from := range kinds {
		for k, to := range kinds {
			if testing.Short() && k != (i+1)%len(kinds) {
				continue // each is read once and written once
			}
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				t.Parallel()
				a, b := labProject(t, from), labProject(t, to)
				a.exact(t)
				_, err := run(t, a, b, transfer.Options{}, strapi.WriteOptions{}) // documents are the same only in sites that come from one
				require.NoError(t, err)
				b.damage(t)
				require.NotEmpty(t, digest(t, a).Compare(digest(t, b), 100))
				report, err := run(t, a, b, transfer.Options{}, strapi.WriteOptions{Merge: true})
				require.NoError(t, err, "%v", report.Skipped)
				want := digest(t, a)
				require.Empty(t, want.Compare(digest(t, b), 100))
				var r recorder
				b.options.Database.Hook = r.hook
				_, err = run(t, a, b, transfer.Options{}, strapi.WriteOptions{Merge: true})
				require.NoError(t, err)
				require.Empty(t, r.statements, "a second run writes nothing")
				require.Empty(t, want.Compare(digest(t, b), 100))
			})
		}
	}
}

func TestMergeFollowsTheConflictPolicy(t *testing.T) {
	t.Parallel()
	changed := func(t *testing.T, p project) (names []string) {
		t.Helper()
		for key, v := range content(t, p) {
			if strings.HasPrefix(key, "entities api::rel-b.rel-b ") {
				names = append(names, v.(map[string]any)["data"].(map[string]any)["name"].(string))
			}
		}
		return names
	}
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		a := labProject(t, config.Kind)
		a.exact(t)
		quote := config.Kind.Quote
		b := labProject(t, config.Kind)
		b.exact(t)
		later := "'2099-01-01 00:00:00.000'"
		if config.Kind == database.SQLite {
			later = "4070908800000"
		}
		ids := idsOf(t, b, "api::rel-b.rel-b")
		sitetest.Exec(t, b.options.Database, "DELETE FROM "+quote("rel_as")+";\n"+
			"UPDATE "+quote("rel_bs")+" SET "+quote("name")+" = 'mine', "+quote("updated_at")+" = "+later+" WHERE id = "+ids[0]+";\n"+
			"UPDATE "+quote("rel_bs")+" SET "+quote("name")+" = 'mine' WHERE id = "+ids[1]+";\n"+
			"INSERT INTO "+quote("rel_bs")+" (id, "+quote("document_id")+", "+quote("name")+") VALUES (1000, 'onlyhere', 'only here');\n")
		// Each policy finds what the one before has left.
		for _, conflict := range []strapi.Conflict{strapi.ConflictFail, strapi.ConflictDestination, strapi.ConflictNewer, strapi.ConflictSource} {
			before := digest(t, b)
			_, err := run(t, a, b, transfer.Options{}, strapi.WriteOptions{Merge: true, Conflict: conflict})
			names := changed(t, b)
			mine := 0
			for _, name := range names {
				if name == "mine" {
					mine++
				}
			}
			require.Contains(t, names, "only here", "what only the destination has stays")
			if conflict == strapi.ConflictFail {
				require.ErrorIs(t, err, transfer.ErrIncompatible)
				require.Empty(t, before.Compare(digest(t, b), 100))
				continue
			}
			require.NoError(t, err)
			require.Equal(t, map[strapi.Conflict]int{strapi.ConflictSource: 0, strapi.ConflictDestination: 2, strapi.ConflictNewer: 1}[conflict], mine, conflict)
			require.Equal(t, digest(t, a).Counts()["api::rel-a.rel-a"], digest(t, b).Counts()["api::rel-a.rel-a"])
		}
	})
}

// idsOf are the ids of the rows of a type, as text, in order.
func idsOf(t *testing.T, p project, uid string) (ids []string) {
	t.Helper()
	src, err := p.site(t).Source(t.Context())
	require.NoError(t, err)
	for _, r := range readAll(t, src, transfer.StageEntities) {
		if e, ok := r.(transfer.Entity); ok && e.Type == uid {
			ids = append(ids, e.ID.String())
		}
	}
	require.NoError(t, src.Close())
	return ids
}

// What a row of the source points at may be pointed at by a row that only the destination has as well, unless the relation is one of two
// sides: there it belongs to the source's row alone, as Strapi would have it.
func TestMergeTakesOnlyWhatBelongsToOne(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		a, b := labProject(t, config.Kind), labProject(t, config.Kind)
		sitetest.Exec(t, b.options.Database, "INSERT INTO rel_as (id, document_id) VALUES (1000, 'onlyhere');\n")
		for _, table := range []string{"rel_as_uni_one_to_one_lnk", "rel_as_bi_one_to_one_lnk"} {
			sitetest.Exec(t, b.options.Database, "INSERT INTO "+table+" (rel_a_id, rel_b_id) SELECT 1000, min(rel_b_id) FROM "+table+";\n"+
				"DELETE FROM "+table+" WHERE rel_a_id <> 1000;\n")
		}
		_, err := run(t, a, b, transfer.Options{}, strapi.WriteOptions{Merge: true})
		require.NoError(t, err)
		src, err := b.site(t).Source(t.Context())
		require.NoError(t, err)
		count := make(map[string]int)
		for _, r := range readAll(t, src, transfer.StageLinks) {
			if l := r.(transfer.Link); strings.HasSuffix(l.Left.Field, "iOneToOne") {
				count[fmt.Sprintf("%s of what only it has: %v", l.Left.Field, l.Left.Ref == "1000")]++
			}
		}
		require.NoError(t, src.Close())
		require.Equal(t, map[string]int{
			"uniOneToOne of what only it has: true": 1, "uniOneToOne of what only it has: false": 2, "biOneToOne of what only it has: false": 2,
		}, count)
	})
}

func TestConflictNeedsMerge(t *testing.T) {
	t.Parallel()
	p := load(t, database.SQLite, former())
	_, err := p.site(t).Destination("test", strapi.WriteOptions{Conflict: strapi.ConflictNewer})
	require.ErrorIs(t, err, transfer.ErrUsage)
	_, err = p.site(t).Destination("test", strapi.WriteOptions{Merge: true, Conflict: "dice"})
	require.ErrorIs(t, err, transfer.ErrUsage)
}
