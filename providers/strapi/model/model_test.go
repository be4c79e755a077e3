package model_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// build makes a model of content types by uid and attributes; components have no "::" in theirs.
func build(t *testing.T, types map[string]string) (*model.Model, error) {
	t.Helper()
	schemas := make(transfer.Schemas)
	for uid, attributes := range types {
		name := uid[len(uid)-1:]
		s, err := transfer.ParseSchema(fmt.Appendf(nil, `{"collectionName":"%ss","modelName":%q,"uid":%q,"attributes":{%s}}`, name, name, uid, attributes), "")
		require.NoError(t, err)
		schemas[uid] = s
	}
	return model.New(schemas, nil)
}

func TestRelationsAreStoredWhereStrapiStoresThem(t *testing.T) {
	t.Parallel()
	const toB = `"type":"relation","target":"api::b.b","relation":`
	tests := map[string]struct {
		attribute string
		want      model.Relation
	}{
		"oneToOne":                       {`"oneToOne"`, model.Relation{Storage: model.JoinTable, Table: "as_x_lnk", Left: "a_id", Right: "b_id"}},
		"oneToOne, inversed":             {`"oneToOne","inversedBy":"y"`, model.Relation{Storage: model.JoinTable, Table: "as_x_lnk", Left: "a_id", Right: "b_id", Inverse: "y"}},
		"oneToOne, mapped":               {`"oneToOne","mappedBy":"y"`, model.Relation{}},
		"oneToMany":                      {`"oneToMany"`, model.Relation{Storage: model.JoinTable, Table: "as_x_lnk", Left: "a_id", Right: "b_id", Order: "b_ord"}},
		"oneToMany, mapped":              {`"oneToMany","mappedBy":"y"`, model.Relation{}},
		"manyToOne":                      {`"manyToOne"`, model.Relation{Storage: model.JoinTable, Table: "as_x_lnk", Left: "a_id", Right: "b_id"}},
		"manyToOne, inversed":            {`"manyToOne","inversedBy":"y"`, model.Relation{Storage: model.JoinTable, Table: "as_x_lnk", Left: "a_id", Right: "b_id", InverseOrder: "a_ord", Inverse: "y"}},
		"manyToMany":                     {`"manyToMany"`, model.Relation{Storage: model.JoinTable, Table: "as_x_lnk", Left: "a_id", Right: "b_id", Order: "b_ord"}},
		"manyToMany, inversed":           {`"manyToMany","inversedBy":"y"`, model.Relation{Storage: model.JoinTable, Table: "as_x_lnk", Left: "a_id", Right: "b_id", Order: "b_ord", InverseOrder: "a_ord", Inverse: "y"}},
		"manyToMany, mapped":             {`"manyToMany","mappedBy":"y"`, model.Relation{}},
		"oneToOne without a table":       {`"oneToOne","useJoinTable":false`, model.Relation{Storage: model.JoinColumn, Column: "x_id", Referenced: "id"}},
		"manyToOne without a table":      {`"manyToOne","useJoinTable":false,"inversedBy":"y"`, model.Relation{Storage: model.JoinColumn, Column: "x_id", Referenced: "id", Inverse: "y"}},
		"a column by its name":           {`"oneToOne","useJoinTable":false,"joinColumn":{"name":"own_name"}`, model.Relation{Storage: model.JoinColumn, Column: "own_name", Referenced: "id"}},
		"manyToMany without a table":     {`"manyToMany","useJoinTable":false`, model.Relation{}},
		"a table by its name":            {`"manyToMany","joinTable":{"name":"t","joinColumn":{"name":"l"},"inverseJoinColumn":{"name":"r"},"orderColumnName":"o"}`, model.Relation{Storage: model.JoinTable, Table: "t", Left: "l", Right: "r", Order: "o"}},
		"a table that Strapi added":      {`"oneToOne","joinTable":{"__internal__":true,"name":"t"}`, model.Relation{Storage: model.JoinTable, Table: "as_x_lnk", Left: "a_id", Right: "b_id"}},
		"morphOne":                       {`"morphOne","morphBy":"z"`, model.Relation{}},
		"morphMany":                      {`"morphMany","morphBy":"z"`, model.Relation{}},
		"useJoinTable that is no false":  {`"oneToOne","useJoinTable":null`, model.Relation{Storage: model.JoinTable, Table: "as_x_lnk", Left: "a_id", Right: "b_id"}},
		"useJoinTable that is a mistake": {`"oneToOne","useJoinTable":"false"`, model.Relation{Storage: model.JoinTable, Table: "as_x_lnk", Left: "a_id", Right: "b_id"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := build(t, map[string]string{"api::a.a": `"x":{` + toB + test.attribute + `}`, "api::b.b": ``})
			require.NoError(t, err)
			a := m.Type("api::a.a")
			if test.want.Storage == "" {
				require.Empty(t, a.Relations)
				require.Nil(t, a.Relation("x"))
				require.Equal(t, model.Relative, a.Class("x"))
				return
			}
			got := *a.Relation("x")
			require.Equal(t, model.KindBasic, got.Kind)
			require.Equal(t, model.Owner, a.Class("x"))
			test.want.Attribute, test.want.Relation, test.want.Kind, test.want.Target = "x", got.Relation, got.Kind, "api::b.b"
			require.Equal(t, test.want, got)
		})
	}
}

func TestRelationsToTheSameNameArePrefixed(t *testing.T) {
	t.Parallel()
	m, err := build(t, map[string]string{
		"api::a.a":    `"self":{"type":"relation","relation":"manyToMany","target":"api::a.a","inversedBy":"back"},"back":{"type":"relation","relation":"manyToMany","target":"api::a.a","mappedBy":"self"},"parent":{"type":"relation","relation":"manyToOne","target":"api::a.a","inversedBy":"kids"}`,
		"plugin::u.a": `"other":{"type":"relation","relation":"manyToMany","target":"api::a.a","inversedBy":"x"}`,
	})
	require.NoError(t, err)
	self := *m.Type("api::a.a").Relation("self")
	require.Equal(t, model.KindCircular, self.Kind)
	require.Equal(t, []string{"a_id", "inv_a_id", "a_ord", "inv_a_ord"}, []string{self.Left, self.Right, self.Order, self.InverseOrder})
	parent := *m.Type("api::a.a").Relation("parent")
	require.Equal(t, []string{"a_id", "inv_a_id", "", "a_ord"}, []string{parent.Left, parent.Right, parent.Order, parent.InverseOrder})
	other := *m.Type("plugin::u.a").Relation("other")
	require.Equal(t, model.KindBasic, other.Kind, "it is another type, of the same name")
	require.Equal(t, []string{"a_id", "inv_a_id", "a_ord", "inv_a_ord"}, []string{other.Left, other.Right, other.Order, other.InverseOrder})
}

func TestMorphsZonesAndMedia(t *testing.T) {
	t.Parallel()
	m, err := build(t, map[string]string{
		"api::a.a": `"one":{"type":"relation","relation":"morphToOne"},"named":{"type":"relation","relation":"morphToOne","morphColumn":{"typeColumn":{"name":"t"},"idColumn":{"name":"i"}}},"manyThings":{"type":"relation","relation":"morphToMany"},"pic":{"type":"media"},"c":{"type":"component","component":"x.c"},"cs":{"type":"component","component":"x.c","repeatable":true},"z":{"type":"dynamiczone","components":["x.c"]},"n":{"type":"integer","default":3}`,
		"x.c":      `"rel":{"type":"relation","relation":"oneToOne","target":"api::a.a"}`,
	})
	require.NoError(t, err)
	a := m.Type("api::a.a")
	require.Equal(t, model.Relation{Attribute: "one", Relation: "morphToOne", Kind: model.KindMorph, Storage: model.MorphColumns, IDColumn: "target_id", TypeColumn: "target_type"}, *a.Relation("one"))
	require.Equal(t, "i", a.Relation("named").IDColumn)
	require.Equal(t, model.Relation{
		Attribute: "manyThings", Relation: "morphToMany", Kind: model.KindMorph, Storage: model.MorphTable, Table: "as_many_things_mph", Left: "a_id",
		IDColumn: "many_things_id", TypeColumn: "many_things_type", FieldColumn: "field", Order: "order",
	}, *a.Relation("manyThings"))
	require.Equal(t, model.Relative, a.Class("pic"))
	require.Equal(t, []model.Zone{
		{Attribute: "c", Components: []string{"x.c"}},
		{Attribute: "cs", Repeatable: true, Components: []string{"x.c"}},
		{Attribute: "z", Dynamic: true, Repeatable: true, Components: []string{"x.c"}},
	}, a.Zones)
	require.Equal(t, "as_cmps", a.ZoneTable)
	require.Equal(t, []model.Column{{Attribute: "documentId", Name: "document_id", Kind: model.String}, {Attribute: "n", Name: "n", Kind: model.Integer, Default: []byte("3")}}, a.Columns)
	c := m.Type("x.c")
	require.True(t, c.Component)
	require.Empty(t, c.Columns, "a component has no documentId")
	require.Equal(t, "cs_rel_lnk", c.Relation("rel").Table)
	require.Equal(t, model.Unknown, c.Class("nothing"))
}

func TestNewRefusesWhatIsNotThere(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ attribute, says string }{
		"a target":    {`"x":{"type":"relation","relation":"oneToOne","target":"api::b.b"}`, "api::b.b"},
		"a component": {`"x":{"type":"component","component":"b.b"}`, "b.b"},
		"a type":      {`"x":{"type":"customField"}`, "customField"},
	} {
		_, err := build(t, map[string]string{"api::a.a": test.attribute})
		require.ErrorIs(t, err, transfer.ErrIncompatible, name)
		require.ErrorContains(t, err, test.says, name)
		require.ErrorContains(t, err, "attribute x", name)
	}
}
