// Engine.IO protocol 4, case by case, against a server that echoes: pings every second, which must be answered within 2 s.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Raw, get, post, handshake, sidOf, openPoll, sleep, POLLING, SOCKET } = require('./harness.cjs');

const opening = (text, upgrades) => {
  assert.equal(text[0], '0');
  const value = JSON.parse(text.slice(1));
  assert.deepEqual(Object.keys(value).sort(), ['maxPayload', 'pingInterval', 'pingTimeout', 'sid', 'upgrades']);
  assert.equal(typeof value.sid, 'string');
  assert.deepEqual(value.upgrades, upgrades);
  assert.deepEqual([value.pingInterval, value.pingTimeout, value.maxPayload], [1000, 2000, 1000000]);
};
const refusal = async (query, options, status, code, message) => {
  const answer = await get(query, options);
  assert.equal(answer.status, status, query);
  assert.deepEqual(JSON.parse(answer.text), { code, message });
};

test('polling: a session opens', async () => {
  const { status, text, headers } = await get(POLLING);
  assert.equal(status, 200);
  assert.equal(headers.get('content-type').toLowerCase(), 'text/plain; charset=utf-8');
  opening(text, ['websocket']);
});
test('polling: another protocol version is refused', async () => {
  await refusal('transport=polling', {}, 400, 5, 'Unsupported protocol version');
  await refusal('EIO=abc&transport=polling', {}, 400, 5, 'Unsupported protocol version');
  await refusal('EIO=3&transport=polling', {}, 400, 5, 'Unsupported protocol version');
});
test('polling: an unknown transport is refused', async () => {
  await refusal('EIO=4', {}, 400, 0, 'Transport unknown');
  await refusal('EIO=4&transport=abc', {}, 400, 0, 'Transport unknown');
});
test('polling: an unknown session is refused', () => refusal(`${POLLING}&sid=nobody`, {}, 400, 1, 'Session ID unknown'));
test('polling: a handshake by another method is refused', async () => {
  await refusal(POLLING, { method: 'POST' }, 400, 2, 'Bad handshake method');
  await refusal(POLLING, { method: 'PUT' }, 400, 2, 'Bad handshake method');
});
test('polling: a WebSocket without its handshake is refused', () => refusal(SOCKET, {}, 400, 3, 'Bad request'));
test('polling: a foreign page is refused', () => refusal(POLLING, { headers: { Origin: 'https://elsewhere.example' } }, 403, 4, 'Forbidden'));
test('polling: a page on the list may read the answer', async () => {
  const { status, headers } = await get(POLLING, { headers: { Origin: 'https://app.example' } });
  assert.equal(status, 200);
  assert.equal(headers.get('access-control-allow-origin'), 'https://app.example');
  assert.equal(headers.get('access-control-allow-credentials'), 'true');
});

test('websocket: a session opens', async () => {
  const raw = new Raw(SOCKET);
  opening(await raw.next(), []);
  raw.close();
});
test('websocket: another protocol version is refused', async () => {
  await new Raw('transport=websocket').closed;
  await new Raw('EIO=abc&transport=websocket').closed;
});
test('websocket: an unknown transport is refused', async () => {
  await new Raw('EIO=4').closed;
  await new Raw('EIO=4&transport=abc').closed;
});

test('polling: a packet goes there and back', async () => {
  const session = await handshake();
  const answer = await post(session, '4hello');
  assert.deepEqual([answer.status, answer.text], [200, 'ok']);
  const polled = await get(session);
  assert.deepEqual([polled.status, polled.text], [200, '4hello']);
});
test('polling: several packets go there and back', async () => {
  const session = await handshake();
  assert.equal((await post(session, '4test1\x1e4test2\x1e4test3')).text, 'ok');
  assert.equal((await get(session)).text, '4test1\x1e4test2\x1e4test3');
});
test('polling: text and binary go there and back', async () => {
  const session = await handshake();
  assert.equal((await post(session, '4hello\x1ebAQIDBA==')).text, 'ok');
  assert.equal((await get(session)).text, '4hello\x1ebAQIDBA==');
});
test('polling: what is no packet closes the session', async () => {
  const session = await handshake();
  assert.equal((await post(session, 'abc')).status, 400);
  assert.equal((await get(session)).status, 400);
});
test('polling: more than the limit is refused', async () => {
  const session = await handshake();
  assert.equal((await post(session, '4' + 'x'.repeat(1000000))).status, 413);
});
test('polling: a second poll closes the session', async () => {
  const session = await handshake();
  const first = openPoll(session);
  await sleep(250);
  const second = await get(session);
  assert.equal(second.status, 400);
  assert.deepEqual(await first.answer, { status: 200, text: '1' });
  assert.equal((await get(session)).status, 400);
});
test('polling: a poll that is broken off closes the session', async () => {
  const session = await handshake();
  const poll = openPoll(session);
  await sleep(250);
  poll.abort();
  await sleep(50);
  assert.equal((await get(session)).status, 400);
});

test('websocket: a packet goes there and back', async () => {
  const raw = new Raw(SOCKET);
  await raw.next();
  raw.send('4hello');
  assert.equal(await raw.next(), '4hello');
  raw.close();
});
test('websocket: a binary packet goes there and back', async () => {
  const raw = new Raw(SOCKET);
  await raw.next();
  raw.send(Uint8Array.from([1, 2, 3, 4]));
  assert.deepEqual(await raw.next(), Uint8Array.from([1, 2, 3, 4]));
  raw.close();
});
test('websocket: what is no packet closes the session', async () => {
  const raw = new Raw(SOCKET);
  await raw.next();
  raw.send('abc');
  await raw.closed;
});
test('websocket: more than the limit closes the session', async () => {
  const raw = new Raw(SOCKET);
  await raw.next();
  raw.send('4' + 'x'.repeat(1000000));
  assert.equal(await raw.closed, 1009);
});

test('polling: pings come, and pongs are taken', async () => {
  const session = await handshake();
  for (let i = 0; i < 3; i++) {
    assert.equal((await get(session)).text, '2');
    assert.equal((await post(session, '3')).status, 200);
  }
});
test('polling: no pong closes the session', async () => {
  const session = await handshake();
  await sleep(3100);
  assert.equal((await get(session)).status, 400);
});
test('websocket: pings come, and pongs are taken', async () => {
  const raw = new Raw(SOCKET);
  await raw.next();
  for (let i = 0; i < 3; i++) {
    assert.equal(await raw.next(), '2');
    raw.send('3');
  }
  raw.close();
});
test('websocket: no pong closes the session', async () => {
  const raw = new Raw(SOCKET);
  const started = Date.now();
  await raw.closed;
  assert.ok(Date.now() - started >= 2900);
});
test('websocket: a ping of the client closes the session', async () => {
  const raw = new Raw(SOCKET);
  await raw.next();
  raw.send('2');
  await raw.closed;
});

test('polling: the client closes the session', async () => {
  const session = await handshake();
  const poll = openPoll(session);
  await sleep(250);
  await post(session, '1');
  assert.deepEqual(await poll.answer, { status: 200, text: '6' });
  assert.equal((await get(session)).status, 400);
});
test('websocket: the client closes the session', async () => {
  const raw = new Raw(SOCKET);
  await raw.next();
  raw.send('1');
  await raw.closed;
});

test('upgrade: a WebSocket takes over', async () => {
  const session = await handshake();
  const raw = new Raw(`${SOCKET}&sid=${sidOf(session)}`);
  await raw.opened;
  raw.send('2probe');
  assert.equal(await raw.next(), '3probe');
  const polled = await get(session);
  assert.deepEqual([polled.status, polled.text], [200, '6']);
  raw.send('5');
  raw.send('4hello');
  assert.equal(await raw.next(), '4hello');
  raw.close();
});
test('upgrade: what waited is sent over the WebSocket', async () => {
  const session = await handshake();
  const raw = new Raw(`${SOCKET}&sid=${sidOf(session)}`);
  await raw.opened;
  raw.send('2probe');
  assert.equal(await raw.next(), '3probe');
  await post(session, '4late');
  raw.send('5');
  assert.equal(await raw.next(), '4late');
  raw.close();
});
test('upgrade: polling is over then', async () => {
  const session = await handshake();
  const raw = new Raw(`${SOCKET}&sid=${sidOf(session)}`);
  await raw.opened;
  raw.send('2probe');
  await raw.next();
  raw.send('5');
  assert.equal((await get(session)).status, 400);
  raw.send('4hello');
  assert.equal(await raw.next(), '4hello');
  raw.close();
});
test('upgrade: a second WebSocket is closed', async () => {
  const session = await handshake();
  const raw = new Raw(`${SOCKET}&sid=${sidOf(session)}`);
  await raw.opened;
  raw.send('2probe');
  await raw.next();
  raw.send('5');
  const second = new Raw(`${SOCKET}&sid=${sidOf(session)}`);
  await second.closed;
  raw.send('4hello');
  assert.equal(await raw.next(), '4hello');
  raw.close();
});
test('upgrade: a WebSocket that is not probed does not take over', async () => {
  const session = await handshake();
  const raw = new Raw(`${SOCKET}&sid=${sidOf(session)}`);
  await raw.opened;
  raw.send('4hello');
  await raw.closed;
  await post(session, '4still here');
  assert.equal((await get(session)).text, '4still here');
});
test('upgrade: a session that is unknown has none', () => new Raw(`${SOCKET}&sid=nobody`).closed);
