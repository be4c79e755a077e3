package main

import (
	"fmt"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/transfer"
)

// planWarnings are what to know before the destination is written.
func (m *move) planWarnings(review transfer.Review) (out []string) {
	stages := review.Plan.Stages
	if m.opts.Strategy == strategyMerge {
		out = append(out, m.mergeWarning())
	}
	if !review.Destination.Blank && m.to.Remote() {
		out = append(out, m.serverWarnings(stages)...)
	}
	if isSite(m.to.Endpoint) {
		out = append(out, m.siteWarnings(stages)...)
	}
	if n := len(review.Differences); n > 0 {
		out = append(out, fmt.Sprintf("the schemas differ in %s; what the destination has no place for is left out:", plural(int64(n), "place", "places")))
		for _, d := range review.Differences[:min(n, 10)] {
			out = append(out, "  "+d.String())
		}
		if n > 10 {
			out = append(out, fmt.Sprintf("  and %d more", n-10))
		}
	}
	for _, skip := range review.Orphans {
		out = append(out, fmt.Sprintf("%s will be skipped: %s %s", plural(skip.Count, "record", "records"), skip.Stage, skip.Reason))
	}
	return out
}

// mergeWarning says how content meets what is there.
func (m *move) mergeWarning() string {
	rest := map[strapi.Conflict]string{
		strapi.ConflictSource:      "where both have a row, or a setting, and they differ, the source's is written",
		strapi.ConflictDestination: "where both have a row, or a setting, and they differ, the destination's stays",
		strapi.ConflictNewer:       "where both have a row and they differ, the one that was changed last is kept",
		strapi.ConflictFail:        "if both have a row, or a setting, and they differ, nothing is changed at all",
	}
	conflict, err := strapi.ParseConflict(m.opts.Conflict)
	if err != nil { // which was refused before
		conflict = strapi.ConflictSource
	}
	return "content is merged: what only the destination has stays; " + rest[conflict]
}

// serverWarnings are what to know before a server is written.
func (m *move) serverWarnings(stages []transfer.Stage) (out []string) {
	switch configured := hasStage(stages, transfer.StageConfiguration); {
	case m.opts.Strategy != strategyMerge:
		out = m.replaceWarnings(stages)
	case configured:
		out = []string{mergedSettings}
	}
	out = append(out, "lifecycle hooks and webhooks do not fire for what is transferred")
	if m.opts.Backup == "" && !m.opts.DryRun {
		out = append(out, "there is no way back without a backup: --backup FILE saves the destination first")
	}
	return out
}

// mergedSettings is what to know of settings that are merged.
const mergedSettings = "settings and webhooks that only the source has are added: the destination will call its webhooks. Leave them out with --exclude config"

// replaceWarnings are what to know before a server's content is replaced.
func (m *move) replaceWarnings(stages []transfer.Stage) (out []string) {
	if hasStage(stages, transfer.StageAssets) {
		out = append(out, "uploaded files of the destination are deleted at the start. A Strapi server does not bring them back if the "+
			"transfer fails, and in cloud storage shared with another site they are gone there too. Keep a --backup, or use --exclude files")
	}
	if hasStage(stages, transfer.StageConfiguration) {
		out = append(out, "settings and webhooks are replaced by those of the source: the destination will call the source's webhooks. "+
			"Keep its own with --exclude config")
	}
	if hasStage(stages, transfer.StageEntities) && !hasStage(stages, transfer.StageAssets) && m.engine.Filter.HasType("plugin::upload.file") {
		out = append(out, "rows of the media library are replaced and its files are not: entries may point to files that are not there")
	}
	return out
}

// siteWarnings are what to know before a project's own database is written.
func (m *move) siteWarnings(stages []transfer.Stage) (out []string) {
	switch configured := hasStage(stages, transfer.StageConfiguration); {
	case configured && m.opts.Strategy == strategyMerge:
		out = append(out, mergedSettings)
	case configured:
		out = append(out, "settings and webhooks become those of the source: the destination will call the source's webhooks. Keep its own with --exclude config")
	}
	return append(out, "a Strapi that runs on this database must be restarted afterwards: it keeps settings and permissions in memory. "+
		"Lifecycle hooks and webhooks do not fire for what is transferred")
}
