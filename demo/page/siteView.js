/* The release on the page: its numbers, its bars, and a tile for each file. */

/** Bytes of a file that one square of its tile shows. */
const CELL = 128;
/** The side of a square, in pixels. */
const SIDE = 6;
/** The length from which a tile has more room than the others. */
const LARGE = 32 * 1024;
/** The longest time between two files that light up, and for all of them, in milliseconds. */
const PACE = 150;
const REPLAY = 2_000;

const SVG = 'http://www.w3.org/2000/svg';

const release = document.getElementById('release');
const tiles = release.querySelector('.tiles');
const say = (selector, text) => (release.querySelector(selector).textContent = text);

/** The number of squares of a file. */
export function cellsOf(length) {
  return Math.max(1, Math.ceil(length / CELL));
}

export function bytesOf(count) {
  return count === 1 ? '1 byte' : `${count.toLocaleString('en')} bytes`;
}

export function showBusy(isBusy) {
  release.setAttribute('aria-busy', isBusy);
}

/** Shows a synced release, whose files light up one after the other, as they came. */
export async function showRelease({ site, files, cost, length, warning, progress }) {
  const moved = cost.sent + cost.received;
  const comes = files.filter(({ state }) => state === 'new' || state === 'changed');
  say('.release', `${site.release} of ${site.of}: ${site.says}`);
  say('.count', `${site.whole.files}, ${bytesOf(length)}`);
  say('.moved span', `of ${bytesOf(length)} moved`);
  say('.how', warning ?? howOf(cost, length, site, comes.length));
  showBar('changed', site.changed.brotli, site);
  showBar('whole', site.whole.brotli, site);
  // The large ones first, because the others fit beside them.
  const inOrder = [...files].sort((a, b) => (LARGE < b.length) - (LARGE < a.length));
  tiles.replaceChildren(...inOrder.map(tileOf));
  await replay(comes, (count) => {
    // The bytes that had arrived when so many files were verified.
    const then = progress.find(({ files }) => count <= files);
    showMoved(Math.min(moved, then ? cost.sent + then.received : moved), site);
  });
  showMoved(moved, site);
  document.getElementById('elapsed').textContent = Math.round(cost.elapsed).toLocaleString('en');
}

function showMoved(count, site) {
  say('.moved strong', count.toLocaleString('en'));
  showBar('driblet', count, site);
}

/** A whole bar is the whole site under brotli. */
function showBar(name, count, site) {
  say(`.bars .${name} dd`, count.toLocaleString('en'));
  const share = Math.min(100, (100 * count) / site.whole.brotli);
  release.querySelector(`.bars .${name}`).style.setProperty('--share', `${share}%`);
}

async function replay(comes, count) {
  const pace = matchMedia('(prefers-reduced-motion: reduce)').matches ? 0 : Math.min(PACE, REPLAY / comes.length);
  for (const [at, { tile }] of comes.entries()) {
    if (0 < pace) await new Promise((resolve) => setTimeout(resolve, pace));
    tile.dataset.state = 'here';
    count(at + 1);
  }
}

function howOf({ reused, requests }, length, site, count) {
  const asked = requests === 1 ? 'one request' : `${requests} requests`;
  if (reused === length) return 'This browser already has it.';
  if (count === 0) return 'This page was closed when it was published, and cannot show what changed.';
  if (reused === 0 && count === site.whole.files) return `A first visit: all files were sent, in ${asked}.`;
  const few = count === 1 ? 'One file of' : `${count} files of`;
  return `${few} ${site.whole.files} had to come, in ${asked}. Without driblet a browser fetches ${site.changed.files}.`;
}

function tileOf(file) {
  const { path, length, state, fresh } = file;
  const tile = document.createElement('li');
  tile.dataset.state = state === 'new' || state === 'changed' ? 'coming' : state;
  tile.classList.toggle('large', LARGE < length);
  const name = document.createElement('span');
  name.className = 'file';
  const [, stem, hash, extension] = /^(?:.*\/)?(.+?)(-[\w-]{8})?(\.\w+)$/.exec(path);
  const dim = document.createElement('i');
  dim.textContent = hash ?? '';
  name.append(stem, dim, extension);
  const said = document.createElement('span');
  said.className = 'state';
  said.textContent = stateOf(file);
  tile.append(drawn(length, fresh, state), name, said);
  file.tile = tile;
  return tile;
}

function stateOf({ length, state, fresh }) {
  if (state === 'removed') return 'removed';
  if (state === 'held') return `${bytesOf(length)}, as before`;
  if (state === 'new') return `${bytesOf(length)}, new`;
  const count = Math.round(fresh.reduce((sum, cell) => sum + cell, 0));
  return count === 0 ? 'from old files' : `${bytesOf(count)} of ${length.toLocaleString('en')} new`;
}

/** The squares of a file: each filled with the colour of new bytes as far as its bytes are new. */
function drawn(length, fresh, state) {
  const cells = cellsOf(length);
  const columns = Math.ceil(Math.sqrt(cells));
  const rows = Math.ceil(cells / columns);
  const size = length / cells;
  let [below, above] = ['', ''];
  for (let cell = 0; cell < cells; cell += 1) {
    const [x, y] = [cell % columns, Math.floor(cell / columns)];
    below += `M${x} ${y}h.84v.84h-.84z`;
    // The least part that can be seen is a third.
    const share = fresh?.[cell] ? Math.max(0.28, (0.84 * fresh[cell]) / size) : 0;
    if (0 < share) above += `M${x} ${(y + 0.84 - share).toFixed(2)}h.84v${share.toFixed(2)}h-.84z`;
  }
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${columns} ${rows}`);
  svg.setAttribute('width', columns * SIDE);
  svg.setAttribute('height', rows * SIDE);
  svg.setAttribute('aria-hidden', 'true');
  for (const [name, d] of [
    [state === 'held' ? 'held' : 'some', below],
    ['most', above],
  ]) {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('class', name);
    path.setAttribute('d', d);
    svg.append(path);
  }
  return svg;
}
