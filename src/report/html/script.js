'use strict';
const words = document.getElementById('words');
const chapter = document.getElementById('chapter');
const boxes = [...document.querySelectorAll('input[name=verdict]')];
const known = new Set(boxes.map(box => box.value));
const items = [...document.querySelectorAll('[data-verdict]')];
const texts = new Map();
const text = item => {
  if (!texts.has(item)) texts.set(item, item.textContent.toLowerCase());
  return texts.get(item);
};
function filter() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const verdicts = new Set(boxes.filter(box => box.checked).map(box => box.value));
  let shown = 0;
  let cases = 0;
  for (const item of items) {
    const { verdict, chapter: place } = item.dataset;
    const isIn = (!known.has(verdict) || verdicts.has(verdict))
      && (!chapter.value || place === chapter.value)
      && (!wanted.length || wanted.every(word => text(item).includes(word)));
    item.hidden = !isIn;
    if (item.classList.contains('case')) {
      cases += 1;
      shown += isIn ? 1 : 0;
    }
  }
  const isNarrow = wanted.length || chapter.value;
  for (const group of document.querySelectorAll('div.chapter')) {
    group.hidden = isNarrow && !group.querySelector('.clause:not([hidden])');
  }
  const passed = document.querySelector('.passed');
  if (passed) {
    passed.hidden = !passed.querySelector('.case:not([hidden])');
    if (wanted.length) passed.open = true;
  }
  document.getElementById('shown').textContent = `${shown} of ${cases} cases`;
}
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  target.hidden = false;
  for (let at = target; at; at = at.parentElement) {
    if (at.tagName === 'DETAILS') at.open = true;
    at.hidden = false;
  }
  target.scrollIntoView();
}
document.getElementById('filter').addEventListener('submit', event => event.preventDefault());
document.getElementById('filter').addEventListener('input', filter);
addEventListener('hashchange', reveal);
filter();
reveal();
