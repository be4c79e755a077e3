package archive_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/archive"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// benchSite is 16 MB of entities and links, which pack well, and 32 files of 1 MB, which do not.
func benchSite() *transfertest.Site {
	site := transfertest.Sample()
	words := []string{"lorem", "ipsum", "dolor", "sit", "amet", "consectetur", "adipiscing", "elit", "sed", "eiusmod", "tempor", "é"}
	random := rand.New(rand.NewPCG(1, 2))
	for id := range 12_000 {
		var text bytes.Buffer
		for range 150 {
			fmt.Fprintf(&text, "%s ", words[random.IntN(len(words))])
		}
		site.Records[transfer.StageEntities] = append(site.Records[transfer.StageEntities],
			fmt.Sprintf(`{"type":"api::article.article","id":%d,"data":{"title":"article %d","body":%q,"documentId":"d%x","count":%d}}`, id+100, id, text.String(), random.Uint64(), random.Uint64()))
		site.Records[transfer.StageLinks] = append(site.Records[transfer.StageLinks],
			fmt.Sprintf(`{"kind":"relation.basic","relation":"manyToOne","left":{"type":"api::article.article","field":"category","ref":%d},"right":{"type":"api::category.category","ref":1,"pos":%d}}`, id+100, id))
	}
	source := rand.NewChaCha8([32]byte{})
	for n := range 32 {
		body := make([]byte, 1_000_000)
		_, _ = source.Read(body)
		name := fmt.Sprintf("file_%d.jpg", n)
		site.Files = append(site.Files, transfertest.File{
			Name: name, Body: body,
			Metadata: fmt.Sprintf(`{"id":%d,"name":%q,"hash":"file_%d","ext":".jpg","mime":"image/jpeg","size":1000,"url":"/uploads/%s"}`, n+10, name, n, name),
		})
	}
	return site
}

// records are a site's records, parsed once.
func records(b *testing.B, site *transfertest.Site) (all []transfer.Record, size int64) {
	b.Helper()
	src := transfertest.NewMemory(site)
	for _, stage := range transfer.Stages() {
		for item, err := range src.Read(b.Context(), stage, 0) {
			require.NoError(b, err)
			all = append(all, item.Record)
			size += item.Record.Size()
		}
	}
	return all, size
}

func BenchmarkWrite(b *testing.B) {
	all, size := records(b, benchSite())
	for name, opts := range forms(b) {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), name)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				writeRecords(b, path, opts, all)
			}
		})
	}
}

func writeRecords(b *testing.B, path string, opts archive.Options, all []transfer.Record) {
	b.Helper()
	dst, err := archive.Create(path, opts)
	require.NoError(b, err)
	_, err = dst.Begin(b.Context(), transfer.Plan{Stages: transfer.Stages()})
	require.NoError(b, err)
	for _, stage := range transfer.Stages() {
		var batch []transfer.Record
		for _, r := range all {
			if r.Stage() != stage {
				continue
			}
			if batch = append(batch, r); len(batch) == 100 || stage == transfer.StageAssets {
				require.NoError(b, dst.Write(b.Context(), transfer.Batch{Stage: stage, Records: batch}))
				batch = batch[:0]
			}
		}
		require.NoError(b, dst.Write(b.Context(), transfer.Batch{Stage: stage, Records: batch, Last: true}))
	}
	require.NoError(b, dst.Commit(b.Context()))
}

// BenchmarkCheck is the pass that comes before every push; BenchmarkRead is what comes after it.
func BenchmarkCheck(b *testing.B) {
	site := benchSite()
	_, size := records(b, site)
	for name, opts := range forms(b) {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), name)
			write(b, path, opts, site)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				src, err := archive.Open(path, opts)
				require.NoError(b, err)
				require.NoError(b, src.Check(b.Context()))
				require.NoError(b, src.Close())
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	site := benchSite()
	_, size := records(b, site)
	for name, opts := range forms(b) {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), name)
			write(b, path, opts, site)
			src := open(b, path, opts)
			require.NoError(b, src.Check(b.Context()))
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				for _, stage := range transfer.Stages() {
					for item, err := range src.Read(b.Context(), stage, 0) {
						require.NoError(b, err)
						if asset, ok := item.Record.(transfer.Asset); ok {
							body, err := asset.Open(b.Context())
							require.NoError(b, err)
							_, err = io.Copy(io.Discard, body)
							require.NoError(b, err)
						}
					}
				}
			}
		})
	}
}
