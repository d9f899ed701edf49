/* One file on the page: its numbers, its bars, and the map of its changes. */

const COLUMNS = 72;
const ROWS = 20;

/** The number of parts of the map. */
export const CELLS = COLUMNS * ROWS;

/** How a cell is drawn, by its share of new bytes: the first level whose `most` is at least that share. */
const LEVELS = [
  { name: 'held', most: 0 },
  { name: 'some', most: 0.01 },
  { name: 'more', most: 0.1 },
  { name: 'most', most: Infinity },
];

/** The connection that the last column of the table assumes. */
const BYTES_A_MS = 20e6 / 8 / 1000;
const ROUND_TRIP_MS = 40;

const SVG = 'http://www.w3.org/2000/svg';

/** Adds a file to the page. Returns functions that show its results. */
export function assetView(parent, name) {
  const article = document.getElementById('asset').content.cloneNode(true).firstElementChild;
  const part = (selector) => article.querySelector(selector);
  const say = (selector, text) => (part(selector).textContent = text);
  say('h2', name);
  part('h2').id = `name-of-${name}`;
  article.setAttribute('aria-labelledby', part('h2').id);
  parent.append(article);
  return {
    showBusy(busy) {
      article.setAttribute('aria-busy', busy);
    },
    showSync({ before, release, cost, length, warning }) {
      const moved = cost.sent + cost.received;
      say('.release', before && before !== release ? `${before} → ${release}` : release);
      say('.moved strong', moved.toLocaleString('en'));
      say('.moved span', `of ${bytesOf(length)} moved`);
      say('.how', warning ?? howOf(cost, before));
      showBar(part('.bars .driblet'), moved, length);
      showRow(part('tr.driblet'), { requests: cost.requests, elapsed: cost.elapsed, moved });
    },
    showPlain({ received, elapsed }, length) {
      showBar(part('.bars .plain'), received, length);
      showRow(part('tr.plain'), { requests: 1, elapsed, moved: received });
    },
    showMap(fresh, { before, length }) {
      drawMap(part('svg'), fresh ?? [], length / CELLS);
      part('svg').setAttribute(
        'aria-label',
        fresh ? describe(fresh, before, length) : 'There is no map: this page did not have the release before.',
      );
    },
  };
}

export function bytesOf(count) {
  return `${count.toLocaleString('en')} bytes`;
}

function howOf({ basis, requests }, before) {
  switch (basis) {
    case 'none':
      return requests === 1
        ? 'A first visit: the whole file was sent, compressed.'
        : 'Too little matched: the whole file was sent, compressed.';
    case 'same':
      return 'This page already has it.';
    case 'version':
      return `The server knew ${before ?? 'the release that this page had'}, and sent only the changes.`;
    case 'matched':
      return `The server did not know ${before ?? 'the release that this page had'}. The page sent a signature of it, and kept the parts that matched.`;
  }
}

function showBar(row, count, length) {
  row.querySelector('dd').textContent = count.toLocaleString('en');
  row.style.setProperty('--share', `${(100 * count) / length}%`);
}

function showRow(row, { requests, elapsed, moved }) {
  const times = [elapsed, requests * ROUND_TRIP_MS + moved / BYTES_A_MS].map(
    (ms) => `${Math.round(ms).toLocaleString('en')} ms`,
  );
  const cells = row.querySelectorAll('td');
  [String(requests), ...times].forEach((text, at) => (cells[at].textContent = text));
}

/** One path for each level, with all cells of that level. */
function drawMap(svg, fresh, size) {
  const paths = LEVELS.map(({ name, most }, level) => {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('class', name);
    const before = level === 0 ? -1 : LEVELS[level - 1].most;
    let drawn = '';
    fresh.forEach((count, cell) => {
      const share = count / size;
      if (before < share && share <= most) drawn += `M${cell % COLUMNS} ${Math.floor(cell / COLUMNS)}h.84v.84h-.84z`;
    });
    path.setAttribute('d', drawn);
    return path;
  });
  svg.replaceChildren(...paths);
}

function describe(fresh, before, length) {
  const count = Math.round(fresh.reduce((sum, cell) => sum + cell, 0));
  if (count === length) return 'Map of the file: all of it is new.';
  if (count === 0) return 'Map of the file: none of it is new.';
  const cells = fresh.filter((cell) => 0 < cell).length;
  return `Map of the file in ${CELLS.toLocaleString('en')} parts: ${bytesOf(count)} of ${length.toLocaleString('en')} do not occur in ${before}. They are in ${cells.toLocaleString('en')} of the parts; the others are unchanged.`;
}
