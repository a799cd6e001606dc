'use strict';
const form = document.getElementById('find');
const words = document.getElementById('words');
const groups = [...document.querySelectorAll('.group')].map(group => ({
  group,
  items: [...group.querySelectorAll('li')].map(item => ({ item, text: item.textContent.toLowerCase() })),
}));
function find() {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const { group, items } of groups) {
    let inside = 0;
    for (const { item, text } of items) {
      item.hidden = !wanted.every(word => text.includes(word));
      inside += item.hidden ? 0 : 1;
    }
    group.hidden = !inside;
    shown += inside;
  }
  document.getElementById('shown').textContent = wanted.length ? `${shown} found` : '';
}
form.hidden = false;
words.value = new URLSearchParams(location.search).get('q') ?? '';
form.addEventListener('submit', event => event.preventDefault());
form.addEventListener('input', find);
find();
