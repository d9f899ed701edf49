// Where the client runs: under content security policies, from other origins, without https, without a worker, in a
// service worker.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { BASES, PLAIN_HOST, launch, open } from '../support/browser.mjs';
import { release, serve } from '../support/driblet.mjs';
import { serveFiles } from '../support/files.mjs';
import { here, install } from '../support/installed.mjs';
import { assertIs, digestOf, useSite } from '../support/site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let packed;

const s = useSite(async () => {
  packed = install();
  packed.publish(s.server);
});
after(async () => {
  packed?.remove();
});

/** The service worker in the package's README. */
const recipe = /^ {2}import \{ serveAsset \} from '\/\.driblet\/inline\.js';[\s\S]*?(?=^ {2}```)/m.exec(
  readFileSync(join(here, 'README.md'), 'utf8'),
)[0];

/** Opens a page with that policy. */
function openUnder(policy, base) {
  const name = `policy-${Math.random()}.html`;
  writeFileSync(
    join(s.server.root, name),
    `<!doctype html><meta http-equiv="content-security-policy" content="${policy}"><title>driblet</title>`,
  );
  return open(s.browser, `${s.link.url}${name}`, base);
}

/** Syncs the old version, then the fresh one, in that page. */
async function syncsTwice(page, name) {
  s.server.publish(name, old);
  const first = await page.evaluate((path) => attempt(path), `/${name}`);
  assertIs(first, old);
  s.server.publish(name, fresh);
  const next = await page.evaluate((path) => attempt(path), `/${name}`);
  assertIs(next, fresh);
  assert.deepEqual([first.cost.basis, next.cost.basis], ['none', 'version']);
  return next;
}

/**
 * Opens a page of `home` in a browser of its own, beside a server of another origin that has the package. Runs `work`
 * with the page and that server, and closes everything.
 */
async function besideOther(home, work) {
  const other = await serve('--allow-origin', home.url.origin);
  packed.publish(other);
  const browser = await launch();
  try {
    const page = await browser.context.newPage();
    await page.goto(home.url.href);
    await work(page, other);
  } finally {
    await browser.close();
    await other.close();
    await home.close();
  }
}

/** Syncs `app.d.ts` of another origin in a page, with that origin's client. */
function syncFrom(page, { url }, client) {
  return page.evaluate(
    async ([origin, client]) => {
      const { sync } = await import(`${origin}${client}`);
      const handle = await sync(`${origin}/app.d.ts`);
      const digest = await crypto.subtle.digest('SHA-256', await handle.bytes());
      return {
        cost: handle.cost,
        warning: handle.warning,
        digest: Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join(''),
      };
    },
    [url.origin, client],
  );
}

const workersOf = (page) => page.workers().length;

for (const policy of ['require-corp', 'credentialless']) {
  test(`a page with Cross-Origin-Embedder-Policy (${policy}): the shipped worker starts`, async () => {
    const path = `/?${policy}`;
    s.link.fault = ({ url }) =>
      url === path
        ? { headers: { 'cross-origin-embedder-policy': policy, 'cross-origin-opener-policy': 'same-origin' } }
        : undefined;
    const page = await open(s.browser, new URL(path, s.link.url).href);
    s.link.fault = () => undefined;
    assert.equal(await page.evaluate(() => crossOriginIsolated), true);
    assert.equal((await syncsTwice(page, `${policy}.d.ts`)).warning, undefined);
    assert.equal(workersOf(page), 1);
    await page.close();
  });

  test(`a page with Cross-Origin-Embedder-Policy (${policy}), and a server of another origin`, async () => {
    const home = await serveFiles(s.server.root, {
      'cross-origin-embedder-policy': policy,
      'cross-origin-opener-policy': 'same-origin',
    });
    await besideOther(home, async (page, other) => {
      other.publish('app.d.ts', old);
      const { digest } = await syncFrom(page, other, BASES.shipped.client);
      assert.deepEqual(
        [digest, workersOf(page), await page.evaluate(() => crossOriginIsolated)],
        [digestOf(old), 1, true],
      );
    });
  });
}

for (const [where, base] of Object.entries(BASES)) {
  describe(`as it is ${where}`, () => {
    test("a strict policy: scripts and workers of the page's own origin, and wasm", async () => {
      const page = await openUnder(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'",
        base,
      );
      assert.equal((await syncsTwice(page, `${where}-strict.d.ts`)).warning, undefined);
      assert.equal(workersOf(page), 1);
      await page.close();
    });

    test("a policy that forbids workers: the same in the page's thread, in IndexedDB", async () => {
      const page = await openUnder(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'none'",
        base,
      );
      assert.equal((await syncsTwice(page, `${where}-workerless.d.ts`)).warning, undefined);
      assert.equal(workersOf(page), 0);
      assert.equal(
        await page.evaluate(async () => (await indexedDB.databases()).some(({ name }) => name === 'driblet')),
        true,
      );
      await page.close();
    });

    test('a policy that forbids wasm: an error that says so', async () => {
      const page = await openUnder(
        "default-src 'none'; script-src 'self'; connect-src 'self'; worker-src 'none'",
        base,
      );
      s.server.publish('wasmless.d.ts', old);
      const failed = await page.evaluate(() => attempt('/wasmless.d.ts'));
      assert.equal(failed.code, 'protocol');
      assert.match(failed.message, /script-src 'wasm-unsafe-eval'/);
      await page.close();
    });

    test('a page without https: no file store, no locks, and versions are still kept', async () => {
      const url = s.link.url.replace('127.0.0.1', PLAIN_HOST);
      const page = await s.browser.context.newPage();
      const syncs = async (name) => {
        await page.goto(url);
        return page.evaluate(
          async ([path, client]) => {
            const { sync } = await import(client);
            const handle = await sync(path);
            const there = new Uint8Array(await (await fetch(path)).arrayBuffer());
            const bytes = await handle.bytes();
            await handle.stored;
            const { cost, warning, version } = handle;
            return {
              isSecureContext,
              cost,
              warning,
              version,
              isThere: bytes.length === there.length && bytes.every((byte, at) => byte === there[at]),
            };
          },
          [name, base.client],
        );
      };
      s.server.publish(`${where}-plain.d.ts`, old);
      const first = await syncs(`/${where}-plain.d.ts`);
      assert.deepEqual(
        [first.isSecureContext, first.isThere, first.warning, first.cost.basis],
        [false, true, undefined, 'none'],
      );
      s.server.publish(`${where}-plain.d.ts`, fresh);
      const next = await syncs(`/${where}-plain.d.ts`);
      assert.deepEqual([next.isThere, next.cost.basis, next.cost.requests], [true, 'version', 1]);
      await page.close();
    });

    test('a package and a file from another origin: the worker starts through a blob', async () => {
      await besideOther(await serveFiles(s.server.root), async (page, other) => {
        other.publish('app.d.ts', old);
        const first = await syncFrom(page, other, base.client);
        assertIs(first, old);
        other.publish('app.d.ts', fresh);
        const next = await syncFrom(page, other, base.client);
        assertIs(next, fresh);
        assert.deepEqual([first.warning, next.cost.basis, workersOf(page)], [undefined, 'version', 1]);
      });
    });

    test('the service worker in the README answers with synced versions, offline with stored ones; scripts and modules run from them', async () => {
      writeFileSync(
        join(s.server.root, `sw-${where}.js`),
        `
        ${recipe.replace('/assets/', `/${where}/`).replace('/.driblet/inline.js', base.inline)}
        addEventListener('install', () => skipWaiting());
        addEventListener('activate', (event) => event.waitUntil(clients.claim()));
      `,
      );
      mkdirSync(join(s.server.root, where), { recursive: true });
      const module = Buffer.from([0, 97, 115, 109, 1, 0, 0, 0]);
      writeFileSync(join(s.server.root, where, 'empty.wasm'), module);
      writeFileSync(join(s.server.root, where, 'one.mjs'), "export { two } from './two.mjs';");
      writeFileSync(join(s.server.root, where, 'two.mjs'), 'export const two = 2;');
      s.server.publish(`${where}/lib.d.ts`, old);
      const page = await s.browser.context.newPage();
      await page.goto(s.link.url);
      await page.evaluate(async (where) => {
        const controlled = new Promise((resolve) =>
          navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true }),
        );
        await navigator.serviceWorker.register(`/sw-${where}.js`, { type: 'module' });
        await controlled;
      }, where);
      const fetched = () =>
        page.evaluate(async (where) => {
          const response = await fetch(`/${where}/lib.d.ts`);
          const digest = await crypto.subtle.digest('SHA-256', await response.arrayBuffer());
          return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
        }, where);
      assert.equal(await fetched(), digestOf(old));
      s.server.publish(`${where}/lib.d.ts`, fresh);
      s.link.requests.length = 0;
      assert.equal(await fetched(), digestOf(fresh));
      assert.equal(s.link.requests.filter(({ path }) => path.includes('lib.d.ts')).length, 1);
      s.link.fault = () => ({ cut: 0 });
      assert.equal(await fetched(), digestOf(fresh), 'offline');
      s.link.fault = () => undefined;
      assert.equal(
        await page.evaluate(
          async (where) =>
            (await WebAssembly.compileStreaming(fetch(`/${where}/empty.wasm`))) instanceof WebAssembly.Module,
          where,
        ),
        true,
      );
      assert.equal(await page.evaluate(async (where) => (await import(`/${where}/one.mjs`)).two, where), 2);
      await page.evaluate(async () => (await navigator.serviceWorker.getRegistration()).unregister());
      // Otherwise the page, and its handles, would live a while longer.
      const session = await s.browser.context.newCDPSession(page);
      await session.send('ServiceWorker.enable');
      await session.send('ServiceWorker.stopAllWorkers');
      await page.close();
    });
  });
}

test("the page's own worker syncs as the page does", async () => {
  writeFileSync(
    join(s.server.root, 'own.js'),
    `
    import { sync } from '/.driblet/client.js';
    sync('/own.d.ts').then(async (handle) => postMessage((await handle.bytes()).length)).catch((error) => postMessage(String(error)));
  `,
  );
  s.server.publish('own.d.ts', old);
  const page = await open(s.browser, s.link.url);
  const length = await page.evaluate(
    () =>
      new Promise((resolve) => {
        new Worker('/own.js', { type: 'module' }).onmessage = ({ data }) => resolve(data);
      }),
  );
  assert.equal(length, statSync(old).size);
  await page.close();
});

test('a handle gives a blob, a file, a URL and a response with the type of its ending', async () => {
  writeFileSync(join(s.server.root, 'a module.mjs'), 'export const answer = 42;');
  const seen = await s.page.evaluate(async () => {
    const handle = await sync('/a%20module.mjs');
    const url = await handle.objectUrl();
    const [blob, file, response, text] = [
      await handle.blob(),
      await handle.file(),
      handle.response(),
      await (await fetch(url)).text(),
    ];
    const { answer } = await import(url);
    URL.revokeObjectURL(url);
    const plain = await handle.blob('text/plain');
    handle.close();
    return [
      blob.type,
      file.name,
      file.type,
      plain.type,
      response.headers.get('content-type'),
      response.headers.get('content-length'),
      text.length,
      answer,
    ];
  });
  assert.deepEqual(seen, [
    'text/javascript',
    'a module.mjs',
    'text/javascript',
    'text/plain',
    'text/javascript',
    '25',
    25,
    42,
  ]);
});

test('a page in the back/forward cache holds no lock, and its handles work again afterwards', async () => {
  s.server.publish('back.d.ts', old);
  // Automated browsers keep no pages in the back/forward cache unless told to.
  const browser = await launch({ ignoreDefaultArgs: ['--disable-back-forward-cache'] });
  try {
    const page = await open(browser, s.link.url);
    await page.evaluate(async () => {
      globalThis.restored = new Promise((resolve) =>
        addEventListener('pageshow', ({ persisted }) => persisted && resolve(true)),
      );
      globalThis.held = await sync('/back.d.ts');
      await held.stored;
      const closed = await sync('/back.d.ts', { scope: 'closed' });
      await closed.stored;
      addEventListener('pageshow', ({ persisted }) => persisted && closed.close());
    });
    const other = await open(browser, s.link.url);
    const locks = () =>
      other.evaluate(
        async () =>
          (await navigator.locks.query()).held.map(({ name }) => name).filter((name) => name.startsWith('driblet file'))
            .length,
      );
    const haveLocks = async (wanted) => {
      let found;
      for (let tries = 0; tries < 1000 && found !== wanted; tries += 1) found = await locks();
      assert.equal(found, wanted);
    };
    await haveLocks(2);
    await page.goto(`${s.link.url}?elsewhere`);
    await haveLocks(0);
    await page.goBack({ waitUntil: 'commit' });
    assert.equal(await page.evaluate(() => restored), true);
    assert.equal(await page.evaluate(async () => digest(await held.bytes())), digestOf(old));
    await page.evaluate(async () => digest(await held.bytes()));
    // A lock that was released while it was taken again is free.
    await haveLocks(1);
  } finally {
    await browser.close();
  }
});

test('two pages without locks that sync at once: both get the bytes, and reading notices what the other deleted', async () => {
  const url = s.link.url.replace('127.0.0.1', PLAIN_HOST);
  const browser = await launch();
  try {
    const pages = [await browser.context.newPage(), await browser.context.newPage()];
    for (const page of pages) {
      await page.goto(url);
      await page.evaluate(async () => {
        const { sync } = await import('/.driblet/client.js');
        /** Syncs and keeps the handle. Returns whether its bytes are those of the plain file. */
        globalThis.syncs = async (path) => {
          const there = new Uint8Array(await (await fetch(path)).arrayBuffer());
          globalThis.held = await sync(path);
          const bytes = await held.bytes();
          await held.stored;
          return bytes.length === there.length && bytes.every((byte, at) => byte === there[at]);
        };
      });
    }
    const bothSync = () => Promise.all(pages.map((page) => page.evaluate(() => syncs('/unlocked.d.ts'))));
    s.server.publish('unlocked.d.ts', old);
    assert.deepEqual(await bothSync(), [true, true]);
    s.server.publish('unlocked.d.ts', fresh);
    assert.deepEqual(await bothSync(), [true, true]);
    s.server.publish('unlocked.d.ts', old);
    const [one, other] = pages;
    assert.equal(await one.evaluate(() => syncs('/unlocked.d.ts')), true);
    s.server.publish('unlocked.d.ts', fresh);
    assert.equal(await other.evaluate(() => syncs('/unlocked.d.ts')), true);
    // The version of one of the two may be deleted by now.
    const read = await one.evaluate(() =>
      held.bytes().then(
        ({ length }) => length === held.length,
        ({ code }) => code,
      ),
    );
    assert.ok([true, 'store'].includes(read), String(read));
    assert.equal(await one.evaluate(() => syncs('/unlocked.d.ts')), true);
  } finally {
    await browser.close();
  }
});

test('a handle with an object URL keeps its version until it is closed, even if the page drops the handle', async () => {
  s.server.publish('shown.d.ts', old);
  const page = await open(s.browser, s.link.url);
  await page.evaluate(async () => {
    globalThis.shown = await (await sync('/shown.d.ts')).objectUrl();
    await (await sync('/shown.d.ts', { scope: 'forgotten' })).stored;
  });
  const locks = () =>
    page.evaluate(
      async () => (await navigator.locks.query()).held.filter(({ name }) => name.startsWith('driblet file')).length,
    );
  // The other handle is collected at some time.
  for (let tries = 0; tries < 1000 && 1 < (await locks()); tries += 1) await page.requestGC();
  assert.equal(await locks(), 1);
  s.server.publish('shown.d.ts', fresh);
  assertIs(await page.evaluate(() => attempt('/shown.d.ts')), fresh);
  assert.equal(await page.evaluate(async () => digest(await (await fetch(shown)).arrayBuffer())), digestOf(old));
  await page.close();
});
