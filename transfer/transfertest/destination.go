package transfertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
)

// OpenDestination returns a destination and a function that reads back what it holds to others: nil when there is nothing.
type OpenDestination func(t *testing.T) (transfer.Destination, func(t *testing.T) *Site)

// TestDestination tests each sentence of the contract of [transfer.Destination].
func TestDestination(t *testing.T, open OpenDestination) {
	t.Helper()
	TestDestinationOf(t, Sample, open)
}

// TestDestinationOf is [TestDestination] for media that cannot hold everything that [Sample] has, or not in its words: with a site of
// their own.
func TestDestinationOf(t *testing.T, sample func() *Site, open OpenDestination) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, func() *Site, OpenDestination){
		"a transfer arrives as it was sent":             destinationKeeps,
		"nothing is visible before commit":              destinationStages,
		"close without commit discards":                 destinationDiscards,
		"an empty site can be committed":                destinationEmpty,
		"describe changes nothing":                      destinationDescribes,
		"an asset that is too short fails the transfer": destinationShortAsset,
		"an asset that fails midway fails the transfer": destinationBrokenAsset,
		"an asset of unknown length is stored":          destinationUnknownLength,
		"an asset named like a path is refused":         destinationEvilNames,
		"after its context ended write changes nothing": destinationCancelled,
		"it may be closed twice, also after commit":     destinationClosesTwice,
	} {
		t.Run(name, func(t *testing.T) { test(t, sample, open) })
	}
}

func destinationKeeps(t *testing.T, sample func() *Site, open OpenDestination) {
	t.Helper()
	site := sample()
	dst, read := open(t)
	fill(t, dst, site)
	require.NoError(t, dst.Commit(t.Context()))
	require.NoError(t, dst.Close())
	require.Equal(t, site.sorted(), read(t).sorted())
}

func destinationStages(t *testing.T, sample func() *Site, open OpenDestination) {
	t.Helper()
	dst, read := open(t)
	before := read(t)
	fill(t, dst, sample())
	require.Equal(t, before, read(t))
	require.NoError(t, dst.Close())
}

func destinationDiscards(t *testing.T, sample func() *Site, open OpenDestination) {
	t.Helper()
	dst, read := open(t)
	before := read(t)
	fill(t, dst, sample())
	require.NoError(t, dst.Close())
	require.Equal(t, before, read(t))
}

func destinationEmpty(t *testing.T, sample func() *Site, open OpenDestination) {
	t.Helper()
	site := sample()
	for _, stage := range transfer.Stages()[1:] {
		delete(site.Records, stage)
	}
	site.Files = nil
	dst, read := open(t)
	fill(t, dst, site)
	require.NoError(t, dst.Commit(t.Context()))
	require.NoError(t, dst.Close())
	require.Equal(t, site.sorted(), read(t).sorted())
}

func destinationDescribes(t *testing.T, _ func() *Site, open OpenDestination) {
	t.Helper()
	dst, read := open(t)
	before := read(t)
	d, err := dst.Describe(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, d.Kind)
	_, err = dst.Describe(t.Context())
	require.NoError(t, err)
	require.NoError(t, dst.Close())
	require.Equal(t, before, read(t))
}

func destinationShortAsset(t *testing.T, sample func() *Site, open OpenDestination) {
	t.Helper()
	assetFails(t, sample, open, transfer.Asset{
		Filename: "short_1.bin", Length: 100, Metadata: []byte(`{"id":1}`),
		Content: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(make([]byte, 99))), nil
		},
	}, transfer.ErrDamaged)
}

var errDisk = errors.New("disk on fire")

func destinationBrokenAsset(t *testing.T, sample func() *Site, open OpenDestination) {
	t.Helper()
	assetFails(t, sample, open, transfer.Asset{
		Filename: "broken_1.bin", Length: 1 << 20, Metadata: []byte(`{"id":1}`),
		Content: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(make([]byte, 1<<19)), failing{})), nil
		},
	}, errDisk)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errDisk }

func assetFails(t *testing.T, sample func() *Site, open OpenDestination, a transfer.Asset, want error) {
	t.Helper()
	dst, read := open(t)
	before := read(t)
	begin(t, dst, sample())
	err := dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageAssets, Records: []transfer.Record{a}})
	if err == nil {
		err = dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageAssets, Last: true})
	}
	require.ErrorIs(t, err, want)
	require.NoError(t, dst.Close())
	require.Equal(t, before, read(t))
}

func destinationUnknownLength(t *testing.T, sample func() *Site, open OpenDestination) {
	t.Helper()
	dst, read := open(t)
	site := sample()
	begin(t, dst, site)
	for _, stage := range transfer.Stages() {
		for item, err := range NewMemory(site).Read(t.Context(), stage, 0) {
			require.NoError(t, err)
			if a, ok := item.Record.(transfer.Asset); ok {
				a.Length = -1
				item.Record = a
			}
			require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: stage, Records: []transfer.Record{item.Record}, Cursor: item.Cursor}))
		}
		require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: stage, Last: true}))
	}
	require.NoError(t, dst.Commit(t.Context()))
	require.NoError(t, dst.Close())
	require.Equal(t, site.sorted(), read(t).sorted())
}

func destinationEvilNames(t *testing.T, sample func() *Site, open OpenDestination) {
	t.Helper()
	for _, name := range []string{"", ".", "..", "../x", "/etc/passwd", `a\b`, "a/b", "a\x00b", "a\nb"} {
		a := transfer.Asset{Filename: name, Metadata: []byte(`{"id":1}`), Content: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(nil)), nil
		}}
		assetFails(t, sample, open, a, transfer.ErrDamaged)
	}
}

func destinationCancelled(t *testing.T, sample func() *Site, open OpenDestination) {
	t.Helper()
	dst, read := open(t)
	before := read(t)
	begin(t, dst, sample())
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errStop)
	for item, err := range NewMemory(sample()).Read(t.Context(), transfer.StageEntities, 0) {
		require.NoError(t, err)
		require.ErrorIs(t, dst.Write(ctx, transfer.Batch{Stage: transfer.StageEntities, Records: []transfer.Record{item.Record}}), errStop)
		break
	}
	require.ErrorIs(t, dst.Commit(ctx), errStop)
	require.NoError(t, dst.Close())
	require.Equal(t, before, read(t))
}

func destinationClosesTwice(t *testing.T, sample func() *Site, open OpenDestination) {
	t.Helper()
	dst, read := open(t)
	fill(t, dst, sample())
	require.NoError(t, dst.Commit(t.Context()))
	require.NoError(t, dst.Close())
	require.NoError(t, dst.Close())
	require.Equal(t, sample().sorted(), read(t).sorted())
}

// begin starts a transfer of all of site.
func begin(t *testing.T, dst transfer.Destination, site *Site) {
	t.Helper()
	src, err := NewMemory(site).Describe(t.Context())
	require.NoError(t, err)
	_, err = dst.Begin(t.Context(), transfer.Plan{
		Source: src, Stages: transfer.Stages(), Restore: transfer.Filter{}.Restore(src.Schemas), Digest: "test",
	})
	require.NoError(t, err)
}

// fill writes all of site without committing.
func fill(t *testing.T, dst transfer.Destination, site *Site) {
	t.Helper()
	begin(t, dst, site)
	for _, stage := range transfer.Stages() {
		for item, err := range NewMemory(site).Read(t.Context(), stage, 0) {
			require.NoError(t, err)
			require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: stage, Records: []transfer.Record{item.Record}, Cursor: item.Cursor}))
		}
		require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: stage, Last: true}))
	}
}
