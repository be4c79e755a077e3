package project

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestParseEnv(t *testing.T) {
	t.Parallel()
	// Results as the dotenv package of Node gives them.
	text := "A=1\n  B = two words  # comment\nexport C='single # not a comment'\nD=\"a\\nb\"\nE=`back 'tick'`\nF=pa$A{A}ss\nG=\n" +
		"H: colon\nI='multi\nline'\r\nJ=a#b\nK.L-M=x\n# N=no\nO=\"un'closed\nP='it\\'s'\nA=again\nQ=\"x\" trailing\nR ='' \n"
	require.Equal(t, map[string]string{
		"A": "again", "B": "two words", "C": "single # not a comment", "D": "a\nb", "E": "back 'tick'", "F": "pa$A{A}ss", "G": "",
		"H": "colon", "I": "multi\nline", "J": "a", "K.L-M": "x", "O": "\"un'closed", "P": `it\'s`, "Q": `"x" trailing`, "R": "",
	}, parseEnv(text))
}

func FuzzParseEnv(f *testing.F) {
	for _, seed := range []string{"A=1", "A='x\ny'", "export B=\"\\n\"", "C: d # e", "\ufeffA=1", "A=\"'`"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name, value := range parseEnv(text) {
			require.Regexp(t, `^[\w.-]+$`, name)
			if utf8.ValidString(text) {
				require.True(t, utf8.ValidString(value))
			}
			// What was read can be written, where a quote is left for it, and is read as the same again.
			if value != "" && !containsAny(value, "`\\\r") {
				require.Equal(t, value, parseEnv(name + "=`" + value + "`")[name])
			}
		}
	})
}

func containsAny(text, chars string) bool {
	for _, r := range chars {
		for _, s := range text {
			if r == s {
				return true
			}
		}
	}
	return false
}

func TestMergeIsThatOfLodash(t *testing.T) {
	t.Parallel()
	got := merge(map[string]any{"a": map[string]any{"x": 1, "y": 2}, "l": []any{1, 2, 3}, "k": "old"},
		map[string]any{"a": map[string]any{"y": nil, "z": 3}, "l": []any{9}, "k": map[string]any{"n": 1}})
	require.Equal(t, map[string]any{"a": map[string]any{"x": 1, "y": nil, "z": 3}, "l": []any{9, 2, 3}, "k": map[string]any{"n": 1}}, got)
}

func FuzzParseDatabase(f *testing.F) {
	for _, seed := range []string{"postgres://u:p@h/d?sslmode=require", "sqlite:x", "mysql://h:1/d?ssl=true", "mariadb:", "pg://%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseDatabase(text)
		if err == nil {
			require.True(t, c.Path != "" || c.Name != "")
			require.GreaterOrEqual(t, c.Port, 0)
		}
	})
}

func FuzzConnection(f *testing.F) {
	for _, seed := range []string{
		`{"connection":{"client":"postgres","connection":{"connectionString":"postgres://u:hunter2@h/d","ssl":{"ca":"x"}}}}`,
		`{"connection":{"client":"mysql","connection":{"host":"/run/x","port":"3306","database":"d","password":"hunter2"}}}`,
		`{"connection":{"client":"sqlite","connection":"x.db"}}`, `{"connection":[]}`, `null`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var value any
		if json.Unmarshal([]byte(text), &value) != nil {
			t.Skip()
		}
		c, err := connection("/project", merge(map[string]any{}, value))
		if err != nil {
			require.NotContains(t, err.Error(), "hunter2")
			return
		}
		require.NotContains(t, fmt.Sprintf("%v %#v", c, c), "hunter2")
		require.True(t, c.Name != "" || filepath.IsAbs(c.Path))
	})
}
