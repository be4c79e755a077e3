package archive_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/archive"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// file is an entry of a tar made by hand.
type file struct {
	name, body string
	kind       byte // default: a plain file
	link       string
}

const (
	schemaLine = `{"uid":"api::a.a","modelType":"contentType","attributes":{}}`
	entityLine = `{"type":"api::a.a","id":1,"data":{"n":9007199254740993}}`
	aRow       = `{"id":1,"name":"a","hash":"a","ext":".txt","mime":"text/plain","size":0.01,"url":"/uploads/a.txt"}`
)

// whole is an export with what Strapi insists on.
func whole(more ...file) []file {
	return append(more,
		file{name: "schemas/schemas_00001.jsonl", body: schemaLine},
		file{name: "entities/entities_00001.jsonl", body: entityLine},
		file{name: "metadata.json", body: `{"createdAt":"2026-01-02T03:04:05.678Z","strapi":{"version":"5.54.0"}}`})
}

// pack makes a tar of files, without a manifest.
func pack(tb testing.TB, files []file) string {
	tb.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Typeflag: f.kind, Linkname: f.link, Size: int64(len(f.body)), Mode: 0o644}
		if f.kind == 0 {
			h.Typeflag = tar.TypeReg
		}
		require.NoError(tb, w.WriteHeader(h))
		_, err := w.Write([]byte(f.body))
		require.NoError(tb, err)
	}
	require.NoError(tb, w.Close())
	path := filepath.Join(tb.TempDir(), "hand.tar")
	require.NoError(tb, os.WriteFile(path, out.Bytes(), 0o600))
	return path
}

func TestHostileArchivesAreRefused(t *testing.T) {
	t.Parallel()
	row := func(edit ...string) string { return strings.NewReplacer(edit...).Replace(aRow) }
	assets := func(row string) []file {
		return whole(file{name: "assets/metadata/a.txt.json", body: row}, file{name: "assets/uploads/a.txt", body: "hello"})
	}
	tests := map[string]struct {
		files []file
		want  string
	}{
		"a name that leads out":          {whole(file{name: "../evil"}), "leads out"},
		"an upload that leads out":       {whole(file{name: "assets/uploads/../../../evil"}), "leads out"},
		"an absolute name":               {whole(file{name: "/etc/passwd"}), "absolute"},
		"a drive":                        {whole(file{name: `C:\evil`}), "drive"},
		"a Windows path that leads out":  {whole(file{name: `assets\uploads\..\..\..\evil`}), "leads out"},
		"mixed separators":               {whole(file{name: `assets/uploads/..\evil`}), "mixes"},
		"an endless name":                {whole(file{name: strings.Repeat("a/", 600) + "a"}), "at most 1024"},
		"a folder that leads out":        {whole(file{name: "../evil/", kind: tar.TypeDir}), "leads out"},
		"control characters":             {whole(file{name: "assets/uploads/a\nb"}), "control"},
		"a symbolic link":                {whole(file{name: "assets/uploads/l", kind: tar.TypeSymlink, link: "/etc/passwd"}), "not a plain file"},
		"a hard link":                    {whole(file{name: "assets/uploads/l", kind: tar.TypeLink, link: "metadata.json"}), "not a plain file"},
		"a device":                       {whole(file{name: "assets/uploads/d", kind: tar.TypeChar}), "not a plain file"},
		"a pipe":                         {whole(file{name: "entities/p.jsonl", kind: tar.TypeFifo}), "not a plain file"},
		"a file twice":                   {append(assets(aRow), file{name: "assets/uploads/a.txt", body: "other"}), "twice"},
		"a row twice":                    {append(assets(aRow), file{name: "assets/metadata/a.txt.json", body: aRow}), "twice"},
		"a part twice":                   {whole(file{name: "entities/entities_00001.jsonl", body: entityLine}), "twice"},
		"the metadata twice":             {whole(file{name: "metadata.json", body: "{}"}), "twice"},
		"no metadata":                    {whole()[:2], "metadata.json"},
		"metadata that is null":          {append(whole()[:2], file{name: "metadata.json", body: "null"}), "not a JSON object"},
		"metadata that is no JSON":       {append(whole()[:2], file{name: "metadata.json", body: "{"}), "not a JSON object"},
		"endless metadata":               {append(whole()[:2], file{name: "metadata.json", body: strings.Repeat(" ", 2<<20) + "{}"}), "longer"},
		"no schemas":                     {whole()[1:], "no schemas"},
		"a folder around it":             {[]file{{name: "backup/metadata.json", body: "{}"}, {name: "backup/entities/entities_00001.jsonl"}}, `"backup"`},
		"a line of blanks":               {whole(file{name: "links/links_00001.jsonl", body: "   \n"}), "links_00001.jsonl: record 1"},
		"a line that is no JSON":         {whole(file{name: "entities/x", body: entityLine + "\n{\"type\":"}), "record 2"},
		"an entity without an id":        {whole(file{name: "entities/x", body: `{"type":"api::a.a","data":{}}`}), "no id"},
		"a file without its row":         {whole(file{name: "assets/uploads/a.txt"}), `1 files come without their metadata`},
		"a row that is no object":        {assets("[]"), "a.txt"},
		"a row without an id":            {assets(row(`"id":1,`, "")), "wrong: id"},
		"a row with id 0":                {assets(row(`"id":1`, `"id":0`)), "wrong: id"},
		"a row with half an id":          {assets(row(`"id":1`, `"id":1.5`)), "wrong: id"},
		"a row with an id in quotes":     {assets(row(`"id":1`, `"id":"1"`)), "wrong: id"},
		"a row of negative size":         {assets(row("0.01", "-1")), "wrong: size"},
		"a row of endless size":          {assets(row("0.01", "1e999")), "wrong: size"},
		"a row without a name":           {assets(row(`"name":"a"`, `"name":""`)), "wrong: name"},
		"a row without a type":           {assets(row(`"mime":"text/plain",`, "")), "wrong: mime"},
		"a row with an odd extension":    {assets(row(`".txt"`, "5")), "wrong: ext"},
		"a row of another file":          {assets(row(`"hash":"a"`, `"hash":"b"`)), `another file, "b.txt"`},
		"a bad row that follows":         {whole(file{name: "assets/uploads/a.txt"}, file{name: "assets/metadata/a.txt.json", body: "{}"}), "missing or wrong"},
		"an upload named like a drive":   {whole(file{name: "assets/uploads/c:x"}), "separator"},
		"a manifest that is not ours":    {whole(file{name: "transfer-manifest.jsonl", body: "{}\n"}), "transfer-manifest.jsonl"},
		"an empty manifest":              {whole(file{name: "transfer-manifest.jsonl"}), "transfer-manifest.jsonl"},
		"a row with the same name twice": {assets(row(`"id":1`, `"id":1,"id":2`)), "twice"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := open(t, pack(t, tt.files), archive.Options{})
			err := src.Check(t.Context())
			require.ErrorIs(t, err, transfer.ErrDamaged)
			require.ErrorContains(t, err, tt.want)
			require.Less(t, len(err.Error()), 1000)
			_, err = src.Describe(t.Context())
			require.ErrorIs(t, err, transfer.ErrDamaged)
			for _, err := range src.Read(t.Context(), transfer.StageAssets, 0) {
				require.ErrorIs(t, err, transfer.ErrDamaged)
			}
		})
	}
}

func TestOddButHarmlessArchivesAreRead(t *testing.T) {
	t.Parallel()
	const want = `schemas: ` + schemaLine + "\n" + `entities: ` + entityLine
	tests := map[string]struct {
		files []file
		want  string
	}{
		"as Strapi writes it":      {whole(), want},
		"names that begin with ./": {[]file{{name: "./metadata.json", body: "{}"}, {name: "./schemas/x", body: schemaLine}, {name: "./entities/./y", body: entityLine}}, want},
		"old Windows paths":        {[]file{{name: `schemas\schemas_00001.jsonl`, body: schemaLine}, {name: `entities\entities_00001.jsonl`, body: entityLine}, {name: "metadata.json", body: "{}"}}, want},
		"folders as entries":       {whole(file{name: "./", kind: tar.TypeDir}, file{name: "entities/", kind: tar.TypeDir}), want},
		"a part that begins with a line feed": {
			whole(file{name: "entities/entities_00000.jsonl", body: entityLine}, file{name: "entities/entities_00002.jsonl", body: "\n" + entityLine}),
			`schemas: ` + schemaLine + strings.Repeat("\nentities: "+entityLine, 3),
		},
		"Windows line ends, empty lines and a last line end": {
			whole(file{name: "entities/other", body: "\r\n\n" + entityLine + "\r\n\r\n" + entityLine + "\n"}),
			`schemas: ` + schemaLine + strings.Repeat("\nentities: "+entityLine, 3),
		},
		"files that mean nothing":          {whole(file{name: "README.md"}, file{name: "entities/deep/x.jsonl", body: "no"}, file{name: "assets/uploads/deep/x"}), want},
		"a row without a file":             {whole(file{name: "assets/metadata/gone.txt.json", body: "nonsense"}), want},
		"a row that is not right before":   {whole(file{name: "assets/metadata/a.txt.json", body: aRow}, file{name: "other"}, file{name: "assets/metadata/b.json", body: "{}"}, file{name: "assets/uploads/a.txt", body: "hello"}), want + "\nassets: a.txt hello " + aRow},
		"a row that follows its file":      {whole(file{name: "assets/uploads/a.txt", body: "hello"}, file{name: "assets/metadata/a.txt.json", body: aRow + "\n"}), want + "\nassets: a.txt hello " + aRow},
		"an old name for no extension":     {whole(file{name: "assets/metadata/anull.json", body: strings.Replace(aRow, `".txt"`, "null", 1)}, file{name: "assets/uploads/anull", body: "x"}), want + "\nassets: anull x " + strings.Replace(aRow, `".txt"`, "null", 1)},
		"metadata that says nothing":       {append(whole()[:2], file{name: "metadata.json", body: "{}"}), want},
		"metadata of another shape":        {append(whole()[:2], file{name: "metadata.json", body: `{"createdAt":5,"strapi":[]}`}), want},
		"a global header, as git makes it": {whole(file{name: "pax_global_header", kind: tar.TypeXGlobalHeader}), want},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := open(t, packGlobal(t, tt.files), archive.Options{})
			require.NoError(t, src.Check(t.Context()))
			require.Equal(t, tt.want, strings.Join(content(t, src), "\n"))
		})
	}
}

// packGlobal is pack, for entries that archive/tar wants in another form too.
func packGlobal(t *testing.T, files []file) string {
	t.Helper()
	var plain []file
	global := false
	for _, f := range files {
		if global = global || f.kind == tar.TypeXGlobalHeader; f.kind != tar.TypeXGlobalHeader {
			plain = append(plain, f)
		}
	}
	path := pack(t, plain)
	if !global {
		return path
	}
	var head bytes.Buffer
	w := tar.NewWriter(&head)
	require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}))
	require.NoError(t, w.Flush())
	rest, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, append(head.Bytes(), rest...), 0o600))
	return path
}

// content is what a source hands out, stage by stage.
func content(t *testing.T, src transfer.Source) []string {
	t.Helper()
	site := transfertest.ReadSite(t, src)
	var lines []string
	for _, stage := range transfer.Stages() {
		for _, text := range site.Records[stage] {
			lines = append(lines, fmt.Sprintf("%s: %s", stage, text))
		}
	}
	for _, f := range site.Files {
		lines = append(lines, fmt.Sprintf("assets: %s %s %s", f.Name, f.Body, f.Metadata))
	}
	return lines
}

func TestContentBeyondTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	path := pack(t, whole(file{name: "assets/metadata/a.txt.json", body: aRow}, file{name: "assets/uploads/a.txt", body: strings.Repeat("x", 10_000)}))
	require.NoError(t, open(t, path, archive.Options{MaxSize: 20_000}).Check(t.Context()))
	err := open(t, path, archive.Options{MaxSize: 5_000}).Check(t.Context())
	require.ErrorIs(t, err, transfer.ErrDamaged)
	require.ErrorContains(t, err, "larger than allowed, at assets/uploads/a.txt")
}

func TestAnEndlessLineIsRefused(t *testing.T) {
	t.Parallel()
	var head bytes.Buffer
	require.NoError(t, tar.NewWriter(&head).WriteHeader(&tar.Header{Name: "links/x", Typeflag: tar.TypeReg, Size: 2 * transfer.MaxRecord}))
	path := filepath.Join(t.TempDir(), "endless.tar")
	require.NoError(t, os.WriteFile(path, head.Bytes(), 0o600))
	require.NoError(t, os.Truncate(path, 3*transfer.MaxRecord))
	err := open(t, path, archive.Options{}).Check(t.Context())
	require.ErrorIs(t, err, transfer.ErrDamaged)
	require.ErrorContains(t, err, "a line is longer than")
}

// entries returns the files in a tar.
func entries(t *testing.T, r io.Reader) []file {
	t.Helper()
	var files []file
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		body, err := io.ReadAll(tr)
		require.NoError(t, err)
		files = append(files, file{name: h.Name, body: string(body), kind: h.Typeflag})
	}
}
