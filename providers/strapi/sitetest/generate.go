package sitetest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// Generate draws a site: content types and components with any attributes, and content for them, in the very words in which Strapi
// yields it from a database of a kind that keeps it. See [Sample] for content that every database keeps alike.
func Generate(t *rapid.T, kind database.Kind) *transfertest.Site {
	g := &generator{t: t, kind: kind, site: &transfertest.Site{Version: "5.54.0", Records: make(map[transfer.Stage][]string)}, ids: make(map[string][]int64)}
	for n := range rapid.IntRange(1, 3).Draw(t, "components") {
		g.types = append(g.types, g.newType(n, true))
	}
	for n := range rapid.IntRange(1, 3).Draw(t, "content types") {
		g.types = append(g.types, g.newType(n, false))
	}
	for _, typ := range g.types {
		g.relations(typ)
	}
	for _, typ := range g.types {
		g.site.Records[transfer.StageSchemas] = append(g.site.Records[transfer.StageSchemas], typ.schema())
	}
	for _, typ := range g.types {
		if !typ.component {
			g.rows(typ)
		}
	}
	for _, component := range []bool{false, true} {
		for _, typ := range g.types {
			if typ.component == component {
				g.links(typ)
			}
		}
	}
	return g.site
}

type generator struct {
	t     *rapid.T
	kind  database.Kind
	site  *transfertest.Site
	types []*genType
	ids   map[string][]int64 // of the rows that were drawn, by type
}

type genType struct {
	uid, collection, name string
	component             bool
	attributes            []genAttribute
}

type genAttribute struct {
	name, kind string
	text       string // of the schema
	components []*genType
	relation   string
	target     *genType
}

// name draws an attribute's name that no other of the type has, in whatever writing.
func (g *generator) name(typ *genType) string {
	name := rapid.StringMatching(`[a-z][A-Za-z0-9_]{0,8}|[a-z]{3}[A-Z]{3}[a-z0-9]{50}`).Draw(g.t, "name")
	return fmt.Sprintf("%sX%d", name, len(typ.attributes))
}

// newType draws a type with its scalars and zones. Components hold only those that were drawn before them.
func (g *generator) newType(n int, component bool) *genType {
	typ := &genType{component: component, name: fmt.Sprintf("thing-%d", n)}
	typ.uid = fmt.Sprintf("api::%s.%s", typ.name, typ.name)
	typ.collection = rapid.SampledFrom([]string{"things", "FAQs", "a_really_quite_long_collection_name_for_testing_the_hash"}).Draw(g.t, "collection") + strconv.Itoa(n)
	if component {
		typ.name = fmt.Sprintf("part-%d", n)
		typ.uid, typ.collection = "parts."+typ.name, "components_"+typ.collection
	}
	for range rapid.IntRange(0, 5).Draw(g.t, "scalars") {
		kind := rapid.SampledFrom(genKinds()).Draw(g.t, "kind")
		typ.attributes = append(typ.attributes, genAttribute{name: g.name(typ), kind: kind, text: `{"type":"` + kind + `"}`})
	}
	if !component {
		typ.attributes = append(typ.attributes, genAttribute{name: "publishedAt", kind: "datetime", text: `{"type":"datetime"}`}, genAttribute{name: "locale", kind: "string", text: `{"type":"string"}`})
	}
	var parts []*genType
	for _, other := range g.types {
		if other.component {
			parts = append(parts, other)
		}
	}
	for range rapid.IntRange(0, 2).Draw(g.t, "zones") {
		if len(parts) > 0 {
			typ.attributes = append(typ.attributes, g.zone(typ, parts))
		}
	}
	return typ
}

func genKinds() []string {
	return []string{"string", "text", "json", "integer", "biginteger", "float", "decimal", "boolean", "date", "time", "datetime", "timestamp"}
}

func (g *generator) zone(typ *genType, parts []*genType) genAttribute {
	a := genAttribute{name: g.name(typ), kind: rapid.SampledFrom([]string{"one", "many", "dynamic"}).Draw(g.t, "zone")}
	if a.kind != "dynamic" {
		a.components = []*genType{rapid.SampledFrom(parts).Draw(g.t, "component")}
		a.text = fmt.Sprintf(`{"type":"component","component":%q,"repeatable":%v}`, a.components[0].uid, a.kind == "many")
		return a
	}
	a.components = parts
	uids := make([]string, len(parts))
	for i, p := range parts {
		uids[i] = strconv.Quote(p.uid)
	}
	a.text = `{"type":"dynamiczone","components":[` + strings.Join(uids, ",") + `]}`
	return a
}

// relations draws relations to content types, of every storage.
func (g *generator) relations(typ *genType) {
	var targets []*genType
	for _, other := range g.types {
		if !other.component {
			targets = append(targets, other)
		}
	}
	for range rapid.IntRange(0, 3).Draw(g.t, "relations") {
		a := genAttribute{name: g.name(typ), kind: "relation", target: rapid.SampledFrom(targets).Draw(g.t, "target")}
		a.relation = rapid.SampledFrom([]string{"oneToOne", "oneToMany", "manyToOne", "manyToMany", "column", "morphToMany"}).Draw(g.t, "relation")
		switch a.relation {
		case "column":
			a.text = fmt.Sprintf(`{"type":"relation","relation":"oneToOne","target":%q,"useJoinTable":false}`, a.target.uid)
		case "morphToMany":
			a.text = `{"type":"relation","relation":"morphToMany"}`
		default:
			a.text = fmt.Sprintf(`{"type":"relation","relation":%q,"target":%q}`, a.relation, a.target.uid)
		}
		typ.attributes = append(typ.attributes, a)
	}
}

func (t *genType) schema() string {
	parts := make([]string, len(t.attributes))
	for i, a := range t.attributes {
		parts[i] = strconv.Quote(a.name) + ":" + a.text
	}
	if t.component {
		return fmt.Sprintf(`{"collectionName":%q,"info":{"displayName":%q},"attributes":{%s},"modelType":"component","modelName":%q,"uid":%q,"globalId":"C"}`,
			t.collection, t.name, strings.Join(parts, ","), t.name, t.uid)
	}
	return fmt.Sprintf(`{"collectionName":%q,"info":{"singularName":%q},"attributes":{%s},"kind":"collectionType","modelType":"contentType","modelName":%q,"uid":%q,"globalId":"T"}`,
		t.collection, t.name, strings.Join(parts, ","), t.name, t.uid)
}

// nextID draws an id greater than the last one of the type: sparse or dense.
func (g *generator) nextID(uid string) int64 {
	last := int64(0)
	if ids := g.ids[uid]; len(ids) > 0 {
		last = ids[len(ids)-1]
	}
	id := last + rapid.SampledFrom([]int64{1, 1, 1, 2, 1000}).Draw(g.t, "gap")
	g.ids[uid] = append(g.ids[uid], id)
	return id
}

func (g *generator) rows(typ *genType) {
	for range rapid.IntRange(0, 6).Draw(g.t, "rows") {
		id := g.nextID(typ.uid)
		members := append([]string{fmt.Sprintf(`"documentId":"doc%d"`, id)}, g.members(typ)...)
		g.site.Records[transfer.StageEntities] = append(g.site.Records[transfer.StageEntities],
			fmt.Sprintf(`{"type":%q,"id":%d,"data":{%s}}`, typ.uid, id, strings.Join(members, ",")))
	}
}

// members are a row's scalars, then its zones.
func (g *generator) members(typ *genType) []string {
	var scalars, zones []string
	for _, a := range typ.attributes {
		key := strconv.Quote(a.name) + ":"
		switch a.kind {
		case "relation":
		case "one":
			value := "null"
			if rapid.Bool().Draw(g.t, "there") {
				value = g.component(a.components[0], "")
			}
			zones = append(zones, key+value)
		case "many", "dynamic":
			var items []string
			for range rapid.IntRange(0, 3).Draw(g.t, "items") {
				part := rapid.SampledFrom(a.components).Draw(g.t, "part")
				suffix := ""
				if a.kind == "dynamic" {
					suffix = `,"__component":` + strconv.Quote(part.uid)
				}
				items = append(items, g.component(part, suffix))
			}
			zones = append(zones, key+"["+strings.Join(items, ",")+"]")
		default:
			scalars = append(scalars, key+g.value(a.kind))
		}
	}
	return append(scalars, zones...)
}

func (g *generator) component(typ *genType, suffix string) string {
	members := append([]string{fmt.Sprintf(`"id":%d`, g.nextID(typ.uid))}, g.members(typ)...)
	return "{" + strings.Join(members, ",") + suffix + "}"
}

func (g *generator) value(kind string) string {
	if rapid.IntRange(0, 4).Draw(g.t, "null") == 0 {
		return "null"
	}
	days := rapid.Int64Range(-30000, 60000)
	if kind == "timestamp" && g.kind == database.MySQL {
		days = rapid.Int64Range(2, 24800) // from 1970 to 2037, in every zone: others do not fit
	}
	day := days.Draw(g.t, "day")
	ms := day*86_400_000 + rapid.Int64Range(0, 86_399_999).Draw(g.t, "ms")
	at := time.UnixMilli(ms).UTC()
	switch kind {
	case "string", "text":
		return quotedText(rapid.StringOfN(rapid.RuneFrom([]rune("aZ09 é日🌱\"\\\n\t<&'?$")), -1, 255, -1).Draw(g.t, "text"))
	case "json":
		return rapid.SampledFrom(g.jsonTexts()).Draw(g.t, "json")
	case "integer":
		return strconv.FormatInt(rapid.Int64Range(-1<<31, 1<<31-1).Draw(g.t, "integer"), 10)
	case "biginteger":
		return strconv.Quote(strconv.FormatInt(rapid.Int64().Draw(g.t, "biginteger"), 10))
	case "float", "decimal":
		return strconv.FormatFloat(float64(rapid.Int32().Draw(g.t, "float"))/100, 'f', -1, 64)
	case "boolean":
		return strconv.FormatBool(rapid.Bool().Draw(g.t, "boolean"))
	case "date":
		return at.Format(`"2006-01-02"`)
	case "time":
		if g.kind == database.Postgres {
			return at.Format(`"15:04:05.999"`) // without zeros at the end
		}
		return at.Format(`"15:04:05.000"`)
	case "datetime":
		return at.Format(`"2006-01-02T15:04:05.000Z"`)
	}
	return strconv.Quote(strconv.FormatInt(ms, 10)) // timestamp
}

// jsonTexts are texts that the database gives back as they are: SQLite and MariaDB keep every object and list, PostgreSQL and MySQL sort
// the members of objects by the lengths of their names, and MySQL writes numbers in its own way.
func (g *generator) jsonTexts() []string {
	texts := []string{`{}`, `[]`, `[1,-2.5,{"a":null},true,"x"]`, `{"a":"é\\\"","b":[1,{"c":null}]}`, `[{"type":"paragraph","children":[]}]`, `{"n":9007199254740993}`, `true`, `-12.5`}
	if g.kind == database.SQLite {
		return append(texts, `{"b":[1,2.50,{"a":null}],"a":"x"}`)
	}
	return texts
}

// links draws links between the rows that were drawn, in the order in which they are read.
func (g *generator) links(typ *genType) {
	for _, a := range typ.attributes {
		if a.kind != "relation" || len(g.ids[a.target.uid]) == 0 {
			continue
		}
		to := rapid.SampledFrom(g.ids[a.target.uid])
		for _, left := range g.ids[typ.uid] {
			if rapid.Bool().Draw(g.t, "linked") {
				g.site.Records[transfer.StageLinks] = append(g.site.Records[transfer.StageLinks], g.link(typ, a, left, to.Draw(g.t, "right")))
			}
		}
	}
}

func (g *generator) link(typ *genType, a genAttribute, left, right int64) string {
	kind, relation, pos := "relation.basic", a.relation, ""
	if a.target == typ {
		kind = "relation.circular"
	}
	position := rapid.SampledFrom([]string{"null", "1", "2.5"}).Draw(g.t, "pos")
	switch relation {
	case "morphToMany":
		return fmt.Sprintf(`{"kind":"relation.morph","relation":"morphToMany","left":{"type":%q,"field":%q,"ref":%d},"right":{"ref":%d,"pos":%s,"type":%q,"field":"shown"}}`,
			typ.uid, a.name, left, right, position, a.target.uid)
	case "column":
		return fmt.Sprintf(`{"kind":%q,"relation":"oneToOne","left":{"type":%q,"ref":%d,"field":%q},"right":{"type":%q,"ref":%d}}`, kind, typ.uid, left, a.name, a.target.uid, right)
	case "oneToMany", "manyToMany":
		pos = `,"pos":` + position
	}
	return fmt.Sprintf(`{"kind":%q,"relation":%q,"left":{"type":%q,"field":%q,"ref":%d%s},"right":{"type":%q,"ref":%d}}`, kind, relation, typ.uid, a.name, left, pos, a.target.uid, right)
}

// quotedText is text as JSON.stringify quotes it, of the characters that are drawn.
func quotedText(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(text) + `"`
}
