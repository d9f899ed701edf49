import { syncDirectory } from '/.driblet/directories.js';
import { actions, ask, isBusy, tell } from './acting.js';
import { bytesOf, cellsOf, showBusy, showRelease } from './siteView.js';

const STORES = 'driblet-site-';

const publishButton = document.getElementById('publish');
const stopSwitch = document.getElementById('stop');
const status = document.getElementById('status');
const frame = document.querySelector('iframe');

const comparing = new Worker(new URL('compare.js', import.meta.url), { type: 'module' });
/** What the publishing server says last. */
let state;
/** The open directory of the release before, and its files: their bytes by their paths. */
let held;

const alone = actions({
  begin: () => stopSwitch.setAttribute('aria-disabled', 'true'),
  fail: () => showBusy(false),
  end() {
    stopSwitch.removeAttribute('aria-disabled');
    stopSwitch.checked = state?.isServing === false;
    return { isLast: state?.site.isLast, canPublish: !stopSwitch.checked };
  },
  retry: () => (state ? syncSite() : begin()),
});

publishButton.addEventListener('click', () =>
  alone(async () => {
    const restart = state.site.isLast;
    status.textContent = 'Publishing…';
    await letWait(true);
    state = await ask(restart ? '/site/first' : '/site/next');
    await (restart ? startOver() : syncSite());
  }),
);
stopSwitch.addEventListener('click', (event) => {
  if (isBusy()) event.preventDefault();
});
stopSwitch.addEventListener('change', () =>
  alone(async () => {
    state = await ask(stopSwitch.checked ? '/stop' : '/start');
    status.textContent = state.isServing
      ? 'The server runs again.'
      : 'The server is stopped. Open other pages of the app, or reload it: its service worker has all files. Start the server to publish.';
  }),
);
document.getElementById('reload').addEventListener('click', () => frame.contentWindow.location.reload());
// Who leaves this page could not come back to a stopped server.
addEventListener('pagehide', () => state?.isServing === false && tell('/start'));
addEventListener('pageshow', ({ persisted }) => persisted && location.reload());
await alone(begin);

async function begin() {
  state = await ask();
  await startOver();
}

/** Makes this a first visit, unless this visitor was here before. */
async function startOver() {
  frame.removeAttribute('src');
  held?.directory.close();
  held = undefined;
  await forgetOthers();
  await syncSite();
}

/** Syncs the app, shows what came, and has its service worker serve it. */
async function syncSite() {
  const { site } = state;
  status.textContent = `Syncing release ${site.release}…`;
  showBusy(true);
  const progress = [];
  const directory = await syncDirectory('/site/', {
    store: { kind: 'browser', name: STORES + site.visitor },
    onProgress: (now) => progress.push({ ...now }),
  });
  await directory.stored;
  await letWait(false);
  const files = new Map();
  for (const path of directory.paths()) files.set(path, await directory.bytes(path));
  const { cost, length, warning } = directory;
  const compared = await compare(held?.files, files, cost);
  held?.directory.close();
  held = { directory, files };
  showBusy(false);
  await showRelease({ site, files: compared, cost, length, warning, progress });
  await serveSite(site);
  const moved = cost.sent + cost.received;
  status.textContent = `Release ${site.release} is here: ${moved.toLocaleString('en')} of ${bytesOf(length)} moved.`;
}

/**
 * What became of each file: `held`, `changed`, `new` or `removed`; and how many bytes of each square of its tile are new.
 * `before` has the files of the release before.
 */
async function compare(before = new Map(), files, { reused }) {
  const old = [...before.values()];
  const stems = new Set([...before.keys()].map(stemOf));
  // This page was closed when the release was published: it cannot tell what changed since then.
  const isUnknown = old.length === 0 && 0 < reused;
  const found = [...files].map(([path, bytes]) => {
    const isHeld = isUnknown || old.some((other) => isSame(bytes, other));
    return { path, bytes, length: bytes.length, state: isHeld ? 'held' : stems.has(stemOf(path)) ? 'changed' : 'new' };
  });
  const comes = found.filter(({ state }) => state !== 'held');
  const fresh = await newBytes(old, comes);
  for (const [at, file] of comes.entries()) file.fresh = fresh[at];
  for (const path of files.keys()) stems.delete(stemOf(path));
  const gone = [...before].filter(([path]) => stems.has(stemOf(path)));
  return [...found, ...gone.map(([path, { length }]) => ({ path, length, state: 'removed' }))];
}

/** A path without the hash that vite gives to names. */
function stemOf(path) {
  return path.replace(/-[\w-]{8}(\.\w+)$/, '$1');
}

function isSame(one, other) {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** How many bytes of each square of each file do not occur in the old files. */
async function newBytes(old, comes) {
  const all = new Uint8Array(await new Blob(old).arrayBuffer());
  return new Promise((resolve, reject) => {
    comparing.addEventListener('message', ({ data }) => resolve(data), { once: true });
    comparing.addEventListener('error', reject, { once: true });
    const fresh = comes.map(({ bytes, length }) => ({ bytes, cells: cellsOf(length) }));
    comparing.postMessage({ old: all, fresh }, [all.buffer]);
  });
}

/** Registers the app's service worker once, and opens the app. Later it tells the open app to look for a newer release. */
async function serveSite({ visitor }) {
  if (frame.getAttribute('src')) {
    // As when the visitor comes back to the app: it then asks its service worker.
    frame.contentDocument?.dispatchEvent(new Event('visibilitychange'));
    return;
  }
  try {
    await registerWorker(`site-worker.js?store=${STORES}${visitor}`);
  } catch (error) {
    document.getElementById('server').textContent = `not served by a service worker: ${error.message}`;
  }
  const loaded = new Promise((resolve) => frame.addEventListener('load', resolve, { once: true }));
  frame.src = '/site/';
  await loaded;
}

/** Has the app's service worker wait, or not any more. */
async function letWait(waits) {
  const registration = await navigator.serviceWorker?.getRegistration('/site/');
  if (!registration?.active) return;
  const { port1, port2 } = new MessageChannel();
  const said = new Promise((resolve) => port1.addEventListener('message', resolve, { once: true }));
  port1.start();
  registration.active.postMessage({ waits }, [port2]);
  await said;
}

async function registerWorker(script) {
  if (!navigator.serviceWorker) throw new Error('this window has none');
  const registration = await navigator.serviceWorker.register(script, { scope: '/site/' });
  const worker = registration.installing ?? registration.waiting ?? registration.active;
  await new Promise((resolve) => {
    const check = () => (worker.state === 'activated' || worker.state === 'redundant') && resolve();
    worker.addEventListener('statechange', check);
    check();
  });
}

/** Deletes what other visitors stored. What is still open is deleted the next time. */
async function forgetOthers() {
  const isOther = (name) => name.startsWith(STORES) && !name.startsWith(STORES + state.site.visitor);
  for (const { name } of await indexedDB.databases()) if (isOther(name)) indexedDB.deleteDatabase(name);
  const stores = await navigator.storage.getDirectory();
  for await (const name of stores.keys())
    if (isOther(name)) await stores.removeEntry(name, { recursive: true }).catch(() => {});
}
