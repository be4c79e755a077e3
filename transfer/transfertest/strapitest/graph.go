//go:build unix

package strapitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Section is one part of a [Graph].
type Section string

// The sections: database rows with their components and relations by type, documentId, locale and status; uploaded files by
// path, as SHA-256; core-store values and webhooks by name; and what belongs to nothing, counted by table.
const (
	Rows   Section = "rows"
	Files  Section = "files"
	Config Section = "config"
	Strays Section = "strays"
)

// Graph is the content of an instance, in a form that two instances with the same content share.
type Graph map[Section]map[string]any

// Graph reads the content of the instance from its database and its upload folder, running or not.
func (i *Instance) Graph(tb testing.TB) Graph {
	tb.Helper()
	var g Graph
	if err := json.Unmarshal([]byte(i.script(tb, "graph.js")), &g); err != nil {
		tb.Fatalf("read the content of an instance: %v", err)
	}
	return g
}

// Only returns the graph with nothing but some sections.
func (g Graph) Only(sections ...Section) Graph {
	return g.Filter(func(s Section, _ string) bool { return slices.Contains(sections, s) })
}

// Filter returns the graph with those entries that keep accepts.
func (g Graph) Filter(keep func(section Section, key string) bool) Graph {
	out := make(Graph, len(g))
	for section, entries := range g {
		kept := make(map[string]any, len(entries))
		for key, value := range entries {
			if keep(section, key) {
				kept[key] = value
			}
		}
		out[section] = kept
	}
	return out
}

// maxDifferences bounds what Diff tells: after so many lines nobody reads on.
const maxDifferences = 40

// Diff returns what differs between two graphs, a line for each place, or "".
func Diff(want, got Graph) string {
	var lines []string
	for _, section := range sortedKeys(want, got) {
		for _, key := range sortedKeys(want[section], got[section]) {
			before, had := want[section][key]
			after, has := got[section][key]
			at := fmt.Sprintf("%s: %s", section, key)
			switch {
			case !has:
				lines = append(lines, at+": is missing")
			case !had:
				lines = append(lines, at+": is not expected")
			default:
				lines = appendDifferences(lines, at, before, after)
			}
		}
	}
	if len(lines) > maxDifferences {
		lines = append(lines[:maxDifferences], fmt.Sprintf("… and %d more", len(lines)-maxDifferences))
	}
	return strings.Join(lines, "\n")
}

func appendDifferences(lines []string, at string, want, got any) []string {
	if reflect.DeepEqual(want, got) {
		return lines
	}
	switch want := want.(type) {
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			for _, name := range sortedKeys(want, got) {
				lines = appendDifferences(lines, at+": "+name, want[name], got[name])
			}
			return lines
		}
	case []any:
		if got, ok := got.([]any); ok && len(got) == len(want) {
			for n := range want {
				lines = appendDifferences(lines, fmt.Sprintf("%s[%d]", at, n), want[n], got[n])
			}
			return lines
		}
	}
	return append(lines, fmt.Sprintf("%s: %s, want %s", at, text(got), text(want)))
}

func text(value any) string {
	const longest = 300
	encoded, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	if len(encoded) > longest {
		return strings.ToValidUTF8(string(encoded[:longest]), "") + "…"
	}
	return string(encoded)
}

func sortedKeys[K ~string, V any](both ...map[K]V) []K {
	seen := make(map[K]bool)
	for _, m := range both {
		for key := range m {
			seen[key] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
