// What a page needs a script for: following changes, linking words to audio, copying, showing times in the reader's zone.
// To follow changes it requests the same page again and merges what is new. All texts come from the server.
'use strict';

const body = document.body;
document.documentElement.classList.add('js');

function localize(root) {
  for (const shown of root.querySelectorAll('time[datetime]')) {
    const at = new Date(shown.dateTime);
    shown.textContent = 'clock' in shown.dataset
      ? at.toLocaleTimeString()
      : at.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  }
  const title = root.querySelector('title[data-at]');
  if (title) {
    const at = new Date(title.dataset.at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
    title.textContent = `${title.dataset.said} · ${at}`;
  }
}

// A time as RFC 3339 writes it, with the offset of the reader's zone at that time.
function withOffset(at) {
  const minutes = -at.getTimezoneOffset();
  const two = (number) => String(Math.trunc(Math.abs(number))).padStart(2, '0');
  const offset = `${minutes < 0 ? '-' : '+'}${two(minutes / 60)}:${two(minutes % 60)}`;
  return new Date(at.getTime() + minutes * 60000).toISOString().replace('Z', offset);
}

// A date field stands for a day of the reader, which the server does not know: it gets the day's first or last moment. A
// field that was not changed stays at the moment that the address names.
document.addEventListener('formdata', ({ target, formData }) => {
  for (const field of target.querySelectorAll('input[type=date]')) {
    const at = new Date(`${field.value}T00:00`);
    if (field.dataset.moment && field.value === field.defaultValue) {
      formData.set(field.name, field.dataset.moment);
    } else if (!Number.isNaN(at.getTime())) {
      if (field.name === 'until') at.setTime(at.setHours(24, 0, 0, 0) - 1);
      formData.set(field.name, withOffset(at));
    }
  }
});

// A field for a tag suggests those that there are.
document.addEventListener('focusin', async ({ target: { list } }) => {
  if (list?.id !== 'tags' || list.options.length) return;
  const answer = await fetch('/tags', { redirect: 'manual' }).catch(() => null); // It is only a suggestion.
  if (answer?.ok) list.replaceChildren(...(await answer.json()).tags.map((tag) => new Option('', tag)));
});

// Months, and the dates of files, are those of the reader's zone, which only the browser knows.
const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
document.addEventListener('click', ({ target }) => {
  const link = target.closest('a[download]');
  if (!link) return;
  const address = new URL(link.href);
  address.searchParams.set('zone', timeZone);
  link.href = address;
});
if ('zone' in body.dataset) {
  const query = new URLSearchParams(location.search);
  query.set('zone', timeZone);
  location.replace(`?${query}`);
}

// Following changes.

function copies(nodes) {
  return [...nodes].map((node) => document.importNode(node, true));
}

// Places new calls so that no row that is being read moves: the newest goes into the space kept for it, the others wait for
// the button. A list without calls, or with entirely different ones, shows all new calls at once.
function holdBack(newer) {
  const room = newer.getElementById('fresh');
  const here = document.getElementById('calls');
  if (!room || !here) return;
  const rows = [...newer.getElementById('calls').children];
  const fresh = rows.slice(0, Math.max(0, rows.findIndex((row) => here.contains(document.getElementById(row.id)))));
  const [newest, ...others] = here.querySelector('[data-live]') ? fresh : [];
  if (newest) room.replaceChildren(newest);
  for (const other of others) other.remove();
  if (others.length) newer.getElementById('more').textContent = `${others.length} more`;
}

// Merges the parts of a newer copy of this page that differ. Lists keep their remaining parts, so that a player keeps
// playing. A part with a key is replaced only if the key differs.
function merge(newer, isAll) {
  localize(newer);
  if (!isAll) holdBack(newer);
  for (const list of newer.querySelectorAll('[data-list]')) {
    const here = document.getElementById(list.id);
    if (!here) continue;
    const hadFocus = here.contains(document.activeElement);
    for (const part of [...here.children]) if (!newer.getElementById(part.id)) part.remove();
    // Another button in its place could be pressed by mistake.
    if (hadFocus && !here.contains(document.activeElement)) here.focus({ preventScroll: true });
    let next = here.firstElementChild;
    for (const part of list.children) {
      if (next && next.id === part.id) next = next.nextElementSibling;
      else here.insertBefore(document.getElementById(part.id) || watched(document.importNode(part, true)), next);
    }
  }
  for (const part of newer.querySelectorAll('[data-live]')) {
    const here = document.getElementById(part.id);
    if (!here) continue;
    const { key } = part.dataset;
    if (key === undefined ? here.innerHTML === part.innerHTML : here.dataset.key === key) continue;
    const focused = here.contains(document.activeElement) ? document.activeElement : null;
    const place = focused && [...here.querySelectorAll('a, button, input')].indexOf(focused);
    here.replaceChildren(...copies(part.childNodes));
    watch(here);
    Object.assign(here.dataset, part.dataset);
    if (focused) (here.querySelectorAll('a, button, input')[place] || here).focus();
  }
  for (const text of newer.querySelectorAll('[data-text]')) {
    const here = document.getElementById(text.id);
    if (here) mergeText(here, text);
  }
  body.dataset.about = newer.body.dataset.about;
}

// What edit.js knows: whether the reader types in a transcript at this moment, and whether the caret, or something that is not
// sent, is in one.
const typist = { isTyping: () => false, isHere: () => false };

let isAsking = false;
let isStale = false;
let isAllWanted = false;

// A page that leads elsewhere leads to the log-in page.
function askAgain() {
  return fetch(location.href, { headers: { accept: 'text/html' }, redirect: 'manual' });
}

async function refresh() {
  isStale = true;
  if (isAsking) return;
  isAsking = true;
  while (isStale) {
    isStale = false;
    // To take over a long page takes a moment, in which keys would wait.
    while (typist.isTyping()) await new Promise((later) => setTimeout(later, 200));
    const asked = performance.now();
    try {
      const answer = await askAgain();
      if (answer.type === 'opaqueredirect') {
        logOut();
        break;
      }
      // The reloaded page says that the call is gone.
      if ([401, 403, 404, 410].includes(answer.status)) return location.reload();
      if (!answer.ok) throw new Error(answer.statusText);
      merge(new DOMParser().parseFromString(await answer.text(), 'text/html'), isAllWanted);
      isAllWanted = false;
      // What takes the server long is asked for less often.
      await new Promise((later) => setTimeout(later, performance.now() - asked));
    } catch {
      isStale = true;
      await new Promise((later) => setTimeout(later, 3000));
    }
  }
  isAsking = false;
}

// The connection to the server. The server sends something at least every two seconds.

const connection = document.getElementById('connection');
const SILENCE = 4500;
let stream = null;
let { since } = body.dataset;
let alarm;
let isLost = false;
let isBroken = false;

function say(name) {
  const message = document.getElementById('messages').content.querySelector(`.${name}`);
  if (connection.querySelector(`.${name}`)) return;
  connection.replaceChildren(document.importNode(message, true));
  for (const link of connection.querySelectorAll('a')) link.href = '/login';
}

// The reader has seen that the connection is back.
function acknowledge() {
  if (connection.querySelector('.back')) connection.replaceChildren();
}

function hear() {
  if (isLost) say('back');
  else if (connection.querySelector('.out')) connection.replaceChildren();
  isLost = isBroken = false;
  expect(SILENCE);
}

// Waits for something to come within this time. If nothing does, a new stream may fare better than the old one.
function expect(time) {
  clearTimeout(alarm);
  alarm = setTimeout(lose, time);
}

function lose() {
  isLost = true;
  say('lost');
  stream = stream?.close();
  listen();
  expect(2 * SILENCE);
}

// Goes to the log-in page, unless something is typed here that would be lost.
function logOut() {
  clearTimeout(alarm);
  isLost = false;
  const fields = [...document.querySelectorAll('form[method=post] input:not([type=hidden])')];
  if (fields.some((field) => field.value !== field.defaultValue) || typist.isHere()) return say('out');
  location.replace(`/login?next=${encodeURIComponent(location.pathname + location.search + location.hash)}`);
}

// A browser opens only a few connections to one server, so hidden pages close theirs.
function listen() {
  const isWanted = document.visibilityState === 'visible';
  if (!isWanted && stream) {
    clearTimeout(alarm);
    stream = stream.close();
  }
  if (!isWanted || stream) return;
  if (!isLost) expect(SILENCE);
  stream = new EventSource(since === undefined ? '/events' : `/events?since=${encodeURIComponent(since)}`);
  stream.onopen = hear;
  stream.addEventListener('alive', hear);
  stream.onmessage = ({ data, lastEventId }) => {
    hear();
    if (since === undefined) return;
    since = lastEventId;
    const { changed, all } = JSON.parse(data);
    const about = body.dataset.about.split(' ');
    if (all || about.includes('*') || changed.some((id) => about.includes(id))) refresh();
  };
  // The browser connects again after a second, unless the server refuses the stream.
  stream.onerror = () => {
    if (!isLost && !isBroken) expect(SILENCE - 500);
    isBroken = true;
    if (stream?.readyState !== EventSource.CLOSED) return;
    stream = null;
    // An answer says that there is a connection, even if it is not to a stream.
    askAgain().then(({ type }) => {
      if (type === 'opaqueredirect') return logOut();
      hear();
      clearTimeout(alarm);
    }, () => {});
    setTimeout(listen, 5000);
  };
}

// Words and audio.

// The id of a paragraph tells when it begins.
function beginOf(id) {
  return Number(id.split('.')[1]);
}

// When each word of a paragraph begins, in milliseconds. The server sends differences, which are shorter.
function timesOf(host) {
  let at = beginOf(host.parentNode.id);
  return (host.dataset.after ?? '').split(' ').map((after) => (at += Number(after)));
}

const spreadOut = new WeakMap();

// Returns the words of a paragraph as elements, with their times. As the server sends it, most of its words are plain text,
// because a long page of elements comes slowly: they become elements where they are in sight, or needed.
function spread(host) {
  if (spreadOut.has(host)) return spreadOut.get(host);
  const list = [];
  const element = (word) => {
    list.push(word);
    return word;
  };
  const parts = [...host.childNodes].flatMap((node) => {
    if (node.nodeType !== Node.TEXT_NODE) return [element(node)];
    return node.data.split(/( +)/).filter(Boolean).map((piece) => {
      if (piece.startsWith(' ')) return piece;
      const word = document.createElement('span');
      word.textContent = piece;
      return element(word);
    });
  });
  if (parts.length !== host.childNodes.length) host.replaceChildren(...parts);
  const times = timesOf(host);
  list.forEach((word, n) => { word.dataset.start = times[n]; });
  spreadOut.set(host, list);
  return list;
}

const sight = new IntersectionObserver((entries) => {
  const selection = getSelection();
  for (const { target, isIntersecting } of entries) {
    const host = isIntersecting && target.querySelector('.words');
    // What is selected would not be any longer.
    if (host && (selection.isCollapsed || !selection.containsNode(host, true))) spread(host);
  }
}, { rootMargin: '50% 0px' });

// Of a long transcript, the Tab key reaches the text only. In it, keys do what the buttons and links of its paragraphs do.
function watchParagraph(paragraph) {
  sight.observe(paragraph);
  for (const part of paragraph.querySelectorAll('.from, .name')) part.tabIndex = -1;
  return paragraph;
}

function watch(root) {
  for (const paragraph of root.querySelectorAll('.text > p')) watchParagraph(paragraph);
}

function watched(part) {
  watch(part);
  return part;
}

function start(word) {
  if (word.dataset.start === undefined) spread(word.closest('.words'));
  return Number(word.dataset.start) / 1000;
}

const inTime = new WeakMap();

// Returns when each word begins, and where it is, in the order in which they are spoken. When two people speak at once, their
// paragraphs overlap.
function words(text) {
  if (!text) return [];
  if (!inTime.has(text)) {
    const hosts = [...text.querySelectorAll('.words')];
    const list = hosts.flatMap((host) => timesOf(host).map((at, n) => ({ at, host, n })));
    inTime.set(text, list.sort((one, other) => one.at - other.at));
  }
  return inTime.get(text);
}

function elementOf(place) {
  return place && spread(place.host)[place.n];
}

// Returns the last word that has begun at this time.
function spoken(list, time) {
  let [from, to] = [0, list.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (list[middle].at / 1000 <= time) from = middle + 1;
    else to = middle;
  }
  return elementOf(list[from - 1]);
}

// Shows the confidence of a marked word to readers who cannot hover.
function tell(article, word) {
  const figure = article?.querySelector('.legend output');
  if (figure) figure.textContent = word?.matches('mark') ? `“${word.textContent}”: ${word.title}.` : '';
}

// Whether the text follows the playback: not after the reader has scrolled elsewhere.
let isFollowing = true;
let scrolledTo = 0;

// Whether a word is between the player, with what is beside it, and the lower end of the window.
function isInSight(word) {
  const above = [...word.closest('section').querySelectorAll('audio, .touch')].map((part) => part.getBoundingClientRect().bottom);
  const { top, bottom } = word.getBoundingClientRect();
  return top >= Math.max(0, ...above) && bottom <= innerHeight - 80;
}

function scrollToWord(word) {
  word.scrollIntoView({ block: 'center' });
  scrolledTo = scrollY;
}

// Who jumps to another place of the recording wants to see it, and then follows the playback again.
function showSpoken(section) {
  isFollowing = true;
  const word = section.querySelector('.spoken');
  if (word && !isInSight(word)) scrollToWord(word);
}

addEventListener('scroll', () => {
  const word = document.querySelector('.spoken');
  isFollowing = Math.abs(scrollY - scrolledTo) < 2 || (word !== null && isInSight(word));
}, { passive: true });

function mark(audio) {
  const section = audio.closest('section');
  for (const article of section?.querySelectorAll('.transcript') ?? []) {
    const word = spoken(words(article.querySelector('.text')), audio.currentTime + 0.01);
    if (markWord(article, word) && word && !audio.paused && isFollowing && !typist.isTyping() && !isInSight(word)) scrollToWord(word);
  }
}

// Returns whether another word was marked before.
function markWord(article, word) {
  const marked = article.querySelector('.spoken');
  if (word === marked) return false;
  marked?.classList.remove('spoken');
  word?.classList.add('spoken');
  tell(article, word);
  return true;
}

// A player that could not load its audio tries again.
function revive(audio) {
  const { error, currentTime } = audio;
  if (!error) return;
  audio.load();
  audio.currentTime = currentTime;
}

function tryAgain(audio) {
  revive(audio);
  audio.play().catch(() => {}); // a browser may want a click first
}

function playAt(section, time) {
  const audio = section?.querySelector('audio');
  if (!audio) return;
  revive(audio);
  audio.currentTime = time;
  mark(audio);
  audio.play().catch(() => {}); // a browser may want a click first
}

function follow(audio) {
  mark(audio);
  if (!audio.paused) requestAnimationFrame(() => follow(audio));
}

document.addEventListener('play', ({ target }) => {
  isFollowing = true;
  for (const other of document.querySelectorAll('audio')) if (other !== target) other.pause();
  follow(target);
}, true);
document.addEventListener('seeked', ({ target }) => mark(target), true);

// A player that cannot load its audio says so below it, and why, if the server knows.
async function sayWhy(audio) {
  const { content } = document.getElementById('messages');
  let [name, why] = ['unplayable', ''];
  try {
    const answer = await fetch(audio.src, { headers: { accept: 'application/json', range: 'bytes=0-0' }, redirect: 'manual' });
    if ([404, 410].includes(answer.status)) name = 'gone';
    else if (answer.status >= 400) why = `: ${(await answer.json()).detail}`;
  } catch {
    name = 'unreachable';
  }
  const [said, again] = [`.${name}`, '.again'].map((part) => document.importNode(content.querySelector(part), true));
  audio.nextElementSibling.replaceChildren(said, why, '. ', ...name === 'gone' ? [] : [again]);
}

document.addEventListener('error', ({ target }) => target.matches?.('audio') && sayWhy(target), true);
document.addEventListener('loadeddata', ({ target }) => target.nextElementSibling.replaceChildren(), true);

async function copy(button) {
  const paragraphs = [...button.closest('article').querySelectorAll('.text p, p.text')];
  const said = (paragraph) => {
    const text = paragraph.cloneNode(true);
    for (const part of text.querySelectorAll('.from, .correct, .nobody')) part.remove();
    return text.textContent.trim();
  };
  const text = paragraphs.map(said).join('\n\n');
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain HTTP from another computer there is no navigator.clipboard.
    const area = body.appendChild(document.createElement('textarea'));
    area.value = text;
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy'; }, 2000);
}

// Steps through the words that the search has found. What plays goes on from there.
function step(article, by) {
  const found = [...article.querySelectorAll('.first')];
  const before = found.findIndex((word) => word.classList.contains('here'));
  goToFound(article, found.at(before < 0 && by < 0 ? -1 : (before + by) % found.length));
}

function goToFound(article, word) {
  const found = [...article.querySelectorAll('.first')];
  article.querySelector('.here')?.classList.remove('here');
  word.classList.add('here');
  article.querySelector('.finds output').textContent = `${found.indexOf(word) + 1} / ${found.length}`;
  const audio = article.closest('section').querySelector('audio');
  if (audio) audio.currentTime = start(word);
  scrollToWord(word);
}

// Plays a hit in the list of hits.
function playHere(link) {
  const { pathname, hash } = new URL(link.href);
  const audio = document.createElement('audio');
  Object.assign(audio, { controls: true, src: pathname + hash });
  audio.setAttribute('aria-label', link.textContent);
  const status = Object.assign(document.createElement('output'), { className: 'unplayable' });
  link.replaceWith(audio, status);
  audio.focus();
  audio.play().catch(() => {}); // a browser may want a click first
}

document.addEventListener('click', (event) => {
  const { target } = event;
  const { step: by } = target.dataset;
  if (by) step(target.closest('article'), Number(by));
  const hit = target.closest('a.play');
  if (hit && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    playHere(hit);
  }
  // A browser's own button does not play any more what it could not load.
  if (target.matches('.again')) tryAgain(target.parentNode.previousElementSibling);
  const button = target.closest('.copy');
  if (button) copy(button);
  if (target.closest('#more')) {
    isAllWanted = true;
    refresh();
  }
  const word = target.closest('.text [data-start]');
  if (!word || event.ctrlKey || event.metaKey || event.shiftKey || String(getSelection())) return;
  // In the words, edit.js places the caret.
  if (word.closest('.words') && !event.altKey) return;
  event.preventDefault();
  playAt(word.closest('section'), start(word));
  tell(word.closest('article'), word);
});

// `#<recording>@<milliseconds>` is the moment of a search hit.
function goToMoment() {
  const moment = /^#(RE[0-9a-f]{32})@(\d+)$/.exec(location.hash);
  const section = moment && document.getElementById(moment[1]);
  if (!section) return;
  playAt(section, Number(moment[2]) / 1000);
  const found = [...section.querySelectorAll('.first')].find((word) => start(word) === Number(moment[2]) / 1000);
  if (found) goToFound(found.closest('article'), found);
  else scrollToWord(section.querySelector('.spoken') || section);
}

// Beside the text there is room for the timeline.
if (!matchMedia('(max-width: 44rem)').matches) document.querySelector('.way details')?.setAttribute('open', '');

localize(document);
watch(document);
goToMoment();
addEventListener('hashchange', goToMoment);
listen();
document.addEventListener('visibilitychange', listen);
addEventListener('offline', lose);
for (const act of ['pointerdown', 'keydown']) addEventListener(act, acknowledge);
// A page from the back/forward cache has a form with a used nonce.
addEventListener('pageshow', (event) => event.persisted && location.reload());
