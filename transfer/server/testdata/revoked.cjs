// A token is revoked while clients follow a transfer with it.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { start, sleep, sse, ws, socket, Log } = require('./follow.cjs');

test('whoever holds it is disconnected within five seconds', async () => {
  const job = await start();
  const logs = { sse: new Log('sse'), ws: new Log('ws'), io: new Log('io') };
  const stream = sse(job.sseUrl, logs.sse, { headers: { Authorization: `Bearer ${process.env.TOKEN}` } });
  const channel = ws(job.jobId, logs.ws);
  const s = socket(job.jobId, logs.io);
  const gone = new Promise((resolve) => s.once('disconnect', resolve));
  while (!(logs.sse.told.length && logs.ws.told.length && logs.io.told.length)) await sleep(20);
  const asked = Date.now();
  assert.equal((await fetch(process.env.REVOKE, { method: 'POST' })).status, 200);
  assert.equal(await stream, 401); // it was told, came back, and was not let in
  assert.equal(logs.sse.timeout.reason, 'revoked');
  assert.equal(await channel, 4401);
  assert.equal(await gone, 'io server disconnect');
  assert.ok(Date.now() - asked < 5000, `${Date.now() - asked} ms`);
  s.disconnect();
});
