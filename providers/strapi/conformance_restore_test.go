//go:build unix

package strapi_test

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// createEverywhere creates an entry in every content type of the project through Strapi, and one more component where there is one,
// and prints the ids that they got and the highest ones before.
const createEverywhere = `
require('./boot')(async (strapi) => {
  let n = 0;
  const scalars = {
    string: () => 'made ' + (n += 1), text: () => 'made ' + (n += 1), richtext: () => 'made', uid: () => 'made-' + (n += 1),
    email: () => 'made' + (n += 1) + '@example.org', password: () => 'Made-1234', integer: () => 1, biginteger: () => '1', float: () => 1,
    decimal: () => 1, boolean: () => true, date: () => '2026-01-01', time: () => '10:00:00.000', datetime: () => '2026-01-01T00:00:00.000Z',
    json: () => ({}), blocks: () => [],
  };
  const fill = (type) => {
    const data = {};
    for (const [name, a] of Object.entries(type.attributes)) {
      if (a.type === 'component') data[name] = a.repeatable ? [fill(strapi.components[a.component]), fill(strapi.components[a.component])] : fill(strapi.components[a.component]);
      else if (a.type === 'dynamiczone') data[name] = a.components.map((uid) => ({ __component: uid, ...fill(strapi.components[uid]) }));
      else if (a.required && a.type === 'enumeration') data[name] = a.enum[0];
      else if (a.required && scalars[a.type]) data[name] = scalars[a.type]();
    }
    return data;
  };
  const out = {};
  for (const [uid, type] of Object.entries(strapi.contentTypes)) {
    if (!uid.startsWith('api::') && !['plugin::users-permissions.role', 'plugin::i18n.locale'].includes(uid)) continue;
    const top = async () => (await strapi.db.query(uid).findMany({ select: ['id'], orderBy: { id: 'desc' }, limit: 1 }))[0]?.id ?? 0;
    const before = await top();
    await strapi.db.query(uid).create({ data: { documentId: 'made' + (n += 1) } });
    if (uid.startsWith('api::') && type.kind === 'collectionType') {
      await strapi.documents(uid).create({ data: fill(type), locale: type.pluginOptions?.i18n?.localized ? 'en' : undefined });
    }
    out[uid] = { before, after: await top() };
  }
  process.stdout.write(JSON.stringify(out));
});
`

// TestConformanceRestore restores one project's content into another by our own destination: Strapi must boot on it, find the same
// content, and be able to create entries.
func TestConformanceRestore(t *testing.T) {
	strapitest.Require(t)
	kinds := strapitest.Databases()
	for i, from := range kinds {
		t.Run("from "+from.String(), func(t *testing.T) {
			source := strapitest.New(t, strapitest.Options{Seed: true, Database: from})
			want := source.Graph(t)
			for _, to := range []strapitest.Database{from, kinds[(i+1)%len(kinds)]} {
				t.Run("to "+to.String(), func(t *testing.T) {
					restoreAndUse(t, source, strapitest.New(t, strapitest.Options{Database: to}), want)
				})
			}
		})
	}
}

func restoreAndUse(t *testing.T, source, target *strapitest.Instance, want strapitest.Graph) {
	t.Helper()
	restoreInto(t, source, target)
	require.Empty(t, strapitest.Diff(levelled(t, want), levelled(t, target.Graph(t))))

	target.Start(t)
	require.Empty(t, strapitest.Diff(levelled(t, want), levelled(t, target.Graph(t))), "after a boot")
	target.Stop(t)
	var made map[string]struct{ Before, After int64 }
	text := target.Script(t, createEverywhere)
	at := strings.Index(text, `{"`) // Strapi's log is around it
	require.GreaterOrEqual(t, at, 0, text)
	require.NoError(t, json.NewDecoder(strings.NewReader(text[at:])).Decode(&made), text)
	require.NotEmpty(t, made)
	for uid, ids := range made {
		require.Greater(t, ids.After, ids.Before, uid)
	}
}

func restoreInto(t *testing.T, from, to *strapitest.Instance) {
	t.Helper()
	a, err := strapi.OpenProject(t.Context(), from.Path(), strapi.Choices{})
	require.NoError(t, err)
	src, err := a.Source(t.Context())
	require.NoError(t, err)
	b, err := strapi.OpenProject(t.Context(), to.Path(), strapi.Choices{})
	require.NoError(t, err)
	dst, err := b.Destination("test", strapi.WriteOptions{})
	require.NoError(t, err)
	report, err := transfer.Run(t.Context(), src, dst, transfer.Options{})
	require.NoError(t, err)
	require.Empty(t, report.Skipped)
	require.NoError(t, src.Close())
	require.NoError(t, dst.Close())
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

// levelled takes from a graph what is another database's way to say the same: PostgreSQL and MySQL keep two digits of a decimal, times
// of day may lack zeros, and text in a JSON column is quoted twice where bare text is refused. SQLite's driver rounds large integers.
func levelled(t *testing.T, g strapitest.Graph) strapitest.Graph {
	t.Helper()
	text, err := json.Marshal(g)
	require.NoError(t, err)
	var out strapitest.Graph
	require.NoError(t, json.Unmarshal(text, &out))
	for _, entries := range out {
		for key := range entries {
			entries[key] = levelledValue(entries[key])
		}
	}
	return out
}

var timeOfDay = regexp.MustCompile(`^\d\d:\d\d:\d\d(\.\d+)?$`)

func levelledValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = levelledValue(v[k])
		}
	case []any:
		for i := range v {
			v[i] = levelledValue(v[i])
		}
	case float64:
		if math.Abs(v) < 1e9 {
			return math.Floor(v*100+0.5+1e-9) / 100
		}
	case string:
		var inner string
		switch {
		case timeOfDay.MatchString(v):
			return strings.TrimSuffix(strings.TrimRight(v[:8]+"."+strings.TrimPrefix(v[8:], "."), "0"), ".")
		case len(v) > 1 && v[0] == '"' && json.Unmarshal([]byte(v), &inner) == nil:
			return inner
		}
		if f, err := strconv.ParseFloat(v, 64); err == nil && len(v) > 15 && !strings.ContainsAny(v, ".eE") {
			return strconv.FormatFloat(f, 'f', 0, 64)
		}
	}
	return v
}
