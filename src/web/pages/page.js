// What a page cannot do without a script: follow what changes, tie words to sound, copy, tell times in the reader's zone.
// It asks this program alone, for the same page again, and puts in what is new; all that is said is written there.
'use strict';

const body = document.body;
document.documentElement.classList.add('js');

// Times.

function localise(root) {
  for (const told of root.querySelectorAll('time[datetime]')) {
    const at = new Date(told.dateTime);
    told.textContent = 'clock' in told.dataset
      ? at.toLocaleTimeString()
      : at.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
  }
}

// What changed.

function copies(nodes) {
  return [...nodes].map((node) => document.importNode(node, true));
}

// Calls that are new. The newest goes where room is kept for one, and the others wait for a press: nothing that is being
// read moves. A list without calls, and one of other calls altogether, takes in whatever comes.
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

// Takes from a newer copy of this page the parts that differ. Lists keep those of their parts that stay, so that a player
// goes on playing; a part with a key is taken if that differs.
function merge(newer, isAll) {
  localise(newer);
  time(newer);
  if (!isAll) holdBack(newer);
  for (const list of newer.querySelectorAll('[data-list]')) {
    const here = document.getElementById(list.id);
    if (!here) continue;
    for (const part of [...here.children]) if (!newer.getElementById(part.id)) part.remove();
    let next = here.firstElementChild;
    for (const part of list.children) {
      if (next && next.id === part.id) next = next.nextElementSibling;
      else here.insertBefore(document.getElementById(part.id) || document.importNode(part, true), next);
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
    if (key !== undefined) here.dataset.key = key;
    if (focused) (here.querySelectorAll('a, button, input')[place] || here).focus();
  }
  body.dataset.about = newer.body.dataset.about;
}

let isAsking = false;
let isStale = false;
let isAllWanted = false;

async function refresh() {
  isStale = true;
  if (isAsking) return;
  isAsking = true;
  while (isStale) {
    isStale = false;
    try {
      const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
      // What is gone, or is not shown any more, says so itself.
      if ([401, 403, 404, 410].includes(answer.status)) return location.reload();
      if (!answer.ok) throw new Error(answer.statusText);
      merge(new DOMParser().parseFromString(await answer.text(), 'text/html'), isAllWanted);
      isAllWanted = false;
    } catch {
      isStale = true;
      await new Promise((later) => setTimeout(later, 3000));
    }
  }
  isAsking = false;
}

let stream = null;
let { since } = body.dataset;

// A browser opens few connections to one program: pages that nobody looks at give theirs back.
function listen() {
  const isWanted = document.visibilityState === 'visible';
  if (!isWanted && stream) stream = stream.close();
  if (!isWanted || stream) return;
  stream = new EventSource(`/events?since=${encodeURIComponent(since)}`);
  stream.onmessage = ({ data, lastEventId }) => {
    since = lastEventId;
    const { changed, all } = JSON.parse(data);
    const about = body.dataset.about.split(' ');
    if (all || about.includes('*') || changed.some((id) => about.includes(id))) refresh();
  };
  stream.onerror = () => {
    if (stream?.readyState !== EventSource.CLOSED) return;
    stream = null;
    setTimeout(listen, 5000);
  };
}

// Words and sound.

// Each word comes with how long after the one before it it begins, since that is shorter.
function time(root) {
  for (const from of root.querySelectorAll('.text a.from')) {
    let at = Number(from.dataset.start);
    for (const word of from.parentNode.querySelectorAll('[data-after]')) {
      at += Number(word.dataset.after);
      word.dataset.start = at;
    }
  }
}

function start(word) {
  return Number(word.dataset.start) / 1000;
}

const inTime = new WeakMap();

// The words of a text as they are spoken: where two speak at once, both paragraphs go on.
function words(text) {
  if (!text) return [];
  if (!inTime.has(text)) {
    const list = [...text.querySelectorAll('[data-start]:not(.from)')];
    inTime.set(text, list.sort((one, other) => start(one) - start(other)));
  }
  return inTime.get(text);
}

// The last of the words that has begun.
function spoken(list, time) {
  let [from, to] = [0, list.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (start(list[middle]) <= time) from = middle + 1;
    else to = middle;
  }
  return list[from - 1];
}

// How sure AssemblyAI is of a word that is marked: a finger and a keyboard do not hover.
function tell(article, word) {
  const figure = article?.querySelector('.legend output');
  if (figure) figure.textContent = word?.matches('mark') ? `“${word.textContent}”: ${word.title}.` : '';
}

function mark(audio) {
  const section = audio.closest('section');
  for (const article of section.querySelectorAll('.transcript')) {
    const word = spoken(words(article.querySelector('.text')), audio.currentTime + 0.01);
    const marked = article.querySelector('.spoken');
    if (word === marked) continue;
    marked?.classList.remove('spoken');
    word?.classList.add('spoken');
    tell(article, word);
  }
}

function hear(section, time) {
  const audio = section?.querySelector('audio');
  if (!audio) return;
  audio.currentTime = time;
  mark(audio);
  audio.play().catch(() => {}); // a browser may want a click first
}

function follow(audio) {
  mark(audio);
  if (!audio.paused) requestAnimationFrame(() => follow(audio));
}

document.addEventListener('play', ({ target }) => {
  for (const other of document.querySelectorAll('audio')) if (other !== target) other.pause();
  follow(target);
}, true);
document.addEventListener('seeked', ({ target }) => mark(target), true);

async function copy(button) {
  const paragraphs = [...button.closest('article').querySelectorAll('.text p, p.text')];
  const said = (paragraph) => {
    const text = paragraph.cloneNode(true);
    text.querySelector('.from')?.remove();
    return text.textContent.trim();
  };
  const text = paragraphs.map(said).join('\n\n');
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Over plain HTTP from another computer there is no clipboard but this one.
    const area = body.appendChild(document.createElement('textarea'));
    area.value = text;
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy'; }, 2000);
}

document.addEventListener('click', (event) => {
  const { target } = event;
  const button = target.closest('.copy');
  if (button) copy(button);
  if (target.closest('#more')) {
    isAllWanted = true;
    refresh();
  }
  const word = target.closest('.text [data-start]');
  if (!word || event.ctrlKey || event.metaKey || event.shiftKey || String(getSelection())) return;
  event.preventDefault();
  hear(word.closest('section'), start(word));
  tell(word.closest('article'), word);
});

document.addEventListener('keydown', (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1, ' ': 0, Enter: 0 }[event.key];
  if (step === undefined || !event.target.matches('.text[tabindex]')) return;
  event.preventDefault();
  if (!step) {
    const audio = event.target.closest('section').querySelector('audio');
    if (!audio.paused) audio.pause();
    else audio.play().catch(() => {});
    return;
  }
  const list = words(event.target);
  const marked = event.target.querySelector('.spoken');
  let at = marked ? list.indexOf(marked) + step : 0;
  while (marked && list[at] && start(list[at]) === start(marked)) at += step;
  const word = list[at];
  if (word) hear(word.closest('section'), start(word));
});

// `#<recording>@<milliseconds>` is a moment: where something was said that somebody looked for.
function goToMoment() {
  const moment = /^#(RE[0-9a-f]{32})@(\d+)$/.exec(location.hash);
  const section = moment && document.getElementById(moment[1]);
  if (!section) return;
  hear(section, Number(moment[2]) / 1000);
  (section.querySelector('.spoken') || section).scrollIntoView({ block: 'center' });
}

localise(document);
time(document);
goToMoment();
addEventListener('hashchange', goToMoment);
if (since !== undefined) {
  listen();
  document.addEventListener('visibilitychange', listen);
}
// A page that comes back from the browser's memory has a form that was sent.
addEventListener('pageshow', (event) => event.persisted && location.reload());
