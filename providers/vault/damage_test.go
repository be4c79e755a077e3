package vault_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// readAll reads a snapshot through as a transfer would.
func readAll(t *testing.T, v *vault.Vault) error {
	t.Helper()
	src, err := v.Source(t.Context(), "site", "")
	require.NoError(t, err)
	defer func() { require.NoError(t, src.Close()) }()
	return src.Check(t.Context())
}

func TestDamageIsFoundAndNamed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		harm   func(t *testing.T, path string)
		needed bool // only reading finds it
		heals  bool // the next push of the same site writes the piece again
	}{
		"a bit is flipped":   {harm: flip, needed: true},
		"a piece is shorter": {harm: cut, heals: true},
		"a piece is missing": {harm: func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, heals: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			v := openVault(t, dir)
			site := wide(60, 3)
			snap := put(t, v, "site", site)
			other := put(t, v, "other", smallSite())
			want := lines(get(t, v, "site", ""))
			foreign := blobs(t, dir)
			for _, path := range slices.Sorted(maps.Keys(foreign)) {
				whole, err := os.ReadFile(path)
				require.NoError(t, err)
				tt.harm(t, path)

				quick, err := v.Check(t.Context(), vault.CheckOptions{})
				require.NoError(t, err)
				deep, err := v.Check(t.Context(), vault.CheckOptions{ReadData: true})
				require.NoError(t, err)
				require.Len(t, deep.Problems, 1, "%s", path)
				if !tt.needed {
					require.Len(t, quick.Problems, 1)
				}
				rel, err := filepath.Rel(filepath.Join(dir, "blobs"), path)
				require.NoError(t, err)
				require.Equal(t, strings.ReplaceAll(rel, string(filepath.Separator), ""), deep.Problems[0].Piece)
				affected := deep.Problems[0].Snapshots
				require.NotEmpty(t, affected)
				if slices.Contains(affected, snap.Reference().String()) {
					require.ErrorIs(t, readAll(t, v), transfer.ErrDamaged, "%s", path)
				} else {
					require.Contains(t, affected, other.Reference().String())
				}
				if tt.heals {
					put(t, v, "site", site)
					put(t, v, "other", smallSite())
					require.Equal(t, want, lines(get(t, v, "site", "")))
				}
				require.NoError(t, os.WriteFile(path, whole, 0o600))
			}
		})
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	if len(data) == 0 {
		data = []byte{1} // an empty piece cannot have a bit flipped
	} else {
		data[len(data)/2] ^= 0x10
	}
	require.NoError(t, os.WriteFile(path, data, 0o600))
}

func cut(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	if info.Size() == 0 {
		require.NoError(t, os.Remove(path))
		return
	}
	require.NoError(t, os.Truncate(path, info.Size()-1))
}

func TestDiffTellsWhatChanged(t *testing.T) {
	t.Parallel()
	v := openVault(t, t.TempDir())
	a := put(t, v, "site", transfertest.Sample())
	b := put(t, v, "site", transfertest.Sample())
	same, err := v.Diff(t.Context(), a.Reference(), b.Reference(), 0)
	require.NoError(t, err)
	require.True(t, same.Same)

	site := transfertest.Sample()
	rows := site.Records[transfer.StageEntities]
	rows[0] = strings.Replace(rows[0], "news", "olds", 1)
	site.Records[transfer.StageEntities] = append(slices.Delete(rows, 1, 2),
		`{"type":"api::article.article","id":50,"data":{"documentId":"new","title":"New"}}`)
	site.Files[0].Body = []byte("hello, moon!!")
	site.Files[1].Name = "renamed.bin"
	put(t, v, "site", site)
	d, err := v.Diff(t.Context(), a.Reference(), vault.Reference{Site: "site"}, 0)
	require.NoError(t, err)
	require.False(t, d.Same)
	require.Equal(t, map[string][2]int64{"api::category.category": {2, 1}, "api::article.article": {2, 3}}, d.Records)
	require.Equal(t, vault.FileDiff{
		Added: []string{"renamed.bin"}, Removed: []string{"empty_2.bin"}, Changed: []string{"a_1.txt"}, AddedBytes: 13, RemovedBytes: 12,
	}, d.Files)
	text := strings.Join(d.Content, "\n")
	require.Contains(t, text, "api::category.category cat1 published: differs")
	require.Contains(t, text, "api::category.category cat2 draft: only at the source")
	require.Contains(t, text, "api::article.article new draft: only at the destination")
	short, err := v.Diff(t.Context(), a.Reference(), vault.Reference{Site: "site"}, 1)
	require.NoError(t, err)
	require.Len(t, short.Content, 2)
}
