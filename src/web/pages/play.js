// Playing a recording by keys, while one reads its transcript or types in it. Follows page.js. All texts come from the
// server.
'use strict';

// Seconds by which a key goes back or forward.
const STEP = 3;
// Seconds that are heard again after a pause by key.
const AGAIN = 1.5;
const [SLOWEST, FASTEST] = [0.5, 3];

// Returns the player that keys concern: beside what has the focus, or else the one that plays, or the first one.
function playerOf(part) {
  const audios = [...document.querySelectorAll('.recording audio')];
  return part.closest?.('.recording')?.querySelector('audio') ?? audios.find((audio) => !audio.paused) ?? audios[0];
}

// Where a key has paused each player.
const pausedAt = new WeakMap();

function playOrPause(audio) {
  if (!audio.paused) {
    audio.pause();
    pausedAt.set(audio, audio.currentTime);
    return;
  }
  // Who goes elsewhere in a pause hears what is there.
  if (Math.abs(pausedAt.get(audio) - audio.currentTime) < 0.01) move(audio, -AGAIN);
  pausedAt.delete(audio);
  audio.play().catch(() => {}); // a browser may want a click first
}

function move(audio, seconds) {
  audio.currentTime = Math.max(0, audio.currentTime + seconds);
}

function setRate(rate) {
  const within = Math.min(FASTEST, Math.max(SLOWEST, rate));
  for (const audio of document.querySelectorAll('.recording audio')) {
    audio.defaultPlaybackRate = audio.playbackRate = within;
  }
  localStorage.setItem('rate', within);
}

document.addEventListener('ratechange', ({ target }) => {
  for (const shown of document.querySelectorAll('.playback output')) shown.textContent = `${target.playbackRate}×`;
}, true);

// Goes to the next word of this kind, after the caret or else the one that was spoken last, and tells how sure it is.
function goToNext(audio, kind, by) {
  const text = audio.closest('section').querySelector('.text');
  const found = [...text?.querySelectorAll(kind) ?? []];
  const here = caretNode() ?? text?.querySelector('.spoken');
  const isBeyond = (word) => {
    const place = here.compareDocumentPosition(word);
    if (by > 0) return place & Node.DOCUMENT_POSITION_FOLLOWING;
    return place & Node.DOCUMENT_POSITION_PRECEDING && !(place & Node.DOCUMENT_POSITION_CONTAINS);
  };
  const beyond = here ? found.filter(isBeyond) : found;
  const word = beyond.at(by > 0 ? 0 : -1);
  if (word) goToWord(audio, word);
}

function goToWord(audio, word) {
  audio.currentTime = start(word);
  mark(audio);
  scrollToWord(word);
  if (typedIn()) editWord(word);
}

function goToNeighbor(audio, by) {
  const text = audio.closest('section').querySelector('.text');
  const list = words(text);
  const marked = text?.querySelector('.spoken');
  const from = marked ? list.findIndex((place) => place.host === marked.parentNode && elementOf(place) === marked) : -1;
  let at = marked ? from + by : 0;
  while (marked && list[at] && list[at].at === list[from]?.at) at += by;
  if (list[at]) playAt(audio.closest('section'), list[at].at / 1000);
}

const deeds = {
  play: playOrPause,
  back: (audio) => move(audio, -STEP),
  forward: (audio) => move(audio, STEP),
  slower: (audio) => setRate(audio.playbackRate - 0.25),
  faster: (audio) => setRate(audio.playbackRate + 0.25),
  nextTyped: (audio) => goToNext(audio, '.typed', 1),
  lastTyped: (audio) => goToNext(audio, '.typed', -1),
  accept: (audio) => accept(wordAtCaret() ?? audio.closest('section').querySelector('.spoken')),
  nextUnsure: (audio) => goToNext(audio, 'mark', 1),
  lastUnsure: (audio) => goToNext(audio, 'mark', -1),
  nextWord: (audio) => goToNeighbor(audio, 1),
  lastWord: (audio) => goToNeighbor(audio, -1),
  keys: () => document.getElementById('keys').showModal(),
};

// Keys with Alt, which types nothing, and which neither Chromium nor Firefox takes.
const WITH_ALT = {
  k: 'play', j: 'back', l: 'forward', ',': 'slower', '.': 'faster', '/': 'keys', ArrowDown: 'nextUnsure', ArrowUp: 'lastUnsure', Enter: 'accept',
};
const WITH_ALT_AND_SHIFT = { ArrowDown: 'nextTyped', ArrowUp: 'lastTyped' };
// Keys of the text while nobody types in it.
const OF_TEXT = { ' ': 'play', ArrowLeft: 'lastWord', ArrowRight: 'nextWord' };
const CODES = { KeyJ: 'j', KeyK: 'k', KeyL: 'l', Comma: ',', Period: '.', Slash: '/' };

function isTyping(part) {
  return part.isContentEditable || part.matches?.('input, textarea, select');
}

// Returns what a key does. On a Mac, Option turns a letter into another character, but its key keeps its place.
function deedOf({ key, code, altKey, ctrlKey, metaKey, shiftKey, target }) {
  if (ctrlKey || metaKey) return undefined;
  if (altKey && shiftKey) return WITH_ALT_AND_SHIFT[key];
  if (altKey) return WITH_ALT[key.toLowerCase()] ?? WITH_ALT[key] ?? WITH_ALT[CODES[code]];
  if (key === '?' && !isTyping(target)) return 'keys';
  return target.matches?.('.text[tabindex]') ? OF_TEXT[key] : undefined;
}

document.addEventListener('keydown', (event) => {
  const deed = deedOf(event);
  const audio = deed && playerOf(event.target);
  if (!audio || document.querySelector('dialog[open]')) return;
  event.preventDefault();
  deeds[deed](audio);
});

document.addEventListener('click', ({ target }) => {
  const { deed } = target.dataset;
  if (deed) deeds[deed](playerOf(target));
});

setRate(Number(localStorage.getItem('rate')) || 1);
