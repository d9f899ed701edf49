import { watchDirectory } from '/.driblet/client.js';
import { ask, showFailure } from './acting.js';
import { drawCurve, drawNumbers, drawTheme } from './pictures.js';
import { bytesOf } from './view.js';

const status = document.getElementById('status');
const since = document.getElementById('since');
const failure = document.getElementById('failure');

const DRAW = { 'theme.css': drawTheme, 'numbers.json': drawNumbers, 'curve.wasm': drawCurve };
const files = Array.from(document.querySelectorAll('[data-file]'), (article) => ({
  name: article.dataset.file,
  part: (selector) => article.querySelector(selector),
  /** The bytes that this page has taken over. */
  bytes: undefined,
}));
const loaded = new Date().toLocaleTimeString('en-GB');
/** Versions of the folder that this page has taken over; the first is the one that it was loaded with. */
let versions = 0;

for (const { name, part } of files)
  part('button').addEventListener('click', () => attempt(() => ask(`/live/${name}`), part('button')));
attempt(follow);
attempt(async () => {
  document.getElementById('folder').textContent = (await ask()).live.folder;
});

/** Runs `work`. If it fails, says so, with a button that tries again. */
async function attempt(work, focused = document.querySelector('button')) {
  try {
    await work();
  } catch (error) {
    showFailure(error, () => {
      failure.replaceChildren();
      focused.focus();
      attempt(work, focused);
    });
  }
}

/** Takes over each version of the folder, as long as the page is open. */
async function follow() {
  for await (const folder of watchDirectory('/live/')) {
    await takeOver(folder);
    folder.close();
  }
}

/** Replaces what has changed, and says what that cost. */
async function takeOver(folder) {
  const isFirst = versions === 0;
  const fresh = [];
  for (const file of files) {
    const bytes = folder.has(file.name) ? await folder.bytes(file.name) : undefined;
    if (!isFirst && isSame(bytes, file.bytes)) continue;
    file.bytes = bytes;
    fresh.push({ ...file, ...(await draw(file, folder)) });
  }
  versions += 1;
  const taken = versions === 2 ? 'one version' : `${versions - 1} versions`;
  since.textContent = `This page was loaded at ${loaded}${isFirst ? '.' : `, and has taken over ${taken} since.`}`;
  if (fresh.length === 0) return;
  const { received } = folder.cost;
  const length = fresh.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0);
  const moved = `${fresh.length === 1 ? '' : `${fresh.length} files of `}${bytesOf(length)}`;
  for (const file of fresh) describe(file, { received, moved, how: howOf(folder, isFirst) });
  const shown = fresh.filter(({ error }) => !error);
  const failed = fresh.filter(({ error }) => error);
  status.textContent = `${say(shown, `here: ${bytesOf(received)} received`)} ${say(failed, 'not usable')}`;
  if (!isFirst) await showTimes(fresh);
}

function say(files, what) {
  if (files.length === 0) return '';
  const names = new Intl.ListFormat('en').format(files.map(({ name }) => name));
  return `${names} ${files.length === 1 ? 'is' : 'are'} ${what}.`;
}

/** Draws a file, and returns what to say about it. One that cannot be drawn leaves the picture before. */
async function draw({ name, part }, folder) {
  try {
    if (!folder.has(name)) throw new Error('the folder has no such file.');
    return { ...(await DRAW[name](part('.picture'), folder, name)), shown: Date.now() };
  } catch (error) {
    return { error };
  }
}

function describe({ part, label, says, error }, { received, moved, how }) {
  if (!error) {
    part('.label').textContent = label;
    part('.picture').setAttribute('aria-label', says);
  }
  part('.moved strong').textContent = received.toLocaleString('en');
  part('.moved span').textContent = `received, for ${moved}`;
  part('.how').textContent = error ? `The page keeps the one before: ${error.message}` : how;
  part('.how').classList.toggle('failed', error !== undefined);
}

/** How a version came to this tab. */
function howOf({ version, length, cost: { requests, received, reused } }, isFirst) {
  const name = `Version ${version.slice(0, 8)}`;
  const asked = requests === 1 ? 'one request' : `${requests} requests`;
  if (isFirst && reused === 0) return `A first visit: all files came in ${asked}.`;
  if (reused === length && (isFirst || received === 0))
    return isFirst ? 'This browser already has it.' : `${name} is in the browser: another tab received it.`;
  return requests === 0 ? `${name} came with its event, without a request.` : `${name} came in ${asked}.`;
}

/** Adds how long each file took from its change to this page, if the server still has the same content. */
async function showTimes(fresh) {
  const written = (await ask().catch(() => undefined))?.live.files;
  for (const { name, part, bytes, shown } of fresh) {
    if (!shown || !written?.[name] || written[name].digest !== (await digestOf(bytes))) continue;
    const elapsed = Math.round(shown - written[name].changed).toLocaleString('en');
    part('.how').textContent += ` It was shown ${elapsed} ms after the change.`;
  }
}

async function digestOf(bytes) {
  return btoa(String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))));
}

function isSame(one, other) {
  return one?.length === other?.length && (one ?? []).every((byte, at) => byte === other[at]);
}
