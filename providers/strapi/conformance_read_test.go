//go:build unix

package strapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// TestConformanceReadIsWhatStrapiStreams reads the database of a project beside its running server, and compares it record for record
// with what that server streams.
func TestConformanceReadIsWhatStrapiStreams(t *testing.T) {
	strapitest.Require(t)
	for _, kind := range strapitest.Databases() {
		t.Run(kind.String(), func(t *testing.T) {
			instance := strapitest.New(t, strapitest.Options{Seed: true, Database: kind})
			token := instance.Token(t, strapitest.Forever, "pull")
			instance.Start(t)
			server := remote.NewSource(instance.URL(), remote.Options{Token: token})
			want, wantSchemas := readSite(t, server)
			require.NoError(t, server.Close())

			site, err := strapi.OpenProject(t.Context(), instance.Path(), strapi.Choices{})
			require.NoError(t, err)
			src, err := site.Source(t.Context())
			require.NoError(t, err)
			got, schemas := readSite(t, src)
			require.Empty(t, src.Skipped())
			require.NoError(t, src.Close())
			require.NoError(t, site.Close())

			require.Len(t, schemas, len(wantSchemas))
			for uid, s := range wantSchemas {
				require.JSONEq(t, string(s.AppendJSON(nil)), string(schemas[uid].AppendJSON(nil)), uid)
			}
			for _, stage := range transfer.Stages()[1:] {
				require.NotEmpty(t, want[stage], stage)
				if kind == strapitest.SQLite {
					roundedAll(want[stage])
					roundedAll(got[stage])
				}
				requireSame(t, want[stage], got[stage])
			}
		})
	}
}

// readSite reads everything but the schemas, which are described, by key; of a file it is the metadata, its size and its digest.
func readSite(t *testing.T, src transfer.Source) (map[transfer.Stage]map[string]any, transfer.Schemas) {
	t.Helper()
	d, err := src.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, "5.54.0", d.Version)
	keys := map[transfer.Stage]func(map[string]any) string{
		transfer.StageEntities: entityKey, transfer.StageLinks: linkKey, transfer.StageConfiguration: settingKey,
		transfer.StageAssets: func(v map[string]any) string { name, _ := v["filename"].(string); return name },
	}
	out := make(map[transfer.Stage]map[string]any)
	for _, stage := range transfer.Stages()[1:] {
		var lines []string
		for item, err := range src.Read(t.Context(), stage, 0) {
			require.NoError(t, err, "%s", stage)
			if a, ok := item.Record.(transfer.Asset); ok {
				lines = append(lines, assetLine(t, a))
				continue
			}
			lines = append(lines, string(item.Record.AppendJSON(nil)))
		}
		out[stage] = decoded(t, lines, keys[stage])
	}
	return out, d.Schemas
}

func assetLine(t *testing.T, a transfer.Asset) string {
	t.Helper()
	body, err := a.Open(t.Context())
	require.NoError(t, err)
	sum := sha256.New()
	n, err := io.Copy(sum, body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	line, err := json.Marshal(map[string]any{"filename": a.Filename, "metadata": a.Metadata, "size": n, "digest": hex.EncodeToString(sum.Sum(nil))})
	require.NoError(t, err)
	return string(line)
}
