//go:build unix

package strapitest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	const base = `{"rows": {"a": {"n": 1, "to b": ["x", "y"], "part p": [{"s": "one"}, {"s": "two"}]}}, "files": {"f": "00"}, "strays": {}}`
	tests := map[string]struct {
		got  string
		want string
	}{
		"the same content differs nowhere": {base, ""},
		"a value": {
			strings.Replace(base, `"n": 1`, `"n": 2`, 1), `rows: a: n: 2, want 1`,
		},
		"the order of a relation": {
			strings.Replace(base, `"x", "y"`, `"y", "x"`, 1), `rows: a: to b[0]: "y", want "x"` + "\n" + `rows: a: to b[1]: "x", want "y"`,
		},
		"a shorter relation": {
			strings.Replace(base, `"x", "y"`, `"x"`, 1), `rows: a: to b: ["x"], want ["x","y"]`,
		},
		"a value inside a component": {
			strings.Replace(base, `"two"`, `null`, 1), `rows: a: part p[1]: s: null, want "two"`,
		},
		"a row too many": {
			strings.Replace(base, `{"a"`, `{"b": {}, "a"`, 1), `rows: b: is not expected`,
		},
		"a file too few": {
			strings.Replace(base, `"f": "00"`, ``, 1), `files: f: is missing`,
		},
		"something that belongs to nothing": {
			strings.Replace(base, `"strays": {}`, `"strays": {"links": 2}`, 1), `strays: links: is not expected`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.want, strapitest.Diff(parse(t, base), parse(t, test.got)))
		})
	}
}

func TestGraphOnly(t *testing.T) {
	t.Parallel()
	g := parse(t, `{"rows": {"a": 1}, "files": {"f": "00"}, "config": {"c": 1}}`)
	require.Empty(t, strapitest.Diff(parse(t, `{"files": {"f": "00"}}`), g.Only(strapitest.Files)))
	require.NotEmpty(t, strapitest.Diff(g, g.Only(strapitest.Files)))
}

func parse(t *testing.T, text string) (g strapitest.Graph) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &g))
	return g
}
