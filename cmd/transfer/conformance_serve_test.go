//go:build unix

package main_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// stockTransfer runs the stock "strapi transfer" in a project, and says what it exited with.
func stockTransfer(t *testing.T, project *site, flags ...string) strapitest.Result {
	t.Helper()
	result := project.CLI(t, args([]string{"transfer", "--force"}, flags)...)
	require.NotEqual(t, -1, result.ExitCode, "%v\n%s%s", result.Err, result.Stdout, result.Stderr)
	return result
}

func mustStockTransfer(t *testing.T, project *site, flags ...string) strapitest.Result {
	t.Helper()
	result := stockTransfer(t, project, flags...)
	require.NoError(t, result.Err, result.Stdout+result.Stderr)
	return result
}

// The stock client stores a project in our server, and restores it from there into another one. Both then hold the same content.
func TestConformanceStockClientOfOurServer(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := newSite(t, strapitest.Options{Seed: true})
	want := source.Graph(t)
	blank := newSite(t, strapitest.Options{})
	require.NotEmpty(t, strapitest.Diff(want, blank.Graph(t)), "the test would not notice")
	server := startOurs(t, filepath.Join(t.TempDir(), "data"), "--site", "shop=vault:shop")

	for name, test := range map[string]struct {
		site  string
		flags []string
	}{
		"as it is":                              {},
		"slowed down, without checksums, named": {"shop", []string{"--no-checksums", "--throttle", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			pushed := mustStockTransfer(t, source, args([]string{"--to", server.url(test.site), "--to-token", server.token}, test.flags)...)
			require.Contains(t, pushed.Stdout, "Transfer process has been completed successfully!")
			destination := &site{Instance: blank.Clone(t)}
			mustStockTransfer(t, destination, args([]string{"--from", server.url(test.site), "--from-token", server.token}, test.flags)...)
			requireSame(t, want, destination.Graph(t))
		})
	}
	requireSame(t, want, source.Graph(t))

	t.Run("our client restores what the stock client stored", func(t *testing.T) {
		destination := &site{Instance: blank.Clone(t), token: blank.token}
		destination.Start(t)
		must(t, []string{"pull", "--from", server.url(""), "--from-token", server.token, "--yes", "--json"}, destination.to())
		requireSame(t, want, destination.Graph(t))
	})
	require.Zero(t, server.stop(), server.stderr.String())
}

// What the stock client is told to leave out stays as it was, in our server and in the project.
func TestConformanceStockClientFiltersAtOurServer(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	const rows, files, config = strapitest.Rows, strapitest.Files, strapitest.Config
	seeded := newSite(t, strapitest.Options{Seed: true})
	want := seeded.Graph(t)
	altered := newSite(t, strapitest.Options{Seed: true})
	altered.Alter(t)
	old := altered.Graph(t)
	// A file that no row of the media library knows is not sent.
	sent := old.Filter(func(section strapitest.Section, key string) bool {
		return section != files || !strings.HasPrefix(key, "only_here")
	})
	blank := newSite(t, strapitest.Options{})
	data := filepath.Join(t.TempDir(), "data")
	server := startOurs(t, data, "--site", "seeded=vault:seeded", "--site", "content=vault:content", "--site", "config=vault:config", "--site", "rest=vault:rest")
	to := func(name string) []string { return []string{"--to", server.url(name), "--to-token", server.token} }
	from := func(name string) []string { return []string{"--from", server.url(name), "--from-token", server.token} }
	mustStockTransfer(t, seeded, to("seeded")...)
	mustStockTransfer(t, altered, to("")...)
	requireSections := func(t *testing.T, before, got strapitest.Graph, replaced []strapitest.Section) {
		t.Helper()
		for _, section := range []strapitest.Section{rows, files, config} {
			expected := before
			if slices.Contains(replaced, section) {
				expected = want
			}
			require.NotEmpty(t, strapitest.Diff(want.Only(section), old.Only(section)), "the test would not notice")
			require.Empty(t, strapitest.Diff(expected.Only(section), got.Only(section)), section)
		}
		require.Empty(t, got[strapitest.Strays])
	}

	for name, test := range map[string]struct {
		site     string
		flags    []string
		replaced []strapitest.Section
	}{
		"--only content":          {"content", []string{"--only", "content"}, []strapitest.Section{rows}},
		"--exclude content,files": {"config", []string{"--exclude", "content,files"}, []strapitest.Section{config}},
		"--exclude config":        {"rest", []string{"--exclude", "config"}, []strapitest.Section{rows, files}},
	} {
		t.Run("push "+name, func(t *testing.T) {
			must(t, []string{"push", "--from", "vault:default", "--to", "vault:" + test.site, "--data", data, "--yes", "--json"})
			mustStockTransfer(t, seeded, args(to(test.site), test.flags)...)
			destination := &site{Instance: blank.Clone(t)}
			mustStockTransfer(t, destination, from(test.site)...)
			requireSections(t, sent, destination.Graph(t), test.replaced)
		})
		t.Run("pull "+name, func(t *testing.T) {
			destination := &site{Instance: altered.Clone(t)}
			mustStockTransfer(t, destination, args(from("seeded"), test.flags)...)
			requireSections(t, old, destination.Graph(t), test.replaced)
		})
	}

	t.Run("content types of a site whose schemas are not known", func(t *testing.T) {
		refused := stockTransfer(t, altered, args(to("seeded"), []string{"--only-content-types", "api::bed.bed"})...)
		require.Equal(t, 1, refused.ExitCode)
		require.Contains(t, refused.Stdout+refused.Stderr, "Push the whole site")
		destination := &site{Instance: blank.Clone(t)}
		mustStockTransfer(t, destination, from("seeded")...)
		requireSame(t, want, destination.Graph(t))
	})
	t.Run("content types of a site whose schemas our client has sent", func(t *testing.T) {
		archive := filepath.Join(t.TempDir(), "seeded.tar")
		seeded.Start(t)
		must(t, []string{"pull", "--to", archive, "--json"}, seeded.from())
		seeded.Stop(t)
		must(t, []string{"push", "--from", archive, "--json"}, to("seeded"))
		mustStockTransfer(t, altered, args(to("seeded"), []string{"--only-content-types", "api::bed.bed"})...)
		destination := &site{Instance: blank.Clone(t)}
		mustStockTransfer(t, destination, from("seeded")...)
		got := destination.Graph(t)
		beds := func(g strapitest.Graph, others bool) strapitest.Graph {
			return g.Only(rows).Filter(func(_ strapitest.Section, key string) bool { return strings.HasPrefix(key, "api::bed.bed ") != others })
		}
		require.Len(t, beds(got, false)[rows], len(beds(old, false)[rows]))
		for key, row := range beds(got, false)[rows] {
			require.Equal(t, withinType("api::bed.bed", old[rows][key]), withinType("api::bed.bed", row), key)
		}
		kept := beds(want, true)
		for key, row := range kept[rows] {
			for gone := range beds(want, false)[rows] {
				if _, came := old[rows][gone]; !came {
					row = withoutEnd(gone, row)
				}
			}
			kept[rows][key] = row
		}
		require.Contains(t, fmt.Sprint(kept), "api::bed.bed ", "the test would not notice: nothing that is kept is linked with what is replaced")
		requireSame(t, kept, beds(got, true))
		requireSame(t, want.Only(files), got.Only(files))
	})
	require.Zero(t, server.stop(), server.stderr.String())
}

// withoutEnd returns a row without its relations with another one.
func withoutEnd(identity string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(value))
		for name, member := range value {
			if list, ok := member.([]any); ok && (strings.HasPrefix(name, "to ") || strings.HasPrefix(name, "from ")) {
				list = slices.DeleteFunc(slices.Clone(list), func(end any) bool { return strings.HasPrefix(fmt.Sprint(end), identity) })
				if len(list) == 0 {
					continue
				}
				out[name] = list
				continue
			}
			out[name] = withoutEnd(identity, member)
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, member := range value {
			out[i] = withoutEnd(identity, member)
		}
		return out
	}
	return value
}
