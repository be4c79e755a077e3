package archive_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/archive"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// The samples in testdata were written by `strapi export` 5.54.0, with the key "test".
func TestStrapisOwnArchivesAreRead(t *testing.T) {
	t.Parallel()
	want := content(t, open(t, "testdata/sample.tar", archive.Options{}))
	require.Len(t, want, 9)
	for _, name := range []string{"sample.tar.gz", "sample.tar.enc", "sample.tar.gz.enc", "sample-split.tar"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := open(t, filepath.Join("testdata", name), archive.Options{Key: "test"})
			d, err := src.Describe(t.Context())
			require.NoError(t, err)
			require.Equal(t, "5.54.0", d.Version)
			require.Equal(t, "2026-01-02T03:04:05.678Z", d.CreatedAt.Format("2006-01-02T15:04:05.000Z07:00"))
			require.Contains(t, d.Schemas, "api::thing.thing")
			require.Equal(t, want, content(t, src))
			count, err := src.Count(t.Context(), transfer.StageEntities)
			require.NoError(t, err)
			require.Equal(t, transfer.Count{Records: 5, Bytes: 425, ByType: map[string]int64{"api::thing.thing": 5}}, count)
		})
	}
}

// Without the extra manifest, what is written is what `strapi export` writes, byte for byte.
func TestPartsAreThoseOfStrapi(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "again.tar")
	dst, err := archive.Create(path, archive.Options{PartSize: 300})
	require.NoError(t, err)
	send(t, open(t, "testdata/sample.tar", archive.Options{}), dst)
	require.NoError(t, dst.Commit(t.Context()))
	got, want := untar(t, path), untar(t, "testdata/sample-split.tar")
	require.Equal(t, "transfer-manifest.jsonl", got[len(got)-2].name)
	require.Equal(t, want, append(got[:len(got)-2], got[len(got)-1]))
}

func TestACompressedArchiveUnderThePlainNameIsRead(t *testing.T) {
	t.Parallel()
	zipped, err := os.ReadFile("testdata/sample.tar.gz")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "plain.tar")
	require.NoError(t, os.WriteFile(path, zipped, 0o600))
	require.Len(t, content(t, open(t, path, archive.Options{})), 9)
}

func TestAnArchiveIsOneGzipFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "site.tar.gz")
	write(t, path, archive.Options{}, transfertest.Sample())
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	r, err := gzip.NewReader(file)
	require.NoError(t, err)
	r.Multistream(false)
	_, err = io.Copy(io.Discard, r)
	require.NoError(t, err)
	at, err := file.Seek(0, io.SeekCurrent)
	require.NoError(t, err)
	info, err := file.Stat()
	require.NoError(t, err)
	require.Equal(t, info.Size(), at)
}

func TestKeysAreAskedForAndNeverShown(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2"
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, opts := range forms(t) {
		write(t, path(name), opts, transfertest.Sample())
	}
	tests := map[string]struct {
		name string
		opts archive.Options
		want error
		text string
	}{
		"no key for .enc":             {"site.tar.gz.enc", archive.Options{}, transfer.ErrUsage, "--key"},
		"no key for .age":             {"site.tar.gz.age", archive.Options{}, transfer.ErrUsage, "--key"},
		"a wrong key for .tar.enc":    {"site.tar.enc", archive.Options{Key: secret}, archive.ErrWrongKey, "--key"},
		"a wrong key for .tar.gz.enc": {"site.tar.gz.enc", archive.Options{Key: secret}, archive.ErrWrongKey, "--key"},
		"a passphrase for recipients": {"site.tar.age", archive.Options{Key: secret}, archive.ErrWrongKey, "none of the keys"},
		"another identity":            {"site.tar.gz.age", archive.Options{Identities: forms(t)["site.tar.age"].Identities}, archive.ErrWrongKey, "none of the keys"},
		"an identity that is none":    {"site.tar.gz.age", archive.Options{Identities: []string{secret}}, transfer.ErrUsage, "identity"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, err := archive.Open(path(tt.name), tt.opts)
			if err == nil {
				_, err = src.Describe(t.Context())
				require.NoError(t, src.Close())
			}
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, tt.text)
			require.NotContains(t, err.Error(), secret)
			for _, id := range tt.opts.Identities {
				require.NotContains(t, err.Error(), id)
			}
		})
	}
}

func TestCreateRefusesWhatCannotBeMeant(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder.tar"), 0o700))
	tests := map[string]struct {
		name string
		opts archive.Options
		want error
	}{
		"a name without .tar":         {"site.zip", archive.Options{}, transfer.ErrUsage},
		"nothing but the extension":   {".tar.gz", archive.Options{}, transfer.ErrUsage},
		"extensions in another order": {"site.tar.enc.gz", archive.Options{}, transfer.ErrUsage},
		"a key that is not used":      {"site.tar.gz", archive.Options{Key: "k"}, transfer.ErrUsage},
		"no key":                      {"site.tar.gz.enc", archive.Options{}, transfer.ErrUsage},
		"no passphrase":               {"site.tar.gz.age", archive.Options{}, transfer.ErrUsage},
		"a passphrase and recipients": {"site.tar.age", archive.Options{Key: "k", Recipients: []string{"age1x"}}, transfer.ErrUsage},
		"a recipient that is none":    {"site.tar.age", archive.Options{Recipients: []string{"age1x"}}, transfer.ErrUsage},
		"a level that is none":        {"site.tar.gz", archive.Options{Level: 11}, transfer.ErrUsage},
		"a folder of this name":       {"folder.tar", archive.Options{}, transfer.ErrUnwritable},
		"a folder that is not there":  {"nowhere/site.tar", archive.Options{}, transfer.ErrUnwritable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := archive.Create(filepath.Join(dir, tt.name), tt.opts)
			require.ErrorIs(t, err, tt.want)
		})
	}
}

func TestOpenRefusesWhatIsNotAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder.tar"), 0o700))
	for _, name := range []string{"folder.tar", "missing.tar", "sample.zip"} {
		_, err := archive.Open(filepath.Join(dir, name), archive.Options{})
		require.ErrorIs(t, err, transfer.ErrUsage, name)
	}
}

func TestAPassphraseOpensWhatItClosed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "site.tar.gz.age")
	opts := archive.Quick(archive.Options{Key: "correct horse"})
	write(t, path, opts, transfertest.Sample())
	require.Equal(t, transfertest.Sample().Lines(), transfertest.ReadSite(t, open(t, path, opts)).Lines())
	err := open(t, path, archive.Options{Key: "battery staple"}).Check(t.Context())
	require.ErrorIs(t, err, archive.ErrWrongKey)
}

func TestAFormerArchiveStaysUntilCommit(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "site.tar.gz")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o640))
	dst, err := archive.Create(path, archive.Options{})
	require.NoError(t, err)
	send(t, transfertest.NewMemory(transfertest.Sample()), dst)
	require.Equal(t, transfer.StateUntouched, dst.State())
	old, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "old", string(old))
	require.NoError(t, dst.Commit(t.Context()))
	require.Equal(t, transfer.StateCommitted, dst.State())
	require.Equal(t, int64(4), dst.Outcome().Stored[transfer.StageAssets])
	require.NoError(t, dst.Close())
	require.Equal(t, []string{"site.tar.gz"}, names(t, filepath.Dir(path)))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o640), info.Mode().Perm())
}

func TestAnIncompleteStageIsNotCommitted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "site.tar")
	dst, err := archive.Create(path, archive.Options{})
	require.NoError(t, err)
	_, err = dst.Begin(t.Context(), transfer.Plan{Stages: []transfer.Stage{transfer.StageSchemas}})
	require.NoError(t, err)
	require.ErrorIs(t, dst.Commit(t.Context()), transfer.ErrDamaged)
	require.Empty(t, names(t, filepath.Dir(path)))
	require.Equal(t, transfer.StateUntouched, dst.State())
}

func TestAFileThatStrapiWouldRefuseIsSkippedAndTold(t *testing.T) {
	t.Parallel()
	site := transfertest.Sample()
	site.Files[1].Metadata = `{"id":2}`
	path := filepath.Join(t.TempDir(), "site.tar")
	dst, err := archive.Create(path, archive.Options{})
	require.NoError(t, err)
	send(t, transfertest.NewMemory(site), dst)
	require.NoError(t, dst.Commit(t.Context()))
	outcome := dst.Outcome()
	require.Equal(t, int64(3), outcome.Stored[transfer.StageAssets])
	require.Equal(t, int64(4), outcome.Acknowledged[transfer.StageAssets])
	require.Len(t, outcome.Skipped, 1)
	require.Equal(t, []string{"empty_2.bin"}, outcome.Skipped[0].Examples)
	require.NoError(t, open(t, path, archive.Options{}).Check(t.Context()))
}

func TestLinesEndsInRecordsDoNotBreakLines(t *testing.T) {
	t.Parallel()
	site := transfertest.Sample()
	site.Records[transfer.StageConfiguration] = []string{"{\n \"type\": \"core-store\",\r\n \"value\": {\"key\": \"a\\nb\"}\n}"}
	path := filepath.Join(t.TempDir(), "site.tar")
	write(t, path, archive.Options{}, site)
	got := transfertest.ReadSite(t, open(t, path, archive.Options{})).Records[transfer.StageConfiguration]
	require.Len(t, got, 1)
	require.JSONEq(t, site.Records[transfer.StageConfiguration][0], got[0])
}

func TestTwoFilesOfOneNameAreRefused(t *testing.T) {
	t.Parallel()
	site := transfertest.Sample()
	site.Files = append(site.Files, site.Files[0])
	dst, err := archive.Create(filepath.Join(t.TempDir(), "site.tar"), archive.Options{})
	require.NoError(t, err)
	_, err = dst.Begin(t.Context(), transfer.Plan{Stages: transfer.Stages()})
	require.NoError(t, err)
	for item, err := range transfertest.NewMemory(site).Read(t.Context(), transfer.StageAssets, 0) {
		require.NoError(t, err)
		err = dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageAssets, Records: []transfer.Record{item.Record}})
		if item.Cursor < 5 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, transfer.ErrDamaged)
		}
	}
	require.NoError(t, dst.Close())
}

func TestABodyIsVoidOnceTheNextRecordIsAskedFor(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "site.tar.gz")
	write(t, path, archive.Options{}, transfertest.Sample())
	var first io.Reader
	var late transfer.Asset
	for item, err := range open(t, path, archive.Options{}).Read(t.Context(), transfer.StageAssets, 0) {
		require.NoError(t, err)
		asset := item.Record.(transfer.Asset)
		switch item.Cursor {
		case 1:
			body, err := asset.Open(t.Context())
			require.NoError(t, err)
			_, err = asset.Open(t.Context())
			require.ErrorIs(t, err, transfer.ErrUsage)
			first = body
		case 2:
			_, err := first.Read(make([]byte, 1))
			require.ErrorIs(t, err, transfer.ErrUsage)
			late = asset
		case 3:
			_, err := late.Open(t.Context())
			require.ErrorIs(t, err, transfer.ErrUsage)
		}
	}
}

// A file of any size, and a part of any size, go through without being held.
func TestMemoryStaysFlat(t *testing.T) {
	for _, name := range []string{"site.tar.gz", "site.tar.enc"} {
		opts := forms(t)[name]
		t.Run(name, func(t *testing.T) {
			const size, records = 32 << 20, 20_000
			path := filepath.Join(t.TempDir(), name)
			dst, err := archive.Create(path, opts)
			require.NoError(t, err)
			_, err = dst.Begin(t.Context(), transfer.Plan{Stages: []transfer.Stage{transfer.StageEntities, transfer.StageAssets}})
			require.NoError(t, err)
			entity, err := transfer.ParseEntity([]byte(`{"type":"api::a.a","id":1,"data":{"t":"` + strings.Repeat("x", 1000) + `"}}`))
			require.NoError(t, err)
			asset := transfer.Asset{
				Filename: "a.txt", Length: size, Metadata: []byte(aRow),
				Content: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(io.LimitReader(zeros{}, size)), nil },
			}
			used := allocated(func() {
				for range records {
					require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageEntities, Records: []transfer.Record{entity}}))
				}
				require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageEntities, Last: true}))
				require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageAssets, Records: []transfer.Record{asset}, Last: true}))
				require.NoError(t, dst.Commit(t.Context()))
			})
			require.Less(t, used, uint64(32<<20), "bytes allocated while writing 52 MB")
			src := open(t, path, opts)
			used = allocated(func() { require.NoError(t, src.Check(t.Context())) })
			require.Less(t, used, uint64(16<<20), "bytes allocated while checking 52 MB")
			used = allocated(func() {
				for item, err := range src.Read(t.Context(), transfer.StageAssets, 0) {
					require.NoError(t, err)
					body, err := item.Record.(transfer.Asset).Open(t.Context())
					require.NoError(t, err)
					n, err := io.Copy(io.Discard, body)
					require.NoError(t, err)
					require.Equal(t, int64(size), n)
				}
			})
			require.Less(t, used, uint64(8<<20), "bytes allocated while reading a file of 32 MiB")
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// allocated returns how many bytes f had from the heap, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// untar returns the files in a tar, by the standard library.
func untar(t *testing.T, path string) []file {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return entries(t, bytes.NewReader(text))
}
