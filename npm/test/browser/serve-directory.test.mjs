// A service worker that serves a directory: offline, and each page from the version with which it was loaded.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { activate } from '../support/activate.mjs';
import { launch } from '../support/browser.mjs';
import { defineInDatabase } from '../support/database.mjs';
import { serve } from '../support/driblet.mjs';
import { install } from '../support/installed.mjs';
import { eventually } from '../support/limit.mjs';
import { proxyTo } from '../support/proxy.mjs';

const POLICY = "script-src 'self' 'wasm-unsafe-eval'; object-src 'none'";

let packed;
let server;
let link;
let browser;
/** The requests that the server has received. */
let seen = [];
let fault = () => undefined;
/** The release that is published. */
let release = 0;

before(async () => {
  packed = install();
  server = await serve('--directory', 'app');
  packed.publish(server);
  link = await proxyTo(server);
  link.fault = (request) => {
    seen.push(request);
    return fault(request) ?? { headers: policies(request) };
  };
  write(
    'module-worker.js',
    `import { serveDirectory } from '/driblet/dist/service-worker.js';
     serveDirectory('/app/', { fallback: 'index.html' });`,
  );
  write('sw.js', recipe(/\/\/ sw\.js\n([^`]*)/));
  write('register.html', '<!doctype html><title>register</title>');
  await publish();
});
after(async () => {
  await browser?.close();
  await link?.close();
  await server?.close();
  packed?.remove();
});
beforeEach(async () => {
  await browser?.close();
  browser = await launch();
  online();
});

/** A part of the recipe in the README for an app that works offline. */
function recipe(pattern) {
  const [, found] = pattern.exec(readFileSync(new URL('../../README.md', import.meta.url), 'utf8'));
  return found;
}

/** The headers with policies that the server sends with pages of the directory. */
function policies({ url }) {
  return url.startsWith('/app/') && !url.includes('.driblet')
    ? { 'content-security-policy': POLICY, 'permissions-policy': 'camera=()' }
    : {};
}

function online() {
  fault = () => undefined;
}

function offline() {
  fault = () => ({ hangUp: true });
}

function write(path, content) {
  const place = join(server.root, path);
  mkdirSync(dirname(place), { recursive: true });
  writeFileSync(place, content);
}

/** Publishes the next release: its files have other names than those of the release before, which are removed. */
async function publish(more = {}) {
  release += 1;
  const folder = join(server.root, 'app');
  mkdirSync(folder, { recursive: true });
  const before = await head();
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
  const files = {
    'index.html': `<!doctype html><title>release ${release}</title><script type="module" src="/app/assets/main-${release}.js"></script>`,
    [`assets/main-${release}.js`]: `globalThis.lazy = () => import('./lazy-${release}.js').then(({ release }) => release);`,
    [`assets/lazy-${release}.js`]: `export const release = ${release};`,
    'release.json': JSON.stringify({ release }),
    'frame.html': `<!doctype html><title>frame ${release}</title>`,
    'worker.js': `onmessage = async () => postMessage([${release}, (await (await fetch('/app/release.json')).json()).release]);`,
    'docs/index.html': `<!doctype html><title>docs ${release}</title>`,
    'large.bin': new Uint8Array(5 << 20).fill(release),
    ...more,
  };
  for (const [path, content] of Object.entries(files)) write(`app/${path}`, content);
  // A slow release may be published before it is complete.
  const isPublished = ({ version, files: count }) => version !== before.version && count === Object.keys(files).length;
  for (let now = before; !isPublished(now); ) now = await head(now.counter);
}

async function head(since) {
  const waiting = since === undefined ? '' : `?since=${since}&wait=60`;
  const response = await fetch(new URL(`/app/.driblet/head${waiting}`, server.url));
  return response.ok ? response.json() : {};
}

/** Opens a page and registers the service worker. Resolves when it has stored the directory. */
async function register(script = '/module-worker.js', type = 'module', scope = '/app/') {
  const page = await browser.context.newPage();
  await page.goto(`${link.url}register.html`);
  await page.evaluate(activate, { script, type, scope });
  return page;
}

async function visit(path = 'app/') {
  const page = await browser.context.newPage();
  await page.goto(`${link.url}${path}`);
  return page;
}

/** What a page reads: its title, its lazy chunk, and a file that every release has. */
function read(page) {
  return page.evaluate(async () => [
    document.title,
    await lazy(),
    (await (await fetch('/app/release.json')).json()).release,
  ]);
}

const all = (number) => [`release ${number}`, number, number];

/** Asks the page's worker for a newer version; resolves when the page is told. */
function ready(page) {
  return page.evaluate(async () => {
    const { reloadWhenReady } = await import('/driblet/dist/directories.js');
    return new Promise((onReady) => reloadWhenReady({ onReady }));
  });
}

/** The paths below which there are workers. */
function scopes(page) {
  return page.evaluate(async () =>
    (await navigator.serviceWorker.getRegistrations()).map(({ scope }) => new URL(scope).pathname).sort(),
  );
}

/** Replaces the bytes of all packs of the directory by zeros. */
async function damage(page) {
  await defineInDatabase(page);
  await page.evaluate(() =>
    inDatabase('driblet directories', async (table) => {
      for (const key of await table('packs', 'getAllKeys')) {
        const { size } = await table('packs', 'get', key);
        await table('packs', 'put', new Uint8Array(size).buffer, key);
      }
    }),
  );
}

const ofDirectory = () => seen.filter(({ url }) => url.startsWith('/app/')).map(({ url }) => url);

for (const [kind, script, type] of [
  ['a module', '/module-worker.js', 'module'],
  ['a classic script', '/sw.js', 'classic'],
]) {
  test(`${kind}: pages open offline, with the server's policies`, async () => {
    const first = await register(script, type);
    offline();
    seen = [];
    const page = await browser.context.newPage();
    const response = await page.goto(`${link.url}app/`);
    assert.deepEqual(await read(page), all(release));
    const headers = response.headers();
    assert.deepEqual(
      [headers['content-security-policy'], headers['permissions-policy'], headers['content-type']],
      [POLICY, 'camera=()', 'text/html; charset=utf-8'],
    );
    // Only the worker's own question for a newer version was sent.
    assert.deepEqual([...new Set(ofDirectory())], ['/app/.driblet/head']);
    await first.close();
  });
}

test('the recipe for an app that works offline: a page opens without a network, and follows the releases', async () => {
  const inPage = recipe(/<!-- In the page -->\n([^`]*)/).replace(
    '<script type="module">',
    '$&globalThis.release = "NUMBER";',
  );
  const withRecipe = () => ({ 'index.html': `<!doctype html>${inPage.replace('NUMBER', release + 1)}` });
  await publish(withRecipe());
  const page = await browser.context.newPage();
  fault = (request) => ({ headers: { ...policies(request), 'content-security-policy': '' } });
  await page.goto(`${link.url}app/`);
  await page.evaluate(async () => {
    const { serviceWorker } = navigator;
    await new Promise((resolve) =>
      serviceWorker.controller ? resolve() : (serviceWorker.oncontrollerchange = resolve),
    );
    const { syncDirectory } = await import('/.driblet/directories.js');
    (await syncDirectory('/app/')).close();
  });
  offline();
  await page.reload();
  assert.equal(await page.evaluate(() => release), `${release}`);
  online();
  fault = (request) => ({ headers: { ...policies(request), 'content-security-policy': '' } });
  await publish(withRecipe());
  // The browser asks its worker at each navigation.
  await page.reload();
  await page.waitForFunction((number) => globalThis.release === number, `${release}`);
  await publish(); // Other tests need other pages.
});

test('an open page is told of each release by the live stream', async () => {
  await register();
  const page = await visit();
  await page.evaluate(async () => {
    const { reloadWhenReady } = await import('/driblet/dist/directories.js');
    globalThis.told = [];
    const follow = () =>
      reloadWhenReady({
        interval: 2 ** 31 - 1,
        onReady(version) {
          told.push(version);
          follow();
        },
      });
    follow();
  });
  // From here on nobody asks but the page that hears the stream.
  await eventually(() => seen.some(({ url }) => url.startsWith('/app/.driblet/live')));
  for (let releases = 0; releases < 2; releases += 1) {
    await publish();
    const { version } = await head();
    await page.waitForFunction((version) => told.includes(version), version);
  }
});

describe('answers', () => {
  async function fetched(page, path, init) {
    return page.evaluate(
      async ([path, init]) => {
        const response = await fetch(path, init);
        const { status, redirected, headers } = response;
        return { status, redirected, headers: Object.fromEntries(headers), body: await response.text() };
      },
      [path, init],
    );
  }

  test('types, HEAD, ranges, conditions', async () => {
    await register();
    const page = await visit();
    offline();
    const json = await fetched(page, '/app/release.json');
    assert.deepEqual(
      [json.status, json.headers['content-type'], json.body],
      [200, 'application/json; charset=utf-8', `{"release":${release}}`],
    );
    const named = await fetched(page, '/app/release.json', { method: 'HEAD' });
    assert.deepEqual([named.status, named.headers['content-length'], named.body], [200, `${json.body.length}`, '']);
    const part = await fetched(page, '/app/release.json', { headers: { range: 'bytes=2-8' } });
    assert.deepEqual([part.status, part.body], [206, 'release']);
    const beyond = await fetched(page, '/app/release.json', { headers: { range: 'bytes=100-' } });
    assert.equal(beyond.status, 416);
    const held = await fetched(page, '/app/release.json', { headers: { 'if-none-match': json.headers.etag } });
    assert.equal(held.status, 304);
    const large = await page.evaluate(async () => {
      const bytes = new Uint8Array(await (await fetch('/app/large.bin')).arrayBuffer());
      return [bytes.length, bytes[0], bytes.at(-1)];
    });
    assert.deepEqual(large, [5 << 20, release, release]);
  });

  test('folders, and the fallback for paths without a file', async () => {
    await register();
    offline();
    const docs = await visit('app/docs?a=1');
    assert.deepEqual([await docs.title(), docs.url()], [`docs ${release}`, `${link.url}app/docs/?a=1`]);
    const route = await visit('app/users/7');
    assert.equal(await route.title(), `release ${release}`);
  });

  test('the network gets what the directory does not have, and what is not its own', async () => {
    await register();
    const page = await visit();
    seen = [];
    assert.equal((await fetched(page, '/app/api/none.json')).status, 404);
    assert.equal((await fetched(page, '/app/release.json', { method: 'POST' })).status, 405);
    assert.equal((await fetched(page, '/app/.driblet/head')).status, 200);
    assert.equal((await fetched(page, '/register.html')).status, 200);
    const got = seen.map(({ method, url }) => `${method} ${url}`);
    for (const expected of ['GET /app/api/none.json', 'POST /app/release.json', 'GET /register.html'])
      assert.ok(got.includes(expected), `${expected} in ${got}`);
  });
});

describe('versions', () => {
  test('a page, its frames and its workers stay on their version; the next navigation gets the newest', async () => {
    await register();
    const old = await visit();
    const before = release;
    assert.deepEqual(await read(old), all(before));
    await publish();
    assert.equal(await ready(old), (await head()).version);
    const fresh = await visit('app/?fresh');
    assert.deepEqual(await read(fresh), all(release));
    // The chunk that the old page asks for is gone from the server.
    assert.deepEqual(await read(old), all(before));
    const framed = (page) =>
      page.evaluate(async () => {
        const frame = document.createElement('iframe');
        const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
        frame.src = '/app/frame.html';
        document.body.append(frame);
        await loaded;
        const { release } = await (await frame.contentWindow.fetch('/app/release.json')).json();
        return [frame.contentDocument.title, release];
      });
    assert.deepEqual(await framed(old), [`frame ${before}`, before]);
    assert.deepEqual(await framed(fresh), [`frame ${release}`, release]);
    const worked = (page) =>
      page.evaluate(async () => {
        const worker = new Worker('/app/worker.js');
        const answered = new Promise((resolve) => worker.addEventListener('message', ({ data }) => resolve(data)));
        worker.postMessage('');
        return answered;
      });
    assert.deepEqual(await worked(old), [before, before]);
    assert.deepEqual(await worked(fresh), [release, release]);
    // Browsers do not say which of two pages with one URL has a frame: then it is whole, and the newest.
    const twin = await visit();
    assert.deepEqual(await framed(old), [`frame ${release}`, release]);
    await twin.close();
    await old.reload();
    assert.deepEqual(await read(old), all(release));
  });

  test('a worker that the browser ended knows each page again', async () => {
    await register();
    const old = await visit();
    const before = release;
    await publish();
    await ready(old);
    const fresh = await visit();
    const session = await browser.context.newCDPSession(fresh);
    await session.send('ServiceWorker.enable');
    for (let round = 0; round < 5; round += 1) {
      await session.send('ServiceWorker.stopAllWorkers');
      assert.deepEqual(await read(old), all(before));
      await session.send('ServiceWorker.stopAllWorkers');
      assert.deepEqual(await read(fresh), all(release));
    }
  });

  test('what a page synced, the worker serves without another byte; and the reverse', async () => {
    const page = await visit('register.html');
    const synced = (page) =>
      page.evaluate(async () => {
        const { syncDirectory } = await import('/driblet/dist/directories.js');
        const directory = await syncDirectory('/app/');
        await directory.stored;
        const { received, requests } = directory.cost;
        directory.close();
        return { received, requests };
      });
    await synced(page);
    seen = [];
    await register();
    offline();
    assert.deepEqual(await read(await visit()), all(release));
    // The head, and the headers of the page.
    assert.deepEqual([...new Set(ofDirectory())].sort(), ['/app/', '/app/.driblet/head']);
    online();
    assert.ok((await synced(page)).received < 200);
  });
});

test('a scope that changes: each page keeps its version, and the rest comes from the worker of its own scope', async () => {
  await register();
  const outer = await visit();
  const before = release;
  await publish();
  await ready(outer);
  // The same script, for a part of the site.
  const page = await register('/module-worker.js', 'module', '/app/docs/');
  const inner = await visit('app/docs/');
  const readDocs = () =>
    inner.evaluate(async () => [document.title, (await (await fetch('/app/release.json')).json()).release]);
  assert.deepEqual(await readDocs(), [`docs ${release}`, release]);
  assert.deepEqual(await read(outer), all(before));
  assert.deepEqual(await scopes(page), ['/app/', '/app/docs/']);
  await page.evaluate(async () => (await navigator.serviceWorker.getRegistration('/app/')).unregister());
  // A registration lasts as long as it has pages.
  assert.deepEqual(await read(outer), all(before));
  await outer.close();
  offline();
  assert.deepEqual(await readDocs(), [`docs ${release}`, release]);
  await inner.reload();
  assert.deepEqual(await readDocs(), [`docs ${release}`, release]);
  await assert.rejects(visit(), /ERR_/);
});

describe('when things go wrong', () => {
  test('the server tells workers to unregister: they do, and delete what they stored', async () => {
    await register();
    const page = await visit();
    fault = ({ url }) => (url === '/app/.driblet/head' ? { html: '{"unregister":true}' } : undefined);
    const gone = page.evaluate(async () => {
      navigator.serviceWorker.controller.postMessage('driblet check');
      while (await navigator.serviceWorker.getRegistration('/app/'))
        await new Promise((resolve) => setTimeout(resolve));
    });
    await gone;
    const next = await visit();
    assert.equal(await next.evaluate(() => navigator.serviceWorker.controller), null);
    const left = await next.evaluate(async () => {
      const { list } = await import('/driblet/dist/storage.js');
      return (await list()).length;
    });
    assert.equal(left, 0);
  });

  test('damaged bytes are never answered: the server has the same file, or the page gets an error', async () => {
    await register();
    const page = await visit();
    await damage(page);
    const session = await browser.context.newCDPSession(page);
    await session.send('ServiceWorker.enable');
    await session.send('ServiceWorker.stopAllWorkers');
    assert.deepEqual(await read(page), all(release), 'from the server');
    // Nothing may fetch the files anew.
    offline();
    await session.send('ServiceWorker.stopAllWorkers');
    await damage(page);
    const failed = await page.evaluate(() =>
      fetch('/app/release.json').then(
        (got) => got.status,
        ({ name }) => name,
      ),
    );
    assert.equal(failed, 'TypeError');
    online();
    // What is read is noticed to be damaged, and fetched by the next sync.
    assert.deepEqual(await read(await visit()), all(release));
    await page.evaluate(async () => {
      const { syncDirectory } = await import('/driblet/dist/directories.js');
      (await syncDirectory('/app/')).close();
    });
    offline();
    assert.deepEqual(await read(await visit()), all(release), 'stored anew');
  });

  test('a directory that is too large for the disk, or a server without one: the network', async () => {
    fault = ({ url }) => (url.startsWith('/app/.driblet/') ? { instead: '/none/.driblet/head' } : undefined);
    await register();
    assert.deepEqual(await read(await visit()), all(release));
    online();
    const page = await visit('register.html');
    const session = await browser.context.newCDPSession(page);
    await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(link.url).origin, quotaSize: 1 << 20 });
    assert.deepEqual(await read(await visit()), all(release));
    assert.deepEqual(await read(await visit()), all(release));
  });

  test('a hard reload comes from the network; the page after it from the worker again', async () => {
    await register();
    const page = await visit();
    seen = [];
    const session = await browser.context.newCDPSession(page);
    const loaded = page.waitForEvent('load');
    await session.send('Page.reload', { ignoreCache: true });
    await loaded;
    assert.equal(await page.evaluate(() => navigator.serviceWorker.controller), null);
    assert.ok(ofDirectory().includes('/app/'));
    offline();
    assert.deepEqual(await read(await visit()), all(release));
  });

  test('a page in the back/forward cache keeps its version', async () => {
    await register();
    const page = await visit();
    const before = release;
    await page.goto(`${link.url}register.html`);
    await publish();
    const other = await visit('app/?other');
    await other.waitForFunction(
      async (version) => {
        const { list } = await import('/driblet/dist/storage.js');
        return (await list()).some((entry) => entry.version === version);
      },
      (await head()).version,
    );
    await page.goBack();
    const [title, lazy, json] = await read(page);
    const now = title === `release ${before}` ? before : release;
    assert.deepEqual([title, lazy, json], all(now));
  });

  test('storage that is cleared: the network, then the worker again', async () => {
    await register();
    const page = await visit();
    const session = await browser.context.newCDPSession(page);
    await session.send('ServiceWorker.enable');
    await session.send('ServiceWorker.stopAllWorkers');
    await session.send('Storage.clearDataForOrigin', {
      origin: new URL(link.url).origin,
      storageTypes: 'indexeddb,file_systems',
    });
    assert.deepEqual(await read(await visit()), all(release));
    const again = await visit();
    await again.evaluate(async () => {
      const { syncDirectory } = await import('/driblet/dist/directories.js');
      (await syncDirectory('/app/')).close();
    });
    offline();
    assert.deepEqual(await read(await visit()), all(release));
  });
});
