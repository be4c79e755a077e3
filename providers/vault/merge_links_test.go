package vault_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// shop is a site of products, which a test replaces, and of brands, which it keeps. Products have a single component, repeated ones and
// a zone; brands have a component too.
func shop(rows []string, links ...string) *transfertest.Site {
	site := transfertest.Sample()
	site.Files = nil
	site.Records[transfer.StageSchemas] = []string{
		`{"attributes":{"name":{"type":"string"},"seo":{"type":"component","component":"shared.seo"},"faq":{"type":"component","component":"shared.faq","repeatable":true},"zone":{"type":"dynamiczone","components":["shared.seo","shared.faq"]}},"modelType":"contentType","uid":"api::product.product"}`,
		`{"attributes":{"name":{"type":"string"},"seo":{"type":"component","component":"shared.seo"}},"modelType":"contentType","uid":"api::brand.brand"}`,
		`{"attributes":{"title":{"type":"string"},"cta":{"type":"component","component":"shared.cta"}},"modelType":"component","uid":"shared.seo"}`,
		`{"attributes":{"text":{"type":"string"},"cta":{"type":"component","component":"shared.cta"}},"modelType":"component","uid":"shared.faq"}`,
		`{"attributes":{"label":{"type":"string"}},"modelType":"component","uid":"shared.cta"}`,
	}
	site.Records[transfer.StageEntities], site.Records[transfer.StageLinks] = rows, links
	return site
}

func row(uid string, id int, rest string) string {
	return fmt.Sprintf(`{"type":%q,"id":%d,"data":{%s}}`, uid, id, rest)
}

func product(id int, rest string) string { return row("api::product.product", id, rest) }

// bind is a link between two ends, each as "uid ref".
func bind(left, right string) string {
	end := func(text, field string) string {
		uid, ref, _ := strings.Cut(text, " ")
		return fmt.Sprintf(`{"type":%q,"ref":%s,"field":%q}`, uid, ref, field)
	}
	return fmt.Sprintf(`{"kind":"relation.basic","relation":"manyToMany","left":%s,"right":%s}`, end(left, "out"), end(right, "in"))
}

// What a partial push does not carry stays: links between kept rows and rows that come again, whatever ids they come with.
func TestLinksOfKeptRowsFindWhatCameAgain(t *testing.T) {
	t.Parallel()
	const brand = "api::brand.brand 1"
	published := `"documentId":"p1","locale":"en","publishedAt":"2026-01-01T00:00:00.000Z"`
	tests := map[string]struct {
		was, is string // the product, before and after
		far     string // end of the link on its side, before
		want    string // the same, after; "" when the link is lost
	}{
		"the row has another id":               {product(7, published), product(90, published), "api::product.product 7", "api::product.product 90"},
		"the row has the same id":              {product(7, published), product(7, published), "api::product.product 7", "api::product.product 7"},
		"another row has the id":               {product(7, published), product(7, `"documentId":"p2","locale":"en"`), "api::product.product 7", ""},
		"only the draft came":                  {product(7, published), product(8, `"documentId":"p1","locale":"en","publishedAt":null`), "api::product.product 7", ""},
		"only another locale came":             {product(7, published), product(8, strings.Replace(published, `"en"`, `"fr"`, 1)), "api::product.product 7", ""},
		"rows without documentId":              {product(7, `"name":"x"`), product(7, `"name":"x"`), "api::product.product 7", ""},
		"a documentId":                         {product(7, published), product(8, published), `api::product.product "p1"`, `api::product.product "p1"`},
		"a single component":                   {product(7, published+`,"seo":{"id":3,"title":"a"}`), product(9, published+`,"seo":{"id":30,"title":"b"}`), "shared.seo 3", "shared.seo 30"},
		"a single component that went":         {product(7, published+`,"seo":{"id":3,"title":"a"}`), product(9, published+`,"seo":null`), "shared.seo 3", ""},
		"a component in a component":           {product(7, published+`,"seo":{"id":3,"cta":{"id":4}}`), product(9, published+`,"seo":{"id":30,"cta":{"id":40}}`), "shared.cta 4", "shared.cta 40"},
		"one of several":                       {product(7, published+`,"faq":[{"id":3,"text":"a"},{"id":4,"text":"b"}]`), product(9, published+`,"faq":[{"id":30,"text":"a"},{"id":40,"text":"b"}]`), "shared.faq 4", "shared.faq 40"},
		"one of several that moved":            {product(7, published+`,"faq":[{"id":3,"text":"a"},{"id":4,"text":"b"}]`), product(9, published+`,"faq":[{"id":30,"text":"b"},{"id":40,"text":"new"}]`), "shared.faq 4", "shared.faq 30"},
		"one of several that changed":          {product(7, published+`,"faq":[{"id":3,"text":"a"}]`), product(9, published+`,"faq":[{"id":30,"text":"b"}]`), "shared.faq 3", ""},
		"the second of two alike":              {product(7, published+`,"faq":[{"id":3,"text":"a"},{"id":4,"text":"a"}]`), product(9, published+`,"faq":[{"id":30,"text":"a"},{"id":40,"text":"a"}]`), "shared.faq 4", "shared.faq 40"},
		"a component of one of several":        {product(7, published+`,"faq":[{"id":3,"text":"a","cta":{"id":4}}]`), product(9, published+`,"faq":[{"id":8,"text":"z"},{"id":30,"text":"a","cta":{"id":40}}]`), "shared.cta 4", "shared.cta 40"},
		"a component of a zone":                {product(7, published+`,"zone":[{"__component":"shared.seo","id":3,"title":"a"}]`), product(9, published+`,"zone":[{"__component":"shared.faq","id":3,"text":"a"},{"__component":"shared.seo","id":30,"title":"a"}]`), "shared.seo 3", "shared.seo 30"},
		"the component that a kept row holds":  {product(7, published+`,"seo":{"id":3}`), product(9, published+`,"seo":{"id":500}`), "shared.seo 3", "shared.seo 500"},
		"a component that belongs to no row":   {product(7, published), product(9, published), "shared.faq 77", ""},
		"a row that is not there":              {product(7, published), product(9, published), "api::product.product 8", ""},
		"the same field holds another type":    {product(7, published+`,"zone":[{"__component":"shared.seo","id":3}]`), product(9, published+`,"zone":[{"__component":"shared.faq","id":3}]`), "shared.seo 3", ""},
		"the kept component and a new one met": {product(7, published), product(9, published+`,"seo":{"id":500}`), "api::product.product 7", "api::product.product 9"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := openVault(t, t.TempDir())
			// The brand's own component has the id 500, which a new product may take.
			kept := row("api::brand.brand", 1, `"documentId":"b1","seo":{"id":500,"title":"brand"}`)
			put(t, v, "site", shop([]string{kept, tt.was}, bind(brand, tt.far), bind(tt.far, brand), bind("shared.seo 500", tt.far)))
			dst, err := v.Destination("site", vault.WriteOptions{})
			require.NoError(t, err)
			report, err := transfer.Run(t.Context(), transfertest.NewMemory(shop([]string{kept, tt.is})), dst,
				transfer.Options{Filter: transfer.Filter{OnlyTypes: []string{"api::product.product"}}})
			require.NoError(t, err)
			require.NoError(t, dst.Close())
			got := get(t, v, "site", "")
			own := "shared.seo 500"
			if strings.Contains(tt.is, `"id":500`) {
				own = "shared.seo 501"
			}
			require.Contains(t, strings.Join(got.Records[transfer.StageEntities], ""), strings.TrimPrefix(own, "shared.seo ")+`,"title":"brand"`)
			if tt.want == "" {
				require.Empty(t, got.Records[transfer.StageLinks])
				require.Contains(t, fmt.Sprint(report.Notes), "warning 3 links between rows that were kept and rows that were replaced")
				return
			}
			require.Equal(t, sorted([]string{bind(brand, tt.want), bind(tt.want, brand), bind(own, tt.want)}), sorted(got.Records[transfer.StageLinks]))
			require.Contains(t, fmt.Sprint(report.Notes), "info 3 links between rows that were kept and rows that came again")
		})
	}
}

// A stock client that leaves out a content type sends the links of its components all the same, with ids of its own.
func TestLinksOfRowsThatWereNotSentDoNotHitKeptOnes(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir())
	kept := row("api::brand.brand", 1, `"documentId":"b1","seo":{"id":500,"title":"brand"}`)
	was := shop([]string{kept, product(7, `"documentId":"p1"`)})
	put(t, v, "site", was)
	dst, err := v.Destination("site", vault.WriteOptions{})
	require.NoError(t, err)
	plan := transfer.Plan{Stages: []transfer.Stage{transfer.StageSchemas, transfer.StageEntities, transfer.StageLinks}}
	plan.Source.Schemas = was.Schemas(t)
	plan.Restore.Exclude = []string{"api::brand.brand"}
	_, err = dst.Begin(t.Context(), plan)
	require.NoError(t, err)
	own := bind("shared.seo 8", "api::product.product 9")
	is := shop([]string{product(9, `"documentId":"p1","seo":{"id":8}`)},
		own, bind("shared.seo 500", "api::product.product 9"), bind("api::product.product 9", "api::brand.brand 1"))
	for _, stage := range plan.Stages {
		for item, err := range transfertest.NewMemory(is).Read(t.Context(), stage, 0) {
			require.NoError(t, err)
			require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: stage, Records: []transfer.Record{item.Record}}))
		}
		require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: stage, Last: true}))
	}
	require.NoError(t, dst.Commit(t.Context()))
	require.Contains(t, fmt.Sprint(dst.Notes()), "2 links of rows that were not sent")
	require.NoError(t, dst.Close())
	require.Equal(t, []string{own}, get(t, v, "site", "").Records[transfer.StageLinks])
}
