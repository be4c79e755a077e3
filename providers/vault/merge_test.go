package vault_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// edited is the sample after everything in it has been changed.
func edited() *transfertest.Site {
	site := transfertest.Sample()
	for stage, texts := range site.Records {
		for i, text := range texts {
			for _, word := range []string{"One", "news", "hook", "en\",\"type", "application/octet-stream", `"pos":1.5`} {
				text = strings.Replace(text, word, strings.Replace(word, word[:1], "X"+word[:1], 1), 1)
			}
			text = strings.Replace(text, `"pos":X1.5`, `"pos":2.5`, 1)
			text = strings.Replace(text, `X"pos":1.5`, `"pos":2.5`, 1)
			site.Records[stage][i] = text
		}
	}
	site.Files = []transfertest.File{{Name: "new_9.txt", Metadata: `{"id":1}`, Body: []byte("new")}}
	return site
}

// The table is the one of Strapi's documentation: which part of a site each way of calling replaces.
func TestWhatATransferDoesNotReplaceIsKept(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		filter                 transfer.Filter
		content, files, config bool // replaced
	}{
		"everything":          {transfer.Filter{}, true, true, true},
		"only content":        {transfer.Filter{Only: []transfer.Group{transfer.GroupContent}}, true, false, false},
		"only files":          {transfer.Filter{Only: []transfer.Group{transfer.GroupFiles}}, false, true, false},
		"only config":         {transfer.Filter{Only: []transfer.Group{transfer.GroupConfig}}, false, false, true},
		"only content, files": {transfer.Filter{Only: []transfer.Group{transfer.GroupContent, transfer.GroupFiles}}, true, true, false},
		"exclude content":     {transfer.Filter{Exclude: []transfer.Group{transfer.GroupContent}}, false, true, true},
		"exclude files":       {transfer.Filter{Exclude: []transfer.Group{transfer.GroupFiles}}, true, false, true},
		"exclude config":      {transfer.Filter{Exclude: []transfer.Group{transfer.GroupConfig}}, true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := openVault(t, t.TempDir())
			first := put(t, v, "site", transfertest.Sample())
			second, err := push(t, v, "site", transfertest.NewMemory(edited()), tt.filter)
			require.NoError(t, err)
			was, is, got := transfertest.Sample(), edited(), get(t, v, "site", "")
			pick := func(replaced bool) *transfertest.Site {
				if replaced {
					return is
				}
				return was
			}
			for stage, replaced := range map[transfer.Stage]bool{
				transfer.StageEntities: tt.content, transfer.StageLinks: tt.content, transfer.StageConfiguration: tt.config,
			} {
				require.Equal(t, pick(replaced).Records[stage], got.Records[stage], "%s", stage)
			}
			require.Equal(t, bodies(pick(tt.files)), bodies(got))
			if tt.content && tt.files && tt.config {
				require.Empty(t, second.Parent)
			} else {
				require.Equal(t, first.ID, second.Parent)
			}
			require.Equal(t, lines(sortedSchemas(was)), lines(get(t, v, "site", first.ID)), "the old snapshot is as it was")
		})
	}
}

func TestThePartialPushOfAnEmptySiteIsWhatItIs(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir())
	snap, err := push(t, v, "site", transfertest.NewMemory(edited()), transfer.Filter{Only: []transfer.Group{transfer.GroupConfig}})
	require.NoError(t, err)
	require.Empty(t, snap.Parent)
	got := get(t, v, "site", "")
	require.Empty(t, got.Records[transfer.StageEntities])
	require.Len(t, got.Records[transfer.StageConfiguration], 2)
}

func TestTheMediaLibraryIsKeptWithItsRows(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir())
	was := transfertest.Sample()
	was.Records[transfer.StageLinks] = append(was.Records[transfer.StageLinks],
		`{"kind":"relation.basic","relation":"manyToOne","left":{"type":"plugin::upload.file","field":"folder","ref":1},"right":{"type":"plugin::upload.file","ref":2}}`)
	put(t, v, "site", was)
	is := edited()
	snap, err := push(t, v, "site", transfertest.NewMemory(is), transfer.Filter{Exclude: []transfer.Group{transfer.GroupMediaLibrary}})
	require.NoError(t, err)
	got := get(t, v, "site", "")
	require.Equal(t, bodies(was), bodies(got))
	require.Equal(t, sorted(slices.Concat(is.Records[transfer.StageEntities][:4], was.Records[transfer.StageEntities][4:])),
		sorted(got.Records[transfer.StageEntities]))
	require.Equal(t, []string{is.Records[transfer.StageLinks][0], is.Records[transfer.StageLinks][2], was.Records[transfer.StageLinks][1], was.Records[transfer.StageLinks][3]},
		got.Records[transfer.StageLinks], "links among kept files stay, and so do those to what came again")
	require.EqualValues(t, len(got.Records[transfer.StageEntities]), snap.Counts[transfer.StageEntities].Records)
	require.Equal(t, is.Records[transfer.StageConfiguration], got.Records[transfer.StageConfiguration])
}

// page returns a site of two types, pages and articles, whose rows hold components of the same type with the ids from a number on,
// each with a link to a file-like row of its own type.
func page(label string, pages, articles, from int) *transfertest.Site {
	site := transfertest.Sample()
	site.Files = nil
	site.Records[transfer.StageSchemas] = append(site.Records[transfer.StageSchemas],
		`{"attributes":{"title":{"type":"string"},"seo":{"type":"component","component":"shared.seo"}},"modelType":"contentType","uid":"api::page.page"}`)
	var rows, links []string
	for _, kind := range []struct {
		uid string
		n   int
	}{{"api::page.page", pages}, {"api::article.article", articles}} {
		for i := range kind.n {
			id := from
			from++
			rows = append(rows, fmt.Sprintf(`{"type":%q,"id":%d,"data":{"title":"%s %d","seo":{"id":%d,"title":"of %s %d","links":[{"id":%d,"text":"%s"}]}}}`,
				kind.uid, i+1, label, i+1, id, label, i+1, id, label))
			links = append(links, fmt.Sprintf(`{"kind":"relation.basic","relation":"oneToOne","left":{"type":"shared.seo","field":"image","ref":%d},"right":{"type":%q,"ref":%d}}`,
				id, kind.uid, i+1))
		}
	}
	site.Records[transfer.StageEntities], site.Records[transfer.StageLinks] = rows, links
	return site
}

func TestKeptRowsDoNotShareComponentsWithNewOnes(t *testing.T) {
	t.Parallel()
	onlyArticles := transfer.Filter{OnlyTypes: []string{"api::article.article"}}
	for name, tt := range map[string]struct{ firstFrom, secondFrom int }{
		"the new ids are those of the kept rows":  {1, 1},
		"the new ids overlap with the kept ones":  {1, 3},
		"the new ids are above the kept ones":     {1, 100},
		"the kept ids are above the new ones":     {100, 1},
		"the kept ids end where the new ones are": {4, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := openVault(t, t.TempDir())
			put(t, v, "site", page("old", 5, 5, tt.firstFrom))
			_, err := push(t, v, "site", transfertest.NewMemory(page("new", 5, 5, tt.secondFrom)), onlyArticles)
			require.NoError(t, err)
			requireMerged(t, get(t, v, "site", ""))

			again, err := push(t, v, "site", transfertest.NewMemory(page("new", 5, 5, tt.secondFrom)), onlyArticles)
			require.NoError(t, err)
			requireMerged(t, get(t, v, "site", ""))
			require.Zero(t, again.AddedBlobs, "ids that have been moved once stay")
		})
	}
}

// requireMerged follows every link of a site of old pages and new articles from its component to the row that it leads to.
func requireMerged(t *testing.T, site *transfertest.Site) {
	t.Helper()
	anatomy, err := transfer.NewAnatomy(site.Schemas(t))
	require.NoError(t, err)
	owner := make(map[string]string) // of each component
	counts := make(map[string]int)
	for _, text := range site.Records[transfer.StageEntities] {
		e, err := transfer.ParseEntity([]byte(text))
		require.NoError(t, err)
		label := "new"
		if e.Type == "api::page.page" {
			label = "old"
		}
		counts[e.Type]++
		require.Contains(t, text, fmt.Sprintf(`"title":"%s %s"`, label, e.ID))
		require.NoError(t, anatomy.Components(e, func(uid string, id transfer.Ref) {
			key := uid + " " + string(id)
			require.NotContains(t, owner, key, "two rows with one component")
			owner[key] = e.Key()
		}))
	}
	require.Equal(t, map[string]int{"api::page.page": 5, "api::article.article": 5}, counts)
	require.Len(t, site.Records[transfer.StageLinks], 10)
	for _, text := range site.Records[transfer.StageLinks] {
		l, err := transfer.ParseLink([]byte(text))
		require.NoError(t, err)
		require.Equal(t, l.Right.Type+" "+string(l.Right.Ref), owner[l.Left.Type+" "+string(l.Left.Ref)], "%s", text)
	}
	require.Contains(t, strings.Join(site.Records[transfer.StageSchemas], ""), "api::page.page")
}

// mute is a source that does not tell its schemas, as the stock client does not.
type mute struct{ *transfertest.Memory }

func muted(site *transfertest.Site) mute {
	site = site.Clone()
	delete(site.Records, transfer.StageSchemas)
	return mute{transfertest.NewMemory(site)}
}

func TestWithoutSchemasAMergeIsDoneWhereItIsSafe(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir())
	unknown := transfer.Plan{Source: transfer.Description{Kind: "strapi"}, Stages: transfer.Stages()}
	write := func(site *transfertest.Site, plan transfer.Plan) error {
		dst, err := v.Destination("site", vault.WriteOptions{})
		require.NoError(t, err)
		defer func() { require.NoError(t, dst.Close()) }()
		if _, err := dst.Begin(t.Context(), plan); err != nil {
			return err
		}
		for _, stage := range plan.Stages {
			for item, err := range muted(site).Read(t.Context(), stage, 0) {
				require.NoError(t, err)
				if err := dst.Write(t.Context(), transfer.Batch{Stage: stage, Records: []transfer.Record{item.Record}}); err != nil {
					return err
				}
			}
			if err := dst.Write(t.Context(), transfer.Batch{Stage: stage, Last: true}); err != nil {
				return err
			}
		}
		return dst.Commit(t.Context())
	}
	require.NoError(t, write(transfertest.Sample(), unknown))
	snap := snapshots(t, v, "site")[0]
	require.False(t, snap.SchemasKnown)
	src, err := v.Source(t.Context(), "site", "")
	require.NoError(t, err)
	d, err := src.Describe(t.Context())
	require.NoError(t, err)
	require.Nil(t, d.Schemas)
	require.NoError(t, src.Close())

	partial := unknown
	partial.Restore.Exclude = []string{"plugin::upload.file"}
	partial.Stages = []transfer.Stage{transfer.StageSchemas, transfer.StageEntities, transfer.StageLinks}
	noFiles := edited()
	noFiles.Records[transfer.StageEntities] = noFiles.Records[transfer.StageEntities][:4]
	require.NoError(t, write(noFiles, partial), "rows of files hold nothing that could be a component")
	got := get(t, v, "site", "")
	require.Len(t, got.Records[transfer.StageEntities], 8)
	require.Equal(t, bodies(transfertest.Sample()), bodies(got))

	require.ErrorIs(t, write(edited(), partial), transfer.ErrUsage, "rows of a kept type came")

	partial.Restore.Exclude = []string{"api::article.article"}
	noArticles := edited()
	noArticles.Records[transfer.StageEntities] = slices.Delete(noArticles.Records[transfer.StageEntities], 2, 4)
	err = write(noArticles, partial)
	require.ErrorIs(t, err, transfer.ErrUsage)
	require.ErrorContains(t, err, "begin snapshot of site", "before anything is sent")
	require.ErrorContains(t, err, "does not know their schemas")
	require.ErrorContains(t, err, "Push the whole site")
	require.Len(t, snapshots(t, v, "site"), 2)
}

func TestSchemasThatAreNotToldAreTakenOver(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir())
	put(t, v, "site", transfertest.Sample())
	dst, err := v.Destination("site", vault.WriteOptions{})
	require.NoError(t, err)
	report, err := transfer.Run(t.Context(), muted(edited()), dst, transfer.Options{})
	require.NoError(t, err)
	require.NoError(t, dst.Close())
	_ = report
	require.True(t, dst.Snapshot().SchemasKnown)
}

func TestWhatMayHoldComponents(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`{"id":1,"name":"id"}`:                            false,
		`{"formats":{"thumbnail":{"name":"x"}}}`:          false,
		`{"seo":{"id":1}}`:                                true,
		`{"a":[{"b":{"x":[{"__component":"c.d"}]}}]}`:     true,
		`{"a":{"b":"id","c":["id","__component"]}}`:       false,
		`{"a":{},"id":{"x":1},"__component":"x.y"}`:       false,
		`{"a":"\ud83d","b":{"id":1}}`:                     true,
		`{"a":{"b":{"c":{"d":{"e":{"f":{"id":null}}}}}}}`: true,
	} {
		require.Equal(t, want, vault.MayHoldComponents(text), "%s", text)
	}
}
