package transfertest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// Site is the content of a small site, in memory.
type Site struct {
	Version   string
	CreatedAt time.Time
	Records   map[transfer.Stage][]string // JSON text by stage, without assets
	Files     []File
}

// File is an uploaded file of a [Site].
type File struct {
	Name     string
	Metadata string // the upload row, JSON
	Body     []byte
}

// mebibyte is what all samples share, as thousands of them are made: their bodies are only read.
var mebibyte = bytes.Repeat([]byte{0, 1, 2, 250, 251}, 1<<20/5) //nolint:gochecknoglobals // as above

// Sample returns a site in which every attribute that matters to a mover occurs: numbers that no float holds, lone surrogates, key
// orders, nested and repeated components, dynamic zones, two locales, drafts, fractional positions, documentId references, an empty
// file, one of a mebibyte and a name that is not ASCII.
func Sample() *Site {
	s := &Site{Version: "5.54.0", CreatedAt: time.Date(2026, 11, 21, 6, 46, 56, 444e6, time.UTC), Records: map[transfer.Stage][]string{
		transfer.StageSchemas: {
			`{"collectionName":"articles","info":{"singularName":"article"},"attributes":{"title":{"type":"string"},"count":{"type":"biginteger"},"body":{"type":"json"},"publishedAt":{"type":"datetime"},"locale":{"type":"string"},"seo":{"type":"component","component":"shared.seo","repeatable":false},"sections":{"type":"dynamiczone","components":["shared.seo","shared.quote"]},"category":{"type":"relation","relation":"manyToOne","target":"api::category.category"},"createdBy":{"type":"relation","relation":"oneToOne","target":"admin::user"}},"kind":"collectionType","modelType":"contentType","modelName":"article","uid":"api::article.article","globalId":"Article"}`,
			`{"collectionName":"categories","info":{"singularName":"category"},"attributes":{"name":{"type":"string"},"publishedAt":{"type":"datetime"}},"kind":"collectionType","modelType":"contentType","modelName":"category","uid":"api::category.category","globalId":"Category"}`,
			`{"collectionName":"files","info":{"singularName":"file"},"attributes":{"name":{"type":"string"},"hash":{"type":"string"},"ext":{"type":"string"},"mime":{"type":"string"},"size":{"type":"decimal"},"url":{"type":"string"},"formats":{"type":"json"},"related":{"type":"relation","relation":"morphToMany"}},"kind":"collectionType","modelType":"contentType","modelName":"file","uid":"plugin::upload.file","plugin":"upload","globalId":"UploadFile"}`,
			`{"collectionName":"admin_users","info":{"singularName":"user"},"attributes":{"email":{"type":"email"}},"kind":"collectionType","modelType":"contentType","modelName":"user","uid":"admin::user","globalId":"AdminUser"}`,
			`{"collectionName":"components_shared_seos","info":{"displayName":"SEO"},"attributes":{"title":{"type":"string"},"links":{"type":"component","component":"shared.quote","repeatable":true},"image":{"type":"media"}},"modelType":"component","modelName":"seo","uid":"shared.seo","globalId":"ComponentSharedSeo"}`,
			`{"collectionName":"components_shared_quotes","info":{"displayName":"Quote"},"attributes":{"text":{"type":"text"}},"modelType":"component","modelName":"quote","uid":"shared.quote","globalId":"ComponentSharedQuote"}`,
		},
		transfer.StageEntities: {
			`{"type":"api::category.category","id":1,"data":{"name":"news","documentId":"cat1","publishedAt":"2026-01-01T00:00:00.000Z"}}`,
			`{"type":"api::category.category","id":2,"data":{"name":"ünïcödé 🚢 \ud83d","documentId":"cat2","publishedAt":null}}`,
			`{"type":"api::article.article","id":10,"data":{"title":"One","count":9007199254740993,"body":{"z":1e400,"a":[123456789012345678901234567890.12,-0.0]},"documentId":"art1","locale":"en","publishedAt":"2026-01-01T00:00:00.000Z","seo":{"id":1,"title":"t","links":[{"id":1,"text":"a"},{"id":2,"text":"b"}]},"sections":[{"__component":"shared.quote","id":3,"text":"q"},{"__component":"shared.seo","id":2,"title":null,"links":[]}]}}`,
			`{"type":"api::article.article","id":11,"data":{"title":"Un","count":"9223372036854775807","body":null,"documentId":"art1","locale":"fr","publishedAt":null,"seo":null,"sections":[]}}`,
		},
		transfer.StageLinks: {
			`{"kind":"relation.basic","relation":"manyToOne","left":{"type":"api::article.article","field":"category","ref":10},"right":{"type":"api::category.category","ref":1,"pos":1.5}}`,
			`{"kind":"relation.morph","relation":"morphToMany","left":{"type":"plugin::upload.file","field":"related","ref":1},"right":{"ref":2,"pos":1,"type":"shared.seo","field":"image"}}`,
			`{"kind":"relation.circular","relation":"oneToMany","left":{"type":"api::article.article","ref":10,"field":"localizations"},"right":{"type":"api::article.article","ref":"art1"}}`,
		},
		transfer.StageConfiguration: {
			`{"type":"core-store","value":{"id":2,"key":"plugin_i18n_default_locale","value":"en","type":"string","environment":null,"tag":null}}`,
			`{"type":"webhook","value":{"id":1,"name":"hook","url":"http://127.0.0.1:9/","headers":{"x-a":"b"},"events":["entry.create"],"enabled":true}}`,
		},
	}}
	for i, f := range []struct {
		name string
		body []byte
	}{{"a_1.txt", []byte("hello, world")}, {"empty_2.bin", nil}, {"dönées_3.png", mebibyte}, {"noext_4", []byte{0xff}}} {
		hash, ext, dot := strings.Cut(f.name, ".")
		row := fmt.Sprintf(`{"id":%d,"name":%q,"hash":%q,"ext":null,"mime":"application/octet-stream","size":%v,"url":"/uploads/%s"}`, i+1, f.name, hash, float64(len(f.body))/1000, f.name)
		if dot {
			row = strings.Replace(row, `"ext":null`, fmt.Sprintf(`"ext":%q`, "."+ext), 1)
		}
		s.Files = append(s.Files, File{Name: f.name, Metadata: row, Body: f.body})
		s.Records[transfer.StageEntities] = append(s.Records[transfer.StageEntities],
			fmt.Sprintf(`{"type":"plugin::upload.file","id":%d,"data":%s}`, i+1, strings.Replace(row, fmt.Sprintf(`"id":%d,`, i+1), "", 1)))
	}
	return s
}

// WithAdmin adds what a Strapi server hands out and a transfer must leave behind.
func (s *Site) WithAdmin() *Site {
	s.Records[transfer.StageEntities] = append(s.Records[transfer.StageEntities], `{"type":"admin::user","id":1,"data":{"email":"root@example.org","password":"$2a$secret"}}`)
	s.Records[transfer.StageLinks] = append(s.Records[transfer.StageLinks], `{"kind":"relation.basic","relation":"oneToOne","left":{"type":"api::article.article","field":"createdBy","ref":10},"right":{"type":"admin::user","ref":1}}`)
	return s
}

// Schemas returns the site's schemas.
func (s *Site) Schemas(tb testing.TB) transfer.Schemas {
	tb.Helper()
	out := make(transfer.Schemas)
	for _, text := range s.Records[transfer.StageSchemas] {
		schema, err := transfer.ParseSchema([]byte(text), "")
		if err != nil {
			tb.Fatal(err)
		}
		out[schema.UID] = schema
	}
	return out
}

// Clone returns a copy that shares nothing with s.
func (s *Site) Clone() *Site {
	c := &Site{Version: s.Version, CreatedAt: s.CreatedAt, Records: make(map[transfer.Stage][]string), Files: slices.Clone(s.Files)}
	for stage, texts := range s.Records {
		c.Records[stage] = slices.Clone(texts)
	}
	return c
}

// Lines returns the site as text, one line a record in its order, for comparison in tests.
func (s *Site) Lines() []string {
	var out []string
	for _, stage := range transfer.Stages() {
		if stage == transfer.StageAssets {
			for _, f := range s.Files {
				sum := sha256.Sum256(f.Body)
				out = append(out, fmt.Sprintf("assets: %s %d %s %s", f.Name, len(f.Body), hex.EncodeToString(sum[:8]), f.Metadata))
			}
			continue
		}
		for _, text := range s.Records[stage] {
			out = append(out, string(stage)+": "+text)
		}
	}
	return out
}
