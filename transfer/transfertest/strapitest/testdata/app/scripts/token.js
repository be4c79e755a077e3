// Writes a transfer token into the database as the admin panel would, also while the server runs.
// Arguments: access key, permissions (comma separated), lifespan in milliseconds: 0 for ever, negative for an expired one.
const { createHmac } = require('crypto');
const Database = require('better-sqlite3');

const [accessKey, permissions, lifespan] = process.argv.slice(2);
const hash = createHmac('sha512', process.env.TRANSFER_TOKEN_SALT).update(accessKey).digest('hex');
const now = Date.now();
const expires = Number(lifespan) === 0 ? null : now + Number(lifespan);

const db = new Database(process.env.DATABASE_FILENAME, { timeout: 20000 });
db.transaction(() => {
  const token = db
    .prepare(`insert into strapi_transfer_tokens (name, description, access_key, expires_at, lifespan, created_at, updated_at) values (?, '', ?, ?, ?, ?, ?)`)
    .run(`token ${accessKey.slice(0, 12)}`, hash, expires, expires && Math.abs(Number(lifespan)), now, now).lastInsertRowid;
  for (const action of permissions.split(',')) {
    const permission = db
      .prepare('insert into strapi_transfer_token_permissions (action, created_at, updated_at) values (?, ?, ?)')
      .run(action, now, now).lastInsertRowid;
    db.prepare('insert into strapi_transfer_token_permissions_token_lnk (transfer_token_permission_id, transfer_token_id) values (?, ?)').run(permission, token);
  }
})();
