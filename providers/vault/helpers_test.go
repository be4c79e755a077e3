package vault_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// wide returns a site of n articles with links among them and some files, always the same for the same numbers.
func wide(n, files int) *transfertest.Site {
	random := rand.New(rand.NewPCG(1, 2))
	site := transfertest.Sample()
	site.Files = nil
	var rows, links []string
	for i := range n {
		rows = append(rows, article(random, i))
		links = append(links, fmt.Sprintf(`{"kind":"relation.basic","relation":"manyToOne","left":{"type":"api::article.article","field":"category","ref":%d},`+
			`"right":{"type":"api::article.article","ref":%d,"pos":%d}}`, i+1, random.IntN(n)+1, i))
	}
	for i := range files {
		body := make([]byte, 1000+random.IntN(4000))
		for k := range body {
			body[k] = byte(random.Uint32())
		}
		name := fmt.Sprintf("file_%d.bin", i)
		site.Files = append(site.Files, transfertest.File{Name: name, Metadata: fmt.Sprintf(`{"id":%d,"name":%q}`, i+1, name), Body: body})
	}
	site.Records[transfer.StageEntities], site.Records[transfer.StageLinks] = rows, links
	return site
}

func article(random *rand.Rand, i int) string {
	var text strings.Builder
	for range 20 + random.IntN(30) {
		fmt.Fprintf(&text, "%x ", random.Uint32())
	}
	return fmt.Sprintf(`{"type":"api::article.article","id":%d,"data":{"title":"Article %d","documentId":"doc%d","locale":"en","publishedAt":null,"body":%q}}`,
		i+1, i+1, i+1, text.String())
}

// files are the paths of all files below a folder, with their sizes.
func files(tb testing.TB, dir string) map[string]int64 {
	tb.Helper()
	out := make(map[string]int64)
	require.NoError(tb, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		out[path] = info.Size()
		return err
	}))
	return out
}

func blobs(tb testing.TB, dir string) map[string]int64 {
	tb.Helper()
	return files(tb, filepath.Join(dir, "blobs"))
}

func total(sizes map[string]int64) (n int64) {
	for _, size := range sizes {
		n += size
	}
	return n
}

// clock is a time that a test sets.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func lines(site *transfertest.Site) string {
	if site == nil {
		return ""
	}
	return strings.Join(site.Lines(), "\n")
}

// repeat is a body of n bytes.
func repeat(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

// meanwhile does something before each stage is read.
type meanwhile struct {
	transfer.Source

	do func()
}

func (m *meanwhile) Read(ctx context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	if stage != transfer.StageSchemas {
		m.do()
	}
	return m.Source.Read(ctx, stage, after)
}

// bodies are the files of a site as text.
func bodies(site *transfertest.Site) []string {
	return (&transfertest.Site{Files: site.Files}).Lines()
}
