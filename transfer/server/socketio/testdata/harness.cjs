// What the scripts share: raw connections whose messages can be awaited, and requests.
'use strict';
const http = require('node:http');
const WebSocket = require('ws');

const base = process.env.URL;
const url = (query) => `${base}/socket.io/?${query}`;
const wsUrl = (query) => url(query).replace(/^http/, 'ws');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Raw is a WebSocket whose messages wait in line until they are asked for.
class Raw {
  constructor(query) {
    this.line = [];
    this.waiting = [];
    this.socket = new WebSocket(wsUrl(query));
    this.socket.binaryType = 'arraybuffer';
    this.opened = new Promise((resolve) => this.socket.on('open', resolve));
    this.closed = new Promise((resolve) => this.socket.on('close', (code) => resolve(code)));
    this.socket.on('error', () => {});
    this.socket.on('message', (data, binary) => {
      const message = binary ? new Uint8Array(data) : Buffer.from(data).toString();
      if (this.waiting.length) this.waiting.shift()(message);
      else this.line.push(message);
    });
  }
  send(data) { this.socket.send(data); }
  next() {
    if (this.line.length) return Promise.resolve(this.line.shift());
    return new Promise((resolve) => this.waiting.push(resolve));
  }
  // nextPacket passes over heartbeats.
  async nextPacket() {
    for (;;) {
      const message = await this.next();
      if (message !== '2') return message;
    }
  }
  close() { this.socket.close(); }
}

async function get(query, options) {
  const response = await fetch(url(query), options);
  return { status: response.status, text: await response.text(), headers: response.headers };
}
const post = (query, body) => get(query, { method: 'POST', body });

const POLLING = 'EIO=4&transport=polling';
const SOCKET = 'EIO=4&transport=websocket';

async function handshake() {
  const { text } = await get(POLLING);
  return `${POLLING}&sid=${JSON.parse(text.slice(1)).sid}`;
}
const sidOf = (query) => query.match(/sid=(.*)$/)[1];

// openPoll starts a poll that can be aborted, and settles once the request is on its way.
function openPoll(query) {
  let request;
  const answer = new Promise((resolve) => {
    request = http.get(url(query), (response) => {
      let text = '';
      response.on('data', (chunk) => { text += chunk; });
      response.on('end', () => resolve({ status: response.statusCode, text }));
    });
    request.on('error', () => resolve({ status: 0, text: '' }));
  });
  return { abort: () => request.destroy(), answer };
}

module.exports = { Raw, get, post, handshake, sidOf, openPoll, sleep, url, wsUrl, base, POLLING, SOCKET };
