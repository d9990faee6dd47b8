// After a correction, offers the other places where the same was heard. Follows save.js and edit.js. All texts come from the
// server.
'use strict';

// Milliseconds without a key, after which the server is asked: a word may take several corrections until it is right.
const PAUSE = 1200;
// Corrections that are looked at then.
const MOST = 3;

// Corrections of each transcript that were not looked at yet.
const corrected = new Map();
let timer;

function offerAlike(article, correction) {
  const list = corrected.get(article) ?? [];
  corrected.set(article, [...list, correction].slice(-MOST));
  clearTimeout(timer);
  timer = setTimeout(askAlike, PAUSE);
}

async function askAlike() {
  if (typist.isTyping()) {
    timer = setTimeout(askAlike, PAUSE);
    return;
  }
  const asked = [...corrected];
  corrected.clear();
  for (const [article, list] of asked) {
    // Of several, the one that is heard most.
    let most = null;
    for (const correction of list) {
      try {
        const answer = await fetch(`/transcript/${article.dataset.transcript}/corrections/${correction}/alike`, { redirect: 'manual' });
        const found = answer.status === 200 ? await answer.json() : null;
        if (found && (!most || found.everywhere >= most.everywhere)) most = found;
      } catch {
        // Without a connection there is nothing to offer.
      }
    }
    if (most) showAlike(article, most);
  }
}

// Shows an offer instead of the last one. It is said by screen readers and takes no focus.
function showAlike(article, { find, here, everywhere, more, transcript_url: hereUrl, url }) {
  const offer = document.importNode(document.getElementById('sayings').content.querySelector('.offer'), true);
  offer.querySelector('b').textContent = find;
  const link = (name, address, count) => {
    const part = offer.querySelector(name);
    if (!count) return part.remove();
    part.href = address;
    part.querySelector('i').textContent = count;
  };
  link('.here', hereUrl, here);
  link('.everywhere', url, everywhere > here && `${everywhere}${more ? '+' : ''}`);
  offer.querySelector('button').onclick = () => offer.remove();
  article.querySelector('.alike').replaceChildren(offer);
}
