// Opens the database of the current folder's instance, of whatever kind, without Strapi. Statements have ? for values and "names".
const client = process.env.DATABASE_CLIENT || 'sqlite';
const network = {
  host: process.env.DATABASE_HOST,
  port: Number(process.env.DATABASE_PORT),
  database: process.env.DATABASE_NAME,
  user: process.env.DATABASE_USERNAME,
  password: process.env.DATABASE_PASSWORD,
};

const openers = {
  async sqlite() {
    const db = new (require('better-sqlite3'))(process.env.DATABASE_FILENAME, { timeout: 20000 });
    db.defaultSafeIntegers(true);
    return {
      all: async (table) => db.prepare(`select * from "${table}" order by id`).all(),
      run: async (sql, ...values) => db.prepare(sql).run(...values).lastInsertRowid,
      close: async () => db.close(),
    };
  },
  async postgres() {
    const { Client, types } = require('pg');
    const raw = [1114, 1082, 1083, 114, 3802, 1700]; // timestamp, date, time, json, jsonb, numeric
    const getTypeParser = (oid, format) => (raw.includes(oid) ? (text) => text : types.getTypeParser(oid, format));
    const db = new Client({ ...network, types: { getTypeParser } });
    await db.connect();
    return {
      all: async (table) => (await db.query(`select * from "${table}" order by id`)).rows,
      run: async (sql, ...values) => {
        let n = 0;
        const numbered = sql.replace(/\?/g, () => `$${(n += 1)}`);
        const { rows } = await db.query(sql.startsWith('insert') ? `${numbered} returning id` : numbered, values);
        return rows[0]?.id;
      },
      close: () => db.end(),
    };
  },
  async mysql() {
    const db = await require('mysql2/promise').createConnection({ ...network, dateStrings: true, supportBigNumbers: true, jsonStrings: true });
    const quoted = (sql) => sql.replace(/"/g, '`');
    return {
      all: async (table) => (await db.query(`select * from \`${table}\` order by id`))[0],
      run: async (sql, ...values) => (await db.query(quoted(sql), values))[0].insertId,
      close: () => db.end(),
    };
  },
};

// Calls work with the database, in one transaction, and ends the process when that fails.
module.exports = async function withDatabase(work) {
  try {
    const db = { client, ...(await openers[client]()) };
    await db.run('begin');
    await work(db);
    await db.run('commit');
    await db.close();
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
};

// The time that a column holds, in milliseconds: a number on SQLite, elsewhere the wall clock of this process, as Strapi has it.
const instant = (value) => (typeof value === 'string' ? new Date(value.replace(' ', 'T')).getTime() : Number(value));

module.exports.moment = (milliseconds) => {
  if (milliseconds === null || client === 'sqlite') return milliseconds;
  const local = new Date(milliseconds - new Date(milliseconds).getTimezoneOffset() * 60000);
  return local.toISOString().replace('T', ' ').replace('Z', '');
};

const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
};

const parsed = (text) => {
  try {
    return sorted(JSON.parse(text));
  } catch {
    return text;
  }
};
module.exports.parsed = parsed;

// The value of a column as it is on every kind of database.
module.exports.normal = (type, value) => {
  if (value === null || value === undefined) return null;
  switch (type) {
    case 'json':
    case 'blocks':
      return parsed(value);
    case 'boolean':
      return Boolean(Number(value));
    case 'datetime':
    case 'timestamp':
      return instant(value);
    case 'integer':
    case 'biginteger':
    case 'float':
    case 'decimal':
      return Number(value); // integers of SQLite are doubles to Strapi: the last digits of the largest are not its to give away
    case 'time':
      return String(value).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
    default:
      return value;
  }
};
