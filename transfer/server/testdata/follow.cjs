// What the scripts share: starting jobs, and following them over each channel.
'use strict';
const assert = require('node:assert/strict');
const { io } = require('socket.io-client');
const WebSocket = require('ws');

const base = process.env.URL;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const cut = () => fetch(process.env.CUT, { method: 'POST' });

async function api(method, path, body, token = process.env.TOKEN) {
  const response = await fetch((process.env.API ?? base) + path, {
    method,
    headers: { Authorization: `Bearer ${token}`, ...(body && { 'Content-Type': 'application/json' }) },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text && JSON.parse(text), headers: response.headers };
}
async function start(from = 'blog', to = 'copy') {
  const { status, body } = await api('POST', '/api/jobs', { from, to, options: { attempts: 1 } });
  assert.equal(status, 202, JSON.stringify(body));
  const { jobId } = body.data; // followed where the clients are, which may be another server
  return {
    ...body.data, sseUrl: `${base}/api/jobs/${jobId}/stream`, websocketUrl: `${base.replace('http', 'ws')}/ws/progress?jobId=${jobId}`,
  };
}
async function ended(id) {
  for (let pause = 500; ; pause = Math.min(1.5 * pause, 3000)) { // a job may be asked for 30 times a minute
    const { body } = await api('GET', `/api/jobs/${id}`);
    if (body.data && !['pending', 'processing'].includes(body.data.state)) return body.data;
    await sleep(pause);
  }
}

// Log is what one client has heard of one job.
class Log {
  constructor(name) { this.name = name; this.told = []; this.abort = new AbortController(); this.end = new Promise((resolve) => { this.finish = resolve; }); }
  add(kind, body) {
    this.told.push({ kind, ...body });
    if (kind === 'completed' || kind === 'failed') this.finish(kind);
  }
  // check reports states that are missing, that came twice, or out of order. Positions count the durable events.
  check({ last = 'completed' } = {}) {
    const seq = (p) => Number(p.split('-')[1]);
    const steps = ['created', 'connecting', 'checking', 'schemas', 'entities', 'assets', 'links', 'configuration', 'completed'];
    let before = null;
    const states = [];
    for (const t of this.told) {
      if (before) {
        assert.ok(seq(t.position) >= seq(before.position), `${this.name}: position went back: ${before.position} ${t.position}`);
        if (t.snapshot !== true) assert.ok(t.progress >= before.progress, `${this.name}: progress went back: ${before.progress} ${t.progress}`);
        assert.ok(steps.indexOf(t.step) >= steps.indexOf(before.step), `${this.name}: step went back: ${before.step} ${t.step}`);
      }
      const state = `${t.status}/${t.step}`;
      if (states.at(-1) !== state) states.push(state);
      before = t;
    }
    assert.equal(new Set(states).size, states.length, `${this.name}: a state came twice: ${states}`);
    assert.equal(this.told.filter((t) => ['completed', 'failed'].includes(t.kind)).length, 1, `${this.name}: ${states}`);
    assert.equal(this.told.at(-1).kind, last, `${this.name}: ${states}`);
    return states;
  }
}

// sse reads a stream as a browser would, and comes back with the last id when it is cut.
async function sse(url, log, { headers = {}, lastEventId = '' } = {}) {
  for (;;) {
    let response;
    try {
      response = await fetch(url, {
        headers: { ...headers, ...(lastEventId && { 'Last-Event-ID': lastEventId }) }, signal: log.abort.signal,
      });
    } catch {
      if (log.abort.signal.aborted) return lastEventId;
      await sleep(50);
      continue;
    }
    if (response.status === 204) return 204;
    if (response.status !== 200) return response.status;
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.equal(response.headers.get('x-accel-buffering'), 'no');
    let text = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body) {
        text += decoder.decode(chunk, { stream: true });
        for (let at = text.indexOf('\n\n'); at >= 0; at = text.indexOf('\n\n')) {
          const event = { data: '' };
          for (const line of text.slice(0, at).split('\n')) {
            const colon = line.indexOf(': ');
            if (colon > 0) event[line.slice(0, colon)] = line.slice(colon + 2);
          }
          text = text.slice(at + 2);
          if (event.id) lastEventId = event.id;
          if (event.event === 'timeout') log.timeout = JSON.parse(event.data);
          else if (event.event) log.add(event.event, JSON.parse(event.data));
        }
      }
    } catch { await sleep(50); }
  }
}

const protocols = (token) => ['transfer.progress.v1', `bearer.${Buffer.from(token).toString('base64url')}`];
// ws follows by WebSocket, and comes back with its position.
function ws(id, log, token = process.env.TOKEN, after = '') {
  return new Promise((resolve) => {
    const socket = new WebSocket(`${base.replace('http', 'ws')}/ws/progress?jobId=${id}&after=${after}`, protocols(token));
    let over = false;
    log.socket = socket;
    log.recovered ??= [];
    socket.on('error', () => {});
    socket.on('message', (data) => {
      const m = JSON.parse(data);
      if (m.type === 'ready') {
        assert.equal(socket.protocol, 'transfer.progress.v1');
        log.recovered.push(m.recovered);
        socket.send(JSON.stringify({ type: 'ready_ack' }));
        return;
      }
      if (m.position) after = m.position;
      const kind = { progress: 'progress', job_complete: 'completed' }[m.type] ?? (m.type === 'error' ? (m.final ? 'failed' : 'progress') : null);
      if (kind) log.add(kind, m);
      else (log.other ??= []).push(m);
      over ||= kind === 'completed' || kind === 'failed';
    });
    socket.on('close', async (code) => {
      if (over || code >= 4000) return resolve(code);
      await sleep(50);
      resolve(await ws(id, log, token, after));
    });
  });
}

// socket follows by Socket.IO. Connection state recovery brings back what was missed; without it, the position does.
function socket(id, log, options = {}) {
  const s = io(base, { forceNew: true, auth: { token: process.env.TOKEN }, reconnectionDelay: 50, reconnectionDelayMax: 100, ...options });
  log.position = '';
  const hear = (kind) => (body, ...rest) => {
    if (body.jobId !== id) return;
    log.position = body.position;
    log.add(kind, body);
  };
  s.on('job:progress', hear('progress'));
  s.on('job:completed', hear('completed'));
  s.on('job:error', hear('failed'));
  s.on('event', (e) => { if (e.jobId === id) (log.envelopes ??= []).push(e); });
  s.on('connect', async () => {
    (log.recoveries ??= []).push(Boolean(s.recovered));
    if (s.recovered && log.ack) return;
    try {
      log.ack = await s.emitWithAck('job:subscribe', log.position ? { jobId: id, after: log.position } : id);
    } catch { /* cut before the answer came: it connects again */ }
  });
  return s;
}

module.exports = { base, api, start, ended, cut, sleep, sse, ws, socket, protocols, Log, io, WebSocket };
