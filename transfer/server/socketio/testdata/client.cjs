// The unmodified socket.io-client against a server, over each transport.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { io } = require('socket.io-client');
const { base, sleep } = require('./harness.cjs');

const once = (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));

// connect returns a client that has joined a namespace.
async function connect(options = {}, namespace = '') {
  const socket = io(base + namespace, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50, ...options });
  await once(socket, 'connect');
  return socket;
}
async function upgraded(socket) {
  while (socket.io.engine.transport.name !== 'websocket') await sleep(5);
}
const reasonOf = async (id) => {
  const witness = await connect({ transports: ['websocket'] });
  let reason = '';
  for (let i = 0; i < 100 && !reason; i++) {
    reason = await witness.emitWithAck('reason', id);
    if (!reason) await sleep(20);
  }
  witness.disconnect();
  return reason;
};

const transports = {
  polling: { transports: ['polling'] },
  websocket: { transports: ['websocket'] },
  upgrade: { transports: ['polling', 'websocket'] },
};
for (const [name, options] of Object.entries(transports)) {
  test(name, async (t) => {
    await t.test('connects by the transport that was asked for', async () => {
      const socket = await connect(options);
      if (name === 'upgrade') await upgraded(socket);
      assert.equal(socket.io.engine.transport.name, name === 'polling' ? 'polling' : 'websocket');
      socket.disconnect();
    });
    await t.test('events, acknowledgements and binary data go there and back', async () => {
      const socket = await connect(options);
      const sent = [1, 'two', { three: [true, null, 'ü <&> \u2028'] }, Buffer.from([1, 2, 3])];
      const received = await new Promise((resolve) => socket.emit('echo', ...sent, (...args) => resolve(args)));
      assert.deepEqual(received, sent);
      socket.disconnect();
    });
    await t.test('many events keep their order', async () => {
      const socket = await connect(options);
      const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => socket.emitWithAck('echo', i)));
      assert.deepEqual(answers, Array.from({ length: 200 }, (_, i) => i));
      socket.disconnect();
    });
    await t.test('the server asks and the client answers', async () => {
      const socket = await connect(options);
      socket.on('question', (n, answer) => answer('yes', n + 1));
      socket.emit('ask', 41);
      assert.deepEqual((await once(socket, 'answered'))[0], ['yes', 42]);
      socket.off('question');
      socket.emit('ask', 41);
      assert.equal((await once(socket, 'answered'))[0], 'operation has timed out');
      socket.disconnect();
    });
    await t.test('rooms: who is in hears, who is not does not', async () => {
      const [a, b, c] = await Promise.all([connect(options), connect(options), connect(options)]);
      const heard = [];
      for (const [who, socket] of [['a', a], ['b', b], ['c', c]]) socket.on('told', (what) => heard.push([who, what]));
      assert.deepEqual(await a.emitWithAck('join', 'red'), ['red']);
      assert.deepEqual(await b.emitWithAck('join', 'red'), ['red']);
      await a.emitWithAck('tell', 'red', 'one'); // not to the sender
      await b.emitWithAck('echo', 0);
      assert.deepEqual(await b.emitWithAck('leave', 'red'), []);
      await c.emitWithAck('tell', 'red', 'two');
      await Promise.all([a, b, c].map((s) => s.emitWithAck('echo', 0)));
      assert.deepEqual(heard, [['b', 'one'], ['a', 'two']]);
      a.emit('tell-binary', 'red', Buffer.from([9, 8]));
      assert.deepEqual((await once(a, 'told'))[0], { bytes: Buffer.from([9, 8]) });
      [a, b, c].forEach((s) => s.disconnect());
    });
    await t.test('namespaces share a connection and nothing else', async () => {
      const main = await connect(options);
      const other = main.io.socket('/other');
      await once(other, 'connect');
      assert.notEqual(main.id, other.id);
      assert.deepEqual(await other.emitWithAck('join', 'x'), ['x']);
      assert.deepEqual((await new Promise((r) => main.emit('who', (...a) => r(a))))[2], []);
      other.disconnect();
      assert.equal(await main.emitWithAck('echo', 'still here'), 'still here');
      main.disconnect();
    });
    await t.test('no right: connect_error with message and data', async () => {
      const socket = io(`${base}/secret`, { forceNew: true, auth: { token: 'wrong' }, ...options });
      const early = () => assert.fail('disconnect without connect');
      socket.on('disconnect', early);
      const [err] = await once(socket, 'connect_error');
      assert.equal(err.message, 'not authorized');
      assert.deepEqual(err.data, { code: 'token', retry: false });
      assert.equal(socket.active, false); // it does not try again by itself
      socket.off('disconnect', early);
      socket.auth = { token: 'right' };
      socket.connect();
      await once(socket, 'connect');
      socket.disconnect();
    });
    await t.test('a middleware that breaks tells nothing of why', async () => {
      const socket = io(`${base}/broken`, { forceNew: true, ...options });
      assert.equal((await once(socket, 'connect_error'))[0].message, 'Internal error');
      socket.disconnect();
    });
    await t.test('unknown namespace: connect_error', async () => {
      const socket = io(`${base}/nowhere`, { forceNew: true, ...options });
      assert.equal((await once(socket, 'connect_error'))[0].message, 'Invalid namespace');
      socket.disconnect();
    });
    await t.test('reasons: the client disconnects', async () => {
      const socket = await connect(options);
      const { id } = socket;
      const reason = once(socket, 'disconnect');
      socket.disconnect();
      assert.equal((await reason)[0], 'io client disconnect');
      assert.equal(await reasonOf(id), 'client namespace disconnect');
    });
    for (const how of ['kick', 'close']) {
      await t.test(`reasons: the server disconnects (${how})`, async () => {
        const socket = await connect(options);
        const { id } = socket;
        socket.emit(how);
        assert.equal((await once(socket, 'disconnect'))[0], 'io server disconnect');
        assert.equal(socket.active, false);
        assert.equal(await reasonOf(id), 'server namespace disconnect');
        socket.disconnect();
      });
    }
    await t.test('reasons: the connection is gone', async () => {
      const socket = await connect(options);
      if (name === 'upgrade') await upgraded(socket);
      const { id } = socket;
      const gone = once(socket, 'disconnect');
      socket.io.engine.close();
      await gone;
      assert.ok(['transport close', 'transport error'].includes(await reasonOf(id)));
      socket.disconnect();
    });
    await t.test('reasons: pings that are not answered', async () => {
      const socket = await connect(options);
      if (name === 'upgrade') await upgraded(socket);
      const { id } = socket;
      const engine = socket.io.engine;
      const send = engine.sendPacket ?? engine._sendPacket;
      const mute = (type, ...rest) => (type === 'pong' ? undefined : send.call(engine, type, ...rest));
      engine.sendPacket = mute;
      engine._sendPacket = mute;
      await once(socket, 'disconnect');
      assert.equal(await reasonOf(id), 'ping timeout');
      socket.disconnect();
    });
    await t.test('reasons: pings that do not come', async () => {
      const socket = await connect({ ...options, reconnection: false });
      if (name === 'upgrade') await upgraded(socket);
      socket.emit('mute');
      assert.equal((await once(socket, 'disconnect'))[0], 'ping timeout');
    });
    await t.test('recovery: who comes back gets what it missed, once and in order', async () => {
      const [a, b] = await Promise.all([connect(options), connect({ transports: ['websocket'] })]);
      if (name === 'upgrade') await upgraded(a);
      assert.equal(a.recovered, false);
      const heard = [];
      a.on('told', (what) => heard.push(what));
      await a.emitWithAck('join', `room-${name}`);
      await b.emitWithAck('tell', `room-${name}`, 'one');
      while (heard.length < 1) await sleep(5);
      const { id } = a;
      a.io.reconnectionDelay(300);
      a.io.reconnectionDelayMax(300);
      const gone = once(a, 'disconnect');
      a.emit('cut');
      assert.ok(['transport close', 'transport error'].includes((await gone)[0]));
      for (const what of ['two', 'three']) await b.emitWithAck('tell', `room-${name}`, what);
      await b.emitWithAck('tell', 'elsewhere', 'not for a');
      await once(a, 'connect');
      assert.equal(a.recovered, true);
      assert.equal(a.id, id);
      await b.emitWithAck('tell', `room-${name}`, 'four');
      while (heard.length < 4) await sleep(5);
      assert.deepEqual(heard, ['one', 'two', 'three', 'four']);
      const who = await new Promise((r) => a.emit('who', (...args) => r(args)));
      assert.deepEqual(who.slice(0, 3), [id, true, [`room-${name}`]]);
      a.disconnect();
      b.disconnect();
    });
    await t.test('recovery: who heard nothing before starts anew', async () => {
      const socket = await connect(options);
      const { id } = socket;
      socket.emit('cut');
      await once(socket, 'disconnect');
      await once(socket, 'connect');
      assert.ok(!socket.recovered);
      assert.notEqual(socket.id, id);
      socket.disconnect();
    });
    await t.test('recovery: who left of its own accord starts anew', async () => {
      const [a, b] = await Promise.all([connect(options), connect(options)]);
      await a.emitWithAck('join', `left-${name}`);
      const told = once(a, 'told');
      await b.emitWithAck('tell', `left-${name}`, 'one');
      await told;
      a.disconnect();
      await sleep(50);
      a.connect();
      await once(a, 'connect');
      assert.ok(!a.recovered);
      a.disconnect();
      b.disconnect();
    });
  });
}
test('a foreign page is refused over a WebSocket', async () => {
  const socket = io(base, { forceNew: true, transports: ['websocket'], reconnection: false, extraHeaders: { Origin: 'https://elsewhere.example' } });
  await once(socket, 'connect_error');
  socket.disconnect();
});
test('a page on the list connects over a WebSocket', async () => {
  const socket = await connect({ transports: ['websocket'], extraHeaders: { Origin: 'https://app.example' } });
  socket.disconnect();
});
test('at least once: a client that retries is acknowledged', async () => {
  const socket = await connect({ retries: 3, ackTimeout: 500 });
  assert.equal(await socket.emitWithAck('echo', 'kept'), 'kept');
  socket.disconnect();
});
