package layout_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

func TestLocate(t *testing.T) {
	t.Parallel()
	tests := map[string]layout.Place{
		"metadata.json":                 {Kind: layout.KindMetadata},
		"transfer-manifest.jsonl":       {Kind: layout.KindManifest},
		"schemas/schemas_00001.jsonl":   {Kind: layout.KindPart, Stage: transfer.StageSchemas},
		"entities/whatever.txt":         {Kind: layout.KindPart, Stage: transfer.StageEntities},
		"links/x":                       {Kind: layout.KindPart, Stage: transfer.StageLinks},
		"configuration/c.jsonl":         {Kind: layout.KindPart, Stage: transfer.StageConfiguration},
		"assets/uploads/a_1.png":        {Kind: layout.KindUpload, Stage: transfer.StageAssets, Asset: "a_1.png"},
		"assets/metadata/a_1.png.json":  {Kind: layout.KindSidecar, Stage: transfer.StageAssets, Asset: "a_1.png"},
		"assets/metadata/a_1.png":       {},
		"assets/x":                      {},
		"assets/uploads/deep/x":         {},
		"entities/deep/x.jsonl":         {},
		"backup/metadata.json":          {},
		"entities":                      {},
		"Entities/entities_00001.jsonl": {},
	}
	for name, want := range tests {
		require.Equal(t, want, layout.Locate(name), name)
	}
}

func TestNamesAreFoundAgain(t *testing.T) {
	t.Parallel()
	require.Equal(t, "links/links_00012.jsonl", layout.PartName(transfer.StageLinks, 12))
	require.Equal(t, transfer.StageLinks, layout.Locate(layout.PartName(transfer.StageLinks, 123_456)).Stage)
	for _, asset := range []string{"a.png", "noext", "ü.json", ".json"} {
		require.Equal(t, layout.Place{Kind: layout.KindUpload, Stage: transfer.StageAssets, Asset: asset}, layout.Locate(layout.UploadName(asset)))
		require.Equal(t, layout.Place{Kind: layout.KindSidecar, Stage: transfer.StageAssets, Asset: asset}, layout.Locate(layout.SidecarName(asset)))
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a/b":                "a/b",
		"./a//b/./c":         "a/b/c",
		"a/":                 "a",
		"./":                 ".",
		`entities\x.jsonl`:   "entities/x.jsonl",
		`.\assets\uploads\x`: "assets/uploads/x",
		"a..b/...":           "a..b/...",
	} {
		got, err := layout.Clean(name)
		require.NoError(t, err, name)
		require.Equal(t, want, got)
	}
	for _, name := range []string{
		"", "..", "../x", "a/../b", "a/..", "/", "/x", "//x", `\x`, `\\host\share`, `..\x`, `a\..\..\x`, `a/b\c`, "C:/x", `C:\x`, "c:x",
		"a\x00b", "a\nb", "a\x7fb", "\xff", strings.Repeat("x", layout.MaxName+1),
	} {
		_, err := layout.Clean(name)
		require.ErrorIs(t, err, transfer.ErrDamaged, "%q", name)
		require.ErrorIs(t, err, layout.ErrName, "%q", name)
		require.Less(t, len(err.Error()), 400)
	}
}

// FuzzClean holds that a cleaned name stays inside, is its own cleaned name, and means the same place.
func FuzzClean(f *testing.F) {
	for _, name := range []string{"a/b", "./x", `a\b`, "../x", "C:x", "metadata.json", "assets/uploads/a", "a\x00"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		clean, err := layout.Clean(name)
		if err != nil {
			require.ErrorIs(t, err, transfer.ErrDamaged)
			return
		}
		require.True(t, filepath.IsLocal(clean), "%q", clean)
		require.NotContains(t, clean, `\`)
		again, err := layout.Clean(clean)
		require.NoError(t, err)
		require.Equal(t, clean, again)
		if place := layout.Locate(clean); place.Asset != "" {
			require.NotContains(t, place.Asset, "/")
		}
	})
}
