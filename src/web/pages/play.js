// Playing a recording by keys, while one reads its transcript or types in it. Follows page.js. All texts come from the
// server.
'use strict';

// Seconds by which a key goes back or forward.
const STEP = 3;
// Seconds that are heard again after a pause by key.
const AGAIN = 1.5;
const [SLOWEST, FASTEST] = [0.5, 3];

// Returns the recording that keys concern: the one that has the focus, or else the one that plays, or the first one. There is
// no player for a file that Twilio does not have.
function recordingOf(part) {
  const sections = [...document.querySelectorAll('.recording')].filter((section) => section.querySelector('audio, .text'));
  return part.closest?.('.recording') ?? sections.find((section) => section.querySelector('audio')?.paused === false) ?? sections[0];
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
  revive(audio);
  audio.play().catch(() => {}); // a browser may want a click first
}

function move(audio, seconds) {
  audio.currentTime = Math.max(0, audio.currentTime + seconds);
  mark(audio);
}

// A player of a stretch stays in it.
document.addEventListener('timeupdate', ({ target }) => {
  const [from, to] = [target.dataset.from, target.dataset.to].map((ms) => ms / 1000);
  if (target.currentTime < from - 0.5) target.currentTime = from;
  if (!(target.currentTime >= to)) return;
  target.pause();
  target.currentTime = from;
}, true);

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
function goToNext(section, kind, by) {
  const text = section.querySelector('.text');
  const found = [...text?.querySelectorAll(kind) ?? []];
  const here = caretNode() ?? text?.querySelector('.spoken');
  const isBeyond = (word) => {
    const place = here.compareDocumentPosition(word);
    if (by > 0) return place & Node.DOCUMENT_POSITION_FOLLOWING;
    return place & Node.DOCUMENT_POSITION_PRECEDING && !(place & Node.DOCUMENT_POSITION_CONTAINS);
  };
  const beyond = here ? found.filter(isBeyond) : found;
  const word = beyond.at(by > 0 ? 0 : -1);
  if (word) goToWord(section, word);
}

function goToWord(section, word) {
  const audio = section.querySelector('audio');
  if (audio) {
    audio.currentTime = start(word);
    mark(audio);
  } else {
    markWord(word.closest('article'), word);
  }
  if (!isInSight(word)) scrollToWord(word);
  if (typedIn()) editWord(word);
}

function goToNeighbor(section, by) {
  const text = section.querySelector('.text');
  const list = words(text);
  const marked = text?.querySelector('.spoken');
  const from = marked ? list.findIndex((place) => place.host === marked.parentNode && elementOf(place) === marked) : -1;
  let at = marked ? from + by : 0;
  while (marked && list[at] && list[at].at === list[from]?.at) at += by;
  if (!list[at]) return;
  if (section.querySelector('audio')) playAt(section, list[at].at / 1000);
  else goToWord(section, elementOf(list[at]));
}

// What a key does to a player.
const deeds = {
  play: playOrPause,
  back: (audio) => move(audio, -STEP),
  forward: (audio) => move(audio, STEP),
  slower: (audio) => setRate(audio.playbackRate - 0.25),
  faster: (audio) => setRate(audio.playbackRate + 0.25),
};
// What it does in the text of a recording.
const UNSURE = 'mark:not(.sure)';
const deedsOfText = {
  nextTyped: (section) => goToNext(section, '.typed', 1),
  lastTyped: (section) => goToNext(section, '.typed', -1),
  accept: (section) => accept(wordAtCaret() ?? section.querySelector('.spoken')),
  undo: (section) => takeBack(articleOf(section.querySelector('.words:focus') ?? section.querySelector('.text')), 'undo'),
  who: (section) => askWho((wordAtCaret() ?? section.querySelector('.spoken'))?.closest('.text > p')),
  nextUnsure: (section) => goToNext(section, UNSURE, 1),
  lastUnsure: (section) => goToNext(section, UNSURE, -1),
  nextWord: (section) => goToNeighbor(section, 1),
  lastWord: (section) => goToNeighbor(section, -1),
  keys: () => document.getElementById('keys').showModal(),
};

const JUMPS = ['back', 'forward', 'nextTyped', 'lastTyped', 'nextUnsure', 'lastUnsure', 'nextWord', 'lastWord'];

// Keys with Alt, which types nothing, and which neither Chromium nor Firefox takes.
const WITH_ALT = {
  k: 'play', j: 'back', l: 'forward', ',': 'slower', '.': 'faster', '/': 'keys', ArrowDown: 'nextUnsure', ArrowUp: 'lastUnsure', Enter: 'accept',
};
const WITH_ALT_AND_SHIFT = { ArrowDown: 'nextTyped', ArrowUp: 'lastTyped', Enter: 'who' };
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

// Returns whether there is something here that it can be done to.
function carryOut(deed, part) {
  const section = recordingOf(part);
  const audio = section?.querySelector('audio');
  if (deeds[deed] ? !audio : !section) return false;
  if (deeds[deed]) deeds[deed](audio);
  else deedsOfText[deed](section);
  if (JUMPS.includes(deed)) showSpoken(section);
  return true;
}

document.addEventListener('keydown', (event) => {
  const deed = deedOf(event);
  if (!deed || document.querySelector('dialog[open]')) return;
  if (carryOut(deed, event.target)) event.preventDefault();
});

// A button that is pressed while somebody types leaves the caret where it is.
document.addEventListener('mousedown', (event) => event.target.dataset.deed && event.preventDefault());

document.addEventListener('click', ({ target }) => {
  const { deed } = target.dataset;
  if (deed) carryOut(deed, target);
});

setRate(Number(localStorage.getItem('rate')) || 1);
