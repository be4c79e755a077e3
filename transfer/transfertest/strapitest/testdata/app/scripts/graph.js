// Prints the content of the current folder's instance as a graph that does not depend on row ids, straight from the database
// and the upload folder: {rows, files, config, strays}, each a map from an identity to what is there.
//
// A row is known by type, documentId, locale and status. Components stand inside their owner, relations are lists of
// identities in their stored order, seen from both ends where both ends are ordered. Strays are component rows that nothing
// owns and relations that end nowhere.
const { createHash } = require('crypto');
const { existsSync, readFileSync, readdirSync } = require('fs');
const withDatabase = require('./database');
const { normal, parsed } = withDatabase;

// Strapi itself leaves these out of every transfer, or writes them at each start.
const FOREIGN_TYPES = /^(admin::|strapi::|plugin::(content-releases|review-workflows)\.|plugin::content-manager\.history-version|plugin::(upload|i18n)\.ai-)/;
const OWN_SETTINGS = /^(plugin_upload_metrics|plugin_content_manager_history|strapi_content_types_schema|strapi_unidirectional-join-table-repair-ran|core_)/;
const ROW_COLUMNS = new Set(['id', 'created_by_id', 'updated_by_id']);

const model = JSON.parse(readFileSync('model.json', 'utf8'));
const tables = new Map();
const select = (table) => tables.get(table);
const append = (map, key, value) => (map.has(key) ? map.get(key).push(value) : map.set(key, [value]));
const byOrder = (a, b) => (a.order === b.order ? (a.key < b.key ? -1 : 1) : a.order < b.order ? -1 : 1);

const rows = new Map(); // "uid id" → row
const identities = new Map(); // "uid id" → identity
const identitiesTaken = new Set();
const owned = new Map(); // "uid id" → component rows in order
const outgoing = new Map(); // "uid id" → {name, key, order}
const incoming = new Map(); // the same, from the other end
const strays = {};
const stray = (table) => (strays[table] = (strays[table] ?? 0) + 1);

async function loadTables(db) {
  const names = ['strapi_core_store_settings', 'strapi_webhooks'];
  for (const { table, components, joins } of Object.values(model)) {
    names.push(table, ...(components ? [components] : []), ...Object.values(joins).map((join) => join.table));
  }
  for (const name of new Set(names)) tables.set(name, await db.all(name));
}

function loadRows() {
  for (const [uid, { table, component }] of Object.entries(model)) {
    if (FOREIGN_TYPES.test(uid)) continue;
    for (const row of select(table)) {
      rows.set(`${uid} ${row.id}`, { uid, row });
      if (component) continue;
      const base = [uid, row.document_id, row.locale ?? '', row.published_at === null ? 'draft' : 'published'].join(' ');
      let identity = base;
      for (let twin = 2; identitiesTaken.has(identity); twin += 1) identity = `${base} twin ${twin}`;
      identitiesTaken.add(identity);
      identities.set(`${uid} ${row.id}`, identity);
    }
  }
}

// Components get their identity from their owner, from the top down.
function loadComponents() {
  for (const [uid, { components }] of Object.entries(model)) {
    if (!components || FOREIGN_TYPES.test(uid)) continue;
    for (const part of select(components)) append(owned, `${uid} ${part.entity_id}`, part);
  }
  const name = (ownerKey, identity) => {
    const parts = (owned.get(ownerKey) ?? []).sort((a, b) => byOrder({ order: a.order, key: a.id }, { order: b.order, key: b.id }));
    const position = {};
    for (const part of parts) {
      const key = `${part.component_type} ${part.cmp_id}`;
      position[part.field] = (position[part.field] ?? -1) + 1;
      if (!rows.has(key)) stray(`${part.component_type} (owned but missing)`);
      if (identities.has(key)) stray(`${part.component_type} (owned twice)`);
      identities.set(key, `${identity} ${part.field}[${position[part.field]}]`);
      name(key, identities.get(key));
    }
  };
  for (const [key, identity] of [...identities]) name(key, identity);
  for (const [key, { uid }] of rows) if (!identities.has(key)) stray(`${uid} (owned by nothing)`);
}

function loadRelations() {
  for (const [uid, { joins, morphs }] of Object.entries(model)) {
    if (FOREIGN_TYPES.test(uid)) continue;
    for (const [name, join] of Object.entries(joins)) {
      if (FOREIGN_TYPES.test(join.target ?? '')) continue;
      for (const link of select(join.table)) connect(uid, name, join, link);
    }
    for (const [name, morph] of Object.entries(morphs)) {
      for (const { row } of [...rows.values()].filter((entry) => entry.uid === uid)) {
        if (row[morph.id] === null) continue;
        connect(uid, name, { table: `${uid} ${name}`, from: 'id', to: morph.id, toType: morph.type }, row);
      }
    }
  }
}

function connect(uid, name, join, link) {
  const from = `${uid} ${link[join.from]}`;
  const to = `${join.toType ? link[join.toType] : join.target} ${link[join.to]}`;
  const [left, right] = [identities.get(from), identities.get(to)];
  if (!left || !right) return stray(join.table);
  const field = join.toType && link.field ? ` as ${link.field}` : '';
  // What a file belongs to is told by its owners, where the files of one media field stand in order.
  if (uid !== 'plugin::upload.file' || !field) append(outgoing, from, { name, key: right + field, order: link[join.order] ?? 0 });
  if (join.toType) append(incoming, to, { name: `${uid} ${name}${field}`, key: left, order: link[join.order] ?? 0 });
  else if (join.inverseOrder) append(incoming, to, { name: `${uid} ${name}`, key: left, order: link[join.inverseOrder] ?? 0 });
}

function lists(direction, edges = []) {
  const out = {};
  for (const edge of edges.sort(byOrder)) (out[`${direction} ${edge.name}`] ??= []).push(edge.key);
  return out;
}

function describe(key) {
  const { uid, row } = rows.get(key) ?? { uid: key.split(' ')[0], row: {} };
  const out = {};
  const hidden = new Set(Object.values(model[uid].morphs).flatMap((morph) => [morph.id, morph.type]));
  for (const [column, value] of Object.entries(row)) if (!ROW_COLUMNS.has(column) && !hidden.has(column)) out[column] = normal(model[uid].columns[column], value);
  Object.assign(out, lists('to', outgoing.get(key)), lists('from', incoming.get(key)));
  for (const part of owned.get(key) ?? []) {
    (out[`part ${part.field}`] ??= []).push({ component: part.component_type, ...describe(`${part.component_type} ${part.cmp_id}`) });
  }
  return out;
}

function listFiles(folder, at = '', out = {}) {
  if (!existsSync(folder)) return out;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) listFiles(`${folder}/${entry.name}`, `${at}${entry.name}/`, out);
    else if (entry.name !== '.gitkeep') out[at + entry.name] = createHash('sha256').update(readFileSync(`${folder}/${entry.name}`)).digest('hex');
  }
  return out;
}

function listConfig() {
  const out = {};
  for (const { id, key, ...row } of select('strapi_core_store_settings')) {
    if (!OWN_SETTINGS.test(key)) out[`core-store ${key} ${row.environment ?? ''} ${row.tag ?? ''}`] = { ...row, value: parsed(row.value) };
  }
  for (const { id, ...row } of select('strapi_webhooks')) out[`webhook ${row.name}`] = { ...row, enabled: Boolean(Number(row.enabled)), headers: parsed(row.headers), events: parsed(row.events) };
  return out;
}

withDatabase(async (db) => {
  await loadTables(db);
  loadRows();
  loadComponents();
  loadRelations();
  const graph = { rows: {}, files: listFiles('public/uploads'), config: listConfig(), strays };
  for (const [key, { uid }] of rows) if (!model[uid].component) graph.rows[identities.get(key)] = describe(key);
  process.stdout.write(JSON.stringify(graph, (_, value) => (typeof value === 'bigint' ? Number(value) : value)));
});
