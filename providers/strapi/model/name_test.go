package model

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// vectors are what lodash and Strapi themselves make of many names, most of them random.
func vectors(t *testing.T) (snakes [][2]string, names [][4]*string) {
	t.Helper()
	raw, err := os.ReadFile("testdata/names.json")
	require.NoError(t, err)
	var v struct {
		Snake [][2]string
		Names [][4]*string
	}
	require.NoError(t, json.Unmarshal(raw, &v))
	require.Greater(t, len(v.Snake), 1000)
	require.Greater(t, len(v.Names), 500)
	return v.Snake, v.Names
}

func TestSnakeIsThatOfLodash(t *testing.T) {
	t.Parallel()
	snakes, _ := vectors(t)
	for _, v := range snakes {
		require.Equal(t, v[1], snake(v[0]), "%q", v[0])
	}
}

func TestNamesAreThoseOfStrapi(t *testing.T) {
	t.Parallel()
	_, names := vectors(t)
	for _, v := range names {
		got, err := makeName(*v[0], *v[1], *v[2])
		if v[3] == nil {
			require.ErrorIs(t, err, errLongName, "%s %q %q", *v[0], *v[1], *v[2])
			continue
		}
		require.NoError(t, err)
		require.Equal(t, *v[3], got, "%s %q %q", *v[0], *v[1], *v[2])
	}
}

func makeName(kind, a, b string) (string, error) {
	switch kind {
	case "table":
		return tableName(a)
	case "links": // takes names that are in snake case already
		return join(free(a), free(b), fixed("lnk"))
	case "morphs":
		return morphTableName(a, b)
	case "id":
		return join(free(a), fixed("id"))
	case "invid":
		return inverseIDName(a)
	case "order":
		return join(free(a), fixed("ord"))
	case "invorder":
		return join(fixed("inv"), free(a), fixed("ord"))
	case "type":
		return typeName(a)
	}
	return zoneTableName(a)
}

func TestNamesOfTheSpecification(t *testing.T) {
	t.Parallel()
	require.Equal(t, "93da1", hash("myData"))
	const long = "a_really_quite_long_collection_name_for_testing_the_hash"
	table, err := tableName(long)
	require.NoError(t, err)
	for _, test := range []struct {
		want string
		name func() (string, error)
	}{
		{"a_very_long_attribute_name_that_goes_well_beyond_t9da90", func() (string, error) {
			return columnName("aVeryLongAttributeNameThatGoesWellBeyondTheFiftyFiveCharacterLimit")
		}},
		{"a_really_quite_long_collection_name_for_testing_th56f14", func() (string, error) { return table, nil }},
		{"a_really_quite_long_collection_name_for_testi56f14_cmps", func() (string, error) { return zoneTableName(long) }},
		{"a_really_quite_long_d6c58_some_relation_with_ac350d_lnk", func() (string, error) {
			return linkTableName(table, "someRelationWithAVeryLongAttributeName")
		}},
		{"a_really_quite_long_d6c58_another_relation_tha69448_mph", func() (string, error) {
			return morphTableName(table, "anotherRelationThatIsMorphToManyAndLong")
		}},
		{"join_column_relation_with_an_extremely_long_attafe73_id", func() (string, error) {
			return idName("joinColumnRelationWithAnExtremelyLongAttributeNameIndeedYes")
		}},
		{"articles_related_articles_from_the_same_catego94f0b_lnk", func() (string, error) {
			return linkTableName("articles", "relatedArticlesFromTheSameCategoryAndAuthorOfTheYear")
		}},
		{"fa_qs_tags_2_lnk", func() (string, error) { return linkTableName("FAQs", "tags2") }},
		{"FAQs_cmps", func() (string, error) { return zoneTableName("FAQs") }},
	} {
		got, err := test.name()
		require.NoError(t, err)
		require.Equal(t, test.want, got)
	}
}

// FuzzName checks that names are bounded, that short ones are left alone, and that snake case is stable where words are.
func FuzzName(f *testing.F) {
	for _, s := range []string{"someURLField", "my2ndField", "x1y2z3", "FAQs", "ſ1st", "名前 Ж", strings.Repeat("longName", 12)} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if !utf8.ValidString(a) || !utf8.ValidString(b) {
			return
		}
		s := snake(a)
		if strings.ContainsAny(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ '-.") || strings.Contains(s, "__") || strings.HasPrefix(s, "_") || strings.HasSuffix(s, "_") {
			t.Fatalf("snake(%q) = %q", a, s)
		}
		for _, tokens := range [][]token{{free(a)}, {free(a), fixed("id")}, {free(a), free(b), fixed("lnk")}, {fixed("inv"), free(b), fixed("ord")}} {
			name, err := join(tokens...)
			if err != nil {
				t.Fatalf("%v: %v", tokens, err)
			}
			parts := make([]string, len(tokens))
			for i, tok := range tokens {
				parts[i] = tok.text
			}
			if full := strings.Join(parts, "_"); length(full) <= maxName && name != full {
				t.Fatalf("%q became %q without need", full, name)
			}
			if length(name) > maxName {
				t.Fatalf("%q has %d characters", name, length(name))
			}
		}
	})
}
