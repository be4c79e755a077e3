package strapi_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
)

// sizes is a store of files that have nothing but a size, by name.
type sizes map[string]int64

func (s sizes) Provider() string { return "local" }

func (s sizes) Stat(_ context.Context, f uploads.File) (int64, error) {
	size, ok := s[f.Name()]
	if !ok {
		return 0, fmt.Errorf("file %s: %w", f.Name(), fs.ErrNotExist)
	}
	return size, nil
}

func (s sizes) Open(ctx context.Context, f uploads.File) (io.ReadCloser, int64, error) {
	size, err := s.Stat(ctx, f)
	return io.NopCloser(bytes.NewReader(make([]byte, size))), size, err
}

func (s sizes) Recover(context.Context, func(context.Context, string) (bool, error)) ([]string, error) {
	return nil, nil
}

func (s sizes) Begin(context.Context, uploads.BeginOptions) (uploads.Change, error) {
	return nil, fmt.Errorf("%w: these files are only read", transfer.ErrUnwritable)
}

// asset is what a stock Strapi says of a file.
type asset struct {
	Metadata json.RawMessage
	Filename string
	Stats    struct{ Size int64 }
}

func goldenAssets(t *testing.T, kind database.Kind) (all []asset, store sizes) {
	t.Helper()
	store = make(sizes)
	for _, line := range sitetest.LabGolden(t, kind, transfer.StageAssets) {
		var a asset
		require.NoError(t, json.Unmarshal([]byte(line), &a))
		all = append(all, a)
		store[a.Filename] = a.Stats.Size
	}
	return all, store
}

func openLab(t *testing.T, config database.Config, store uploads.Store) *strapi.Source {
	t.Helper()
	config.Zone = time.UTC
	return openSite(t, strapi.Options{Database: config, Components: sitetest.LabComponents(t), Uploads: store, Version: "5.54.0"})
}

func openSite(t *testing.T, opts strapi.Options) *strapi.Source {
	t.Helper()
	site, err := strapi.Open(t.Context(), opts)
	require.NoError(t, err)
	src, err := site.Source(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, src.Close())
		require.NoError(t, site.Close())
	})
	return src
}

// readAll reads a stage and checks that each record is what its text says.
func readAll(t *testing.T, src transfer.Source, stage transfer.Stage) []transfer.Record {
	t.Helper()
	var records []transfer.Record
	for item, err := range src.Read(t.Context(), stage, 0) {
		require.NoError(t, err)
		records = append(records, item.Record)
		require.EqualValues(t, len(records), item.Cursor)
		if stage != transfer.StageAssets {
			parsed, err := transfer.ParseRecord(stage, item.Record.AppendJSON(nil))
			require.NoError(t, err)
			require.Equal(t, parsed.Key(), item.Record.Key())
			require.Equal(t, parsed.Group(), item.Record.Group())
			if e, ok := item.Record.(transfer.Entity); ok {
				require.IsType(t, e, parsed)
				require.JSONEq(t, string(parsed.(transfer.Entity).Data), string(e.Data))
			}
		}
	}
	return records
}

// decoded are JSON texts by a key, each decoded, with numbers as text.
func decoded(t *testing.T, texts []string, key func(map[string]any) string) map[string]any {
	t.Helper()
	out := make(map[string]any)
	for _, text := range texts {
		v := decode(t, text)
		k := key(v)
		for n := 2; out[k] != nil; n++ {
			k = fmt.Sprintf("%s (%d)", key(v), n)
		}
		out[k] = v
	}
	return out
}

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v map[string]any
	require.NoError(t, dec.Decode(&v), text)
	return v
}

func texts(records []transfer.Record) []string {
	out := make([]string, len(records))
	for i, r := range records {
		out[i] = string(r.AppendJSON(nil))
	}
	return out
}

func entityKey(v map[string]any) string { return fmt.Sprint(v["type"], " ", v["id"]) }

func linkKey(v map[string]any) string {
	text, _ := json.Marshal(v) // the keys are sorted
	return string(text)
}

func settingKey(v map[string]any) string {
	inner, _ := v["value"].(map[string]any)
	return fmt.Sprint(v["type"], " ", cmp.Or(inner["key"], inner["name"]))
}

func requireSame(t *testing.T, want, got map[string]any) {
	t.Helper()
	for k, w := range want {
		require.Equal(t, w, got[k], "%s", k)
	}
	for k := range got {
		require.Contains(t, want, k)
	}
}

// rounded rounds 64-bit integers, which travel as text, to what Strapi makes of them on SQLite, where it reads them as floats.
func rounded(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = rounded(v[k])
		}
	case []any:
		for i := range v {
			v[i] = rounded(v[i])
		}
	case string:
		if f, err := strconv.ParseFloat(v, 64); err == nil && len(v) > 15 && !strings.ContainsAny(v, ".eE") {
			return strconv.FormatFloat(f, 'f', 0, 64)
		}
	}
	return v
}

func roundedAll(all map[string]any) map[string]any {
	for k := range all {
		all[k] = rounded(all[k])
	}
	return all
}

func TestSourceReadsWhatStrapiReads(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		sitetest.Lab(t, config)
		wantAssets, store := goldenAssets(t, config.Kind)
		src := openLab(t, config, store)
		golden := func(stage transfer.Stage) []string { return sitetest.LabGolden(t, config.Kind, stage) }

		schemas := readAll(t, src, transfer.StageSchemas)
		require.Len(t, schemas, len(sitetest.LabSchemas(t)))
		for _, s := range schemas {
			require.JSONEq(t, string(sitetest.LabSchemas(t)[s.Key()].AppendJSON(nil)), string(s.AppendJSON(nil)))
		}
		entities := readAll(t, src, transfer.StageEntities)
		want, got := decoded(t, golden(transfer.StageEntities), entityKey), decoded(t, texts(entities), entityKey)
		if config.Kind == database.SQLite {
			want, got = roundedAll(want), roundedAll(got)
		}
		requireSame(t, want, got)
		links := readAll(t, src, transfer.StageLinks)
		requireSame(t, decoded(t, golden(transfer.StageLinks), linkKey), decoded(t, texts(links), linkKey))
		settings := readAll(t, src, transfer.StageConfiguration)
		want, got = decoded(t, golden(transfer.StageConfiguration), settingKey), decoded(t, texts(settings), settingKey)
		delete(want, "core-store plugin_upload_metrics") // a time of day that Strapi draws anew at each boot
		delete(got, "core-store plugin_upload_metrics")
		requireSame(t, want, got)

		assets := readAll(t, src, transfer.StageAssets)
		require.Len(t, assets, len(wantAssets))
		slices.SortFunc(wantAssets, func(a, b asset) int { return strings.Compare(a.Filename, b.Filename) })
		slices.SortFunc(assets, func(a, b transfer.Record) int { return strings.Compare(a.Key(), b.Key()) })
		for i, r := range assets {
			a, ok := r.(transfer.Asset)
			require.True(t, ok)
			require.Equal(t, wantAssets[i].Filename, a.Filename)
			require.Equal(t, wantAssets[i].Stats.Size, a.Length)
			require.JSONEq(t, string(wantAssets[i].Metadata), string(a.Metadata))
		}
		require.Empty(t, src.Skipped())
		require.Empty(t, src.Notes())

		for stage, n := range map[transfer.Stage]int{
			transfer.StageSchemas: len(schemas), transfer.StageEntities: len(entities), transfer.StageLinks: len(links),
			transfer.StageConfiguration: len(settings), transfer.StageAssets: len(assets),
		} {
			count, err := src.Count(t.Context(), stage)
			require.NoError(t, err)
			require.EqualValues(t, n, count.Records, stage)
		}
	})
}

func TestSourceRoundsNothing(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		sitetest.Lab(t, config)
		sitetest.Exec(t, config, "UPDATE kitchen_sinks SET a_bigint = 9007199254740993; UPDATE components_lab_leaves SET big = -9223372036854775808")
		src := openLab(t, config, sizes{})
		sinks, leaves := 0, 0
		for _, r := range readAll(t, src, transfer.StageEntities) {
			if r.Group() != "api::kitchen-sink.kitchen-sink" {
				continue
			}
			sinks++
			data, _ := decode(t, string(r.AppendJSON(nil)))["data"].(map[string]any)
			require.Equal(t, "9007199254740993", data["aBigint"])
			if simple, ok := data["simple"].(map[string]any); ok {
				leaves++
				require.Equal(t, "-9223372036854775808", simple["big"])
			}
		}
		require.Positive(t, sinks)
		require.Positive(t, leaves)
	})
}

func TestSourceLeavesOutWhatStrapiLeavesOut(t *testing.T) {
	t.Parallel()
	config := databasetest.New(t, database.SQLite)
	sitetest.Lab(t, config)
	sitetest.LabOrphans(t, config)
	src := openLab(t, config, sizes{})

	entities, warnings := sitetest.LabOrphansGolden(t, transfer.StageEntities)
	requireSame(t, roundedAll(decoded(t, entities, entityKey)), roundedAll(decoded(t, texts(readAll(t, src, transfer.StageEntities)), entityKey)))
	links, _ := sitetest.LabOrphansGolden(t, transfer.StageLinks)
	requireSame(t, decoded(t, links, linkKey), decoded(t, texts(readAll(t, src, transfer.StageLinks)), linkKey))

	var want, got []string
	var total int64
	for _, w := range warnings {
		if link, ok := strings.CutPrefix(w, "Omitting link "); ok {
			link, _, _ = strings.Cut(link, " from export")
			want = append(want, link)
		}
		_, _ = fmt.Sscanf(w, "Links export omitted %d relation", &total)
	}
	require.Len(t, want, 10, "Strapi names ten")
	require.EqualValues(t, 11, total)
	for _, skip := range src.Skipped() {
		require.Equal(t, transfer.StageLinks, skip.Stage)
		got, total = append(got, skip.Examples...), total-skip.Count
	}
	require.Subset(t, got, want)
	require.Zero(t, total)
}

func TestSourceNamesFilesThatAreGone(t *testing.T) {
	t.Parallel()
	config := databasetest.New(t, database.SQLite)
	sitetest.Lab(t, config)
	all, store := goldenAssets(t, config.Kind)
	for _, a := range all {
		if strings.HasPrefix(a.Filename, "thumbnail_coffee") || strings.HasPrefix(a.Filename, "favicon") {
			delete(store, a.Filename)
		}
	}
	src := openLab(t, config, store)
	var names []string
	for _, r := range readAll(t, src, transfer.StageAssets) {
		names = append(names, r.Key())
	}
	require.Len(t, names, 5)
	var gone []string
	for _, s := range src.Skipped() {
		require.Equal(t, transfer.StageAssets, s.Stage)
		gone = append(gone, s.Examples...)
	}
	require.Len(t, gone, len(all)-5)
	for _, a := range all {
		require.Contains(t, append(gone, names...), a.Filename)
	}
	require.Len(t, readAll(t, src, transfer.StageAssets), 5)
	require.Len(t, src.Skipped(), len(src.Skipped()), "a second read is not counted twice")

	unknown := openLab(t, config, nil)
	require.Empty(t, readAll(t, unknown, transfer.StageAssets))
	require.Contains(t, unknown.Notes()[0].Message, "--uploads")
	require.Empty(t, unknown.Notes())
}
