// Sends the files of the Transcribe page in pieces, two files at a time. A file whose connection breaks continues where the server
// has it. All texts come from the server.
'use strict';

{
const form = document.getElementById('files');
const list = document.getElementById('sending');
const standing = document.getElementById('standing');
const template = document.getElementById('file-row').content.firstElementChild;
const texts = document.getElementById('file-texts').content;
const PIECE = 8 * 1024 * 1024;
const AT_ONCE = 2;
const TUS = { 'tus-resumable': '1.0.0' };
// A connection over which nothing goes in this time is given up.
const STALL = 30000;
const LOOK_AGAIN = 1000;
// A transcript takes longer.
const LOOK_AGAIN_AT_TRANSCRIPTS = 3000;
const PAUSES = [1000, 2000, 4000, 8000, 15000];
const rows = [];
// These states need this page.
const OPEN = ['waiting', 'sending', 'lost', 'out'];

function textOf(name, value = '') {
  return texts.querySelector(`.${name}`).textContent.replace('{}', value);
}

function sizeOf(bytes) {
  const units = ['B', 'kB', 'MB', 'GB'];
  const power = Math.min(3, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** power).toLocaleString(undefined, { maximumFractionDigits: power > 1 ? 1 : 0 })} ${units[power]}`;
}

// The server does not take the file; no repetition would help.
class Refused extends Error {}

// Somebody has canceled it.
class Canceled extends Error {}

// It must wait for somebody to log in.
class LoggedOut extends Error {}

function show(row, state, value) {
  row.state = state;
  const shown = row.element.querySelector('.state');
  shown.textContent = textOf(state, value);
  shown.className = `state ${{ failed: 'failed', lacking: 'failed', done: 'past', known: 'past', waiting: 'never' }[state] ?? 'now'}`;
  row.element.querySelector('[data-again]').hidden = state !== 'failed';
  row.element.querySelector('[data-cancel]').hidden = ['ordered', 'known', 'done', 'lacking'].includes(state);
  summarize();
}

function isOpen({ state }) {
  return OPEN.includes(state);
}

// Says whether the page may be closed.
function summarize() {
  const open = rows.filter(isOpen).length;
  standing.hidden = !rows.length;
  let said = textOf('open', open);
  if (!open) said = textOf(rows.some((row) => row.state === 'failed') ? 'partly' : 'closed');
  if (standing.textContent !== said) standing.textContent = said;
}

// Tells a screen reader. What a file comes to is said once, its percents are not.
function announce(sentence) {
  document.getElementById('said').textContent = sentence;
}

function progress(row, sent) {
  const percent = Math.floor(sent * 100 / row.file.size);
  row.element.querySelector('progress').value = percent;
  if (row.state !== 'sending' || row.percent !== percent) show(row, 'sending', percent);
  row.percent = percent;
}

// Sends a request, whose progress can be seen.
function ask(row, method, address, headers = {}, content = null) {
  return new Promise((resolve, reject) => {
    if (row.isCanceled) return reject(new Canceled());
    const request = row.request = new XMLHttpRequest();
    let alarm;
    const hear = () => {
      clearTimeout(alarm);
      alarm = setTimeout(() => request.abort(), STALL);
    };
    request.open(method, address);
    for (const [name, value] of Object.entries({ accept: 'application/json', ...TUS, ...headers })) request.setRequestHeader(name, value);
    if (method === 'PATCH') request.upload.onprogress = ({ loaded }) => {
      hear();
      progress(row, row.offset + loaded);
    };
    request.onloadend = () => {
      clearTimeout(alarm);
      const { status } = request;
      if (row.isCanceled) reject(new Canceled());
      else if (status === 401) reject(new LoggedOut());
      else if (status === 0 || [408, 409, 423, 429].includes(status) || (status >= 500 && status !== 507)) reject(new Error(status));
      else if (status >= 400 && status !== 404) reject(new Refused(detailOf(request)));
      else resolve(request);
    };
    hear();
    request.send(content);
  });
}

function detailOf(request) {
  try {
    return JSON.parse(request.responseText).detail;
  } catch {
    return request.statusText;
  }
}

// Where a file was begun, so that the same one that is chosen again after a reload continues.
function remembered(row) {
  try {
    return localStorage.getItem(row.key);
  } catch {
    return null;
  }
}

function remember(row, address) {
  try {
    if (address) localStorage.setItem(row.key, address);
    else localStorage.removeItem(row.key);
  } catch {} // The browser keeps nothing.
}

function encode(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

async function begin(row) {
  const headers = { 'upload-length': row.file.size, 'upload-metadata': `filename ${encode(row.file.name)}` };
  const begun = await ask(row, 'POST', '/uploads', headers, row.fields);
  if (begun.status !== 201) throw new Error(begun.status);
  row.address = begun.getResponseHeader('location');
  row.offset = 0;
  remember(row, row.address);
}

// Returns how far the server is. `null` if it has nothing of the file.
async function stateOf(row) {
  const answer = await ask(row, 'GET', row.address);
  return answer.status === 404 ? null : JSON.parse(answer.responseText);
}

async function sendAll(row) {
  const known = row.address && await stateOf(row);
  if (known) row.offset = known.offset;
  else await begin(row);
  if (known && ['ordered', 'sending'].includes(known.state)) return;
  // After the last byte, an empty piece tries again what has failed.
  do {
    progress(row, row.offset);
    const piece = row.file.slice(row.offset, row.offset + PIECE);
    const headers = { 'upload-offset': row.offset, 'content-type': 'application/offset+octet-stream' };
    const sent = await ask(row, 'PATCH', row.address, headers, piece);
    if (sent.status === 404) throw new Error('gone');
    row.offset = Number(sent.getResponseHeader('upload-offset'));
    row.tries = 0;
  } while (row.offset < row.file.size);
  progress(row, row.offset);
}

// Sends a file until the server has all of it.
async function send(row) {
  progress(row, row.offset);
  row.tries = 0;
  for (;;) {
    try {
      await sendAll(row);
      show(row, 'passing');
      followAll();
      return;
    } catch (error) {
      if (error instanceof Canceled) return;
      if (error instanceof Refused) return fail(row, error.message);
      try {
        await row.file.slice(0, 1).arrayBuffer();
      } catch {
        return fail(row, textOf('unreadable'));
      }
      show(row, error instanceof LoggedOut ? 'out' : 'lost');
      await pause(PAUSES[Math.min(row.tries++, PAUSES.length - 1)]);
      if (row.isCanceled) return;
    }
  }
}

// Waits, but not longer than until the connection is back.
function pause(time) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener('online', end);
      resolve();
    };
    const timer = setTimeout(end, time);
    addEventListener('online', end);
  });
}

// Asks about the files that the server has, one after the other, until they are transcribed. A browser opens only a few
// connections to one server, and those that send need them.
let isFollowing = false;

async function followAll() {
  if (isFollowing) return;
  isFollowing = true;
  for (let some; (some = rows.filter(({ state }) => ['passing', 'ordered'].includes(state))).length;) {
    for (const row of some) {
      try {
        if (row.state === 'passing') follow(row, await stateOf(row));
        else if (row.nextLook < Date.now()) tell(row, await ask(row, 'GET', row.item));
      } catch (error) {
        if (!(error instanceof Refused)) continue;
        if (row.state === 'passing') fail(row, error.message);
        else end(row, 'lacking', error.message);
      }
    }
    await pause(LOOK_AGAIN);
  }
  isFollowing = false;
}

function follow(row, now) {
  if (!now) return fail(row, textOf('gone'));
  if (now.state === 'failed') return fail(row, now.reason);
  if (now.state === 'receiving') return start(row);
  if (now.state !== 'ordered') return;
  remember(row, null);
  const link = row.element.querySelector('a');
  link.href = row.item = now.item;
  row.nextLook = 0;
  link.hidden = false;
  end(row, now.was_there ? 'known' : 'ordered', now.title ?? textOf('untitled'));
}

// Shows what came of the transcript. 404 has another body.
function tell(row, { status, responseText }) {
  const { progress, reason } = status === 200 ? JSON.parse(responseText) : {};
  row.nextLook = Date.now() + LOOK_AGAIN_AT_TRANSCRIPTS;
  if (progress === 'done') end(row, 'done');
  else if (progress !== 'transcribing') end(row, 'lacking', reason ?? textOf('deleted'));
}

function fail(row, why) {
  end(row, 'failed', why);
}

function end(row, state, why) {
  show(row, state, why);
  announce(`${row.file.name}: ${row.element.querySelector('.state').textContent}`);
}

// Begins to send those that wait, as many as there is room for.
let running = 0;

async function next() {
  const row = running < AT_ONCE && rows.find(({ state }) => state === 'waiting');
  if (!row) return;
  running += 1;
  const sent = send(row);
  next();
  await sent;
  running -= 1;
  next();
}

function start(row) {
  show(row, 'waiting');
  next();
}

function add(file, fields) {
  const key = `upload ${file.name} ${file.size} ${file.lastModified} ${fields}`;
  if (rows.some((row) => row.key === key)) return announce(textOf('twice', file.name));
  const row = { file, fields, key, offset: 0, element: document.importNode(template, true) };
  row.address = remembered(row);
  row.element.querySelector('.name').textContent = file.name;
  row.element.querySelector('.size').textContent = sizeOf(file.size);
  row.element.querySelector('progress').setAttribute('aria-label', file.name);
  for (const button of row.element.querySelectorAll('button')) button.setAttribute('aria-label', `${button.textContent}: ${file.name}`);
  row.element.querySelector('a').setAttribute('aria-label', `${row.element.querySelector('a').textContent}: ${file.name}`);
  rows.push(row);
  list.append(row.element);
  if (file.size) show(row, 'waiting');
  else fail(row, textOf('empty'));
}

function addAll(files) {
  const fields = new URLSearchParams();
  for (const field of form.querySelectorAll('input[name]:not([type=file])')) {
    if (field.value.trim() && (field.name !== 'title' || files.length === 1)) fields.append(field.name, field.value);
  }
  for (const file of files) add(file, fields);
  next();
}

function cancel(row) {
  row.isCanceled = true;
  row.request?.abort();
  remember(row, null);
  if (row.address) fetch(row.address, { method: 'DELETE', headers: TUS, keepalive: true }).catch(() => {}); // It expires anyway.
  rows.splice(rows.indexOf(row), 1);
  row.element.remove();
  summarize();
  form.querySelector('[type=file]').focus();
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const chosen = form.querySelector('[type=file]');
  addAll([...chosen.files]);
  // The title is that of one file.
  form.querySelector('[name=title]').value = '';
  chosen.value = '';
});

list.addEventListener('click', ({ target }) => {
  const row = rows.find(({ element }) => element.contains(target));
  if (target.matches('[data-again]')) start(row);
  if (target.matches('[data-cancel]')) cancel(row);
});

// Without this, a browser would open a file that is dropped.
for (const kind of ['dragover', 'drop']) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer.types.includes('Files')) return;
    event.preventDefault();
    if (kind === 'drop') addAll([...event.dataTransfer.files]);
  });
}

addEventListener('beforeunload', (event) => {
  if (rows.some(isOpen)) event.preventDefault();
});

// Nor does page.js lead to the log-in page meanwhile.
typist.isHere = () => rows.some(isOpen);
}
