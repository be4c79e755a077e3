//go:build unix

package strapi_test

import (
	"encoding/json"
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
	require.Empty(t, strapitest.Diff(want, target.Graph(t)))

	target.Start(t)
	require.Empty(t, strapitest.Diff(want, target.Graph(t)), "after a boot")
	target.Stop(t)
	var made map[string]struct{ Before, After int64 }
	text := target.Script(t, createEverywhere)
	_, line, _ := strings.Cut("\n"+text, "\n{") // Strapi's log is around it
	line, _, _ = strings.Cut(line, "\n")
	require.NoError(t, json.Unmarshal([]byte("{"+line), &made), text)
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
