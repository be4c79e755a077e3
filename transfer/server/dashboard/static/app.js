// Keeps pages up to date. The server renders; this puts what it sends in place, says when the connection is lost, and makes a few
// controls handier. Every page works without it.

const root = document.documentElement;
root.classList.add("scripted");
const byId = (id) => document.getElementById(id);

/* Putting a new picture in place, without losing focus, what is typed, or what is folded open */

function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName || (to.id && from.id && from.id !== to.id)) {
    from.replaceWith(to);
    return;
  }
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  const folded = from.nodeName === "DETAILS";
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !(folded && name === "open")) from.removeAttribute(name);
  }
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value && !(folded && name === "open")) from.setAttribute(name, value);
  }
  if (from.nodeName === "INPUT" || from.nodeName === "SELECT") return;
  children(from, to);
}

function children(from, to) {
  const keyed = new Map();
  for (const child of from.children) if (child.id) keyed.set(child.id, child);
  let at = from.firstChild;
  for (const next of [...to.childNodes]) {
    const known = next.id && keyed.get(next.id);
    if (known) {
      if (known !== at) from.insertBefore(known, at);
      else at = at.nextSibling;
      morph(known, next);
    } else if (at && !(at.id && keyed.has(at.id) && to.querySelector("#" + CSS.escape(at.id)))) {
      const old = at;
      at = at.nextSibling;
      morph(old, next);
    } else {
      from.insertBefore(next, at);
    }
  }
  while (at) {
    const old = at;
    at = at.nextSibling;
    old.remove();
  }
}

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

/* The log of a job */

const log = byId("log");
const keptLines = 1000;
let paused = false;
let waiting = null; // what came while paused: {reset, html[]}

function lines(html, reset) {
  if (!log) return;
  if (paused) {
    waiting = reset || !waiting ? { reset: reset || false, html: [html] } : { reset: waiting.reset, html: [...waiting.html, html] };
    return;
  }
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  if (reset) log.replaceChildren();
  log.append(parse(html));
  while (log.childElementCount > keptLines) log.firstElementChild.remove();
  byId("log-none").hidden = log.childElementCount > 0;
  search();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function search() {
  const wanted = (byId("log-search")?.value ?? "").trim().toLowerCase();
  for (const line of log.children) line.hidden = wanted !== "" && !line.textContent.toLowerCase().includes(wanted);
}

if (log) {
  log.scrollTop = log.scrollHeight;
  byId("log-search").addEventListener("input", search);
  byId("log-pause").addEventListener("click", (event) => {
    paused = !paused;
    event.currentTarget.setAttribute("aria-pressed", String(paused));
    event.currentTarget.textContent = paused ? "Go on" : "Pause";
    if (!paused && waiting) {
      const { reset, html } = waiting;
      waiting = null;
      lines(html.join(""), reset);
    }
  });
}

/* The stream of a page */

const live = document.body.dataset.live;
const silence = 15_000; // the server shows every 5 s that it lives
const firstWait = 500;
const longestWait = 10_000;
let source = null;
let heard = 0;
let wait = firstWait;
let retry = 0;
let over = false;
let lost = false;
let still = false; // somebody has paused the page

function connection(text, kind) {
  const place = byId("connection");
  if (!place) return;
  place.textContent = text;
  place.className = "connection " + kind;
  place.hidden = text === "";
}

function connect() {
  clearTimeout(retry);
  if (over || still || document.hidden || !live) return;
  source?.close();
  heard = Date.now();
  const mine = new EventSource(live);
  source = mine;
  const alive = () => {
    if (mine !== source) return;
    heard = Date.now();
    wait = firstWait;
    if (lost) {
      lost = false;
      connection("Connected again", "back");
      setTimeout(() => lost || connection("", ""), 2500);
    }
  };
  mine.addEventListener("update", (event) => {
    alive();
    take(JSON.parse(event.data));
  });
  mine.addEventListener("alive", alive);
  mine.addEventListener("error", () => mine === source && again());
}

// again opens the stream anew after a while. Each begins with a whole picture, so that nothing is missed.
async function again() {
  source?.close();
  source = null;
  if (over || still || document.hidden) return;
  lost = true;
  connection("Reconnecting…", "lost");
  clearTimeout(retry);
  retry = setTimeout(async () => {
    try {
      const answer = await fetch("/session", { cache: "no-store", redirect: "manual" });
      if (answer.status === 401) {
        location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search));
        return;
      }
    } catch {
      // The server cannot be reached: the stream will tell when it can.
    }
    connect();
  }, wait * (0.75 + Math.random() / 2));
  wait = Math.min(wait * 2, longestWait);
}

function take(update) {
  for (const [id, html] of Object.entries(update.parts ?? {})) {
    const place = byId(id);
    if (!place) continue;
    const next = document.createElement("div");
    next.append(parse(html));
    children(place, next);
  }
  if (update.reset || update.lines) lines(update.lines ?? "", update.reset);
  if (update.said) byId("said").textContent = update.said;
  if (update.end) {
    over = true;
    byId("live-pause").hidden = true;
    source.close();
    source = null;
  }
  times();
}

if (live) {
  connect();
  setInterval(() => source && Date.now() - heard > silence && again(), 2000);
  document.addEventListener("visibilitychange", () => {
    // A hidden page listens to nothing: browsers allow few connections to one server at a time.
    if (document.hidden) {
      clearTimeout(retry);
      source?.close();
      source = null;
    } else if (!source) {
      connect();
    }
  });
  byId("live-pause").addEventListener("click", (event) => {
    still = !still;
    event.currentTarget.setAttribute("aria-pressed", String(still));
    event.currentTarget.textContent = still ? "Go on" : "Pause updates";
    clearTimeout(retry);
    source?.close();
    source = null;
    lost = false;
    connection(still ? "Updates are paused" : "", still ? "off" : "");
    connect();
  });
  addEventListener("online", () => lost && connect());
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => event.persisted && connect());
}

// Looking at a page is using it: the session goes on.
if ("session" in document.body.dataset) {
  setInterval(() => document.hidden || fetch("/session", { cache: "no-store" }).catch(() => {}), 600_000);
}

/* Times that are distances */

const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;

function distance(then) {
  const seconds = (Date.now() - then) / 1000;
  const d = Math.abs(seconds);
  if (d < 5) return "now";
  if (d >= 14 * day) return new Date(then).toISOString().slice(0, 10);
  const days = Math.floor(d / day);
  const text =
    d < minute ? Math.floor(d) + " s" : d < hour ? Math.floor(d / minute) + " min" : d < day ? Math.floor(d / hour) + " h" : days === 1 ? "1 day" : days + " days";
  return seconds < 0 ? "in " + text : text + " ago";
}

function span(seconds) {
  if (seconds < 1) return "< 1 s";
  if (seconds < minute) return Math.floor(seconds) + " s";
  if (seconds < hour) return Math.floor(seconds / minute) + " min " + Math.floor(seconds % minute) + " s";
  return Math.floor(seconds / hour) + " h " + Math.floor((seconds % hour) / minute) + " min";
}

function times() {
  for (const place of document.querySelectorAll("time[title]")) {
    const text = distance(Date.parse(place.dateTime));
    if (place.textContent !== text) place.textContent = text;
  }
  for (const place of document.querySelectorAll("[data-since]")) {
    place.textContent = span(Math.max(0, (Date.now() - Date.parse(place.dataset.since)) / 1000));
  }
}

times();
setInterval(times, 1000);

/* Handier controls */

for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", (event) => event.target.matches("select") && form.requestSubmit());
  form.addEventListener("submit", () => {
    for (const control of form.elements) if (control.name && control.value === "") control.disabled = true; // keeps the address short
  });
  addEventListener("pageshow", () => {
    for (const control of form.elements) control.disabled = false;
  });
}

for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    button.textContent = form.dataset.busy;
    button.disabled = true;
  });
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (button) {
    const text = byId(button.dataset.copy).textContent;
    try {
      await navigator.clipboard.writeText(text);
      byId("said").textContent = "Copied";
      button.classList.add("copied");
      button.setAttribute("aria-pressed", "true");
      setTimeout(() => button.removeAttribute("aria-pressed"), 1500);
    } catch {
      getSelection().selectAllChildren(byId(button.dataset.copy)); // not over plain HTTP: then it can be copied by hand
    }
  }
  for (const open of document.querySelectorAll("details.ask[open]")) if (!open.contains(event.target)) open.open = false;
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const open of document.querySelectorAll("details.ask[open]")) {
      open.open = false;
      if (open.contains(document.activeElement)) open.querySelector("summary").focus();
    }
  }
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest?.("input, select, textarea")) {
    const field = byId("q") ?? byId("log-search");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  }
});

// What belongs to another choice is hidden, and not sent.
function shows() {
  const kind = document.querySelector("input[name=kind]:checked")?.dataset.shows;
  const every = byId("every")?.value;
  const show = (place, yes) => {
    place.hidden = !yes;
    for (const control of place.querySelectorAll("input, select")) control.disabled = !yes;
  };
  for (const place of document.querySelectorAll("[data-shown]")) show(place, place.dataset.shown === kind);
  for (const place of document.querySelectorAll("[data-only]")) show(place, place.dataset.only === every);
  for (const place of document.querySelectorAll("[data-not]")) show(place, !place.dataset.not.split(" ").includes(every));
}

if (byId("every")) {
  document.addEventListener("change", shows);
  shows();
  const zone = document.querySelector("[data-zone]");
  if (zone && zone.value === "") zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
}
