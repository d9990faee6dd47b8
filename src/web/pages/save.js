// Sends what somebody typed in a transcript, and keeps it in this browser until the server has it. Knows texts and positions,
// but nothing of carets. Follows page.js.
'use strict';

// A paragraph that somebody types in, as `drafts` has it by the paragraph's id:
// `base` is the text that the server has, in its `version`, with `spans`, one `[start, end, position]` for each word.
// `text` is what stands there now. `joins` are positions before which no paragraph begins any more. `pending` is a request
// that has no answer yet, so it may have arrived or not. `isStale` says that the server has more than `base`, `choice` that
// the reader has to choose, `begins` that another paragraph is before it, and `why` is the reason for which the server refuses
// it.
const drafts = new Map();

// Milliseconds until something is sent again that did not arrive.
const RETRY = 3000;

function normalize(text) {
  // Marks that turn the direction of text, and control characters, are no part of words.
  const plain = text.replace(/[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/g, '').replace(/(?!\s)\p{Cc}/gu, '');
  return plain.replace(/\s+/g, (spaces) => (/[\n\r\u2028\u2029]/.test(spaces) ? '\n' : ' ')).trim();
}

// Returns where two texts begin to differ, and where that ends in each.
function difference(one, other) {
  let start = 0;
  const most = Math.min(one.length, other.length);
  while (start < most && one[start] === other[start]) start += 1;
  let same = 0;
  while (same < most - start && one[one.length - 1 - same] === other[other.length - 1 - same]) same += 1;
  return { start, end: one.length - same, otherEnd: other.length - same };
}

// Returns for each of these words whether the others have it, too, in the same order. Of very many, all count as the same.
function inCommon(words, others) {
  if (words.length * others.length > 1e6) return words.map(() => true);
  // How many are in common from each pair on.
  const counts = Array.from({ length: words.length + 1 }, () => new Uint16Array(others.length + 1));
  for (let one = words.length - 1; one >= 0; one -= 1) {
    for (let other = others.length - 1; other >= 0; other -= 1) {
      counts[one][other] = words[one] === others[other]
        ? counts[one + 1][other + 1] + 1 : Math.max(counts[one + 1][other], counts[one][other + 1]);
    }
  }
  let other = 0;
  return words.map((word, one) => {
    while (other < others.length && word !== others[other] && counts[one][other + 1] > counts[one + 1][other]) other += 1;
    const isThere = word === others[other];
    if (isThere) other += 1;
    return isThere;
  });
}

// Merges two changes of a text. Returns `null` if they touch each other.
function mergeTexts(base, mine, theirs) {
  if (mine === base || mine === theirs) return theirs;
  if (theirs === base) return mine;
  const my = difference(base, mine);
  const their = difference(base, theirs);
  if (my.end < their.start) return mine.slice(0, my.otherEnd) + base.slice(my.end, their.start) + theirs.slice(their.start);
  if (their.end < my.start) return theirs.slice(0, their.otherEnd) + base.slice(their.end, my.start) + mine.slice(my.start);
  return null;
}

// Returns the corrections that lead from the base of a draft to its text, and the words that then stand there.
function corrections({ base, spans, text, at, begins }) {
  if (!spans.length) return { edits: text ? [{ from: at, to: at, text }] : [], first: 0, last: -1, said: text };
  const { start, end } = difference(base, text);
  let first = spans.findIndex((span) => span[1] >= start);
  if (first < 0) first = spans.length - 1;
  let last = spans.findLastIndex((span) => span[0] <= end);
  if (last < first) last = first;
  const said = text.slice(spans[first][0], text.length - (base.length - spans[last][1])).replace(/^ | $/g, '');
  const edits = inRuns(spans.slice(first, last + 1).map((span) => span[2]), said);
  // Another word begins the paragraph now.
  const isBegun = said.split(/\s/)[0] === base.slice(...spans[0].slice(0, 2));
  if (begins && first === 0 && edits[0].text && !isBegun) edits[0].break = true;
  return { edits, first, last, said };
}

// Where two people talk at once, the words of a paragraph are not neighbors in the transcript.
function inRuns(positions, said) {
  const runs = [];
  for (const position of positions) {
    if (runs.length && runs.at(-1).to === position) runs.at(-1).to += 1;
    else runs.push({ from: position, to: position + 1, text: '' });
  }
  const words = said.match(/\s*\S+/g) ?? [];
  const isOneEach = words.length === positions.length;
  if (!isOneEach) runs[0].text = said;
  else for (const run of runs) run.text = words.splice(0, run.to - run.from).join('').replace(/^ /, '');
  return runs;
}

// Scripts without spaces are split by the server, as it sees fit.
const UNSPACED = /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60]|[\ud840-\ud8ff]/;

// Moves the positions of a draft by edits that somebody has made before or after its words.
function shift(position, edits) {
  let by = 0;
  for (const { from, to, count } of edits) if (to <= position) by += count - (to - from);
  return position + by;
}

// The server has this text, in the next version. Returns `false` if its positions are not known.
function adopt(draft, version, { edits, first, last, said }, text) {
  const isKnown = version === draft.version + 1 && !UNSPACED.test(said) && !said.includes('\n');
  draft.base = text;
  newest.set(draft.transcript, Math.max(version, newest.get(draft.transcript) ?? 0));
  if (!isKnown) return false;
  const counted = edits.map((edit) => ({ ...edit, count: edit.text.match(/\S+/g)?.length ?? 0 }));
  const added = counted.flatMap(({ from, count }) => {
    const begin = shift(from, counted);
    return Array.from({ length: count }, (_, n) => begin + n);
  });
  const kept = (span) => shift(span[2], counted);
  const positions = [...draft.spans.slice(0, first).map(kept), ...added, ...draft.spans.slice(last + 1).map(kept)];
  draft.at = positions[0] ?? shift(edits[0].from, counted);
  draft.spans = [...text.matchAll(/\S+/g)].map((word, n) => [word.index, word.index + word[0].length, positions[n]]);
  draft.version = version;
  for (const other of drafts.values()) {
    if (other === draft || other.transcript !== draft.transcript || other.version !== version - 1) continue;
    for (const span of other.spans) span[2] = shift(span[2], counted);
    other.at = shift(other.at, counted);
    other.version = version;
  }
  moves.set(`${draft.transcript} ${version}`, counted);
  return positions.length === draft.spans.length;
}

// The newest version of each transcript that the server has told.
const newest = new Map();

// Edits by which each version came about, as far as this page has made it.
const moves = new Map();

// Brings positions of an older version up to the newest one that is known.
function catchUp(draft) {
  for (;;) {
    const edits = moves.get(`${draft.transcript} ${draft.version + 1}`);
    if (!edits) return;
    for (const span of draft.spans) span[2] = shift(span[2], edits);
    draft.at = shift(draft.at, edits);
    draft.version += 1;
  }
}

// What is kept in the browser.

function isUnsent(draft) {
  return draft.text !== draft.base || draft.joins.length > 0 || draft.pending !== null;
}

function stored(draft) {
  return `unsaved ${draft.transcript} ${draft.id}`;
}

function keep(draft) {
  if (!isUnsent(draft)) return localStorage.removeItem(stored(draft));
  try {
    localStorage.setItem(stored(draft), JSON.stringify(draft));
  } catch {
    // The browser has no room for it, as for a long text that is pasted. It is sent all the same.
    localStorage.removeItem(stored(draft));
  }
}

function drop(draft) {
  localStorage.removeItem(stored(draft));
  drafts.delete(draft.id);
}

// Sending: one request at a time for each transcript.

const sending = new Set();

// The same request has the same key, by which the server knows that it was carried out already.
function keyOf(request) {
  let [one, other] = [0x811c9dc5, 0x9dc5811c];
  for (let at = 0; at < request.length; at += 1) {
    one = Math.imul(one ^ request.charCodeAt(at), 0x01000193);
    other = Math.imul(other ^ request.charCodeAt(at), 0x5bd1e995);
  }
  return `${request.length}-${(one >>> 0).toString(16)}-${(other >>> 0).toString(16)}`;
}

function post(path, request) {
  const headers = { accept: 'application/json', 'content-type': 'application/json', 'idempotency-key': keyOf(request) };
  return fetch(path, { method: 'POST', body: request, headers, redirect: 'manual', signal: AbortSignal.timeout(30000) });
}

// Returns the answer once there is one that decides.
async function persist(article, path, request) {
  for (;;) {
    let said = 'unsent';
    try {
      const answer = await post(path, request);
      if (answer.type === 'opaqueredirect' || answer.status === 401) said = 'out';
      else if (answer.status < 500 && answer.status !== 429 && answer.status !== 408) return answer;
      else said = 'busy';
    } catch {
      // There is no connection.
    }
    report(article, said);
    await new Promise((later) => setTimeout(later, RETRY));
  }
}

async function send(article) {
  const { transcript } = article.dataset;
  if (sending.has(transcript)) return;
  sending.add(transcript);
  try {
    for (;;) {
      const mine = [...drafts.values()].filter((draft) => draft.transcript === transcript && isUnsent(draft));
      const draft = mine.find(({ choice, isStale, why, text }) => !choice && !isStale && why !== text);
      if (!draft) {
        const stale = mine.filter(({ isStale }) => isStale);
        if (stale.length && await refreshNow()) {
          // Its paragraph is gone, so it waits until somebody types there.
          for (const gone of stale) if (gone.isStale && drafts.get(gone.id) === gone) Object.assign(gone, { isStale: false, why: gone.text });
          continue;
        }
        if (!mine.length) report(article, 'saved');
        else if (mine.some(({ choice }) => choice)) report(article, 'choose');
        return;
      }
      await sendDraft(article, draft);
    }
  } finally {
    sending.delete(transcript);
  }
}

async function sendDraft(article, draft) {
  catchUp(draft);
  const { version, text } = draft;
  let step = corrections(draft);
  if (!draft.pending) {
    if (draft.joins.length) step = { joins: draft.joins, edits: draft.joins.map((at) => ({ from: at, to: at, break: false })) };
    draft.pending = { step, text: step.joins ? draft.base : text, request: JSON.stringify(step.edits.map((edit) => ({ version, ...edit }))) };
    keep(draft);
  }
  const { pending } = draft;
  report(article, 'saving');
  const answer = await persist(article, `/transcript/${draft.transcript}/corrections`, pending.request);
  draft.pending = null;
  if (answer.ok) {
    const { version: newest, correction } = await answer.json();
    if (correction) {
      remember(draft.transcript, correction);
      offerAlike(article, correction);
    }
    if (pending.step.joins) draft.joins = [];
    const isKnown = !pending.step.joins && adopt(draft, newest, pending.step, pending.text) && correction !== null;
    draft.isStale ||= !isKnown;
  } else if (answer.status === 409) {
    // The newer copy of the page shows what has changed.
    draft.isStale = true;
  } else if ([404, 410].includes(answer.status)) {
    drop(draft);
    await refreshNow();
  } else {
    draft.why = draft.text;
    const { detail, title } = await answer.json().catch(() => ({}));
    report(article, 'refused', detail ?? title);
  }
  if (drafts.has(draft.id)) keep(draft);
}

// Says in the article how far saving is. The texts are the server's.
function report(article, name, more = '') {
  const sign = article.querySelector('.sign');
  if (!sign || (sign.dataset.says === name && !more)) return;
  sign.dataset.says = name;
  sign.replaceChildren(document.importNode(document.getElementById('sayings').content.querySelector(`.${name}`), true), more);
  for (const link of sign.querySelectorAll('a')) link.href = '/login';
}

addEventListener('beforeunload', (event) => {
  if ([...drafts.values()].some((draft) => isUnsent(draft) && !draft.why)) event.preventDefault();
});
