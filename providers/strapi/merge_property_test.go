package strapi_test

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// TestMergeOfAnySite merges sites of any schemas and content into what is left of them when rows, values, components and links are gone:
// then both hold the same, and once more writes nothing. What is left of a site, merged the other way with the destination's word against
// it, writes nothing either. Links that the source no longer has go.
func TestMergeOfAnySite(t *testing.T) {
	t.Parallel()
	anySite(t, 7, func(t *testing.T, rt *rapid.T, opts strapi.Options, site *transfertest.Site) {
		sitetest.Tables(t, opts.Database, site.Schemas(t), nil)
		left, fewer := remains(rt, site), *site
		fewer.Records = maps.Clone(site.Records)
		fewer.Records[transfer.StageLinks] = some(rt, site.Records[transfer.StageLinks])
		var r recorder
		skip := transfer.Options{Orphans: transfer.OrphansSkip}
		for _, step := range []struct {
			name  string
			site  *transfertest.Site
			write strapi.WriteOptions
			quiet bool
			want  *transfertest.Site // nil: it is only where the next step begins
		}{
			{"the whole", site, strapi.WriteOptions{}, false, site},
			{"what is left, merged into the whole", left, strapi.WriteOptions{Merge: true, Conflict: strapi.ConflictDestination}, true, site},
			{"fewer links, merged into the whole", &fewer, strapi.WriteOptions{Merge: true}, false, &fewer},
			{"what is left", left, strapi.WriteOptions{}, false, nil},
			{"the whole, merged into what is left", site, strapi.WriteOptions{Merge: true}, false, site},
			{"the whole, merged into itself", site, strapi.WriteOptions{Merge: true}, true, site},
		} {
			r.statements = nil
			opts.Database.Hook = r.hook
			writeSite(t, rt, opts, step.site, step.write, skip)
			if step.quiet {
				require.Empty(rt, r.statements, step.name)
			}
			if step.want != nil {
				got := sourceOf(t, opts, func(src transfer.Source) *transfer.Digest { return digestOf(t, rt, src) })
				require.Empty(rt, digestOf(t, rt, transfertest.NewMemory(step.want)).Compare(got, 10), step.name)
			}
		}
	})
}

// some draws which records are left.
func some(rt *rapid.T, records []string) []string {
	gone := rapid.IntRange(0, 3)
	return slices.DeleteFunc(slices.Clone(records), func(string) bool { return gone.Draw(rt, "gone") == 3 })
}

func digestOf(t *testing.T, rt *rapid.T, src transfer.Source) *transfer.Digest {
	t.Helper()
	d, err := transfer.Collect(t.Context(), src, transfer.Filter{})
	require.NoError(rt, err)
	return d
}

// remains draws what is left of a site. Links may lead nowhere there.
func remains(rt *rapid.T, site *transfertest.Site) *transfertest.Site {
	left := *site
	left.Records = maps.Clone(site.Records)
	for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageLinks} {
		left.Records[stage] = some(rt, site.Records[stage])
	}
	for i, text := range left.Records[transfer.StageEntities] {
		var entity struct {
			Type string                     `json:"type"`
			ID   int64                      `json:"id"`
			Data map[string]json.RawMessage `json:"data"`
		}
		require.NoError(rt, json.Unmarshal([]byte(text), &entity))
		for _, name := range slices.Sorted(maps.Keys(entity.Data)) {
			if slices.Contains([]string{"documentId", "locale", "publishedAt"}, name) || rapid.IntRange(0, 7).Draw(rt, "blank") < 7 {
				continue
			}
			blank := "null"
			if entity.Data[name][0] == '[' {
				blank = "[]"
			}
			entity.Data[name] = json.RawMessage(blank)
		}
		text, err := json.Marshal(entity)
		require.NoError(rt, err)
		left.Records[transfer.StageEntities][i] = string(text)
	}
	return &left
}
