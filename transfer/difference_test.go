package transfer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
)

func schemas(t *testing.T, texts ...string) transfer.Schemas {
	t.Helper()
	out := make(transfer.Schemas)
	for _, text := range texts {
		s, err := transfer.ParseSchema([]byte(text), "")
		require.NoError(t, err)
		out[s.UID] = s
	}
	return out
}

// The verdicts are those of compareSchemas and diff in @strapi/data-transfer 5.54.0.
func TestCompareSchemas(t *testing.T) {
	t.Parallel()
	const base = `{"uid":"api::a.a","kind":"collectionType","info":{"singularName":"a"},"options":{"draftAndPublish":true},"attributes":{"x":{"type":"string"},"e":{"type":"enumeration","enum":["a","b"]}}}`
	tests := map[string]struct {
		other         string
		strict, exact []string
	}{
		"nothing": {other: base},
		"key order": {
			other: `{"attributes":{"e":{"enum":["a","b"],"type":"enumeration"},"x":{"type":"string"}},"options":{"draftAndPublish":true},"info":{"singularName":"a"},"kind":"collectionType","uid":"api::a.a"}`,
		},
		"a private attribute": {
			other: `{"uid":"api::a.a","kind":"collectionType","info":{"singularName":"a"},"options":{"draftAndPublish":true},"attributes":{"x":{"type":"string","private":true},"e":{"type":"enumeration","enum":["a","b"]}}}`,
			exact: []string{"added api::a.a [attributes x private]"},
		},
		"a default that is an object": {
			other: `{"uid":"api::a.a","kind":"collectionType","info":{"singularName":"a"},"options":{"draftAndPublish":true},"attributes":{"x":{"type":"string","default":{"deep":1}},"e":{"type":"enumeration","enum":["a","b"]}}}`,
			exact: []string{"added api::a.a [attributes x default]"},
		},
		"another type": {
			other:  `{"uid":"api::a.a","kind":"collectionType","info":{"singularName":"a"},"options":{"draftAndPublish":true},"attributes":{"x":{"type":"text"},"e":{"type":"enumeration","enum":["a","b"]}}}`,
			strict: []string{"modified api::a.a [attributes x type]"}, exact: []string{"modified api::a.a [attributes x type]"},
		},
		"one more choice": {
			other:  `{"uid":"api::a.a","kind":"collectionType","info":{"singularName":"a"},"options":{"draftAndPublish":true},"attributes":{"x":{"type":"string"},"e":{"type":"enumeration","enum":["a","b","c"]}}}`,
			strict: []string{"added api::a.a [attributes e enum 2]"}, exact: []string{"added api::a.a [attributes e enum 2]"},
		},
		"an attribute less": {
			other:  `{"uid":"api::a.a","kind":"collectionType","info":{"singularName":"a"},"options":{"draftAndPublish":true},"attributes":{"x":{"type":"string"}}}`,
			strict: []string{"deleted api::a.a [attributes e]"}, exact: []string{"deleted api::a.a [attributes e]"},
		},
		"another kind": {
			other:  `{"uid":"api::a.a","kind":"singleType","info":{"singularName":"a"},"options":{"draftAndPublish":true},"attributes":{"x":{"type":"string"},"e":{"type":"enumeration","enum":["a","b"]}}}`,
			strict: []string{"modified api::a.a [kind]"}, exact: []string{"modified api::a.a [kind]"},
		},
		"null instead of a value": {
			other:  `{"uid":"api::a.a","kind":null,"info":{"singularName":"a"},"options":{"draftAndPublish":true},"attributes":{"x":{"type":"string"},"e":{"type":"enumeration","enum":["a","b"]}}}`,
			strict: []string{"modified api::a.a [kind]"}, exact: []string{"modified api::a.a [kind]"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for strategy, want := range map[transfer.SchemaStrategy][]string{transfer.SchemaStrict: test.strict, transfer.SchemaExact: test.exact, transfer.SchemaIgnore: nil} {
				diffs, err := transfer.CompareSchemas(schemas(t, base), schemas(t, test.other), strategy)
				require.NoError(t, err)
				require.Equal(t, want, words(diffs), "%s", strategy)
			}
		})
	}
}

func TestCompareSchemasOnOneSideOnly(t *testing.T) {
	t.Parallel()
	a, b := `{"uid":"api::a.a","attributes":{}}`, `{"uid":"api::b.b","attributes":{}}`
	audit := `{"uid":"admin::audit-log","info":{"singularName":"audit-log"},"attributes":{}}`
	diffs, err := transfer.CompareSchemas(schemas(t, a, audit), schemas(t, b), transfer.SchemaStrict)
	require.NoError(t, err)
	require.Equal(t, []string{"deleted api::a.a []", "added api::b.b []"}, words(diffs), "audit logs do not matter")
	diffs, err = transfer.CompareSchemas(schemas(t, a), nil, transfer.SchemaExact)
	require.NoError(t, err)
	require.Empty(t, diffs, "unknown schemas equal everything")
}

func words(diffs []transfer.Difference) (out []string) {
	for _, d := range diffs {
		out = append(out, string(d.Kind)+" "+d.UID+" "+bracket(d.Path))
	}
	return out
}

func bracket(path []string) string {
	out := "["
	for i, p := range path {
		if i > 0 {
			out += " "
		}
		out += p
	}
	return out + "]"
}
