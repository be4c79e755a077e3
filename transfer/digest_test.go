package transfer_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// renumbered is the sample as another database would hold it: other ids, nulls left out, numbers and keys spelled another way.
func renumbered() *transfertest.Site {
	s := transfertest.Sample()
	for stage, texts := range s.Records {
		for i, text := range texts {
			if stage == transfer.StageSchemas {
				continue
			}
			s.Records[stage][i] = strings.NewReplacer(
				`"id":10,`, `"id":1010,`, `"ref":10}`, `"ref":1010}`, `"ref":10,`, `"ref":1010,`,
				`"seo":{"id":1,`, `"seo":{"id":501,`, `"links":[{"id":1,`, `"links":[{"id":901,`, `"__component":"shared.seo","id":2,`, `"__component":"shared.seo","id":502,`,
				`"right":{"ref":2,`, `"right":{"ref":502,`,
				`,"tag":null`, ``, `,"body":null`, ``, `"pos":1.5`, `"pos":15e-1`, `"url":"/uploads/`, `"url":"https://cdn.example.org/`,
			).Replace(text)
		}
	}
	return s
}

func digest(t *testing.T, site *transfertest.Site) *transfer.Digest {
	t.Helper()
	d, err := transfer.Collect(t.Context(), transfertest.NewMemory(site), transfer.Filter{})
	require.NoError(t, err)
	return d
}

func TestDigestIgnoresWhatDatabasesChange(t *testing.T) {
	t.Parallel()
	require.Empty(t, digest(t, transfertest.Sample()).Compare(digest(t, renumbered()), 0))
}

func TestDigestSeesEveryChange(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		stage    transfer.Stage
		at       int
		old, new string
		want     string
	}{
		"the last digit of a big number": {transfer.StageEntities, 2, "9007199254740993", "9007199254740992", "api::article.article art1 en published: differs"},
		"the last digit of a decimal":    {transfer.StageEntities, 2, "890.12", "890.13", "art1 en published: differs"},
		"one lone surrogate":             {transfer.StageEntities, 1, `\ud83d`, `\ud83c`, "cat2 draft: differs"},
		"a status":                       {transfer.StageEntities, 3, `"publishedAt":null`, `"publishedAt":"2026-01-01T00:00:00.000Z"`, "art1 fr draft: only at the source"},
		"a nested component":             {transfer.StageEntities, 2, `"text":"b"`, `"text":"c"`, "art1 en published: differs"},
		"the order of components":        {transfer.StageEntities, 2, `{"id":1,"text":"a"},{"id":2,"text":"b"}`, `{"id":2,"text":"b"},{"id":1,"text":"a"}`, "art1 en published: differs"},
		"the type of a component":        {transfer.StageEntities, 2, `"__component":"shared.quote","id":3,"text":"q"`, `"__component":"shared.seo","id":3,"text":"q"`, "art1 en published: differs"},
		"an id inside a json field":      {transfer.StageEntities, 2, `"z":1e400`, `"z":1e400,"id":5`, "art1 en published: differs"},
		"the target of a link":           {transfer.StageLinks, 0, `"ref":1,"pos"`, `"ref":2,"pos"`, "links of api::article.article.category: 1 on both sides, but not the same"},
		"the order of a link":            {transfer.StageLinks, 0, `"pos":1.5`, `"pos":2.5`, "links of api::article.article.category"},
		"the component of a link":        {transfer.StageLinks, 1, `"ref":2`, `"ref":1`, "links of plugin::upload.file.related"},
		"a setting":                      {transfer.StageConfiguration, 0, `"en"`, `"fr"`, "setting core-store plugin_i18n_default_locale: differs"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := transfertest.Sample()
			changed := strings.Replace(site.Records[test.stage][test.at], test.old, test.new, 1)
			require.NotEqual(t, changed, site.Records[test.stage][test.at])
			site.Records[test.stage][test.at] = changed
			require.Contains(t, strings.Join(digest(t, transfertest.Sample()).Compare(digest(t, site), 0), "\n"), test.want)
		})
	}
	t.Run("a byte of a file", func(t *testing.T) {
		t.Parallel()
		site := transfertest.Sample()
		site.Files[0].Body = []byte("hello, World")
		require.Equal(t, []string{"file a_1.txt: differs"}, digest(t, transfertest.Sample()).Compare(digest(t, site), 0))
	})
	t.Run("missing records", func(t *testing.T) {
		t.Parallel()
		site := transfertest.Sample()
		site.Files = site.Files[1:]
		site.Records[transfer.StageLinks] = site.Records[transfer.StageLinks][1:]
		got := digest(t, transfertest.Sample()).Compare(digest(t, site), 0)
		require.Equal(t, []string{"file a_1.txt: only at the source", "links of api::article.article.category: 1 at the source, 0 at the destination"}, got)
		require.Len(t, digest(t, transfertest.Sample()).Compare(digest(t, site), 1), 2, "one and a line that says how many more")
	})
}

func TestRunCollectsTheDigestOfWhatItSent(t *testing.T) {
	t.Parallel()
	dst := transfertest.NewMemory(nil)
	dst.Blank = true
	report, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample().WithAdmin()), dst, transfer.Options{Collect: true})
	require.NoError(t, err)
	require.Empty(t, report.Digest.Compare(digest(t, dst.Site()), 0))
}
