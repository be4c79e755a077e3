// Socket.IO protocol 5, case by case: every socket is told what it gave to authenticate, and what it sends comes back.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { Raw, get, post, handshake, SOCKET } = require('./harness.cjs');

async function open() {
  const raw = new Raw(SOCKET);
  assert.equal((await raw.next())[0], '0');
  return raw;
}
async function connected() {
  const raw = await open();
  raw.send('40');
  assert.match(await raw.nextPacket(), /^40\{"sid":"[^"]+"\}$/);
  assert.equal(await raw.nextPacket(), '42["auth",{}]');
  return raw;
}
const closes = (name, packet, open) => test(`${name} closes the connection`, async () => {
  const raw = await open();
  raw.send(packet);
  await raw.closed;
});

for (const [where, prefix, name] of [['the main namespace', '', ''], ['another namespace', '/custom,', '/custom,']]) {
  test(`a client connects to ${where}`, async () => {
    const raw = await open();
    raw.send(`40${prefix}`);
    const answer = await raw.nextPacket();
    assert.ok(answer.startsWith(`40${name}`));
    assert.deepEqual(Object.keys(JSON.parse(answer.slice(2 + name.length))), ['sid']);
    assert.equal(await raw.nextPacket(), `42${name}["auth",{}]`);
    raw.close();
  });
  test(`a client connects to ${where} with a payload`, async () => {
    const raw = await open();
    raw.send(`40${prefix}{"token":"123"}`);
    assert.ok((await raw.nextPacket()).startsWith(`40${name}{"sid":"`));
    assert.equal(await raw.nextPacket(), `42${name}["auth",{"token":"123"}]`);
    raw.close();
  });
}
test('an unknown namespace is refused', async () => {
  const raw = await open();
  raw.send('40/random');
  assert.equal(await raw.nextPacket(), '44/random,{"message":"Invalid namespace"}');
  raw.close();
});
closes('an invalid handshake', '4abc', open);
closes('an event before the handshake', '42["message"]', open);
test('no handshake closes the connection', async () => {
  const raw = await open();
  raw.socket.on('message', (data) => { if (String(data) === '2') raw.send('3'); });
  await raw.closed;
});

test('a client leaves the main namespace', async () => {
  const raw = await connected();
  raw.send('41');
  assert.equal(await raw.next(), '2');
  raw.close();
});
test('a client joins and leaves another namespace', async () => {
  const raw = await connected();
  raw.send('40/custom,');
  assert.ok((await raw.nextPacket()).startsWith('40/custom,'));
  assert.equal(await raw.nextPacket(), '42/custom,["auth",{}]');
  raw.send('41/custom,');
  raw.send('42["message","to main"]');
  assert.equal(await raw.nextPacket(), '42["message-back","to main"]');
  raw.close();
});

test('an event', async () => {
  const raw = await connected();
  raw.send('42["message",1,"2",{"3":[true]}]');
  assert.equal(await raw.nextPacket(), '42["message-back",1,"2",{"3":[true]}]');
  raw.close();
});
test('an event with binary attachments', async () => {
  const raw = await connected();
  const args = '{"_placeholder":true,"num":0},{"nested":[{"_placeholder":true,"num":1}]}';
  raw.send(`452-["message",${args}]`);
  raw.send(Uint8Array.from([1, 2, 3]));
  raw.send(Uint8Array.from([4, 5, 6]));
  assert.equal(await raw.nextPacket(), `452-["message-back",${args}]`);
  assert.deepEqual(await raw.nextPacket(), Uint8Array.from([1, 2, 3]));
  assert.deepEqual(await raw.nextPacket(), Uint8Array.from([4, 5, 6]));
  raw.close();
});
test('an event with an acknowledgement', async () => {
  const raw = await connected();
  raw.send('42456["message-with-ack",1,"2",{"3":[false]}]');
  assert.equal(await raw.nextPacket(), '43456[1,"2",{"3":[false]}]');
  raw.close();
});
test('an event with binary attachments and an acknowledgement', async () => {
  const raw = await connected();
  const args = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}';
  raw.send(`452-789["message-with-ack",${args}]`);
  raw.send(Uint8Array.from([1, 2, 3]));
  raw.send(Uint8Array.from([4, 5, 6]));
  assert.equal(await raw.nextPacket(), `462-789[${args}]`);
  assert.deepEqual(await raw.nextPacket(), Uint8Array.from([1, 2, 3]));
  assert.deepEqual(await raw.nextPacket(), Uint8Array.from([4, 5, 6]));
  raw.close();
});
test('the same over polling', async () => {
  const session = await handshake();
  await post(session, '40');
  let seen = '';
  while (!seen.includes('"auth"')) seen += (await get(session)).text;
  await post(session, '451-["message",{"_placeholder":true,"num":0}]\x1ebAQID');
  assert.equal((await get(session)).text.replace(/^2\x1e/, ''), '451-["message-back",{"_placeholder":true,"num":0}]\x1ebAQID');
});

closes('an unknown packet type', '4abc', connected);
closes('a payload that is no array', '42{}', connected);
closes('an empty array', '42[]', connected);
closes('a name that is no string', '42[{}]', connected);
closes('a reserved name', '42["disconnect"]', connected);
closes('an acknowledgement id that is no number', '42abc["message-with-ack",1]', connected);
closes('more attachments than allowed', '4511-["message"]', connected);
closes('a number of attachments that is none', '45-["message"]', connected);
closes('a text where an attachment is due', '451-["message",{"_placeholder":true,"num":0}]', async () => {
  const raw = await connected();
  const send = raw.send.bind(raw);
  raw.send = (packet) => { send(packet); send('42["message"]'); };
  return raw;
});
closes('a second handshake', '40', connected);
test('an attachment that nothing announced closes the connection', async () => {
  const raw = await connected();
  raw.send(Uint8Array.from([1]));
  await raw.closed;
});
