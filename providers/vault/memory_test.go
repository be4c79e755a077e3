package vault_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
)

// endless is a source of many rows and a few large files that exist only while they are read.
type endless struct {
	rows, files int
	fileSize    int64
	peak        *uint64
}

func (endless) Describe(context.Context) (transfer.Description, error) {
	return transfer.Description{Kind: "endless", Name: "endless", Schemas: transfer.Schemas{}}, nil
}

func (e endless) Read(_ context.Context, stage transfer.Stage, _ transfer.Cursor) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		n := map[transfer.Stage]int{transfer.StageEntities: e.rows, transfer.StageAssets: e.files}[stage]
		for i := range n {
			if i%1000 == 0 {
				e.sample()
			}
			record, err := e.record(stage, i)
			if !yield(transfer.Item{Record: record, Cursor: transfer.Cursor(i + 1)}, err) || err != nil {
				return
			}
		}
	}
}

func (e endless) sample() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	*e.peak = max(*e.peak, m.HeapInuse)
}

func (e endless) record(stage transfer.Stage, i int) (transfer.Record, error) {
	if stage == transfer.StageEntities {
		return transfer.ParseEntity(fmt.Appendf(nil, `{"type":"api::a.a","id":%d,"data":{"documentId":"d%d","x":%q}}`, i+1, i, strings.Repeat(fmt.Sprint(i), 60)))
	}
	return transfer.Asset{Filename: fmt.Sprintf("f%d.bin", i), Length: e.fileSize, Metadata: []byte(`{"id":1}`), Content: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(&counting{sample: e.sample, n: byte(i)}, e.fileSize)), nil
	}}, nil
}

func (endless) Close() error { return nil }

type counting struct {
	sample func()
	n      byte
	reads  int
}

func (c *counting) Read(p []byte) (int, error) {
	if c.reads++; c.reads%50 == 0 {
		c.sample()
	}
	c.n++
	return copy(p, bytes.Repeat([]byte{c.n}, len(p))), nil
}

func TestMemoryDoesNotGrowWithTheSite(t *testing.T) { // not parallel: it measures the heap of the whole process
	if testing.Short() {
		t.Skip("writes 200 MB")
	}
	v := openVault(t, t.TempDir())
	var peak uint64
	src := endless{rows: 100_000, files: 2, fileSize: 64 << 20, peak: &peak}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := push(t, v, "site", src, transfer.Filter{})
	require.NoError(t, err)
	require.Less(t, peak-before.HeapInuse, uint64(32<<20), "writing")

	out, err := v.Source(t.Context(), "site", "")
	require.NoError(t, err)
	defer func() { require.NoError(t, out.Close()) }()
	peak = 0
	n := 0
	for _, stage := range transfer.Stages() {
		for item, err := range out.Read(t.Context(), stage, 0) {
			require.NoError(t, err)
			if n++; n%1000 == 0 {
				src.sample()
			}
			if a, ok := item.Record.(transfer.Asset); ok {
				body, err := a.Open(t.Context())
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, body)
				require.NoError(t, err)
				require.NoError(t, body.Close())
			}
		}
	}
	require.Equal(t, 100_002, n)
	require.Less(t, peak-min(peak, before.HeapInuse), uint64(32<<20), "reading")
}

func BenchmarkPut(b *testing.B) {
	for name, src := range map[string]endless{
		"rows":        {rows: 50_000},
		"large files": {files: 4, fileSize: 32 << 20},
		"small files": {files: 1000, fileSize: 100 << 10},
	} {
		b.Run(name, func(b *testing.B) {
			src.peak = new(uint64)
			b.SetBytes(src.size(b))
			for b.Loop() {
				b.StopTimer()
				v, err := vault.Open(b.Context(), b.TempDir(), vault.Options{})
				require.NoError(b, err)
				b.StartTimer()
				_, err = push(b, v, "site", src, transfer.Filter{})
				require.NoError(b, err)
				b.StopTimer()
				require.NoError(b, v.Close())
				b.StartTimer()
			}
		})
	}
}

func BenchmarkPutAgain(b *testing.B) {
	src := endless{rows: 50_000, files: 100, fileSize: 100 << 10, peak: new(uint64)}
	v, err := vault.Open(b.Context(), b.TempDir(), vault.Options{})
	require.NoError(b, err)
	_, err = push(b, v, "site", src, transfer.Filter{})
	require.NoError(b, err)
	b.SetBytes(src.size(b))
	for b.Loop() {
		snap, err := push(b, v, "site", src, transfer.Filter{})
		require.NoError(b, err)
		require.Zero(b, snap.AddedBytes)
	}
	b.StopTimer()
	require.NoError(b, v.Close())
}

func BenchmarkGet(b *testing.B) {
	for name, src := range map[string]endless{
		"rows":        {rows: 50_000},
		"large files": {files: 4, fileSize: 32 << 20},
	} {
		b.Run(name, func(b *testing.B) {
			src.peak = new(uint64)
			v, err := vault.Open(b.Context(), b.TempDir(), vault.Options{})
			require.NoError(b, err)
			_, err = push(b, v, "site", src, transfer.Filter{})
			require.NoError(b, err)
			b.SetBytes(src.size(b))
			for b.Loop() {
				out, err := v.Source(b.Context(), "site", "")
				require.NoError(b, err)
				require.NoError(b, out.Check(b.Context()))
				require.NoError(b, out.Close())
			}
			b.StopTimer()
			require.NoError(b, v.Close())
		})
	}
}

// size is how much content a source has.
func (e endless) size(tb testing.TB) int64 {
	tb.Helper()
	n := int64(e.files) * e.fileSize
	for item, err := range e.Read(tb.Context(), transfer.StageEntities, 0) {
		require.NoError(tb, err)
		n += item.Record.Size()
	}
	return n
}
