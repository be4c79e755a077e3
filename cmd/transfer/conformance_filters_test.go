//go:build unix

package main_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// mediaRow reports whether a row is part of the media library.
func mediaRow(key string) bool {
	return strings.HasPrefix(key, "plugin::upload.file ") || strings.HasPrefix(key, "plugin::upload.folder ")
}

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
		"--only files":                      {flags: []string{"--only", "files"}, replaced: []strapitest.Section{files}},
		"--only config":                     {flags: []string{"--only", "config"}, replaced: []strapitest.Section{config}},
		"--only content,files":              {flags: []string{"--only", "content,files"}, replaced: []strapitest.Section{rows, files}},
		"--only content,config":             {flags: []string{"--only", "content,config"}, replaced: []strapitest.Section{rows, config}},
		"--exclude content":                 {flags: []string{"--exclude", "content"}, replaced: []strapitest.Section{files, config}},
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
					if contains(test.replaced, section) {
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

func contains(sections []strapitest.Section, section strapitest.Section) bool {
	for _, s := range sections {
		if s == section {
			return true
		}
	}
	return false
}
