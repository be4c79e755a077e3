package sitetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// Sample returns a small site in the very words in which Strapi yields it, whatever the database: every kind of value and of storage,
// nested and repeated components, dynamic zones, two locales, drafts, fractional and missing positions, files with a format.
func Sample() *transfertest.Site {
	site := &transfertest.Site{Version: "5.54.0", CreatedAt: time.Date(2026, 11, 21, 6, 46, 56, 444e6, time.UTC), Records: map[transfer.Stage][]string{
		transfer.StageSchemas: {
			sampleSchema("admin::user", "admin_users", "user", `"email":{"type":"email"}`),
			sampleSchema("api::article.article", "Articles", "article",
				`"title":{"type":"string"},"count":{"type":"biginteger"},"body":{"type":"json"},"rating":{"type":"float"},"price":{"type":"decimal"},"size":{"type":"integer"},"open":{"type":"boolean"},"day":{"type":"date"},"hour":{"type":"time"},"at":{"type":"datetime"},"stamp":{"type":"timestamp"},"seo":{"type":"component","component":"shared.seo","repeatable":false},"sections":{"type":"dynamiczone","components":["shared.seo","shared.quote"]},"category":{"type":"relation","relation":"manyToOne","target":"api::category.category","inversedBy":"articles"},"related":{"type":"relation","relation":"manyToMany","target":"api::article.article"},"owner":{"type":"relation","relation":"oneToOne","target":"admin::user","useJoinTable":false},"anything":{"type":"relation","relation":"morphToOne"},"cover":{"type":"media"}`),
			sampleSchema("api::category.category", "categories", "category",
				`"name":{"type":"string"},"articles":{"type":"relation","relation":"oneToMany","target":"api::article.article","mappedBy":"category"}`),
			sampleSchema("plugin::upload.file", "files", "file",
				`"name":{"type":"string"},"hash":{"type":"string"},"ext":{"type":"string"},"mime":{"type":"string"},"size":{"type":"decimal"},"url":{"type":"text"},"provider":{"type":"string"},"formats":{"type":"json"},"related":{"type":"relation","relation":"morphToMany"}`),
			sampleSchema("shared.quote", "components_shared_quotes", "quote", `"text":{"type":"text"}`),
			sampleSchema("shared.seo", "components_shared_seos", "seo",
				`"title":{"type":"string"},"links":{"type":"component","component":"shared.quote","repeatable":true},"image":{"type":"media"},"author":{"type":"relation","relation":"oneToMany","target":"api::category.category"}`),
		},
		transfer.StageEntities: {
			`{"type":"admin::user","id":1,"data":{"documentId":"adm1","email":"root@example.org","publishedAt":null,"locale":null}}`,
			`{"type":"api::article.article","id":10,"data":{"documentId":"art1","title":"One \"quoted\"\n\\ \u0001","count":"9007199254740993","body":{"a":[1.5,{"b":null}]},"rating":1.5e-7,"price":12.3,"size":-5,"open":true,"day":"2024-02-29","hour":"13:14:15.123","at":"2024-03-01T10:11:12.345Z","stamp":"1709287872345","publishedAt":"2026-01-01T00:00:00.000Z","locale":"en","seo":{"id":1,"title":"t","links":[{"id":1,"text":"a"},{"id":2,"text":"b"}]},"sections":[{"id":3,"text":"q","__component":"shared.quote"},{"id":2,"title":null,"links":[],"__component":"shared.seo"}]}}`,
			`{"type":"api::article.article","id":11,"data":{"documentId":"art1","title":"Un","count":"-9223372036854775808","body":null,"rating":null,"price":null,"size":null,"open":false,"day":null,"hour":null,"at":"1999-12-31T23:59:59.999Z","stamp":null,"publishedAt":null,"locale":"fr","seo":null,"sections":[]}}`,
			`{"type":"api::category.category","id":1,"data":{"documentId":"cat1","name":"news","publishedAt":"2026-01-01T00:00:00.000Z","locale":null}}`,
			`{"type":"api::category.category","id":2,"data":{"documentId":"cat2","name":"ünïcödé 🚢","publishedAt":null,"locale":null}}`,
		},
		transfer.StageLinks: {
			`{"kind":"relation.circular","relation":"oneToMany","left":{"type":"admin::user","ref":1,"field":"localizations"},"right":{"type":"admin::user","ref":"adm1"}}`,
			`{"kind":"relation.basic","relation":"manyToOne","left":{"type":"api::article.article","field":"category","ref":10},"right":{"type":"api::category.category","field":"articles","ref":1,"pos":1.5}}`,
			`{"kind":"relation.basic","relation":"manyToOne","left":{"type":"api::article.article","field":"category","ref":11},"right":{"type":"api::category.category","field":"articles","ref":1,"pos":null}}`,
			`{"kind":"relation.circular","relation":"manyToMany","left":{"type":"api::article.article","field":"related","ref":10,"pos":1},"right":{"type":"api::article.article","ref":11}}`,
			`{"kind":"relation.basic","relation":"oneToOne","left":{"type":"api::article.article","ref":11,"field":"owner"},"right":{"type":"admin::user","ref":1}}`,
			`{"kind":"relation.morph","relation":"morphToOne","left":{"type":"api::article.article","ref":10,"field":"anything"},"right":{"type":"api::category.category","ref":2}}`,
			`{"kind":"relation.circular","relation":"oneToMany","left":{"type":"api::article.article","ref":10,"field":"localizations"},"right":{"type":"api::article.article","ref":"art1"}}`,
			`{"kind":"relation.circular","relation":"oneToMany","left":{"type":"api::article.article","ref":11,"field":"localizations"},"right":{"type":"api::article.article","ref":"art1"}}`,
			`{"kind":"relation.circular","relation":"oneToMany","left":{"type":"api::category.category","ref":1,"field":"localizations"},"right":{"type":"api::category.category","ref":"cat1"}}`,
			`{"kind":"relation.circular","relation":"oneToMany","left":{"type":"api::category.category","ref":2,"field":"localizations"},"right":{"type":"api::category.category","ref":"cat2"}}`,
			`{"kind":"relation.morph","relation":"morphToMany","left":{"type":"plugin::upload.file","field":"related","ref":1},"right":{"ref":10,"pos":1,"type":"api::article.article","field":"cover"}}`,
			`{"kind":"relation.morph","relation":"morphToMany","left":{"type":"plugin::upload.file","field":"related","ref":1},"right":{"ref":2,"pos":null,"type":"shared.seo","field":"image"}}`,
		},
		transfer.StageConfiguration: {
			`{"type":"core-store","value":{"id":2,"key":"plugin_i18n_default_locale","value":"en","type":"string","environment":null,"tag":null}}`,
			`{"type":"core-store","value":{"id":3,"key":"core_thing","value":{"z":[1,2.50],"a":null},"type":"object","environment":"test","tag":"x"}}`,
			`{"type":"webhook","value":{"id":1,"name":"hook","url":"http://127.0.0.1:9/","headers":{"x-a":"b"},"events":["entry.create"],"enabled":true}}`,
		},
	}}
	for i, f := range []struct {
		name, ext string
		body      []byte
	}{{"a_1", ".txt", []byte("hello, world")}, {"empty_2", ".bin", nil}, {"noext_3", "", []byte{0xff}}} {
		addFile(site, i+1, f.name, f.ext, f.body)
	}
	return site
}

// sampleSchema is a schema as Strapi hands it out, with what it adds to content types.
func sampleSchema(uid, collection, name, attributes string) string {
	if !strings.Contains(uid, "::") {
		return fmt.Sprintf(`{"collectionName":%q,"info":{"displayName":%q},"options":{},"attributes":{%s},"modelType":"component","modelName":%q,"uid":%q,"globalId":%q}`,
			collection, name, attributes, name, uid, "Component"+name)
	}
	attributes += fmt.Sprintf(`,"publishedAt":{"type":"datetime"},"locale":{"type":"string"},"localizations":{"type":"relation","relation":"oneToMany","target":%q,"unstable_virtual":true,"joinColumn":{"name":"document_id","referencedColumn":"document_id","referencedTable":%q}}`, uid, collection)
	return fmt.Sprintf(`{"collectionName":%q,"info":{"singularName":%q},"options":{"draftAndPublish":true},"pluginOptions":{},"attributes":{%s},"kind":"collectionType","modelType":"contentType","modelName":%q,"uid":%q,"globalId":%q}`,
		collection, name, attributes, name, uid, strings.ToUpper(name[:1])+name[1:])
}

// addFile adds a file with its row, the first one with a format.
func addFile(site *transfertest.Site, id int, hash, ext string, body []byte) {
	name := hash + ext
	format, formats := "", "null"
	if id == 1 {
		format = fmt.Sprintf(`{"ext":%q,"url":"/uploads/small_%s","hash":"small_%s","size":0.5}`, ext, name, hash)
		formats = `{"small":` + format + `}`
	}
	extension := "null"
	if ext != "" {
		extension = fmt.Sprintf("%q", ext)
	}
	data := fmt.Sprintf(`"documentId":"file%d","name":%q,"hash":%q,"ext":%s,"mime":"text/plain","size":%v,"url":"/uploads/%s","provider":"local","formats":%s,"publishedAt":"2026-01-01T00:00:00.000Z","locale":null`,
		id, name, hash, extension, float64(len(body))/1000*10, name, formats)
	site.Records[transfer.StageEntities] = append(site.Records[transfer.StageEntities], fmt.Sprintf(`{"type":"plugin::upload.file","id":%d,"data":{%s}}`, id, data))
	site.Files = append(site.Files, transfertest.File{Name: name, Metadata: fmt.Sprintf(`{"id":%d,%s}`, id, data), Body: body})
	site.Records[transfer.StageLinks] = append(site.Records[transfer.StageLinks],
		fmt.Sprintf(`{"kind":"relation.circular","relation":"oneToMany","left":{"type":"plugin::upload.file","ref":%d,"field":"localizations"},"right":{"type":"plugin::upload.file","ref":"file%d"}}`, id, id))
	if format != "" {
		site.Files = append(site.Files, transfertest.File{
			Name: "small_" + name, Body: append([]byte("small "), body...),
			Metadata: fmt.Sprintf(`%s,"type":"small","id":%d,"mainHash":%q}`, strings.TrimSuffix(format, "}"), id, hash),
		})
	}
}

// Load makes an empty database that of a site whose schemas are given by hand: it keeps no copy of them.
func Load(tb testing.TB, config database.Config, site *transfertest.Site) *model.Model {
	tb.Helper()
	m := Tables(tb, config, site.Schemas(tb), nil)
	Fill(tb, config, m, site.Records)
	return m
}
