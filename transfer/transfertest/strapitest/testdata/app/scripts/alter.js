// Changes the content of a seeded instance everywhere, so that it can be told from the original: rows, relations, components,
// files and configuration.
const { readdirSync, writeFileSync } = require('fs');
const { join } = require('path');
const Database = require('better-sqlite3');

const db = new Database(process.env.DATABASE_FILENAME, { timeout: 20000 });
db.transaction(() => {
  for (const [table, column] of [
    ['plants', 'common_name'], ['beds', 'title'], ['gardeners', 'name'], ['notes', 'body'], ['gardens', 'heading'], ['files', 'caption'],
    ['components_parts_links', 'caption'], ['components_parts_treatments', 'name'], ['up_users', 'username'], ['strapi_webhooks', 'name'],
  ]) {
    db.prepare(`update "${table}" set "${column}" = 'altered ' || id`).run();
  }
  db.prepare('delete from plants_companions_lnk where id % 2 = 0').run();
  db.prepare('delete from beds where id = (select max(id) from beds)').run();
  db.prepare(`update strapi_core_store_settings set value = '"altered"' where key = 'plugin_garden_opening'`).run();
})();

const uploads = 'public/uploads';
const [first] = readdirSync(uploads).filter((name) => name !== '.gitkeep').sort();
writeFileSync(join(uploads, first), 'altered');
writeFileSync(join(uploads, 'only_here_0123456789.txt'), 'only here');
