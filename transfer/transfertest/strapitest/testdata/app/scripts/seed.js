// Fills the application with content in which every attribute type, relation kind, locale and status occurs.
const { createHash } = require('crypto');
const { mkdtempSync, rmSync, writeFileSync } = require('fs');
const { tmpdir } = require('os');
const { join } = require('path');
const sharp = require('sharp');
const boot = require('./boot');

const PLANT = 'api::plant.plant';
const PROTOCOL = 'api::seasonal-greenhouse-temperature-observation-protocol.seasonal-greenhouse-temperature-observation-protocol';
const AWKWARD = ['plain', 'Ümläut und ß', '日本語の名前', 'עברית', '🌱🌿 emoji', '"quoted"', "it's", 'back\\slash', '<b>html</b> & co', 'tab\there', 'line\nbreak', ' nbsp ', '%s {{x}} ${y}', ''];
const PLANTS = 14;
// Strapi hands bare text to JSON columns as it is, which only SQLite takes; from MariaDB quoted text comes back bare.
const BARE = { sqlite: 'text', postgres: '"text"', mysql: { text: 'text' } }[process.env.DATABASE_CLIENT];

const awkward = (i) => AWKWARD[i % AWKWARD.length];
const every = (list, i, n) => Array.from({ length: n }, (_, k) => list[(i * 3 + k * 2) % list.length]);
const noise = (seed, size) => {
  const blocks = [];
  for (let n = 0; n * 64 < size; n += 1) blocks.push(createHash('sha512').update(`${seed} ${n}`).digest());
  return Buffer.concat(blocks).subarray(0, size);
};

async function uploadAll(strapi) {
  const folder = mkdtempSync(join(tmpdir(), 'strapitest-'));
  const service = strapi.plugin('upload').service('upload');
  const shelves = [];
  for (const [name, parent] of [['Herbarium'], ['Blätter & Blüten', 0]]) {
    shelves.push(await strapi.plugin('upload').service('folder').create({ name, parent: parent === undefined ? null : shelves[parent].id }));
  }
  const picture = (i, width, height) => sharp(noise(`picture ${i}`, width * height * 3), { raw: { width, height, channels: 3 } }).png().toBuffer();
  const wanted = [
    ['leaf.png', 'image/png', await picture(0, 1100, 40)], // wide enough for every format
    ['blüte é.png', 'image/png', await picture(1, 300, 200)],
    ['tiny.png', 'image/png', await picture(2, 8, 8)], // too small for a thumbnail
    ['plan.svg', 'image/svg+xml', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="4"/></svg>')],
    ['care sheet.txt', 'text/plain', Buffer.from('Water twice a week.\r\nÜbertreibe es nicht.\n')],
    ['records.bin', 'application/octet-stream', noise('records', 1_500_000)], // more than one chunk on the wire
    ['exact.bin', 'application/octet-stream', noise('exact', 1_048_576)], // one chunk to the byte
    ['empty-ish.bin', 'application/octet-stream', Buffer.from([0])],
  ];
  const files = [];
  for (const [i, [name, mimetype, body]] of wanted.entries()) {
    const filepath = join(folder, `file-${i}`);
    writeFileSync(filepath, body);
    const [file] = await service.upload({
      data: { fileInfo: { name, alternativeText: `alt ${awkward(i + 1)}`, caption: i % 2 ? `caption ${i}` : null, folder: i < 4 ? shelves[i % 2].id : null } },
      files: { filepath, originalFilename: name, mimetype, size: body.length },
    });
    files.push(file.id);
  }
  rmSync(folder, { recursive: true });
  return files;
}

function parts({ files, gardeners, beds }) {
  const address = (i) => ({ street: awkward(i), houseNumber: String(9223372036854775807n - BigInt(i)), opens: '06:30:00.000', since: '1899-12-31', meta: { deep: [{ i }, [null, true]] } });
  const link = (i, plant) => ({ caption: awkward(i), href: `/a?b=${i}&c=é`, external: i % 2 === 0, plant, beds: every(beds, i, 2), guide: i % 3 ? address(i) : null });
  const label = (i, plant) => ({ text: `label ${i}`, latinName: awkward(i + 3), icon: files[i % 2], links: [link(i, plant), link(i + 1)], address: address(i) });
  const treatment = (i) => ({ name: awkward(i), dose: i + 0.125, givenAt: new Date(1.6e12 + i * 86400007).toISOString(), by: every(gardeners, i, 2), evidence: every(files, i, 2) });
  const page = (i, plant) => [
    { __component: 'blocks.teaser', title: awkward(i), links: [link(i, plant), link(i + 2)], label: label(i, plant) },
    { __component: 'blocks.quotation', text: `# ${awkward(i)}\n\n*said*`, speaker: gardeners[i % gardeners.length] },
    { __component: 'blocks.picture-row', pictures: every(files, i, 3), layout: { columns: i, empty: {}, list: [] } },
    { __component: 'blocks.quotation', text: '', speaker: null },
  ];
  return { address, link, label, treatment, page };
}

async function plantAll(strapi, stock) {
  const { files, beds, gardeners, user } = stock;
  const { label, treatment, page } = parts(stock);
  const documents = strapi.documents(PLANT);
  const plants = [];
  for (let i = 0; i < PLANTS; i += 1) {
    const before = plants.at(-1);
    const data = {
      commonName: `Plant ${i} ${awkward(i)}`, slug: `plant-${i}`, summary: awkward(i), care: `## ${awkward(i)}\n\n- one\n- two`,
      story: [{ type: 'paragraph', children: [{ type: 'text', text: awkward(i), italic: true }] }],
      leafCount: i - 3, seedCount: String(9007199254740993n * BigInt(i % 2 ? 1 : -1) + BigInt(i)), price: 0.1 * i + 0.2, height: 1 / (i + 3),
      evergreen: i % 2 === 0, habit: ['tree', 'shrub', 'ground-cover', null][i % 4], sownOn: `1969-02-${10 + i}`, wateredAt: `0${i % 10}:59:59.999`,
      plantedAt: new Date(-1e11 + i * 1e10 + 1).toISOString(), measuredAt: new Date(1.7e12 + i * 1e7 + 123).toISOString(),
      curatorEmail: `curator.${i}@example.org`, vaultCode: `code ${i}`, measurements: [{ n: i, x: [1.5, null, '…'] }, [], null, BARE, 7][i % 5],
      petalColour: `#0${i % 10}ff0${i % 10}`, portrait: files[i % 3], gallery: every(files, i, 3),
      bed: beds[i % beds.length], gardeners: every(gardeners, i, 2), companions: every([...plants.slice(0, 4), ...plants.slice(-1)], i, plants.length ? 2 : 0),
      successor: i % 4 === 3 ? before : undefined, origin: beds[(i + 1) % beds.length], season: beds[0], favouredBy: i < 3 ? [gardeners[i], gardeners[i + 1]] : [],
      keeper: i % 5 === 0 ? { id: user.id } : undefined, label: label(i, before), treatments: [treatment(i), treatment(i + 1)], page: page(i, before),
    };
    const { documentId } = await documents.create({ locale: 'en', data, status: i % 3 === 1 ? 'draft' : 'published' });
    if (i % 4 === 0) {
      // The other locale points at nothing that exists in English only.
      const translated = { commonName: `Pflanze ${i}`, slug: `pflanze-${i}`, summary: null, label: label(i + 1), treatments: [treatment(i + 2)], page: page(i + 1) };
      await documents.update({ documentId, locale: 'de-AT', data: translated, status: i % 8 === 0 ? 'published' : 'draft' });
    }
    if (i % 6 === 2) await documents.update({ documentId, locale: 'en', data: { summary: 'a draft that is newer than what is published', companions: [] } });
    plants.push(documentId);
  }
  return plants;
}

async function note(strapi, { files }) {
  const plant = await strapi.db.query(PLANT).findMany({ orderBy: 'id', limit: 6 });
  const [gardener] = await strapi.db.query('api::gardener.gardener').findMany({ orderBy: 'id', limit: 1 });
  for (let i = 0; i < 6; i += 1) {
    await strapi.documents('api::note.note').create({ data: { body: `note ${i} ${awkward(i)}`, attachment: i % 2 ? every(files, i, 2) : [] }, status: i % 2 ? 'published' : 'draft' });
  }
  const notes = await strapi.db.query('api::note.note').findMany({ orderBy: 'id' });
  const at = (row, type) => ({ id: row.id, __type: type });
  for (const [i, { id }] of notes.entries()) {
    const mentions = [at(plant[(i + 1) % 6], PLANT), at(gardener, 'api::gardener.gardener'), at(plant[i % 6], PLANT)];
    const subject = i % 3 ? at(plant[i % 6], PLANT) : at(gardener, 'api::gardener.gardener');
    await strapi.db.query('api::note.note').update({ where: { id }, data: { subject, mentions } });
  }
}

boot(async (strapi) => {
  await strapi.plugin('i18n').service('locales').create({ code: 'de-AT', name: 'German (Austria)' });
  const role = await strapi.db.query('plugin::users-permissions.role').findOne({ where: { type: 'authenticated' } });
  const user = await strapi.db.query('plugin::users-permissions.user').create({
    data: { username: 'keeper', email: 'keeper@example.org', provider: 'local', confirmed: true, blocked: false, role: role.id, password: 'not a secret at all' },
  });
  const files = await uploadAll(strapi);

  const beds = [];
  for (let i = 0; i < 5; i += 1) {
    beds.push((await strapi.documents('api::bed.bed').create({ data: { title: `Bed ${i} ${awkward(i)}`, area: 12.5 * i, parent: i ? beds[(i - 1) >> 1] : undefined } })).documentId);
  }
  const gardeners = [];
  for (let i = 0; i < 4; i += 1) {
    const data = { name: `Gardener ${awkward(i)}`, staffNumber: i, photo: files[i % 3], bed: beds[i], address: { street: awkward(i), houseNumber: '-1' } };
    const { documentId } = await strapi.documents('api::gardener.gardener').create({ locale: 'en', data });
    // In both locales, because the plants of both point at them.
    await strapi.documents('api::gardener.gardener').update({ documentId, locale: 'de-AT', data: { name: `Gärtner ${i}` } });
    gardeners.push(documentId);
  }

  const stock = { files, beds, gardeners, user };
  const plants = await plantAll(strapi, stock);
  await note(strapi, stock);
  const { label, page } = parts(stock);
  await strapi.documents('api::garden.garden').create({ locale: 'en', status: 'published', data: { heading: awkward(2), highlights: plants.slice(2, 6).reverse(), label: label(0, plants[1]), page: page(2, plants[3]) } });
  for (let i = 0; i < 2; i += 1) {
    await strapi.documents(PROTOCOL).create({ status: i ? 'published' : 'draft', data: {
      averageTemperatureBetweenSunriseAndSunsetInDegreesCelsius: -273.15,
      gardenersWhoTookTurnsAtReadingTheThermometerDuringTheSeason: every(gardeners, i, 3),
      bedInWhichTheObservationsOfThisSeasonHaveBeenMadeForTheFirstTime: beds[i],
      photographsOfTheThermometersThatWereBrokenDuringTheObservation: every(files, i, 4),
      individualReadingsOfTheThermometerInTheOrderOfTheirRecording: [10, -10, 0].map((tenths) => ({ tenthsOfADegree: String(tenths), remark: awkward(tenths + 10) })),
    } });
  }

  await strapi.store({ type: 'plugin', name: 'garden', key: 'opening' }).set({ value: { hours: [9, 17], closed: null, note: awkward(1) } });
  await strapi.store({ type: 'plugin', name: 'garden', key: 'season' }).set({ value: 'summer' });
  for (const name of ['first', 'second']) {
    await strapi.db.query('strapi::webhook').create({ data: { name, url: 'http://127.0.0.1:9/hook', headers: { 'x-a': name }, events: ['entry.create', 'media.delete'], enabled: name === 'second' } });
  }
});
