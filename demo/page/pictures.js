/*
 * The pictures of the files that the page follows. Each function takes a file over, and returns a label, and what a screen
 * reader says. It throws if the file cannot be used, and has then changed nothing.
 */

const SVG = 'http://www.w3.org/2000/svg';
const POINTS = 240;

const theme = new CSSStyleSheet();
document.adoptedStyleSheets.push(theme);
/** The numbers of the version before, by their days. */
let before;

/** Replaces the style sheet of this page. */
export async function drawTheme(_picture, folder, name) {
  theme.replaceSync(await (await folder.file(name)).text());
  const label = getComputedStyle(document.documentElement).getPropertyValue('--name').replace(/['"]/g, '');
  return { label, says: `The colours of this page: ${label}` };
}

/** Draws a bar for each day. The bars of new numbers have the accent's colour. */
export async function drawNumbers(picture, folder, name) {
  const { says, unit, days } = JSON.parse(await (await folder.file(name)).text());
  const entries = Object.entries(days);
  const values = entries.map(([, value]) => value);
  if (!values.every(Number.isFinite)) throw new TypeError('one of the days has no number');
  const [lowest, highest] = [Math.min(0, ...values), Math.max(0, ...values)];
  const bar = ([, value], at) => `M${at} ${-value}V0h1V${-value}z`;
  const fresh = entries.map(([day, value]) => before !== undefined && before[day] !== value);
  const paths = ['before', 'fresh'].map((kind) => {
    const path = document.createElementNS(SVG, 'path');
    path.setAttribute('class', kind);
    path.setAttribute('d', entries.map((day, at) => (fresh[at] === (kind === 'fresh') ? bar(day, at) : '')).join(''));
    return path;
  });
  picture.setAttribute('viewBox', `0 ${-highest} ${entries.length} ${highest - lowest || 1}`);
  picture.replaceChildren(...paths);
  before = days;
  const count = fresh.filter(Boolean).length;
  const range = `between ${Math.min(...values)} and ${Math.max(...values)} ${unit}`;
  return { label: says, says: `${entries.length} days ${range}; ${count || 'none'} of them are new.` };
}

/** Draws what the module's function computes. */
export async function drawCurve(picture, folder, name) {
  const { module, instance } = await WebAssembly.instantiateStreaming(folder.response(name));
  const { f } = instance.exports;
  if (typeof f !== 'function') throw new TypeError('the module exports no function f');
  const points = Array.from({ length: POINTS + 1 }, (_, at) => {
    const x = (2 * at) / POINTS - 1;
    const y = Number(f(x));
    return `${x.toFixed(4)} ${(Number.isFinite(y) ? -Math.max(-2, Math.min(2, y)) : 0).toFixed(4)}`;
  });
  picture.querySelector('.curve').setAttribute('d', `M${points.join('L')}`);
  const [given] = WebAssembly.Module.customSections(module, 'curve');
  const label = given ? new TextDecoder().decode(given) : 'A curve of yours';
  return { label, says: `The curve of f: ${label}` };
}
