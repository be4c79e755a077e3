//go:build unix

package main_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// growOn lets Strapi add a file, a plant with components and relations to old and new rows, and a note about it, and change a plant that
// was there before. The first argument names what is new, the second is the slug of the other.
const growOn = `
const { mkdtempSync, rmSync, writeFileSync } = require('fs');
const { tmpdir } = require('os');
const { join } = require('path');
const PLANT = 'api::plant.plant';
require('./boot')(async (strapi) => {
  const [name, slug] = process.argv.slice(2);
  const folder = mkdtempSync(join(tmpdir(), 'strapitest-'));
  const filepath = join(folder, 'upload');
  writeFileSync(filepath, 'the file of ' + name);
  const upload = { filepath, originalFilename: name + '.txt', mimetype: 'text/plain', size: 12 + name.length };
  const [file] = await strapi.plugin('upload').service('upload').upload({ data: { fileInfo: { name: name + '.txt' } }, files: upload });
  rmSync(folder, { recursive: true });
  const plants = strapi.documents(PLANT);
  const bed = (await strapi.documents('api::bed.bed').findMany({ sort: 'title', limit: 1 }))[0].documentId;
  const old = (await plants.findMany({ locale: 'en', sort: 'slug', limit: 2 })).map((plant) => plant.documentId);
  const data = {
    commonName: 'plant of ' + name, slug: 'plant-of-' + name, portrait: file.id, gallery: [file.id], bed, origin: bed, companions: old,
    label: { text: name, icon: file.id, links: [{ caption: name, beds: [bed] }] }, treatments: [{ name, dose: 1.5, evidence: [file.id] }],
    page: [{ __component: 'blocks.quotation', text: name }, { __component: 'blocks.picture-row', pictures: [file.id] }],
  };
  const made = await plants.create({ locale: 'en', status: 'published', data });
  const note = await strapi.documents('api::note.note').create({ data: { body: name, attachment: [file.id] } });
  const subject = await strapi.db.query(PLANT).findOne({ where: { documentId: made.documentId, publishedAt: null } });
  await strapi.db.query('api::note.note').update({ where: { id: note.id }, data: { subject: { id: subject.id, __type: PLANT } } });
  const [changed] = await plants.findMany({ locale: 'en', filters: { slug } });
  await plants.update({ documentId: changed.documentId, locale: 'en', status: 'published', data: { summary: 'changed by ' + name, label: { text: name } } });
  // Strapi still writes of its own accord, and cannot be closed meanwhile.
  const { pool } = strapi.db.connection.client;
  while (pool.numUsed() + pool.numPendingAcquires() + pool.numPendingCreates() > 0) await new Promise((resolve) => setTimeout(resolve, 10));
});
`

// A project is merged into another one that our server fronts, on every database: both have been changed by their Strapi since they held
// the same. Strapi boots on the union of both and goes on. What was changed last is what stays.
func TestConformanceMerge(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	eachDatabase(t, func(t *testing.T, kind strapitest.Database) {
		here := newSite(t, strapitest.Options{Seed: true, Database: kind})
		there := newSite(t, strapitest.Options{Database: kind})
		must(t, []string{"push", "--from", here.Path(), "--to", there.Path(), "--yes"})
		here.Script(t, growOn, "here", "plant-9")
		there.Script(t, growOn, "there", "plant-5")
		want := union(here.Graph(t), there.Graph(t))

		served := serveProject(t, there)
		merge := []string{"push", "--from", here.Path(), "--to", served.URL(), "--to-token", served.token, "--strategy", "merge", "--conflict", "newer", "--yes", "--json"}
		push := func() *transfer.Report {
			o := command{args: merge}.run(t)
			require.Zero(t, o.code, "%s%s", o.stdout, o.stderr)
			return o.summary(t).Report
		}
		report := push()
		require.Positive(t, stageOf(report, transfer.StageAssets).Bytes)
		requireSame(t, want, levelled(there.Graph(t)))

		report = push()
		require.True(t, slices.ContainsFunc(report.Notes, func(n transfer.Note) bool {
			return strings.Contains(n.Message, "merged: 2 rows kept that differ at the source")
		}), "%v", report.Notes)
		require.Zero(t, stageOf(report, transfer.StageAssets).Bytes, "no file is moved again")
		require.Empty(t, there.Backups(t))

		there.Start(t)
		archive := filepath.Join(t.TempDir(), "union.tar.gz")
		must(t, []string{"pull", "--to", archive}, (&site{Instance: there.Instance, token: there.token}).from())
		requireSame(t, want, levelled(there.Graph(t)))
		there.Stop(t)
		third := newSite(t, strapitest.Options{Database: kind})
		must(t, []string{"push", "--from", archive, "--to", third.Path(), "--yes"})
		requireSame(t, want, levelled(third.Graph(t)))
		there.Script(t, growOn, "afterwards", "plant-of-here")
		require.Len(t, there.Graph(t)[strapitest.Files], len(want[strapitest.Files])+1)
	})
}

func stageOf(report *transfer.Report, stage transfer.Stage) transfer.StageReport {
	for _, r := range report.Stages {
		if r.Stage == stage {
			return r
		}
	}
	return transfer.StageReport{}
}

// union is what two sites hold together. Of a row that both have in different forms it takes the one that was changed last.
func union(here, there strapitest.Graph) strapitest.Graph {
	here, there = levelled(here), levelled(there)
	out := here.Filter(func(strapitest.Section, string) bool { return true })
	for section, entries := range there {
		for key, theirs := range entries {
			ours, both := out[section][key]
			if !both || section != strapitest.Rows {
				out[section][key] = theirs
				continue
			}
			a, b := ours.(map[string]any), theirs.(map[string]any)
			if updated(b) > updated(a) {
				a, b = b, a
			}
			out[section][key] = withSeen(a, b)
		}
	}
	return out
}

// updated is when a row was changed.
func updated(row map[string]any) float64 {
	at, _ := row["updated_at"].(float64)
	return at
}

// seen reports whether a list tells who points at a row: what others say, in the order in which they came to say it. Files are among
// the row's own.
func seen(list string) bool {
	return strings.HasPrefix(list, "from ") && !strings.HasPrefix(list, "from plugin::upload.file")
}

// withSeen adds to a row those who point at it in another graph only.
func withSeen(row, other map[string]any) map[string]any {
	row = maps.Clone(row)
	for name, list := range other {
		if !seen(name) {
			continue
		}
		mine, _ := row[name].([]any)
		for _, one := range list.([]any) {
			if !slices.Contains(mine, one) {
				mine = append(slices.Clip(mine), one)
			}
		}
		row[name] = ordered(mine)
	}
	return row
}

func ordered(list []any) []any {
	return slices.SortedFunc(slices.Values(list), func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
}

// levelled orders who points at a row: two sites have each given the next place in the list to another one.
func levelled(g strapitest.Graph) strapitest.Graph {
	out := g.Filter(func(strapitest.Section, string) bool { return true })
	for key, row := range out[strapitest.Rows] {
		fields := maps.Clone(row.(map[string]any))
		for name, list := range fields {
			if seen(name) {
				fields[name] = ordered(list.([]any))
			}
		}
		out[strapitest.Rows][key] = fields
	}
	return out
}
