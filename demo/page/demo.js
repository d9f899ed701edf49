import { opfsStore, sync } from '/.driblet/client.js';
import { actions, ask } from './acting.js';
import { assetView, bytesOf, CELLS } from './view.js';

const NAMES = ['typescript.js', 'sql-wasm.wasm'];
const STORES = 'driblet-demo-';

const publishButton = document.getElementById('publish');
const forgetSwitch = document.getElementById('forget');
const status = document.getElementById('status');

const assets = NAMES.map((name) => ({
  name,
  view: assetView(document.getElementById('assets'), name),
  release: undefined,
  held: undefined,
}));
const comparing = new Worker(new URL('compare.js', import.meta.url), { type: 'module' });
let state;

const alone = actions({
  fail() {
    for (const { view } of assets) view.showBusy(false);
  },
  end: () => ({ isLast: state?.isLast }),
  retry: () => (state ? syncAll() : begin()),
});

publishButton.addEventListener('click', () =>
  alone(async () => {
    const restart = state.isLast;
    status.textContent = 'Publishing…';
    state = await ask(restart ? '/first' : forgetSwitch.checked ? '/next-without-history' : '/next');
    if (restart) await forgetAll();
    await syncAll();
  }),
);
await alone(begin);

async function begin() {
  state = await ask();
  await forgetAll();
  await syncAll();
}

/** Brings every file to its newest release, one after the other, so that none slows another. */
async function syncAll() {
  let moved = 0;
  let length = 0;
  for (const asset of assets) {
    const file = await syncOne(asset);
    moved += file.cost.sent + file.cost.received;
    length += file.length;
  }
  const releases = assets.map(({ name, release }) => `${name} ${release}`).join(' and ');
  status.textContent = `${releases} are here: ${moved.toLocaleString('en')} of ${bytesOf(length)} moved.`;
}

async function syncOne(asset) {
  const { name, view, held, release: before } = asset;
  const release = state.releases[name];
  const path = `/${name}`;
  status.textContent = `Syncing ${name} ${release}…`;
  view.showBusy(true);
  const file = await sync(path, { store: opfsStore(STORES + state.visitor) });
  await file.stored;
  const { cost, length, warning } = file;
  asset.release = release;
  asset.held = file;
  view.showSync({ before, release, cost, length, warning });
  view.showMap(await newBytes(held, file), { before, length });
  held?.close();
  view.showPlain(await fetchPlainly(path), length);
  view.showBusy(false);
  return file;
}

/** How many bytes of each cell are new; undefined if the bytes of the release before are not available. */
async function newBytes(held, file) {
  const { basis } = file.cost;
  if (basis === 'none') return new Float64Array(CELLS).fill(file.length / CELLS);
  if (basis === 'same') return new Float64Array(CELLS);
  if (!held) return undefined;
  const [old, fresh] = await Promise.all([held.bytes(), file.bytes()]);
  return new Promise((resolve, reject) => {
    comparing.addEventListener('message', ({ data }) => resolve(data[0]), { once: true });
    comparing.addEventListener('error', reject, { once: true });
    comparing.postMessage({ old, fresh: [{ bytes: fresh, cells: CELLS }] }, [old.buffer, fresh.buffer]);
  });
}

/** Fetches the file as a page without driblet does, with an empty cache. */
async function fetchPlainly(path) {
  const { href } = new URL(path, location);
  const entry = new Promise((resolve) => {
    const observer = new PerformanceObserver((list) => {
      const [found] = list.getEntriesByName(href);
      if (!found) return;
      observer.disconnect();
      resolve(found);
    });
    observer.observe({ type: 'resource' });
  });
  const response = await fetch(href, { cache: 'no-store' });
  await response.arrayBuffer();
  const { encodedBodySize, duration } = await entry;
  return { received: encodedBodySize, elapsed: duration };
}

/** Makes this a first visit, unless this visitor was here before: deletes what other visitors stored. */
async function forgetAll() {
  for (const asset of assets) {
    asset.held?.close();
    asset.held = asset.release = undefined;
  }
  const stores = await navigator.storage.getDirectory();
  for await (const name of stores.keys()) {
    // A database that is still open is deleted the next time.
    if (name.startsWith(STORES) && name !== STORES + state.visitor)
      await stores.removeEntry(name, { recursive: true }).catch(() => {});
  }
}
