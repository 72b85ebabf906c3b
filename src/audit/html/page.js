(() => {
'use strict';
// A line of the script and the instructions made from it, linked both ways: hover, click, tap, or keys.
const all = (what, from = document) => Array.from(from.querySelectorAll(what));
const lines = all('#script li');
const rows = all('.i');
const told = document.querySelector('output');
const hint = told.textContent;
const byLine = new Map();
for (const row of rows) {
  const line = row.dataset.l;
  if (line === undefined) continue;
  if (!byLine.has(line)) byLine.set(line, []);
  byLine.get(line).push(row);
}
const isRow = (one) => one.classList.contains('i');
const lineOf = (row) => row.dataset.l === undefined ? null : document.getElementById('L' + row.dataset.l);
const rowsOf = (line) => byLine.get(line.id.slice(1)) || [];
let pinned = null;

// What was known of each register: a row holds what changed since the row before it.
const known = (row) => {
  const regs = new Map();
  for (const one of all('.i', row.parentElement)) {
    for (const change of (one.dataset.k || '').split('; ')) {
      const at = change.indexOf('=');
      if (at > 0) regs.set(change.slice(0, at), change.slice(at + 1));
      else if (change) regs.delete(change.slice(1));
    }
    if (one === row) break;
  }
  return regs;
};
const say = (parts) => {
  told.textContent = '';
  for (const [strong, text] of parts) {
    const one = document.createElement(strong ? 'b' : 'span');
    one.textContent = text;
    told.append(one);
  }
};
const plain = (line) => {
  const code = line.querySelector('code');
  if (code.querySelector('mark')) code.textContent = code.textContent;
};
const underline = (line, span) => {
  const code = line.querySelector('code');
  const text = code.textContent;
  const [start, length] = span.split(',').map(Number);
  const mark = document.createElement('mark');
  mark.textContent = text.slice(start, start + length);
  code.textContent = '';
  code.append(text.slice(0, start), mark, text.slice(start + length));
};
const see = (one) => one.scrollIntoView({ block: 'nearest' });
const clear = () => {
  for (const one of all('.on, .at')) one.classList.remove('on', 'at');
  for (const mark of all('mark')) plain(mark.closest('li'));
};
const show = (one, scroll) => {
  clear();
  if (!one) { told.textContent = hint; return; }
  one.classList.add('on');
  if (isRow(one)) {
    const line = lineOf(one);
    if (line) {
      line.classList.add('on');
      if (one.dataset.s) underline(line, one.dataset.s);
      if (scroll) see(line);
    }
    const parts = [[true, 'slot ' + one.firstElementChild.textContent], [false, '  ' + one.dataset.b]];
    if (one.dataset.o) parts.push([false, '  of the tracer itself: the record and its way']);
    else if (line) parts.push([false, '  line ' + one.dataset.l]);
    const regs = known(one);
    parts.push([false, '\u2003' + (regs.size ? 'first come to with ' : '')]);
    for (const [reg, what] of [...regs].sort()) parts.push([true, reg + ' '], [false, what + '  ']);
    say(parts);
  } else {
    const of = rowsOf(one);
    for (const row of of) row.classList.add('on');
    if (scroll && of.length) see(of[0]);
    say([[true, 'line ' + one.id.slice(1)], [false, of.length
      ? '  ' + of.length + ' instructions' : '  no instruction is made from it']]);
  }
};
const pin = (one) => {
  pinned = one;
  show(one, true);
  if (one) { one.classList.add('at'); see(one); }
};
const linkOf = (one) => one.firstElementChild;
const focus = (one) => {
  pin(one);
  const link = linkOf(one);
  for (const other of all('[tabindex="0"]', one.closest('section'))) other.tabIndex = -1;
  link.tabIndex = 0;
  link.focus({ preventScroll: true });
};
const of = (event) => event.target instanceof Element ? event.target.closest('.i, #script li') : null;

document.addEventListener('pointerover', (event) => {
  if (event.pointerType === 'touch' || pinned) return;
  show(of(event), false);
});
document.addEventListener('click', (event) => {
  const jump = event.target instanceof Element ? event.target.closest('a') : null;
  const goal = jump && document.getElementById(decodeURIComponent(jump.hash.slice(1)));
  if (goal && goal.classList.contains('label')) {
    event.preventDefault();
    focus(goal.nextElementSibling);
    return;
  }
  if (goal && goal.matches('article')) return;
  const one = of(event);
  if (!one) return;
  event.preventDefault();
  if (pinned === one) { pin(null); return; }
  focus(one);
});
document.addEventListener('keydown', (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  if (event.key === 'Escape') { pin(null); return; }
  const one = of(event);
  if (!one) return;
  const list = isRow(one) ? rows : lines;
  const at = list.indexOf(one);
  const other = isRow(one) ? lineOf(one) : rowsOf(one)[0];
  const goal = {
    ArrowDown: list[at + 1], ArrowUp: list[at - 1], Home: list[0], End: list[list.length - 1],
    PageDown: list[Math.min(at + 20, list.length - 1)], PageUp: list[Math.max(at - 20, 0)],
    ArrowLeft: isRow(one) ? other : null, ArrowRight: isRow(one) ? null : other,
    Enter: other, ' ': one,
  }[event.key];
  if (goal === undefined && !['ArrowDown', 'ArrowUp', 'Enter'].includes(event.key)) return;
  event.preventDefault();
  if (goal) focus(goal);
});
for (const one of [...lines, ...rows]) linkOf(one).tabIndex = -1;
for (const first of [lines[0], rows[0]]) if (first) linkOf(first).tabIndex = 0;
const hashed = () => {
  const one = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (one && one.matches('.i, #script li')) pin(one);
};
addEventListener('hashchange', hashed);
hashed();
})();
