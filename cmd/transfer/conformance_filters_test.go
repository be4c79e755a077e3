//go:build unix

package main_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// Each filter replaces what it names and keeps everything else, as Strapi documents its own.
func TestConformanceFilters(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	source := startSite(t, strapitest.Options{Seed: true})
	want := source.Graph(t)
	archive := filepath.Join(t.TempDir(), "site.tar")
	must(t, []string{"pull", "--to", archive, "--json"}, source.from())
	destination := startSite(t, strapitest.Options{Seed: true})

	const rows, files, config = strapitest.Rows, strapitest.Files, strapitest.Config
	tests := map[string]struct {
		flags    []string
		replaced []strapitest.Section
	}{
		"nothing is left out":               {replaced: []strapitest.Section{rows, files, config}},
		"--only content":                    {flags: []string{"--only", "content"}, replaced: []strapitest.Section{rows}},
		"--only config":                     {flags: []string{"--only", "config"}, replaced: []strapitest.Section{config}},
		"--only content,files":              {flags: []string{"--only", "content,files"}, replaced: []strapitest.Section{rows, files}},
		"--only content,config":             {flags: []string{"--only", "content,config"}, replaced: []strapitest.Section{rows, config}},
		"--exclude files":                   {flags: []string{"--exclude", "files"}, replaced: []strapitest.Section{rows, config}},
		"--exclude config":                  {flags: []string{"--exclude", "config"}, replaced: []strapitest.Section{rows, files}},
		"--exclude content --exclude files": {flags: []string{"--exclude", "content", "--exclude", "files"}, replaced: []strapitest.Section{config}},
	}
	for name, test := range tests {
		for from, source := range map[string][]string{"an archive": {"--from", archive}, "a server": source.from()} {
			t.Run(name+" from "+from, func(t *testing.T) {
				destination.Alter(t)
				before := destination.Graph(t)
				must(t, []string{"push", "--yes", "--json"}, source, destination.to(), test.flags)
				after := destination.Graph(t)
				for _, section := range []strapitest.Section{rows, files, config} {
					expected := before
					if slices.Contains(test.replaced, section) {
						expected = want
					}
					require.NotEmpty(t, strapitest.Diff(want.Only(section), before.Only(section)), "the test would not notice")
					require.Empty(t, strapitest.Diff(expected.Only(section), after.Only(section)), section)
				}
				require.Empty(t, after[strapitest.Strays])
			})
		}
	}
}

// A stock server takes files only together with their rows, and finds that out when its own are gone. We refuse before.
func TestConformanceFilesAloneAreRefused(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	archive, _, old := archiveAndAltered(t)
	old.Start(t)
	before := old.Graph(t)
	for _, filter := range [][]string{{"--only", "files"}, {"--only", "files,config"}, {"--exclude", "content"}} {
		o := command{args: args([]string{"push", "--from", archive, "--yes", "--json"}, old.to(), filter)}.run(t)
		require.Equal(t, 2, o.code, o.stderr)
		require.Equal(t, transfer.StateUntouched, o.summary(t).DestinationState)
		requireSame(t, before, old.Graph(t))
		require.Empty(t, old.Backups(t))
	}
}

// Filters by content type do what the stock import does with the same flags, links between the types included.
func TestConformanceContentTypeFilters(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	archive, seeded, old := archiveAndAltered(t)
	tests := map[string][]string{
		"without the media library": {"--exclude", "media-library"},
		"one type alone":            {"--only-content-types", "api::bed.bed"},
		"types that are linked":     {"--only-content-types", "api::gardener.gardener,api::bed.bed,api::note.note"},
		"all but one type":          {"--exclude-content-types", "api::note.note"},
		"all but types and files":   {"--exclude-content-types", "api::garden.garden,plugin::users-permissions.user", "--exclude", "files"},
	}
	for name, flags := range tests {
		t.Run(name, func(t *testing.T) {
			reference := &site{Instance: old.Clone(t)}
			stockImport(t, reference, archive, flags...)
			want := reference.Graph(t)
			require.NotEmpty(t, strapitest.Diff(seeded, want), "the test would not notice")

			destination := &site{Instance: old.Clone(t), token: old.token}
			destination.Start(t)
			must(t, []string{"push", "--from", archive, "--yes", "--json"}, destination.to(), flags)
			requireSame(t, want, destination.Graph(t))
		})
	}
}

// Where a type refers to itself out of its components, the stock tools lose the links. We keep them.
func TestConformanceContentTypeWithComponents(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	const plant = "api::plant.plant"
	archive, seeded, old := archiveAndAltered(t)
	before := old.Graph(t)
	old.Start(t)
	must(t, []string{"push", "--from", archive, "--yes", "--json", "--only-content-types", plant}, old.to())
	after := old.Graph(t)

	plants := func(_ strapitest.Section, key string) bool { return strings.HasPrefix(key, plant+" ") }
	want := seeded.Filter(plants)
	for key, row := range want[strapitest.Rows] {
		want[strapitest.Rows][key] = withinType(plant, row)
	}
	got := after.Filter(plants)
	for key, row := range got[strapitest.Rows] {
		got[strapitest.Rows][key] = withinType(plant, row)
	}
	require.Contains(t, fmt.Sprint(want), "to plant:", "the test would not notice")
	requireSame(t, want, got)
	requireSame(t, before.Only(strapitest.Files), after.Only(strapitest.Files))
	requireSame(t, seeded.Only(strapitest.Config), after.Only(strapitest.Config))
}

// withinType returns a row without the relations that lead to or come from another content type.
func withinType(uid string, value any) any {
	switch value := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(value))
		for name, member := range value {
			list, relation := member.([]any)
			relation = relation && (strings.HasPrefix(name, "to ") || strings.HasPrefix(name, "from "))
			if !relation {
				out[name] = withinType(uid, member)
				continue
			}
			list = slices.DeleteFunc(slices.Clone(list), func(end any) bool { return !strings.HasPrefix(fmt.Sprint(end), uid+" ") })
			if len(list) > 0 {
				out[name] = list
			}
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, member := range value {
			out[i] = withinType(uid, member)
		}
		return out
	}
	return value
}
