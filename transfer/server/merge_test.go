package server_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// mergeable is a site that can be merged into, and that has a file called known_1.bin of four bytes, as long as it is not gone.
type mergeable struct {
	*site

	gone     bool
	conflict []string // that it was opened with
}

// Merge implements [server.MergeSite].
func (m *mergeable) Merge(ctx context.Context, who, conflict string) (transfer.Destination, error) {
	m.conflict = append(m.conflict, conflict)
	if conflict == "dice" {
		return nil, fmt.Errorf("%w: unknown way out of a conflict", transfer.ErrUsage)
	}
	dst, err := m.Destination(ctx, who)
	return knowing{dst, m}, err
}

type knowing struct {
	transfer.Destination

	of *mergeable
}

// KnownAssets implements [transfer.AssetKnower].
func (knowing) KnownAssets(context.Context, int) ([]transfer.KnownAsset, error) {
	return []transfer.KnownAsset{{Filename: "known_1.bin", Length: 4}}, nil
}

// Write implements [transfer.Destination].
func (k knowing) Write(ctx context.Context, batch transfer.Batch) error {
	for _, r := range batch.Records {
		if a, ok := r.(transfer.Asset); ok && a.Filename == "known_1.bin" && !k.of.gone {
			return nil
		}
	}
	return k.Destination.Write(ctx, batch)
}

func newMergeRig(t *testing.T) (*rig, *mergeable) {
	t.Helper()
	m := &mergeable{site: &site{content: transfertest.Sample()}}
	return newRig(t, m.site, func(c *server.Config) { c.Sites = map[string]server.Site{server.DefaultSite: m, "blog": m.site} }), m
}

// mergeInit is pushInit with the strategy and an offer.
func mergeInit(conflict, offer string) string {
	strategy := fmt.Sprintf(`"strategy":"merge","conflict":%q`, conflict)
	return strings.Replace(pushInit[:len(pushInit)-1], `"strategy":"restore"`, strategy, 1) + `,"extensions":{` + offer + `}}`
}

func keepItem(id string) string {
	return strings.Replace(assetStart(id, 4), `"start"`, `"keep"`, 1)
}

func TestAPushMergesOnlyWhereThatWasAgreedOn(t *testing.T) {
	t.Parallel()
	r, m := newMergeRig(t)
	plain := newRig(t, &site{content: transfertest.Sample()})
	for name, test := range map[string]struct {
		rig  *rig
		init string
	}{
		"a site that cannot merge":             {plain, mergeInit("", `"merge":true,"schemas":true,"knownAssets":true`)},
		"a client that did not offer it":       {r, mergeInit("", `"window":4,"schemas":true`)},
		"a client without extensions":          {r, strings.Replace(pushInit, `"restore"`, `"merge"`, 1)},
		"a client that offers something false": {r, mergeInit("", `"merge":1`)},
	} {
		w := test.rig.connect(protocol.Push)
		require.False(t, w.initialize(test.init).Extensions.Merge, name)
		refused := w.fails("action bootstrap")
		require.Equal(t, "Invalid strategy merge", refused.Message, name)
		require.Equal(t, string(protocol.StepValidation), refused.Details.Step, name)
		require.NotEmpty(t, w.fails("action beforeTransfer").Message, name)
		require.NotEmpty(t, w.fails("start entities").Message, name)
		w.do("action rollback")
		require.Equal(t, transfertest.Sample().Lines(), test.rig.site.current().Lines(), name)
	}
	require.Empty(t, m.conflict, "it was never opened")

	w := r.connect(protocol.Push)
	require.Contains(t, w.fails("command init", mergeInit("dice", `"merge":true,"schemas":true`)).Message, "unknown way out of a conflict")
	agreed := w.initialize(mergeInit("newer", `"merge":true`))
	require.Equal(t, protocol.Extensions{Merge: true}, agreed.Extensions)
	w.do("action bootstrap")
	w.do("action beforeTransfer")
	w.do("action close")
	require.Equal(t, []string{"dice", "newer"}, m.conflict)
}

func TestAClientThatIsToMergeLeavesWhoeverCannot(t *testing.T) {
	t.Parallel()
	r, _ := newMergeRig(t)
	options := r.options(extensions())
	options.Merge = true
	dst := remote.NewDestination(strings.Replace(r.url(), "/admin", "/blog/admin", 1), options)
	_, err := transfer.Run(t.Context(), transfertest.NewMemory(empty()), dst, transfer.Options{})
	require.ErrorIs(t, err, transfer.ErrUsage)
	require.ErrorContains(t, err, "can only be replaced")
	require.NoError(t, dst.Close())
	require.Equal(t, transfer.StateUntouched, dst.State())
	require.Equal(t, transfertest.Sample().Lines(), r.site.current().Lines())
}

func TestFilesThatADestinationHasNeedNotBeSent(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T, offer string) (*rig, *mergeable, *wire) {
		t.Helper()
		r, m := newMergeRig(t)
		w := r.connect(protocol.Push)
		w.initialize(mergeInit("", `"merge":true,`+offer))
		w.do("action bootstrap")
		w.do("action beforeTransfer")
		return r, m, w
	}
	t.Run("it says which, and takes an item in place of each", func(t *testing.T) {
		t.Parallel()
		r, _, w := begin(t, `"knownAssets":true`)
		require.JSONEq(t, `{"ok":true,"known":{"known_1.bin":4}}`, string(w.do("start assets")))
		w.do("stream assets", "["+keepItem("known")+","+assetStart("other", 4)+","+assetChunk("other", []byte("data"))+","+assetEnd("other", []byte("data"))+"]")
		require.Equal(t, protocol.Stats{Started: 2, Finished: 2}, stats(t, w.do("end assets")))
		w.finish()
		require.Len(t, r.site.current().Files, 1, "the destination here keeps nothing but what it was sent")
	})
	t.Run("not in the other stages", func(t *testing.T) {
		t.Parallel()
		_, _, w := begin(t, `"knownAssets":true`)
		require.JSONEq(t, `{"ok":true}`, string(w.do("start entities")))
	})
	t.Run("a file that has gone meanwhile fails the push", func(t *testing.T) {
		t.Parallel()
		r, m, w := begin(t, `"knownAssets":true`)
		w.do("start assets")
		m.gone = true
		require.Contains(t, w.fails("stream assets", "["+keepItem("known")+"]").Message, "start again")
		w.fails("end assets")
		require.Contains(t, w.fails("action close").Message, "nothing was committed")
		require.Equal(t, transfertest.Sample().Lines(), r.site.current().Lines())
	})
	t.Run("nothing of it unless agreed on", func(t *testing.T) {
		t.Parallel()
		_, _, w := begin(t, `"window":4`)
		require.JSONEq(t, `{"ok":true}`, string(w.do("start assets")))
		require.Equal(t, "Invalid asset flow action: keep", w.fails("stream assets", "["+keepItem("known")+"]").Message)
	})
	t.Run("no file inside another", func(t *testing.T) {
		t.Parallel()
		_, _, w := begin(t, `"knownAssets":true`)
		w.do("start assets")
		require.Contains(t, w.fails("stream assets", "["+assetStart("other", 4)+","+keepItem("known")+"]").Message, "before asset")
	})
}
