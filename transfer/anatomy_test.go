package transfer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestAnatomyFindsAndRenumbersComponents(t *testing.T) {
	t.Parallel()
	site := transfertest.Sample()
	anatomy, err := transfer.NewAnatomy(site.Schemas(t))
	require.NoError(t, err)
	e, err := transfer.ParseEntity([]byte(site.Records[transfer.StageEntities][2]))
	require.NoError(t, err)

	find := func(e transfer.Entity) (out []string) {
		require.NoError(t, anatomy.Components(e, func(uid string, id transfer.Ref) { out = append(out, uid+" "+string(id)) }))
		return out
	}
	require.Equal(t, []string{"shared.seo 1", "shared.quote 1", "shared.quote 2", "shared.quote 3", "shared.seo 2"}, find(e))

	same, err := anatomy.Renumber(e, func(_ string, old transfer.Ref) transfer.Ref { return old })
	require.NoError(t, err)
	require.Equal(t, string(e.AppendJSON(nil)), string(same.AppendJSON(nil)), "nothing changes, not even a blank")

	moved, err := anatomy.Renumber(e, func(uid string, old transfer.Ref) transfer.Ref {
		if uid == "shared.quote" {
			return old + "00"
		}
		return old
	})
	require.NoError(t, err)
	require.Equal(t, []string{"shared.seo 1", "shared.quote 100", "shared.quote 200", "shared.quote 300", "shared.seo 2"}, find(moved))
	require.Contains(t, string(moved.AppendJSON(nil)), `"count":9007199254740993`)
	require.Contains(t, string(moved.AppendJSON(nil)), `{"__component":"shared.quote","id":300,"text":"q"}`)
	_, err = transfer.ParseEntity(moved.AppendJSON(nil))
	require.NoError(t, err)
}

func TestLinkWithRefsKeepsTheRest(t *testing.T) {
	t.Parallel()
	text := `{"kind":"relation.morph","relation":"morphToMany","left":{"type":"plugin::upload.file","field":"related","ref":1},"right":{"ref":2,"pos":1.50,"type":"shared.seo","field":"image"}}`
	l, err := transfer.ParseLink([]byte(text))
	require.NoError(t, err)
	same, err := l.WithRefs("1", "2")
	require.NoError(t, err)
	require.Equal(t, text, string(same.AppendJSON(nil)))
	moved, err := l.WithRefs("1", "77")
	require.NoError(t, err)
	require.Equal(t, `{"kind":"relation.morph","relation":"morphToMany","left":{"type":"plugin::upload.file","field":"related","ref":1},"right":{"ref":77,"pos":1.50,"type":"shared.seo","field":"image"}}`,
		string(moved.AppendJSON(nil)))
	require.Equal(t, transfer.Ref("77"), moved.Right.Ref)
}
