// Typing in a transcript: who clicks into a paragraph corrects it. Follows save.js, which sends what was typed. All texts come
// from the server.
'use strict';

// Milliseconds without a key, after which what was typed is sent.
const REST = 600;
// Milliseconds without a key, after which a newer copy of the page may come: that of a long transcript takes a moment.
const CALM = 1000;

let typedAt = -Infinity;
// Whether a word is being composed of several keys.
let isComposing = false;

typist.isTyping = () => isComposing || performance.now() - typedAt < CALM;
typist.isHere = () => typedIn() !== null || [...drafts.values()].some(isUnsent);

function articleOf(part) {
  return part?.closest?.('.transcript[data-version][data-transcript]') ?? null;
}

// The words that somebody types in.
function typedIn() {
  const part = document.activeElement;
  return part?.matches('.words[contenteditable]') ? part : null;
}

// What the caret is in, or before.
function caretNode() {
  const host = typedIn();
  const { focusNode, focusOffset } = getSelection();
  return host && focusNode === host ? host.childNodes[focusOffset] ?? host.lastChild ?? host : host && focusNode;
}

function wordAtCaret() {
  const node = caretNode();
  return (node?.nodeType === Node.TEXT_NODE ? node.parentElement : node)?.closest('[data-start]') ?? null;
}

// Reading the page.

function textOf(part) {
  if (!part.querySelector('br, div')) return part.textContent;
  const copy = part.cloneNode(true);
  for (const line of copy.querySelectorAll('br')) line.replaceWith('\n');
  for (const line of copy.querySelectorAll('div')) line.before('\n');
  return copy.textContent;
}

function positionsOf(paragraph) {
  return runsOf(paragraph).flatMap(([from, to]) => {
    return Array.from({ length: to - from }, (_, n) => from + n);
  });
}

// Returns a paragraph of the server's as a draft in which nothing was typed yet.
function draftOf(paragraphs, article) {
  const draft = { transcript: article.dataset.transcript, id: paragraphs[0].id, version: Number(article.dataset.version) };
  Object.assign(draft, { base: '', spans: [], at: 0, joins: [], pending: null, choice: false, isStale: false, why: null });
  draft.begins = paragraphs[0].previousElementSibling !== null;
  for (const paragraph of paragraphs) {
    const positions = positionsOf(paragraph);
    if (!draft.spans.length) [draft.at] = positions;
    if (draft.base) draft.base += '\n';
    spread(paragraph.querySelector('.words')).forEach((word, n) => {
      const text = word.textContent.replace(/\s+/g, ' ').trim();
      if (n > 0 && word.previousSibling !== word.previousElementSibling) draft.base += ' ';
      draft.spans.push([draft.base.length, draft.base.length + text.length, positions[n]]);
      draft.base += text;
    });
  }
  draft.text = draft.base;
  return draft;
}

function draftHere(paragraph) {
  if (!drafts.has(paragraph.id)) {
    const draft = draftOf([paragraph], articleOf(paragraph));
    catchUp(draft);
    drafts.set(draft.id, draft);
  }
  return drafts.get(paragraph.id);
}

// The caret, by the number of characters before it.

function caretIn(host) {
  const selection = getSelection();
  if (!selection.rangeCount || !host.contains(selection.focusNode)) return null;
  return offsetIn(host, selection.focusNode, selection.focusOffset);
}

function offsetIn(host, node, offset) {
  const range = document.createRange();
  range.setStart(host, 0);
  range.setEnd(node, offset);
  return String(range).length;
}

function putCaret(host, offset) {
  const walk = document.createTreeWalker(host, NodeFilter.SHOW_TEXT);
  let left = offset;
  while (walk.nextNode()) {
    const { length } = walk.currentNode;
    if (left <= length) return getSelection().collapse(walk.currentNode, left);
    left -= length;
  }
  getSelection().selectAllChildren(host);
  getSelection().collapseToEnd();
}

// Typing.

function edit(host) {
  spread(host);
  if (host !== typedIn()) {
    const label = host.closest('.text').dataset.typing;
    const attributes = { role: 'textbox', 'aria-multiline': 'true', 'aria-label': label, spellcheck: 'false' };
    for (const [name, value] of Object.entries(attributes)) host.setAttribute(name, value);
    host.setAttribute('contenteditable', 'plaintext-only');
    host.focus({ preventScroll: true });
  }
  draftHere(host.parentNode);
}

function editAt(host, offset) {
  edit(host);
  putCaret(host, offset);
  host.parentNode.scrollIntoView({ block: 'nearest' });
}

// Puts the caret on a word, selected so that typing replaces it: without the punctuation around it, which stays.
function editWord(word) {
  edit(word.closest('.words'));
  getSelection().selectAllChildren(word);
  const [text] = word.childNodes;
  const inner = /[\p{L}\p{N}](?:.*[\p{L}\p{N}\p{M}])?/u.exec(text?.data ?? '');
  if (inner) getSelection().setBaseAndExtent(text, inner.index, text, inner.index + inner[0].length);
}

document.addEventListener('focusout', ({ target, relatedTarget }) => {
  // Who looks at another window, or at a dialog, comes back to the caret.
  if (!target.matches?.('.words[contenteditable]') || !document.hasFocus() || relatedTarget?.closest('dialog')) return;
  for (const name of ['contenteditable', 'role', 'aria-multiline', 'aria-label', 'spellcheck']) target.removeAttribute(name);
  isComposing = false;
  const draft = drafts.get(target.parentNode.id);
  if (!draft) return;
  if (isUnsent(draft)) sendSoon(articleOf(target), 0);
  // The server's copy has the times of the new words.
  else if (target.parentNode.dataset.key === '') refresh();
  else drop(draft);
});

const timers = new Map();

function sendSoon(article, rest = REST) {
  const { transcript } = article.dataset;
  clearTimeout(timers.get(transcript));
  timers.set(transcript, setTimeout(() => (isComposing ? sendSoon(article) : send(article)), rest));
}

// Takes over what stands in a paragraph now.
function typed(host) {
  const paragraph = host.parentNode;
  const draft = draftHere(paragraph);
  const text = normalize(textOf(host));
  if (text === draft.text) return;
  draft.text = text;
  paragraph.dataset.key = '';
  keep(draft);
  if (draft.choice) return;
  if (isUnsent(draft)) report(articleOf(host), 'saving');
  sendSoon(articleOf(host));
}

document.addEventListener('compositionstart', () => { isComposing = true; });
document.addEventListener('compositionend', ({ target }) => {
  isComposing = false;
  if (target.matches?.('.words')) typed(target);
});

document.addEventListener('input', ({ target }) => {
  if (!target.matches?.('.words')) return;
  typedAt = performance.now();
  pauseToType(target);
  typed(target);
});

document.addEventListener('beforeinput', (event) => {
  if (!event.target.matches?.('.words')) return;
  if (event.inputType.startsWith('history')) {
    event.preventDefault();
    takeBack(articleOf(event.target), event.inputType === 'historyUndo' ? 'undo' : 'redo');
  }
  if (event.inputType.startsWith('format')) event.preventDefault();
  if (event.inputType === 'insertText' && !isComposing && typeOver(event.target, event.data)) event.preventDefault();
});

// Types over several selected words. A browser would give the new text the looks of the old. Returns `false` if it does no harm.
function typeOver(host, text) {
  const selection = getSelection();
  if (selection.isCollapsed || !text) return false;
  const range = selection.getRangeAt(0);
  const { startContainer: node, startOffset, endContainer } = range;
  if (node === endContainer || node.nodeType !== Node.TEXT_NODE || !host.contains(node) || !host.contains(endContainer)) return false;
  const last = endContainer.parentElement.closest('[data-start]');
  range.deleteContents();
  for (const word of host.querySelectorAll('[data-start]')) if (!word.textContent && !word.contains(node)) word.remove();
  node.insertData(startOffset, text);
  if (last && host.contains(last) && !last.contains(node) && !/[\p{L}\p{N}]/u.test(last.textContent)) {
    // What is left of the last word is punctuation, which belongs to the new one.
    node.appendData(last.textContent);
    last.remove();
  }
  selection.collapse(node, startOffset + text.length);
  host.dispatchEvent(new InputEvent('input', { bubbles: true }));
  return true;
}

function pauseToType(part) {
  const audio = part.closest('.recording')?.querySelector('audio');
  if (!audio || audio.paused || !document.querySelector('.playback input')?.checked) return;
  playOrPause(audio);
}

for (const box of document.querySelectorAll('.playback input')) {
  box.checked = localStorage.getItem('pauses') === 'true';
  box.addEventListener('change', () => {
    localStorage.setItem('pauses', box.checked);
    for (const other of document.querySelectorAll('.playback input')) other.checked = box.checked;
  });
}

// A click places the caret. While the recording is paused, it will play on from there.
document.addEventListener('click', (event) => {
  const host = event.target.closest('.words');
  if (!host || !articleOf(host) || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (!getSelection().isCollapsed) return editSelected(host);
  spread(host);
  const word = document.elementFromPoint(event.clientX, event.clientY)?.closest('.words > [data-start]');
  if (host !== typedIn()) {
    const place = caretAt(event.clientX, event.clientY);
    edit(host);
    if (place && host.contains(place.node)) getSelection().collapse(place.node, place.offset);
  }
  const audio = host.closest('.recording')?.querySelector('audio');
  if (audio?.paused && word) audio.currentTime = start(word);
  tell(host.closest('article'), word);
});

// Typing replaces what was selected with the mouse.
function editSelected(host) {
  const { startContainer, startOffset, endContainer, endOffset } = getSelection().getRangeAt(0);
  if (host === typedIn() || !host.contains(startContainer) || !host.contains(endContainer)) return;
  const [from, to] = [offsetIn(host, startContainer, startOffset), offsetIn(host, endContainer, endOffset)];
  edit(host);
  select(host, from, to);
}

document.addEventListener('dblclick', ({ target }) => {
  const word = target.closest('.words [data-start]');
  if (word) playAt(word.closest('section'), start(word));
});

function caretAt(x, y) {
  const place = document.caretPositionFromPoint?.(x, y);
  if (place) return { node: place.offsetNode, offset: place.offset };
  const range = document.caretRangeFromPoint?.(x, y);
  return range ? { node: range.startContainer, offset: range.startOffset } : null;
}

// Keys.

function neighborOf(host, by) {
  const hosts = [...host.closest('.text').querySelectorAll('.words')];
  return hosts[hosts.indexOf(host) + by];
}

// Whether the caret is in the first or last line.
function isAtEdge(host, by) {
  const range = getSelection().getRangeAt(0);
  const caret = range.getClientRects()[0] ?? range.startContainer.parentElement.getBoundingClientRect();
  const lines = host.getClientRects();
  const line = lines[by < 0 ? 0 : lines.length - 1];
  return !line || (by < 0 ? caret.top < line.bottom - 2 : caret.bottom > line.top + 2) && { x: caret.left };
}

// Moves the caret from paragraph to paragraph, as in one text.
function cross(host, key) {
  const by = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1 }[key];
  const other = by && neighborOf(host, by);
  if (!other || !getSelection().isCollapsed) return false;
  if (key === 'ArrowLeft' || key === 'ArrowRight') {
    if (caretIn(host) !== (by < 0 ? 0 : host.textContent.length)) return false;
    editAt(other, by < 0 ? other.textContent.length : 0);
    return true;
  }
  const edge = isAtEdge(host, by);
  if (!edge) return false;
  editAt(other, by < 0 ? other.textContent.length : 0);
  const lines = other.getClientRects();
  const line = lines[by < 0 ? lines.length - 1 : 0];
  const place = line && edge.x !== undefined && caretAt(edge.x, (line.top + line.bottom) / 2);
  if (place && other.contains(place.node)) getSelection().collapse(place.node, place.offset);
  return true;
}

// Joins a paragraph to the one before it, if the same speaker goes on.
function join(before, after) {
  const [one, other] = [before, after].map((host) => host.parentNode);
  if (one.dataset.speaker !== other.dataset.speaker) return;
  const article = articleOf(one);
  const [draft, added] = [draftHere(one), draftHere(other)];
  if (draft.pending || added.pending || draft.choice || added.choice || draft.version !== added.version) return;
  const offset = before.textContent.length;
  const from = draft.base.length + 1;
  draft.base += ` ${added.base}`;
  draft.text += ` ${added.text}`;
  draft.spans.push(...added.spans.map(([begin, end, position]) => [begin + from, end + from, position]));
  draft.joins.push(...added.joins, added.at);
  before.append(' ', ...after.childNodes);
  other.remove();
  drop(added);
  one.dataset.key = '';
  keep(draft);
  editAt(before, offset + 1);
  sendSoon(article, 0);
}

// Where selected words go, a space beside them goes, too.
function takeSpace(host) {
  const { rangeCount, isCollapsed } = getSelection();
  if (!rangeCount || isCollapsed || !host.contains(getSelection().anchorNode) || !host.contains(getSelection().focusNode)) return;
  const range = getSelection().getRangeAt(0);
  const said = String(range);
  const begin = offsetIn(host, range.startContainer, range.startOffset);
  const text = host.textContent;
  const [before, after] = [text[begin - 1], text[begin + said.length]];
  if (said !== said.trim() || !(before === undefined ? after === ' ' : before === ' ' && !/[\p{L}\p{N}]/u.test(after ?? ''))) return;
  if (before === undefined) select(host, 0, said.length + 1);
  else select(host, begin - 1, begin + said.length);
}

function select(host, begin, end) {
  putCaret(host, end);
  const { focusNode, focusOffset } = getSelection();
  putCaret(host, begin);
  getSelection().extend(focusNode, focusOffset);
}

document.addEventListener('keydown', (event) => {
  const host = typedIn();
  const { key, ctrlKey, metaKey, altKey, shiftKey } = event;
  if (event.isComposing) return;
  const isUndo = (ctrlKey || metaKey) && !altKey && ['z', 'y'].includes(key.toLowerCase());
  const isText = event.target.matches?.('.text') && articleOf(event.target);
  if (isUndo && event.target.closest?.('.text') && articleOf(event.target)) {
    event.preventDefault();
    takeBack(articleOf(event.target), key.toLowerCase() === 'y' || shiftKey ? 'redo' : 'undo');
  } else if (isText && key === 'Enter' && !altKey) {
    event.preventDefault();
    const word = event.target.querySelector('.spoken');
    if (word) editWord(word);
    else editAt(event.target.querySelector('.words'), 0);
  } else if (host && key === 'Escape') {
    host.closest('.text').focus({ preventScroll: true });
  } else if (host && !ctrlKey && !metaKey && !altKey && !shiftKey) {
    if (key === 'Backspace' || key === 'Delete') takeSpace(host);
    const isStart = getSelection().isCollapsed && caretIn(host) === 0;
    const isEnd = getSelection().isCollapsed && caretIn(host) === host.textContent.length;
    if (key === 'Backspace' && isStart && neighborOf(host, -1)) join(neighborOf(host, -1), host);
    else if (key === 'Delete' && isEnd && neighborOf(host, 1)) join(host, neighborOf(host, 1));
    else if (!cross(host, key)) return;
    event.preventDefault();
  }
});

// Speakers.

// Offers the speakers of the transcript for a paragraph, and a new one.
function askWho(paragraph) {
  const article = articleOf(paragraph);
  if (!article) return;
  const dialog = document.getElementById('says');
  const { speaker } = paragraph.dataset;
  const named = new Map();
  for (const name of article.querySelectorAll('.text .name:not(.nobody)')) {
    const label = name.closest('p').dataset.speaker;
    if (!named.has(label)) named.set(label, name.querySelector('b').firstChild.textContent);
  }
  const choose = (label) => {
    dialog.close();
    setSpeaker(article, paragraph.id, label, dialog.querySelector('input').checked);
  };
  const button = ([label, name]) => {
    const made = document.createElement('button');
    Object.assign(made, { type: 'button', className: 'lesser', textContent: name, dir: 'auto', onclick: () => choose(label) });
    if (label === speaker) made.setAttribute('aria-current', 'true');
    return made;
  };
  dialog.querySelector('.voices').replaceChildren(...[...named].map(button));
  dialog.querySelector('label').hidden = speaker === undefined && named.size > 0;
  dialog.querySelector('label span').hidden = speaker === undefined;
  dialog.querySelector('label b').textContent = named.get(speaker);
  dialog.querySelector('[data-new]').onclick = () => choose(newLabel(speaker, named));
  dialog.querySelector('input').checked = false;
  dialog.showModal();
}

// A label as AssemblyAI gives them: a letter, after the channel if there is one, whose first speaker has none.
function newLabel(speaker = '', named) {
  const channel = /^\d*/.exec(speaker)[0];
  const letters = channel ? 'BCDEFGHIJKLMNOPQRSTUVWXYZ' : 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';
  return [...letters].map((letter) => channel + letter).find((label) => !named.has(label)) ?? speaker;
}

function runsOf(paragraph) {
  return paragraph.dataset.words.split(' ').map((run) => run.split('-').map(Number));
}

// Sends what is typed first, so that the positions are those of the newest version.
async function setSpeaker(article, id, speaker, isOnward) {
  const { transcript } = article.dataset;
  const waits = () => [...drafts.values()].some((draft) => draft.transcript === transcript && isUnsent(draft) && !draft.choice && !draft.why);
  while (waits() || sending.has(transcript)) {
    await send(article);
    await new Promise((later) => setTimeout(later, 50));
  }
  await refreshNow();
  const paragraph = document.getElementById(id);
  if (!paragraph) return;
  const version = Number(article.dataset.version);
  const runs = runsOf(paragraph);
  const [[first]] = runs;
  const end = Math.max(...[...article.querySelectorAll('.text > p')].map((part) => runsOf(part).at(-1)[1]));
  const of = paragraph.dataset.speaker;
  const said = isOnward ? [[first, end]] : runs;
  const edits = said.map(([from, to]) => ({ version, from, to, speaker, ...isOnward && of && { of } }));
  // Where nobody was told apart, all others are another speaker's.
  if (of === undefined && !article.querySelector('.text .name:not(.nobody)')) {
    const [mine, other] = first === 0 ? ['A', 'B'] : ['B', 'A'];
    for (const edit of edits) edit.speaker = mine;
    let from = 0;
    for (const [begin, after] of [...said, [end, end]]) {
      if (from < begin) edits.push({ version, from, to: begin, speaker: other });
      from = after;
    }
  }
  report(article, 'saving');
  const answer = await persist(article, `/transcript/${transcript}/corrections`, JSON.stringify(edits));
  const { correction, detail } = await answer.json();
  if (!answer.ok) return report(article, 'refused', detail);
  if (correction) remember(transcript, correction);
  await refreshNow();
  report(article, 'saved');
  document.getElementById(id)?.querySelector('.name')?.focus();
}

document.addEventListener('click', ({ target }) => {
  const name = target.closest('button.name');
  if (name && articleOf(name)) askWho(name.closest('p'));
});

// An unsure word is right: that moment is checked by ear.
async function accept(word) {
  if (!word?.matches(UNSURE)) return;
  const article = articleOf(word);
  // The newer copy of the page waits until nobody types in the paragraph.
  word.classList.add('sure');
  const from = Number(word.dataset.start);
  const check = { checked: true, from_ms: from, to_ms: from + Math.max(1, Number(word.dataset.lasts)) };
  const answer = await persist(article, `/transcript/${article.dataset.transcript}/checked`, JSON.stringify(check));
  if (answer.ok) await refreshNow();
  else word.classList.remove('sure');
}

// Undo and redo.

// The corrections of each transcript that this page has made, and those that it has undone.
function steps(transcript, kind) {
  return JSON.parse(sessionStorage.getItem(`${kind} ${transcript}`) ?? '[]');
}

function setSteps(transcript, kind, list) {
  sessionStorage.setItem(`${kind} ${transcript}`, JSON.stringify(list.slice(-1000)));
}

function remember(transcript, correction) {
  setSteps(transcript, 'undo', [...steps(transcript, 'undo'), correction]);
  setSteps(transcript, 'redo', []);
}

// What was dropped before it was sent, by paragraph.
let dropped = null;

async function takeBack(article, kind) {
  const host = typedIn();
  const draft = host && drafts.get(host.parentNode.id);
  if (kind === 'undo' && draft && !draft.pending && draft.text !== draft.base) {
    dropped = { id: draft.id, text: draft.text };
    return retype(host, draft.base);
  }
  if (kind === 'redo' && dropped && dropped.id === draft?.id) {
    const { text } = dropped;
    dropped = null;
    return retype(host, text);
  }
  if (!article) return;
  const { transcript } = article.dataset;
  const list = steps(transcript, kind);
  if (!list.length || sending.has(transcript)) return;
  const last = list.pop();
  report(article, 'saving');
  const answer = await persist(article, `/transcript/${transcript}/corrections/${last}/undo`, '{}');
  setSteps(transcript, kind, list);
  if (!answer.ok) return report(article, 'changed');
  const { correction } = await answer.json();
  const other = kind === 'undo' ? 'redo' : 'undo';
  if (correction) setSteps(transcript, other, [...steps(transcript, other), correction]);
  await refreshNow();
  send(article);
}

function retype(host, text) {
  withCaret(host, () => { host.textContent = text; });
  typed(host);
}

// A newer copy of the page.

// Fetches one at once. Returns whether it came.
async function refreshNow() {
  try {
    const answer = await askAgain();
    if (!answer.ok) throw new Error(answer.statusText);
    merge(new DOMParser().parseFromString(await answer.text(), 'text/html'), false);
    return true;
  } catch {
    refresh();
    return false;
  }
}

// Takes over the paragraphs of a newer copy. What somebody types in, or what is not sent, stays.
function mergeText(here, newer) {
  const article = articleOf(here);
  if (!article) return here.replaceChildren(...copies(newer.childNodes));
  const { version } = articleOf(newer).dataset;
  // It was on its way while a correction was saved.
  if (Number(version) < (newest.get(article.dataset.transcript) ?? 0)) return refresh();
  article.dataset.version = version;
  inTime.delete(here);
  const spokenAt = here.querySelector('.spoken')?.dataset.start;
  const fresh = [...newer.children].filter((part) => part.matches('p'));
  const held = holdDrafts(here, fresh);
  const ends = new Map([...held.values()].map((paragraph) => [paragraph, endOf(paragraph)]));
  const kept = new Set([...fresh.map(({ id }) => id), ...[...held.values()].map(({ id }) => id)]);
  for (const part of [...here.children]) if (!kept.has(part.id) && !part.matches('.choice') && !holds(part)) part.remove();
  let next = here.firstElementChild;
  const pass = (part) => {
    while (next?.matches('.choice')) next = next.nextElementSibling;
    if (next === part) next = next.nextElementSibling;
    else here.insertBefore(part, next);
  };
  const take = (part) => {
    if (part === next) next = next.nextElementSibling;
    part.remove();
  };
  // Paragraphs of the newer copy that one which stays stands for.
  const covered = new Set();
  let caret = null;
  for (const [at, newer] of fresh.entries()) {
    if (covered.has(newer)) continue;
    const paragraph = held.get(newer);
    const old = document.getElementById(newer.id);
    if (paragraph) {
      // The server may have split it. Others may speak in between.
      const isPart = (part) => part.dataset.speaker === newer.dataset.speaker && beginOf(part.id) < ends.get(paragraph) && !held.has(part);
      const group = [newer, ...fresh.slice(at + 1).filter(isPart)];
      for (const { id } of group) {
        const other = document.getElementById(id);
        if (other && other !== paragraph) take(other);
      }
      pass(paragraph);
      const merged = mergeDraft(paragraph, group, article);
      caret ??= merged.caret;
      for (const other of merged.covered) covered.add(other);
      next = paragraph.nextElementSibling;
    } else if (old && old.dataset.key === newer.dataset.key) {
      old.dataset.words = newer.dataset.words;
      pass(old);
    } else {
      if (old) take(old);
      pass(imported(newer));
    }
  }
  if (caret) putBack(caret);
  if (spokenAt !== undefined && !here.querySelector('.spoken')) markAgain(here, Number(spokenAt));
}

// Marks the word at which the reader was, which the newer copy has not marked.
function markAgain(text, at) {
  const paragraph = [...text.querySelectorAll(':scope > p')].findLast(({ id }) => beginOf(id) <= at);
  const host = paragraph?.querySelector('.words');
  if (host) spread(host).find((word) => Number(word.dataset.start) === at)?.classList.add('spoken');
}

function imported(paragraph) {
  return watchParagraph(document.importNode(paragraph, true));
}

// Whether something in a paragraph is not sent.
function holds(paragraph) {
  return drafts.has(paragraph.id) && isUnsent(drafts.get(paragraph.id));
}

// Finds the paragraph of the newer copy for each one that must stay: the same one, or if that is gone, the one in its place.
function holdDrafts(here, fresh) {
  const held = new Map();
  const byId = new Map(fresh.map((paragraph) => [paragraph.id, paragraph]));
  for (const paragraph of here.querySelectorAll(':scope > p')) {
    if (!drafts.has(paragraph.id)) continue;
    const before = fresh.findLast((other) => beginOf(other.id) <= beginOf(paragraph.id)) ?? fresh[0];
    const other = byId.get(paragraph.id) ?? before;
    if (other && !held.has(other)) held.set(other, paragraph);
  }
  return held;
}

// Returns when the speaker of a paragraph begins the next one.
function endOf(paragraph) {
  let after = paragraph.nextElementSibling;
  while (after && !(after.matches('p') && after.dataset.speaker === paragraph.dataset.speaker)) after = after.nextElementSibling;
  return after ? beginOf(after.id) : Infinity;
}

// Merges the newer copy of a paragraph that somebody types in, or that is not sent: `group` in place of it. Returns those of
// the group that the paragraph stands for, and where the caret belongs once all of them are there.
function mergeDraft(paragraph, group, article) {
  const draft = drafts.get(paragraph.id);
  const host = paragraph.querySelector('.words');
  if (draft.pending) {
    // What is on its way may be in the newer copy already. The answer tells.
    draft.isStale = true;
    return { covered: group, caret: null };
  }
  const server = draftOf(group, article);
  // While somebody types in it, a paragraph that the server has split stays one.
  if (!draft.base.includes('\n')) server.base = server.base.replaceAll('\n', ' ');
  // A choice between two versions stays open when a newer copy comes.
  const isChosen = draft.text === server.base;
  const merged = draft.choice && !isChosen ? null : mergeTexts(draft.base, draft.text, server.base);
  const raw = textOf(host);
  Object.assign(draft, { base: server.base, spans: server.spans, at: server.at, begins: server.begins, version: server.version, isStale: false });
  draft.choice = merged === null;
  if (merged !== null) draft.text = merged;
  drafts.delete(paragraph.id);
  if (draft.choice) offer(paragraph, draft);
  else if (paragraph.nextElementSibling?.matches('.choice')) paragraph.nextElementSibling.remove();
  sendSoon(article);
  if (isUnsent(draft)) {
    if (normalize(raw) !== draft.text && !isComposing) withCaret(host, () => { host.textContent = draft.text; });
    localStorage.removeItem(stored(draft));
    paragraph.id = draft.id = group[0].id;
    paragraph.dataset.words = group.map(({ dataset }) => dataset.words).join(' ');
    drafts.set(draft.id, draft);
    keep(draft);
    return { covered: group, caret: null };
  }
  localStorage.removeItem(stored(draft));
  const isSame = paragraph.dataset.key === group[0].dataset.key;
  const isBusy = host === typedIn() && (isComposing || !getSelection().isCollapsed || raw !== draft.text);
  if (group.length === 1 && (isSame || (isBusy && normalize(raw) === draft.text))) {
    // A space at the end waits for its word, and what is selected stays selected.
    paragraph.id = draft.id = group[0].id;
    paragraph.dataset.words = group[0].dataset.words;
    drafts.set(draft.id, draft);
    if (host !== typedIn()) drop(draft);
    return { covered: group, caret: null };
  }
  const offset = host === typedIn() ? caretIn(host) : null;
  const old = host.textContent;
  replace(paragraph, imported(group[0]));
  return { covered: [group[0]], caret: offset === null ? null : { group, old, offset } };
}

// Shows the server's copy instead of a paragraph. Only what is in it is replaced, so that the focus stays.
function replace(paragraph, copy) {
  const host = paragraph.querySelector('.words');
  for (const { name, value } of copy.attributes) paragraph.setAttribute(name, value);
  const words = copy.querySelector('.words');
  for (const part of [...paragraph.children]) if (part !== host) part.remove();
  for (const text of [...paragraph.childNodes]) if (text !== host) text.remove();
  const parts = [...copy.childNodes];
  host.before(...parts.slice(0, parts.indexOf(words)));
  host.after(...parts.slice(parts.indexOf(words) + 1));
  host.replaceChildren(...words.childNodes);
  host.dataset.after = words.dataset.after;
  spreadOut.delete(host);
  spread(host);
}

// Puts the caret where it was in a text that now stands in these paragraphs.
function putBack({ group, old, offset }) {
  const hosts = group.map(({ id }) => document.getElementById(id).querySelector('.words'));
  const now = hosts.map((host) => host.textContent).join(' ');
  let left = moved(old.replaceAll('\n', ' '), now, offset);
  const here = hosts.find((host) => {
    if (left <= host.textContent.length) return true;
    left -= host.textContent.length + 1;
    return false;
  });
  if (here) editAt(here, left);
  else editAt(hosts.at(-1), hosts.at(-1).textContent.length);
}

// Where a caret belongs after a text has changed.
function moved(old, now, offset) {
  const { start: begin, end, otherEnd } = difference(old, now);
  return offset >= end ? offset + otherEnd - end : offset <= begin ? offset : Math.min(offset, otherEnd);
}

function withCaret(host, change) {
  const offset = host === typedIn() ? caretIn(host) : null;
  const old = host.textContent;
  change();
  if (offset !== null) putCaret(host, moved(old, host.textContent, offset));
}

// Shows a version of a text, with those words marked that are not in the other one.
function showVersion(part, text, other) {
  const [words, others] = [text, other].map((version) => version.split(/\s+/));
  const areThere = inCommon(words, others);
  part.replaceChildren(...words.flatMap((word, n) => {
    const shown = document.createElement(areThere[n] ? 'span' : 'b');
    shown.textContent = word;
    return [shown, ' '];
  }));
}

// Shows both versions of a paragraph that somebody else has changed, too.
function offer(paragraph, draft) {
  paragraph.nextElementSibling?.matches('.choice') && paragraph.nextElementSibling.remove();
  const choice = document.importNode(document.getElementById('sayings').content.querySelector('.choice'), true);
  showVersion(choice.querySelector('.mine'), draft.text, draft.base);
  showVersion(choice.querySelector('.theirs'), draft.base, draft.text);
  const [mine, theirs] = choice.querySelectorAll('button');
  mine.onclick = () => decide(draft.text);
  theirs.onclick = () => decide(draft.base);
  const decide = (text) => {
    const { text: typedSince } = draft;
    draft.choice = false;
    draft.text = text === draft.base ? text : typedSince;
    keep(draft);
    choice.remove();
    const host = paragraph.querySelector('.words');
    if (normalize(textOf(host)) !== draft.text) host.textContent = draft.text;
    if (isUnsent(draft)) sendSoon(articleOf(paragraph), 0);
    else refresh();
    editAt(host, host.textContent.length);
  };
  paragraph.after(choice);
}

// Shows again what an earlier page has not sent.
function restore(article) {
  const { transcript } = article.dataset;
  const prefix = `unsaved ${transcript} `;
  const names = Object.keys(localStorage).filter((name) => name.startsWith(prefix));
  for (const name of names) {
    const old = JSON.parse(localStorage.getItem(name));
    const paragraphs = [...article.querySelectorAll('.text > p')];
    const here = paragraphs.find(({ id }) => id === old.id)
      ?? paragraphs.findLast((other) => beginOf(other.id) <= beginOf(old.id)) ?? paragraphs[0];
    localStorage.removeItem(name);
    if (!here || drafts.has(here.id)) continue;
    const at = paragraphs.indexOf(here);
    const lines = paragraphs.slice(at, at + old.text.split('\n').length);
    if (draftOf(lines, article).base === old.text && !old.joins.length) continue;
    const draft = draftHere(here);
    const merged = mergeTexts(old.base, old.text, draft.base);
    Object.assign(draft, { text: merged ?? old.text, choice: merged === null });
    if (!isUnsent(draft)) {
      drop(draft);
      continue;
    }
    here.dataset.key = '';
    here.querySelector('.words').textContent = draft.text;
    keep(draft);
    if (draft.choice) offer(here, draft);
  }
  if (names.length) sendSoon(article);
}

for (const article of document.querySelectorAll('.transcript')) if (articleOf(article)) restore(article);
