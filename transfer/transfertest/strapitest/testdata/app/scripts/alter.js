// Changes the content of a seeded instance everywhere, so that it can be told from the original: rows, relations, components,
// files and configuration.
const { readdirSync, writeFileSync } = require('fs');
const { join } = require('path');
const withDatabase = require('./database');

withDatabase(async (db) => {
  const text = db.client === 'mysql' ? "concat('altered ', id)" : "'altered ' || id";
  for (const [table, column] of [
    ['plants', 'common_name'], ['beds', 'title'], ['gardeners', 'name'], ['notes', 'body'], ['gardens', 'heading'], ['files', 'caption'],
    ['components_parts_links', 'caption'], ['components_parts_treatments', 'name'], ['up_users', 'username'], ['strapi_webhooks', 'name'],
  ]) {
    await db.run(`update "${table}" set "${column}" = ${text}`);
  }
  await db.run('delete from plants_companions_lnk where id % 2 = 0');
  await db.run('delete from beds where id = (select id from (select max(id) as id from beds) as last)');
  await db.run('update strapi_core_store_settings set value = ? where "key" = ?', '"altered"', 'plugin_garden_opening');
});

const uploads = 'public/uploads';
const [first] = readdirSync(uploads).filter((name) => name !== '.gitkeep').sort();
writeFileSync(join(uploads, first), 'altered');
writeFileSync(join(uploads, 'only_here_0123456789.txt'), 'only here');
