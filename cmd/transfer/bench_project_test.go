//go:build unix

package main_test

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// plantMany is a script that writes plants, from a number to another, each with four components and three links, straight into the
// database.
const plantMany = `
const withDatabase = require('./database');
const { moment } = withDatabase;
const [from, to] = process.argv.slice(2).map(Number);
withDatabase(async (db) => {
  const now = moment(1709287872345);
  const bed = await db.run('insert into beds (document_id, title, created_at, updated_at, published_at) values (?, ?, ?, ?, ?)', ('benchbed' + from).padEnd(24, '0'), 'Bed', now, now, now);
  const story = JSON.stringify([{ type: 'paragraph', children: [{ type: 'text', text: 'Water in the evening. '.repeat(8) }] }]);
  const hold = (table, owner, part, type, field, order) =>
    db.run('insert into ' + table + ' (entity_id, cmp_id, component_type, field, "order") values (?, ?, ?, ?, ?)', owner, part, type, field, order);
  let last = null;
  for (let i = from; i < to; i += 1) {
    const plant = await db.run(
      'insert into plants (document_id, common_name, slug, summary, story, created_at, updated_at, locale) values (?, ?, ?, ?, ?, ?, ?, ?)',
      'bench' + String(i).padStart(19, '0'), 'Plant ' + i, 'bench-' + i, 'A plant among many, number ' + i, story, now, now, 'en',
    );
    const label = await db.run('insert into components_parts_labels (text, latin_name) values (?, ?)', 'Label ' + i, 'Planta ' + i);
    const link = await db.run('insert into components_parts_links (caption, href) values (?, ?)', 'More', 'https://example.org/plants/' + i);
    await hold('components_parts_labels_cmps', label, link, 'parts.link', 'links', 1);
    await hold('plants_cmps', plant, label, 'parts.label', 'label', null);
    for (const n of [1, 2]) {
      const treatment = await db.run('insert into components_parts_treatments (name, dose) values (?, ?)', 'Treatment ' + n, n + 0.5);
      await hold('plants_cmps', plant, treatment, 'parts.treatment', 'treatments', n);
    }
    await db.run('insert into plants_bed_lnk (plant_id, bed_id, plant_ord) values (?, ?, ?)', plant, bed, i + 1);
    await db.run('insert into plants_origin_lnk (plant_id, bed_id) values (?, ?)', plant, bed);
    await db.run('insert into plants_companions_lnk (plant_id, inv_plant_id, plant_ord) values (?, ?, ?)', plant, last ?? plant, 1);
    last = plant;
  }
});
`

// BenchmarkProjectAgainstStock makes archives of a project with 10,000 entries, 40,000 components, 30,000 links and 200 files of 1 MB, and
// restores them, with this command and with the stock one, in turn.
func BenchmarkProjectAgainstStock(b *testing.B) {
	strapitest.Require(b)
	for _, kind := range strapitest.Databases() {
		b.Run(kind.String(), func(b *testing.B) {
			project := strapitest.New(b, strapitest.Options{Database: kind})
			for from := 0; from < 10_000; from += 2500 { // a statement a row takes its time over the network
				project.Script(b, plantMany, strconv.Itoa(from), strconv.Itoa(from+2500))
			}
			project.Script(b, uploadMany, "200", "1000000")
			for name, flags := range map[string][]string{".tar.gz": {"--no-encrypt"}, ".tar": {"--no-encrypt", "--no-compress"}} {
				b.Run("export to "+name, func(b *testing.B) {
					folder := b.TempDir()
					compare(b,
						func() usage {
							return measure(b, []string{"push", "--quiet", "--yes", "--from", project.Path(), "--to", filepath.Join(folder, "ours"+name)})
						},
						func() usage {
							return stock(b, project, args([]string{"export", "-f", filepath.Join(folder, "stock")}, flags)...)
						},
					)
				})
			}
			b.Run("import", func(b *testing.B) { benchmarkImport(b, project) })
		})
	}
}
