package directory_test

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/directory"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// The sample in testdata was written by `strapi export --format dir` 5.54.0.
func TestStrapisOwnFoldersAreRead(t *testing.T) {
	t.Parallel()
	src := open(t, "testdata/sample-dir")
	d, err := src.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, "5.54.0", d.Version)
	require.Contains(t, d.Schemas, "api::thing.thing")
	require.NoError(t, src.Check(t.Context()))
	count, err := src.Count(t.Context(), transfer.StageEntities)
	require.NoError(t, err)
	require.Equal(t, transfer.Count{Records: 5, Bytes: 425, ByType: map[string]int64{"api::thing.thing": 5}}, count)
}

// Apart from the extra manifest, what is written is what `strapi export` writes, byte for byte.
func TestFilesAreThoseOfStrapi(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "again")
	dst, err := directory.Create(path, directory.Options{})
	require.NoError(t, err)
	send(t, open(t, "testdata/sample-dir"), dst)
	require.NoError(t, dst.Commit(t.Context()))
	got := tree(t, path)
	require.NotEmpty(t, got["transfer-manifest.jsonl"])
	delete(got, "transfer-manifest.jsonl")
	require.Equal(t, tree(t, "testdata/sample-dir"), got)
}

// tree returns the files below a folder.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		files[filepath.ToSlash(name)] = string(text)
		return err
	}))
	return files
}

// sample writes the sample into a folder that a test may spoil.
func sample(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "site")
	write(t, path, transfertest.Sample())
	return path
}

func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	edit := func(name, from, to string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			changed := strings.Replace(string(text), from, to, 1)
			require.NotEqual(t, string(text), changed)
			require.NoError(t, os.WriteFile(path, []byte(changed), 0o600))
		}
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, name))) }
	}
	instead := func(name string, put func(path string) error) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			remove(name)(t, dir)
			require.NoError(t, put(filepath.Join(dir, name)))
		}
	}
	tests := map[string]struct {
		spoil func(*testing.T, string)
		want  string
	}{
		"a changed number":         {edit("entities/entities_00001.jsonl", "9007199254740993", "9007199254740992"), "entities_00001.jsonl is not what was written"},
		"a changed file":           {edit("assets/uploads/a_1.txt", "hello", "hullo"), "a_1.txt is not what was written"},
		"a changed row":            {edit("assets/metadata/a_1.txt.json", `"id":1`, `"id":7`), "metadata of the file a_1.txt is not"},
		"a changed description":    {edit("metadata.json", "5.54.0", "5.54.1"), "metadata.json is not what was written"},
		"a changed manifest":       {edit("transfer-manifest.jsonl", `"records":`, `"Records":`), "its digest is wrong"},
		"a part that is gone":      {remove("links/links_00001.jsonl"), "links_00001.jsonl with 3 records is missing"},
		"a file that is gone":      {remove("assets/uploads/a_1.txt"), "a_1.txt is missing"},
		"a row that is gone":       {remove("assets/metadata/a_1.txt.json"), "without their metadata"},
		"all files gone":           {remove("assets"), "is missing"},
		"a link to a file":         {instead("assets/uploads/a_1.txt", func(p string) error { return os.Symlink("/etc/passwd", p) }), "not a plain file"},
		"a link to a row":          {instead("assets/metadata/a_1.txt.json", func(p string) error { return os.Symlink("noext_4.json", p) }), "not a plain file"},
		"a link to a folder":       {instead("entities", func(p string) error { return os.Symlink("links", p) }), "entities is not a folder"},
		"a link as the manifest":   {instead("transfer-manifest.jsonl", func(p string) error { return os.Symlink("x", p) }), "not a plain file"},
		"a part that was added":    {instead("links/zzz.jsonl", func(p string) error { return os.WriteFile(p, nil, 0o600) }), "zzz.jsonl was added"},
		"a line that is no record": {edit("configuration/configuration_00001.jsonl", "{", "["), "configuration_00001.jsonl"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := sample(t)
			tt.spoil(t, dir)
			src := open(t, dir)
			err := src.Check(t.Context())
			require.ErrorIs(t, err, transfer.ErrDamaged)
			require.ErrorContains(t, err, tt.want)
			require.ErrorIs(t, src.Check(t.Context()), transfer.ErrDamaged)
		})
	}
}

func TestReadingStopsAtDamageAlsoWithoutACheck(t *testing.T) {
	t.Parallel()
	dir := sample(t)
	require.NoError(t, os.Remove(filepath.Join(dir, "assets/metadata/a_1.txt.json")))
	var last error
	for _, err := range open(t, dir).Read(t.Context(), transfer.StageAssets, 0) {
		last = err
	}
	require.ErrorIs(t, last, transfer.ErrDamaged)
}

func TestPartsAreReadInTheOrderOfTheirNames(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "site")
	dst, err := directory.Create(dir, directory.Options{PartSize: 1})
	require.NoError(t, err)
	send(t, transfertest.NewMemory(transfertest.Sample()), dst)
	require.NoError(t, dst.Commit(t.Context()))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "entities", "notes.txt"), []byte("not a part"), 0o600))
	src := open(t, dir)
	require.NoError(t, src.Check(t.Context()))
	require.Equal(t, transfertest.Sample().Records[transfer.StageEntities], transfertest.ReadSite(t, src).Records[transfer.StageEntities])
}

func TestOtherFoldersAreLeftAlone(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T, path string){
		"a folder of something else": func(t *testing.T, path string) {
			require.NoError(t, os.Mkdir(path, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(path, "thesis.doc"), nil, 0o600))
		},
		"an export with something else in it": func(t *testing.T, path string) {
			write(t, path, transfertest.Sample())
			require.NoError(t, os.WriteFile(filepath.Join(path, "thesis.doc"), nil, 0o600))
		},
		"a file": func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, nil, 0o600)) },
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "site")
			prepare(t, path)
			_, err := directory.Create(path, directory.Options{})
			require.ErrorIs(t, err, transfer.ErrUnwritable)
		})
		t.Run(name+", put there after the start", func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "site")
			dst, err := directory.Create(path, directory.Options{})
			require.NoError(t, err)
			send(t, transfertest.NewMemory(transfertest.Sample()), dst)
			prepare(t, path)
			before := names(t, filepath.Dir(path))
			require.ErrorIs(t, dst.Commit(t.Context()), transfer.ErrUnwritable)
			require.Equal(t, transfer.StateUntouched, dst.State())
			require.NoError(t, dst.Close())
			require.Equal(t, []string{"site"}, names(t, filepath.Dir(path)), "%v", before)
		})
	}
	_, err := directory.Open(t.TempDir(), directory.Options{})
	require.ErrorIs(t, err, transfer.ErrUsage)
}

func TestALinkToAFormerExportIsFollowed(t *testing.T) {
	t.Parallel()
	dir := sample(t)
	link := filepath.Join(t.TempDir(), "latest")
	require.NoError(t, os.Symlink(dir, link))
	dst, err := directory.Create(link, directory.Options{})
	require.NoError(t, err)
	send(t, transfertest.NewMemory(former()), dst)
	require.NoError(t, dst.Commit(t.Context()))
	target, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, dir, target)
	d, err := open(t, dir).Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, "5.0.0", d.Version)
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	row := `{"id":1,"name":"a","hash":"%","ext":".txt","mime":"m","size":1,"url":"u"}`
	asset := func(name string, length int64) transfer.Asset {
		return transfer.Asset{
			Filename: name + ".txt", Length: length, Metadata: []byte(strings.Replace(row, "%", name, 1)),
			Content: func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(strings.Repeat("x", 1000))), nil
			},
		}
	}
	tests := map[string]struct {
		assets []transfer.Asset
		limit  int64
		want   error
		text   string
	}{
		"names that differ in case":       {[]transfer.Asset{asset("photo", -1), asset("PHOTO", -1)}, 0, transfer.ErrDamaged, "upper and lower case"},
		"more than the limit":             {[]transfer.Asset{asset("a", 1000), asset("b", 1000)}, 1500, transfer.ErrUnwritable, "limit"},
		"more than the limit, unforeseen": {[]transfer.Asset{asset("a", -1), asset("b", -1)}, 1500, transfer.ErrUnwritable, "limit"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "site")
			dst, err := directory.Create(path, directory.Options{MaxSize: tt.limit})
			require.NoError(t, err)
			_, err = dst.Begin(t.Context(), transfer.Plan{Stages: transfer.Stages()})
			require.NoError(t, err)
			for i, a := range tt.assets {
				err = dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageAssets, Records: []transfer.Record{a}})
				require.Equal(t, i < len(tt.assets)-1, err == nil, "%v", err)
			}
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.text)
			require.NoError(t, dst.Close())
			require.Empty(t, names(t, filepath.Dir(path)))
		})
	}
}
