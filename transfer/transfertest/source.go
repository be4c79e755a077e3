package transfertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
)

// OpenSource returns a source that serves site.
type OpenSource func(t *testing.T, site *Site) transfer.Source

// TestSource tests each sentence of the contract of [transfer.Source].
func TestSource(t *testing.T, open OpenSource) {
	t.Helper()
	TestSourceOf(t, Sample, open)
}

// TestSourceOf is [TestSource] for media that cannot hold everything that [Sample] has, or not in its words: with a site of their own,
// which needs two entities, a link, a setting and three files at least.
func TestSourceOf(t *testing.T, sample func() *Site, open OpenSource) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, func() *Site, OpenSource){
		"it describes the site":                       sourceDescribes,
		"it yields every record as it was written":    sourceYields,
		"two reads are the same":                      sourceRepeats,
		"a cursor continues where a read stopped":     sourceContinues,
		"an asset need not be opened":                 sourceSkipsAssets,
		"a missing stage is empty":                    sourceEmptyStage,
		"breaking out of a read leaves it usable":     sourceBreak,
		"an ended context ends a read with its cause": sourceCancelled,
		"it may be closed twice":                      sourceClosesTwice,
		"stages may be read in any order":             sourceAnyOrder,
	} {
		t.Run(name, func(t *testing.T) { test(t, sample, open) })
	}
}

// ReadSite reads a source through.
func ReadSite(tb testing.TB, src transfer.Source) *Site {
	tb.Helper()
	d, err := src.Describe(tb.Context())
	require.NoError(tb, err)
	s := &Site{Version: d.Version, CreatedAt: d.CreatedAt, Records: make(map[transfer.Stage][]string)}
	for _, stage := range transfer.Stages() {
		for item, err := range src.Read(tb.Context(), stage, 0) {
			require.NoError(tb, err, "stage %s", stage)
			s.add(tb, stage, item.Record)
		}
	}
	return s
}

func (s *Site) add(tb testing.TB, stage transfer.Stage, r transfer.Record) {
	tb.Helper()
	require.Equal(tb, stage, r.Stage())
	a, ok := r.(transfer.Asset)
	if !ok {
		s.Records[stage] = append(s.Records[stage], string(r.AppendJSON(nil)))
		return
	}
	body, err := a.Open(tb.Context())
	require.NoError(tb, err)
	data, err := io.ReadAll(body)
	require.NoError(tb, err)
	require.NoError(tb, body.Close())
	s.Files = append(s.Files, File{Name: a.Filename, Metadata: string(a.Metadata), Body: data})
}

// lines are the records of one stage, sorted where a provider is free to choose the order between schemas and files.
func (s *Site) sorted() []string {
	lines := s.Lines()
	slices.Sort(lines)
	return lines
}

func sourceDescribes(t *testing.T, sample func() *Site, open OpenSource) {
	t.Helper()
	site := sample()
	src := open(t, site)
	d, err := src.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, site.Version, d.Version)
	require.NotEmpty(t, d.Kind)
	require.Len(t, d.Schemas, len(site.Records[transfer.StageSchemas]))
	for uid, want := range site.Schemas(t) {
		require.JSONEq(t, string(want.AppendJSON(nil)), string(d.Schemas[uid].AppendJSON(nil)))
	}
	require.NoError(t, src.Close())
}

func sourceYields(t *testing.T, sample func() *Site, open OpenSource) {
	t.Helper()
	site := sample()
	src := open(t, site)
	got := ReadSite(t, src)
	require.Equal(t, site.sorted(), got.sorted())
	for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageLinks, transfer.StageConfiguration} {
		require.Equal(t, site.Records[stage], got.Records[stage], "order of %s", stage)
	}
	require.NoError(t, src.Close())
}

func sourceRepeats(t *testing.T, sample func() *Site, open OpenSource) {
	t.Helper()
	src := open(t, sample())
	require.Equal(t, ReadSite(t, src).Lines(), ReadSite(t, src).Lines())
	require.NoError(t, src.Close())
}

func sourceContinues(t *testing.T, sample func() *Site, open OpenSource) {
	t.Helper()
	src := open(t, sample())
	for _, stage := range transfer.Stages() {
		keys := readKeys(t, src, stage, 0)
		for after := range keys {
			require.Equal(t, keys[after+1:], readKeys(t, src, stage, transfer.Cursor(after+1)), "%s after %d", stage, after+1)
		}
	}
	require.NoError(t, src.Close())
}

func readKeys(t *testing.T, src transfer.Source, stage transfer.Stage, after transfer.Cursor) []string {
	t.Helper()
	keys := []string{}
	for item, err := range src.Read(t.Context(), stage, after) {
		require.NoError(t, err)
		keys = append(keys, item.Record.Key())
		require.Equal(t, after+transfer.Cursor(len(keys)), item.Cursor)
	}
	return keys
}

func sourceSkipsAssets(t *testing.T, sample func() *Site, open OpenSource) {
	t.Helper()
	site := sample()
	src := open(t, site)
	var got []byte
	i := 0
	for item, err := range src.Read(t.Context(), transfer.StageAssets, 0) {
		require.NoError(t, err)
		if i++; i != 3 {
			continue
		}
		a, ok := item.Record.(transfer.Asset)
		require.True(t, ok)
		body, err := a.Open(t.Context())
		require.NoError(t, err)
		got, err = io.ReadAll(io.LimitReader(body, 10))
		require.NoError(t, err)
		require.NoError(t, body.Close())
	}
	require.Equal(t, len(site.Files), i)
	require.True(t, slices.ContainsFunc(site.Files, func(f File) bool { return bytes.HasPrefix(f.Body, got) }))
	require.NoError(t, src.Close())
}

func sourceEmptyStage(t *testing.T, sample func() *Site, open OpenSource) {
	t.Helper()
	site := sample()
	delete(site.Records, transfer.StageEntities) // of whose documents some links are made
	delete(site.Records, transfer.StageLinks)
	delete(site.Records, transfer.StageConfiguration)
	site.Files = nil
	src := open(t, site)
	for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageLinks, transfer.StageConfiguration, transfer.StageAssets} {
		require.Empty(t, readKeys(t, src, stage, 0), "%s", stage)
	}
	require.NoError(t, src.Close())
}

func sourceBreak(t *testing.T, sample func() *Site, open OpenSource) {
	t.Helper()
	src := open(t, sample())
	for _, stage := range transfer.Stages() {
		for _, err := range src.Read(t.Context(), stage, 0) {
			require.NoError(t, err)
			break
		}
	}
	require.NotEmpty(t, readKeys(t, src, transfer.StageEntities, 0))
	require.NoError(t, src.Close())
}

var errStop = errors.New("told to stop")

func sourceCancelled(t *testing.T, sample func() *Site, open OpenSource) {
	t.Helper()
	src := open(t, sample())
	_, err := src.Describe(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var last error
	n := 0
	for _, err := range src.Read(ctx, transfer.StageEntities, 0) {
		if n++; n == 1 {
			cancel(errStop)
		}
		last = err
	}
	require.ErrorIs(t, last, errStop)
	require.Less(t, n, len(sample().Records[transfer.StageEntities])+1)
	require.NoError(t, src.Close())
}

func sourceClosesTwice(t *testing.T, sample func() *Site, open OpenSource) {
	t.Helper()
	src := open(t, sample())
	require.NoError(t, src.Close())
	require.NoError(t, src.Close())
}

func sourceAnyOrder(t *testing.T, sample func() *Site, open OpenSource) {
	t.Helper()
	site := sample()
	src := open(t, site)
	for _, stage := range slices.Backward(transfer.Stages()) {
		want := len(site.Records[stage])
		if stage == transfer.StageAssets {
			want = len(site.Files)
		}
		require.Len(t, readKeys(t, src, stage, 0), want, "%s", stage)
	}
	require.NoError(t, src.Close())
}
