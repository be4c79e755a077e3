// Clients of every channel follow transfers.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { base, api, start, ended, cut, sleep, sse, ws, socket, protocols, Log, io, WebSocket } = require('./follow.cjs');

const bearer = { headers: { Authorization: `Bearer ${process.env.TOKEN}` } };
const whole = ['processing/schemas', 'processing/entities', 'processing/assets', 'processing/links', 'processing/configuration', 'completed/completed'];

for (const cuts of [0, 2]) {
  test(`all channels tell a transfer from start to end, cut ${cuts} times`, { timeout: 50000 }, async () => {
    const job = await start();
    const names = ['stream', 'list', 'all', 'ticket', 'ws', 'io polling', 'io websocket', 'io upgrade'];
    const logs = Object.fromEntries(names.map((n) => [n, new Log(n)]));
    const all = new Log('all');
    const add = all.add.bind(all);
    all.add = (kind, body) => { if (body.jobId === job.jobId) add(kind, body); };
    logs.all = all;
    const following = {
      stream: sse(job.sseUrl, logs.stream, bearer),
      list: sse(`${base}/api/stream?jobs=${job.jobId}`, logs.list, bearer),
      ticket: sse(`${job.sseUrl}?authToken=${job.authToken}`, logs.ticket),
      ws: ws(job.jobId, logs.ws),
    };
    sse(`${base}/api/stream`, all, bearer);
    const sockets = [
      socket(job.jobId, logs['io polling'], { transports: ['polling'] }),
      socket(job.jobId, logs['io websocket'], { transports: ['websocket'] }),
      socket(job.jobId, logs['io upgrade']),
    ];
    for (let i = 0; i < cuts; i++) {
      await sleep(700);
      await cut();
    }
    const final = await ended(job.jobId);
    assert.equal(final.state, 'completed', JSON.stringify(final.error));
    await Promise.all(Object.values(logs).map((l) => l.end));
    all.abort.abort();
    assert.equal(await following.stream, 204);
    assert.equal(await following.list, 204);
    assert.equal(await following.ticket, 204);
    assert.equal(await following.ws, 1000);
    for (const log of Object.values(logs)) {
      const states = log.check();
      for (const state of whole) assert.ok(states.includes(state), `${log.name} missed ${state}: ${states}`);
      assert.ok(log.told.some((t) => t.status === 'processing' && t.step === 'entities' && t.items > 0), `${log.name}: no counts`);
      const done = log.told.at(-1);
      assert.deepEqual([done.source, done.progress], ['blog', 100]);
      assert.ok(done.data.items > 300);
    }
    if (cuts) {
      assert.ok(logs.ws.recovered.slice(1).every(Boolean), `ws: ${logs.ws.recovered}`);
      assert.ok(logs['io websocket'].recoveries.length > 1);
      // Another server does not know the connection's state: the position brings back what was missed.
      if (process.env.SERVERS) assert.ok(logs['io websocket'].ack.recovered);
      else assert.ok(logs['io websocket'].recoveries.slice(1).every(Boolean), `recoveries: ${logs['io websocket'].recoveries}`);
    }
    assert.ok(logs.ws.other.some((m) => m.type === 'item_transferred' && m.jobId === job.jobId));
    const types = logs['io websocket'].envelopes.map((e) => e.type);
    for (const type of ['job_progress', 'item_transferred', 'job_completed']) assert.ok(types.includes(type), types.join());
    assert.ok(logs['io websocket'].envelopes.every((e) => e.jobId === job.jobId && e.timestamp && e.data));
    sockets.forEach((s) => s.disconnect());
  });
}

test('who comes late gets the end, and who has heard it is told not to come back', async () => {
  const { body } = await api('GET', '/api/jobs?state=completed');
  const id = body.data[0].id;
  const log = new Log('late');
  assert.equal(await sse(`${base}/api/jobs/${id}/stream`, log, bearer), 204);
  assert.deepEqual(log.told.map((t) => [t.kind, t.snapshot, t.recovered]), [['completed', true, false]]);
  const late = new Log('late ws');
  assert.equal(await ws(id, late), 1000);
  assert.deepEqual(late.told.map((t) => t.kind), ['completed']);
  const s = socket(id, new Log('late io'));
  const [done] = await new Promise((r) => s.once('job:completed', (...a) => r(a)));
  assert.equal(done.jobId, id);
  s.disconnect();
});
test('an id of another log brings a snapshot, and says so', async () => {
  const { body } = await api('GET', '/api/jobs?state=completed');
  const log = new Log('foreign');
  await sse(`${base}/api/jobs/${body.data[0].id}/stream`, log, { ...bearer, lastEventId: 'abcdef0123-7' });
  assert.deepEqual(log.told.map((t) => [t.kind, t.recovered]), [['completed', false]]);
});

test('a cancel over each channel', async (t) => {
  await t.test('ws', async () => {
    const job = await start();
    const log = new Log('ws');
    const closed = ws(job.jobId, log);
    while (!log.told.length) await sleep(20);
    const asked = Date.now();
    log.socket.send(JSON.stringify({ type: 'cancel', id: 7, jobId: job.jobId }));
    assert.equal(await closed, 1000);
    assert.ok(Date.now() - asked < 10000, `${Date.now() - asked} ms`);
    assert.deepEqual(log.other.filter((m) => m.type === 'cancel_ack'), [{ type: 'cancel_ack', id: 7, jobId: job.jobId, result: 'accepted' }]);
    assert.equal(log.told.at(-1).status, 'cancelled');
    log.check({ last: 'failed' });
  });
  await t.test('socket.io', async () => {
    const job = await start();
    const log = new Log('io');
    const s = socket(job.jobId, log);
    while (!log.told.length) await sleep(20);
    assert.deepEqual(await s.emitWithAck('job:cancel', { jobId: job.jobId }), { ok: true, result: 'accepted' }, JSON.stringify(log.told));
    assert.equal(await log.end, 'failed');
    const last = log.told.at(-1);
    assert.equal(last.status, 'cancelled');
    assert.equal(last.error.code, 'cancelled');
    assert.deepEqual(await s.emitWithAck('job:cancel', job.jobId), { ok: true, result: 'already_done' });
    s.disconnect();
  });
});

test('no right, no news', async (t) => {
  const job = await start();
  const id = job.jobId;
  const { TOKEN, OUTSIDER, READER } = process.env;
  await t.test('streams', async () => {
    for (const [token, status] of [['', 401], ['nonsense', 401], [OUTSIDER, 404], [READER, 200]]) {
      for (const path of [`/api/jobs/${id}/stream`, `/api/stream?jobs=${id}`]) {
        const abort = new AbortController();
        const response = await fetch(base + path, { headers: token ? { Authorization: `Bearer ${token}` } : {}, signal: abort.signal });
        assert.equal(response.status, status, path);
        abort.abort();
      }
    }
    assert.equal((await fetch(`${base}/api/jobs/${id}/stream?authToken=${TOKEN}`)).status, 401); // a token is no ticket
    const other = await start('blog', 'copy').catch(() => null);
    if (other) assert.equal((await fetch(`${base}/api/jobs/${id}/stream?authToken=${other.authToken}`)).status, 404);
    if (other) await api('DELETE', `/api/jobs/${other.jobId}`);
  });
  await t.test('websockets', async () => {
    const code = (path, offered, headers) => new Promise((resolve) => {
      const socket = new WebSocket(base.replace('http', 'ws') + path, offered, { headers });
      socket.on('error', () => {});
      socket.on('unexpected-response', (request, response) => { resolve(response.statusCode); request.destroy(); });
      socket.on('close', resolve);
    });
    const path = `/ws/progress?jobId=${id}`;
    assert.equal(await code(path, ['transfer.progress.v1']), 4401);
    assert.equal(await code(path, protocols('nonsense')), 4401);
    assert.equal(await code(`${path}&token=${TOKEN}`, ['transfer.progress.v1']), 4401);
    assert.equal(await code(path, protocols(OUTSIDER)), 4404);
    assert.equal(await code('/ws/progress', protocols(TOKEN)), 4400);
    assert.equal(await code(path, []), 4406);
    assert.equal(await code(path, ['other.v1']), 400);
    assert.equal(await code(path, protocols(TOKEN), { Origin: 'https://elsewhere.example' }), 403);
  });
  await t.test('a websocket must keep to the protocol', async () => {
    const talk = (...messages) => new Promise((resolve) => {
      const socket = new WebSocket(`${base.replace('http', 'ws')}/ws/progress?jobId=${id}`, protocols(TOKEN));
      socket.once('message', () => messages.forEach((m) => socket.send(m)));
      socket.on('close', resolve);
    });
    assert.equal(await talk('{"type":"cancel"}'), 4401);
    assert.equal(await talk('{"type":"ready_ack"}', '{"type":"ready_ack"}'), 4429);
    assert.equal(await talk('{"type":"ready_ack"}', '{"type":"dance"}'), 4400);
    assert.equal(await talk('hello'), 4400);
    assert.equal(await talk('x'.repeat(5000)), 1009);
  });
  await t.test('socket.io', async () => {
    for (const auth of [{}, { token: 'nonsense' }, { token: 7 }]) {
      const s = io(base, { forceNew: true, auth });
      const err = await new Promise((resolve) => s.once('connect_error', resolve));
      assert.deepEqual([err.message, err.data], ['unauthorized', { code: 'unauthorized' }]);
      s.disconnect();
    }
    const s = io(base, { forceNew: true, auth: { token: OUTSIDER } });
    await new Promise((resolve) => s.once('connect', resolve));
    s.onAny((name) => assert.fail(`heard ${name}`));
    for (const name of ['job:subscribe', 'subscribe']) {
      assert.deepEqual(await s.emitWithAck(name, id), { ok: false, error: { code: 'not_found', message: 'there is no such job' } });
    }
    assert.equal((await s.emitWithAck('job:cancel', id)).ok, false);
    assert.equal((await s.emitWithAck('job:subscribe', { jobId: 3 })).error.code, 'bad_request');
    const reader = io(base, { forceNew: true, auth: { token: READER } });
    await new Promise((resolve) => reader.once('connect', resolve));
    assert.equal((await reader.emitWithAck('job:subscribe', id)).ok, true);
    assert.equal((await reader.emitWithAck('job:cancel', id)).result, 'forbidden');
    assert.deepEqual(await reader.emitWithAck('job:unsubscribe', id), { ok: true });
    await sleep(300);
    reader.disconnect();
    s.disconnect();
  });
  await api('DELETE', `/api/jobs/${id}`);
});

test('a socket chooses its forms', async () => {
  const job = await start();
  const heard = { job: new Set(), event: new Set() };
  const sockets = ['job', 'event'].map((events) => {
    const s = io(base, { forceNew: true, auth: { token: process.env.TOKEN, events } });
    s.onAny((name) => heard[events].add(name));
    s.on('connect', () => s.emit('subscribe', job.jobId));
    return s;
  });
  await sleep(1500);
  await api('DELETE', `/api/jobs/${job.jobId}`);
  await ended(job.jobId);
  await sleep(300);
  assert.deepEqual([...heard.job].sort(), ['job:error', 'job:progress']);
  assert.deepEqual([...heard.event], ['event']);
  sockets.forEach((s) => s.disconnect());
});
