// A real browser's EventSource and WebSocket follow transfers, whole and after dropped connections.
'use strict';
const test = require('node:test');
const assert = require('node:assert/strict');
const { chromium } = require('playwright-core');
const { base, start, ended, cut, sleep, protocols, Log } = require('./follow.cjs');

const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
let browser;
let page;
test.before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: flags });
  page = await browser.newPage();
  await page.goto(`${base}/healthz`);
  await page.evaluate(() => {
    window.follow = (name, url, offered, id) => {
      const log = { told: [], opens: 0, errors: 0, done: false };
      window.logs = { ...window.logs, [name]: log };
      if (!offered) {
        const source = new EventSource(url);
        source.onopen = () => { log.opens++; };
        source.onerror = () => { log.errors++; log.done ||= source.readyState === EventSource.CLOSED; };
        for (const kind of ['progress', 'completed', 'failed']) {
          source.addEventListener(kind, (e) => log.told.push({ kind, id: e.lastEventId, ...JSON.parse(e.data) }));
        }
        return;
      }
      const connect = (after) => {
        const socket = new WebSocket(`${url}&after=${after}`, offered);
        let over = false;
        socket.onopen = () => { log.opens++; log.protocol = socket.protocol; };
        socket.onmessage = (e) => {
          const m = JSON.parse(e.data);
          if (m.type === 'ready') { (log.recovered ??= []).push(m.recovered); socket.send('{"type":"ready_ack"}'); return; }
          if (m.position) after = m.position;
          const kind = { progress: 'progress', job_complete: 'completed', error: 'failed' }[m.type];
          if (kind) log.told.push({ kind, ...m });
          over ||= kind === 'completed' || kind === 'failed';
        };
        socket.onclose = (e) => {
          log.code = e.code;
          if (over || e.code >= 4000) log.done = true;
          else { log.errors++; setTimeout(connect, 50, after); }
        };
      };
      connect('');
    };
  });
});
test.after(() => browser.close());

const logOf = (name) => page.evaluate((n) => window.logs[n], name);
async function over(name) {
  for (;;) {
    const log = await logOf(name);
    if (log.done) return log;
    await sleep(50);
  }
}
function whole(name, told) {
  const log = new Log(name);
  log.told = told;
  const states = log.check();
  for (const step of ['schemas', 'entities', 'assets', 'links', 'configuration']) {
    assert.ok(states.includes(`processing/${step}`), `${name} missed ${step}: ${states}`);
  }
  assert.equal(told.at(-1).source, 'blog');
}

for (const cuts of [0, 2]) {
  test(`from start to end, cut ${cuts} times`, { timeout: 45000 }, async () => {
    const job = await start();
    await page.evaluate(([url, n]) => window.follow(`sse ${n}`, url), [`${job.sseUrl}?authToken=${job.authToken}`, cuts]);
    await page.evaluate(([url, offered, n]) => window.follow(`ws ${n}`, url, offered), [job.websocketUrl, protocols(job.authToken), cuts]);
    for (let i = 0; i < cuts; i++) {
      await sleep(900);
      await cut();
    }
    assert.equal((await ended(job.jobId)).state, 'completed');
    const [sse, ws] = [await over(`sse ${cuts}`), await over(`ws ${cuts}`)];
    whole('EventSource', sse.told);
    whole('WebSocket', ws.told);
    assert.equal(ws.code, 1000);
    assert.equal(ws.protocol, 'transfer.progress.v1');
    assert.equal(ws.opens, cuts + 1);
    assert.ok(sse.opens >= Math.min(cuts, 1) + 1); // it waits two seconds before it comes back
    assert.ok(ws.recovered.slice(1).every(Boolean));
    assert.equal(sse.told.filter((t) => t.recovered === false).length, 1); // the first event only
  });
}

test('no right: an EventSource gives up, a WebSocket is told why', { timeout: 30000 }, async () => {
  const job = await start();
  await page.evaluate((url) => window.follow('refused sse', url), `${job.sseUrl}?authToken=nonsense`);
  await page.evaluate(([url, offered]) => window.follow('refused ws', url, offered), [job.websocketUrl, protocols('nonsense')]);
  const [sse, ws] = [await over('refused sse'), await over('refused ws')];
  assert.deepEqual([sse.told, sse.opens], [[], 0]);
  assert.deepEqual([ws.told, ws.code], [[], 4401]);
});
