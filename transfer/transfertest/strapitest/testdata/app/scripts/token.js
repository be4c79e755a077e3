// Writes a transfer token into the database as the admin panel would, also while the server runs.
// Arguments: access key, permissions (comma separated), lifespan in milliseconds: 0 for ever, negative for an expired one.
const { createHmac } = require('crypto');
const withDatabase = require('./database');

const [accessKey, permissions, lifespan] = process.argv.slice(2);
const hash = createHmac('sha512', process.env.TRANSFER_TOKEN_SALT).update(accessKey).digest('hex');
const now = Date.now();
const expires = Number(lifespan) === 0 ? null : now + Number(lifespan);

const { moment } = withDatabase;
withDatabase(async (db) => {
  const token = await db.run(
    `insert into strapi_transfer_tokens (name, description, access_key, expires_at, lifespan, created_at, updated_at) values (?, '', ?, ?, ?, ?, ?)`,
    `token ${accessKey.slice(0, 12)}`, hash, moment(expires), expires && Math.abs(Number(lifespan)), moment(now), moment(now),
  );
  for (const action of permissions.split(',')) {
    const permission = await db.run('insert into strapi_transfer_token_permissions (action, created_at, updated_at) values (?, ?, ?)', action, moment(now), moment(now));
    await db.run('insert into strapi_transfer_token_permissions_token_lnk (transfer_token_permission_id, transfer_token_id) values (?, ?)', permission, token);
  }
});
