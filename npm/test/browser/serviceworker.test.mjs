// The answers of `serveAsset` in a service worker: those of the server, and no answer to requests that it leaves to the
// browser.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { BASES } from '../support/browser.mjs';
import { release, serve } from '../support/driblet.mjs';
import { install } from '../support/installed.mjs';
import { largeBytes } from '../support/large.mjs';
import { proxyTo } from '../support/proxy.mjs';
import { digestOf, useSite } from '../support/site.mjs';

const TEXT = '0123456789'.repeat(1000);
const lib = release('5.9.2', 'lib.dom.d.ts');
let packed;
let page;
/** The requests that the server has received. */
let seen;

const s = useSite(async () => {
  packed = install();
  packed.publish(s.server);
  mkdirSync(join(s.server.root, 'assets'));
  writeFileSync(
    join(s.server.root, 'serving.js'),
    `
    import { serveAsset } from '${BASES.installed.inline}';
    addEventListener('install', () => skipWaiting());
    addEventListener('activate', (event) => event.waitUntil(clients.claim()));
    addEventListener('fetch', (event) => {
      const { pathname, searchParams } = new URL(event.request.url);
      if (pathname.startsWith('/assets/')) serveAsset(event, { timeout: 5000, ...(searchParams.has('as') && { url: searchParams.get('as'), type: 'text/x-as' }) });
    });
  `,
  );
  publish('text.txt', TEXT);
  publish('empty.txt', '');
  publish('page.html', '<!doctype html><title>a page</title>');
  publish('worker.js', 'postMessage(self.location.pathname)');
  s.server.publish('assets/lib.d.ts', lib);
  page = await s.browser.context.newPage();
  await page.goto(s.link.url);
  await page.evaluate(async () => {
    const controlled = new Promise((resolve) =>
      navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true }),
    );
    await navigator.serviceWorker.register('/serving.js', { type: 'module' });
    await controlled;
    /** Fetches, and returns the response. */
    globalThis.fetched = async (path, init) => {
      try {
        const response = await fetch(path, init);
        return { status: response.status, headers: Object.fromEntries(response.headers), body: await response.text() };
      } catch (error) {
        return { error: error.name };
      }
    };
  });
});
after(async () => {
  packed?.remove();
});
afterEach(async () => {
  listen();
});

function publish(name, content) {
  writeFileSync(join(s.server.root, 'assets', name), content);
}

/** Records requests from now on. `fault` is as for the link. */
function listen(fault = () => undefined) {
  seen = [];
  s.link.fault = (request) => {
    seen.push(request);
    return fault(request);
  };
}

const paths = () => seen.map(({ url }) => url);
const offline = () => listen(() => ({ hangUp: true }));
const fetched = (path, init) => page.evaluate(([path, init]) => fetched(path, init), [path, init]);

/** The server's own answer. */
async function direct(path, init) {
  const response = await fetch(new URL(path, s.server.url), init);
  return { status: response.status, body: await response.text() };
}

test('GET: the file, with its type, length, version and that it has ranges; moved as a delta', async () => {
  listen();
  const { status, headers, body } = await fetched('/assets/text.txt');
  assert.deepEqual([status, body], [200, TEXT]);
  const { 'content-type': type, 'content-length': length, 'accept-ranges': ranges, etag } = headers;
  assert.deepEqual([type, length, ranges], ['text/plain; charset=utf-8', '10000', 'bytes']);
  assert.match(etag, /^"[0-9a-f]{64}"$/);
  assert.deepEqual(
    paths().filter((path) => path.includes('text.txt')),
    ['/assets/text.txt.driblet/none'],
  );
});

test('HEAD: the same headers, and no body', async () => {
  const { status, headers, body } = await fetched('/assets/text.txt', { method: 'HEAD' });
  assert.deepEqual(
    [status, headers['content-length'], headers['content-type'], body],
    [200, '10000', 'text/plain; charset=utf-8', ''],
  );
});

for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
  test(`${method}: the server's own answer`, async () => {
    listen();
    const { status, body } = await fetched('/assets/text.txt', {
      method,
      body: method === 'OPTIONS' ? undefined : 'x',
    });
    assert.deepEqual(
      { status, body },
      await direct('/assets/text.txt', { method, body: method === 'OPTIONS' ? undefined : 'x' }),
    );
    assert.deepEqual(
      seen.map(({ method, url }) => [method, url]),
      [[method, '/assets/text.txt']],
    );
  });
}

describe('ranges', () => {
  for (const [range, status, contentRange, wanted] of [
    ['bytes=0-0', 206, 'bytes 0-0/10000', [0, 1]],
    ['bytes=5-14', 206, 'bytes 5-14/10000', [5, 15]],
    ['BYTES=5-14', 206, 'bytes 5-14/10000', [5, 15]],
    ['bytes=0-', 206, 'bytes 0-9999/10000', [0, 10000]],
    ['bytes=9990-', 206, 'bytes 9990-9999/10000', [9990, 10000]],
    ['bytes=9990-123456789012345678901234567890', 206, 'bytes 9990-9999/10000', [9990, 10000]],
    ['bytes=-10', 206, 'bytes 9990-9999/10000', [9990, 10000]],
    ['bytes=-20000', 206, 'bytes 0-9999/10000', [0, 10000]],
    ['bytes=10000-', 416, 'bytes */10000', [0, 0]],
    ['bytes=99999999999999999999-', 416, 'bytes */10000', [0, 0]],
    ['bytes=-0', 416, 'bytes */10000', [0, 0]],
    ['bytes=7-3', 200, undefined, [0, 10000]],
    ['bytes=x-', 200, undefined, [0, 10000]],
    ['bytes=-', 200, undefined, [0, 10000]],
    ['lines=0-3', 200, undefined, [0, 10000]],
    ['bytes=0-1,5-6', 200, undefined, [0, 10000]],
  ]) {
    test(range, async () => {
      const { status: got, headers, body } = await fetched('/assets/text.txt', { headers: { range } });
      assert.deepEqual([got, headers['content-range'], body], [status, contentRange, TEXT.slice(...wanted)]);
      if (status !== 416) assert.equal(headers['content-length'], String(wanted[1] - wanted[0]));
    });
  }

  test('of an empty file, with HEAD, with If-Range', async () => {
    const { etag } = (await fetched('/assets/text.txt')).headers;
    const told = async (path, init) => {
      const { status, headers } = await fetched(path, init);
      return [status, headers['content-range']];
    };
    assert.deepEqual(await told('/assets/empty.txt', { headers: { range: 'bytes=0-' } }), [416, 'bytes */0']);
    assert.deepEqual(await told('/assets/empty.txt', { headers: { range: 'bytes=-5' } }), [200, undefined]);
    assert.deepEqual(await told('/assets/text.txt', { method: 'HEAD', headers: { range: 'bytes=0-4' } }), [
      200,
      undefined,
    ]);
    const ranged = (ifRange) => told('/assets/text.txt', { headers: { range: 'bytes=0-4', 'if-range': ifRange } });
    assert.deepEqual(await ranged(etag), [206, 'bytes 0-4/10000']);
    for (const other of [`W/${etag}`, '"other"', new Date().toUTCString()])
      assert.deepEqual(await ranged(other), [200, undefined], other);
  });

  test('of a version that is verified in parts', async () => {
    const bytes = largeBytes();
    publish('long.bin', bytes);
    for (const [from, to] of [
      [0, 10],
      [16_777_210, 16_777_230],
      [39_999_990, 40_000_000],
    ]) {
      const got = await page.evaluate(
        async ([from, to]) => {
          const response = await fetch('/assets/long.bin', { headers: { range: `bytes=${from}-${to - 1}` } });
          return [
            response.status,
            response.headers.get('content-range'),
            [...new Uint8Array(await response.arrayBuffer())],
          ];
        },
        [from, to],
      );
      assert.deepEqual(got, [206, `bytes ${from}-${to - 1}/40000000`, [...bytes.subarray(from, to)]]);
    }
    rmSync(join(s.server.root, 'assets', 'long.bin'));
  });
});

test('conditions: 304 for the version that the page has, 412 for another one', async () => {
  const { etag } = (await fetched('/assets/text.txt')).headers;
  const statusOf = async (headers, method = 'GET') => (await fetched('/assets/text.txt', { method, headers })).status;
  for (const matching of [etag, `W/${etag}`, `"a", ${etag}`, '*']) {
    for (const method of ['GET', 'HEAD'])
      assert.equal(await statusOf({ 'if-none-match': matching }, method), 304, matching);
  }
  assert.equal(await statusOf({ 'if-none-match': '"other"' }), 200);
  for (const matching of [etag, `"a", ${etag}`, '*'])
    assert.equal(await statusOf({ 'if-match': matching }), 200, matching);
  for (const other of ['"other"', `W/${etag}`]) assert.equal(await statusOf({ 'if-match': other }), 412, other);
  assert.equal(await statusOf({ 'if-none-match': etag, range: 'bytes=0-4' }), 304);
  assert.equal(await statusOf({ 'if-match': '"other"', 'if-none-match': etag }), 412);
});

test("missing files, and files that were removed: the server's own answer, even if a version is stored", async () => {
  const same = async (path) => {
    const { status, body } = await fetched(path);
    assert.deepEqual({ status, body }, await direct(path));
    assert.equal(status, 404);
  };
  await same('/assets/missing.txt');
  publish('gone.txt', 'here');
  assert.equal((await fetched('/assets/gone.txt')).body, 'here');
  rmSync(join(s.server.root, 'assets', 'gone.txt'));
  await same('/assets/gone.txt');
});

test('offline: stored versions, whole, in part, by HEAD; for others, an error as without a worker', async () => {
  publish('kept.txt', TEXT);
  assert.equal((await fetched('/assets/kept.txt')).body, TEXT);
  offline();
  assert.equal((await fetched('/assets/kept.txt')).body, TEXT);
  const part = await fetched('/assets/kept.txt', { headers: { range: 'bytes=5-9' } });
  assert.deepEqual([part.status, part.body], [206, '56789']);
  assert.equal((await fetched('/assets/kept.txt', { method: 'HEAD' })).headers['content-length'], '10000');
  assert.deepEqual(await fetched('/assets/never.txt'), { error: 'TypeError' });
  for (const busy of [null, '3600']) {
    listen(() => ({ busy }));
    assert.equal((await fetched('/assets/kept.txt')).body, TEXT, 'a server that fails, or is busy');
    assert.equal((await fetched('/assets/never.txt')).status, 503);
  }
});

test('a server without driblet: the file, from the network', async () => {
  listen(({ url }) => (url.includes('.driblet/') ? { html: 'not found' } : undefined));
  assert.equal((await fetched('/assets/lib.d.ts')).body, readFileSync(lib, 'utf8'));
});

test('bytes that were damaged in the store: the file, from the network, and it is stored again', async () => {
  publish('damaged.txt', TEXT);
  await fetched('/assets/damaged.txt');
  await page.evaluate(async () => {
    const done = (request) =>
      new Promise((resolve, reject) =>
        Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }),
      );
    const database = await done(indexedDB.open('driblet'));
    const pieces = () => database.transaction('pieces', 'readwrite').objectStore('pieces');
    const keys = (await done(pieces().getAllKeys())).filter(([key]) => key.endsWith('/assets/damaged.txt'));
    for (const key of keys) await done(pieces().put(new Blob(['x'.repeat(10_000)]), key));
    database.close();
  });
  for (const when of ['damaged', 'healed']) {
    listen();
    const { status, body } = await fetched('/assets/damaged.txt');
    assert.deepEqual([status, body], [200, TEXT], when);
  }
  offline();
  assert.equal((await fetched('/assets/damaged.txt')).body, TEXT);
});

test('sync resources, the worker itself, and requests with an authorization are left to the browser', async () => {
  for (const path of ['/assets/text.txt.driblet/head', '/assets/text.txt%2Edriblet/head']) {
    listen();
    assert.equal((await fetched(path)).status, (await direct(path)).status);
    assert.deepEqual(paths(), [path]);
  }
  listen();
  assert.equal((await fetched('/assets/text.txt', { headers: { authorization: 'Bearer x' } })).body, TEXT);
  assert.deepEqual(
    seen.map(({ url, headers }) => [url, headers.authorization]),
    [['/assets/text.txt', 'Bearer x']],
  );
});

test("only-if-cached: the browser's own cache, and no request", async () => {
  publish('uncached.txt', TEXT);
  assert.equal((await fetched('/assets/uncached.txt')).body, TEXT);
  listen();
  const { error, status } = await fetched('/assets/uncached.txt', { cache: 'only-if-cached', mode: 'same-origin' });
  assert.ok(error === 'TypeError' || status === 504, `${error} ${status}`);
  assert.deepEqual(paths(), []);
});

test('requests to another origin are left to the browser', async () => {
  const server = await serve('--allow-origin', new URL(s.link.url).origin);
  const other = await proxyTo(server);
  try {
    mkdirSync(join(server.root, 'assets'));
    writeFileSync(join(server.root, 'assets', 'text.txt'), 'of another');
    const { origin } = new URL(other.url);
    await page.evaluate((url) => fetch(url, { mode: 'no-cors' }), `${origin}/assets/text.txt`);
    assert.deepEqual(
      other.requests.map(({ path }) => path),
      ['/assets/text.txt'],
    );
  } finally {
    await other.close();
    await server.close();
  }
});

test('an asset other than the requested one, with another type', async () => {
  const { headers, body } = await fetched('/assets/whatever?as=/assets/text.txt');
  assert.deepEqual([headers['content-type'], body], ['text/x-as', TEXT]);
});

test('an abort ends the request of the worker', async () => {
  let asked;
  const wasAsked = new Promise((resolve) => (asked = resolve));
  const gone = new Promise((resolve) => listen(() => (asked(), { never: true, gone: resolve })));
  await page.evaluate(() => {
    globalThis.aborting = new AbortController();
    globalThis.fetching = fetch('/assets/text.txt', { signal: aborting.signal }).catch(({ name }) => name);
  });
  await wasAsked;
  assert.equal(await page.evaluate(() => (aborting.abort(), fetching)), 'AbortError');
  await gone;
});

describe('pages', () => {
  let other;
  before(async () => (other = await s.browser.context.newPage()));
  after(() => other?.close());

  const open = (path) => other.goto(new URL(path, s.link.url).href);

  test("come from the network, with the server's headers and statuses", async () => {
    listen(() => ({ headers: { 'content-security-policy': "default-src 'none'" } }));
    const response = await open('assets/page.html');
    assert.deepEqual([response.status(), await other.title()], [200, 'a page']);
    assert.equal((await response.allHeaders())['content-security-policy'], "default-src 'none'");
    assert.ok(paths().includes('/assets/page.html'));
    for (const path of ['assets/missing.html', 'assets/'])
      assert.equal((await open(path)).status(), (await direct(path)).status, path);
  });

  test('and from the store without a network', async () => {
    await fetched('/assets/page.html');
    offline();
    const response = await open('assets/page.html');
    assert.deepEqual(
      [response.status(), await other.title(), (await response.allHeaders())['content-type']],
      [200, 'a page', 'text/html; charset=utf-8'],
    );
    await assert.rejects(open('assets/never.html'), /ERR_FAILED/);
  });

  test("workers too: their script's headers are their policy", async () => {
    listen();
    assert.equal(
      await page.evaluate(
        () => new Promise((resolve) => (new Worker('/assets/worker.js').onmessage = ({ data }) => resolve(data))),
      ),
      '/assets/worker.js',
    );
    assert.deepEqual(paths(), ['/assets/worker.js']);
  });
});

test('the digest of a large file is right', async () => {
  const digest = await page.evaluate(async () => {
    const digest = await crypto.subtle.digest('SHA-256', await (await fetch('/assets/lib.d.ts')).arrayBuffer());
    return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
  });
  assert.equal(digest, digestOf(lib));
});
