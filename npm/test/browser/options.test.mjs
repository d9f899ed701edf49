// Options on their way to the worker: objects behind proxies, numbers that timers do not take, URLs with a password. In
// Chromium.
import assert from 'node:assert/strict';
import { copyFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { after, afterEach, describe, test } from 'node:test';
import { BASES, launch, open } from '../support/browser.mjs';
import { release } from '../support/driblet.mjs';
import { here, install } from '../support/installed.mjs';
import { isDelta } from '../support/proxy.mjs';
import { assertIs, useSite } from '../support/site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let packed;
let page;

const s = useSite(async () => {
  packed = install();
  packed.publish(s.server);
  copyFileSync(
    join(here, 'node_modules', '@vue', 'reactivity', 'dist', 'reactivity.esm-browser.js'),
    join(s.server.root, 'vue.js'),
  );
  s.server.publish('lib.d.ts', old);
  page = await open(s.browser, s.link.url, BASES.installed);
});
after(async () => {
  packed?.remove();
});
afterEach(() => {
  s.link.fault = () => undefined;
});

describe('behind a proxy', () => {
  for (const [how, wrap] of [
    ["Vue's reactive", "(await import('/vue.js')).reactive"],
    ["Vue's readonly", "(await import('/vue.js')).readonly"],
    ['a plain Proxy', '(value) => new Proxy(value, {})'],
    ['with a function of its own', '(value) => Object.assign(value, { label() {} })'],
  ]) {
    test(`${how}: every store, headers, the options themselves`, async () => {
      const seen = [];
      s.link.fault = (request) => void (isDelta(request) && seen.push(request.headers['x-one']));
      const results = await page.evaluate(
        async ([wrap, name]) => {
          const wrapped = await new Function(`return (async () => ${wrap})()`)();
          const results = [];
          for (const store of [
            browserStore(name),
            opfsStore(`${name} opfs`),
            indexedDbStore(`${name} indexeddb`),
            memoryStore(),
          ]) {
            results.push(
              await attempt(
                '/lib.d.ts',
                wrapped({ store: wrapped(store), headers: wrapped([['x-one', '1']]), scope: 'one' }),
              ),
            );
          }
          const { version } = results[0];
          results.push(
            await attempt(
              '/lib.d.ts',
              wrapped({
                store: wrapped(browserStore(name)),
                headers: wrapped({ 'x-one': '1' }),
                scope: 'one',
                version,
                signal: new AbortController().signal,
              }),
            ),
          );
          const [{ url }] = await list(wrapped(opfsStore(`${name} opfs`)));
          return [results, url];
        },
        [wrap, how],
      );
      for (const result of results[0]) {
        assertIs(result, old);
        assert.equal(result.warning, undefined);
      }
      assert.deepEqual(seen, Array(4).fill('1'));
      assert.equal(results[1], new URL('lib.d.ts', s.link.url).href);
    });
  }
});

test('configure() throws once a worker runs from another URL', async () => {
  const message = await page.evaluate(async () => {
    (await sync('/lib.d.ts', { store: memoryStore() })).close();
    try {
      configure({ workerUrl: '/other.js' });
    } catch (error) {
      return `${error.name}: ${error.message}`;
    }
  });
  assert.match(message, /^Error: configure\(\) must be called before the first sync\(\): .*\/other\.js$/);
});

test('timeouts of whatever length: no timer fires at once, in the page or in the worker', async () => {
  for (const timeout of [Infinity, 2 ** 53, 2 ** 31, 2 ** 31 - 1, 2 ** 29]) {
    let asked;
    const wasAsked = new Promise((resolve) => (asked = resolve));
    let goOn;
    const after = new Promise((resolve) => (goOn = resolve));
    s.link.fault = (request) => (isDelta(request) ? (asked(), { after }) : undefined);
    const syncing = page.evaluate((timeout) => attempt('/lib.d.ts', { timeout, store: memoryStore() }), timeout);
    await wasAsked;
    // Time itself is tested: a timer with a delay that is too long fires after a millisecond, and no event tells that it
    // has not fired in the worker.
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 100)));
    goOn();
    assertIs(await syncing, old, String(timeout));
  }
});

test('options that are not valid are a TypeError', async () => {
  for (const options of [
    { timeout: 0 },
    { timeout: -1 },
    { timeout: '1000' },
    { maxBytes: -1 },
    { version: 'x' },
    { scope: 7 },
    { credentials: 'x' },
    { onProgress: 1 },
    { store: {} },
    { signal: {} },
  ]) {
    const { name, message } = await page.evaluate((options) => attempt('/lib.d.ts', options), options);
    assert.equal(name, 'TypeError', message);
    assert.match(message, new RegExp(`^${Object.keys(options)[0]} must be `));
  }
  const { name, message } = await page.evaluate(() => attempt('/lib.d.ts', { timeout: NaN }));
  assert.deepEqual(
    [name, message],
    ['TypeError', 'timeout must be a number of milliseconds above 0, or Infinity for no limit, not NaN'],
  );
});

test('a handle streams a range of its bytes, and no more than there are', async () => {
  const [all, parts, refused] = await page.evaluate(async () => {
    const handle = await sync('/lib.d.ts', { store: memoryStore() });
    const text = (start, end) => new Response(handle.stream(start, end)).text();
    const parts = [await text(10, 20), await text(0, 0), await text(handle.length - 3), await text(5, 5)];
    const refused = [
      [-1, 2],
      [3, 2],
      [0, handle.length + 1],
      [0.5, 2],
      [NaN, 2],
      ['0', 2],
    ].map((range) => {
      try {
        return handle.stream(...range) && 'streams';
      } catch ({ name }) {
        return name;
      }
    });
    return [await text(), parts, refused];
  });
  assert.deepEqual(parts, [all.slice(10, 20), '', all.slice(-3), '']);
  assert.deepEqual([...new Set(refused)], ['TypeError']);
});

describe('a password in the URL', () => {
  const authorization = `Basic ${Buffer.from('ann:pä@ss').toString('base64')}`;
  const withPassword = (path) => Object.assign(new URL(path, s.link.url), { username: 'ann', password: 'pä@ss' }).href;

  test('is sent as basic authorization, also by a page that comes back, and is in no stored name', async () => {
    const seen = [];
    s.link.fault = (request) => void (isDelta(request) && seen.push(request.headers.authorization));
    const store = { kind: 'opfs', name: 'password' };
    assertIs(await page.evaluate(([url, store]) => attempt(url, { store }), [withPassword('lib.d.ts'), store]), old);
    s.server.publish('lib.d.ts', fresh);
    const other = await open(s.browser, s.link.url, BASES.installed);
    const synced = await other.evaluate(([url, store]) => attempt(url, { store }), [withPassword('lib.d.ts'), store]);
    assertIs(synced, fresh);
    assert.equal(synced.cost.basis, 'version');
    assert.deepEqual(seen, [authorization, authorization]);
    const names = await other.evaluate(
      async (store) =>
        JSON.stringify([
          await list(store),
          { ...localStorage },
          performance.getEntriesByType('resource').map(({ name }) => name),
        ]),
      store,
    );
    assert.ok(names.includes('/lib.d.ts'));
    assert.ok(!/ann|p%C3%A4|pä/.test(names), names);
    await other.close();
    s.server.publish('lib.d.ts', old);
  });

  test('is in no error, and goes to no other origin', async () => {
    const seen = [];
    const other = createServer((request, response) => {
      if (request.method !== 'OPTIONS') seen.push(request.headers.authorization);
      response
        .writeHead(200, {
          'access-control-allow-origin': '*',
          'access-control-allow-headers': '*',
          'content-type': 'text/html',
        })
        .end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const errors = [];
    const failing = async (url, fault) => {
      s.link.fault = (request) => (isDelta(request) ? fault : undefined);
      const failed = await page.evaluate((url) => attempt(url, { store: memoryStore() }), url);
      assert.ok(failed.message, 'it synced');
      errors.push(failed.message);
    };
    try {
      await failing(withPassword('lib.d.ts'), { redirect: `http://127.0.0.1:${other.address().port}/` });
      await failing(withPassword('lib.d.ts'), { html: 'log in' });
      await failing(withPassword('lib.d.ts'), { hangUp: true });
      await failing(withPassword('missing'));
      await failing(withPassword('lib.d.ts').replace('127.0.0.1', '127.0.0.1:99999'));
      assert.deepEqual(seen.filter(Boolean), []);
      for (const message of errors) assert.ok(!/ann|p%C3%A4|pä/.test(message), message);
      assert.match(errors[2], /^the connection failed while connecting to 127\.0\.0\.1:\d+, before any answer/);
    } finally {
      other.close();
    }
  });

  test('of the page itself: URLs relative to it are synced', async () => {
    const seen = [];
    const server = createServer((request, response) => {
      if (request.headers.authorization !== authorization)
        return response.writeHead(401, { 'www-authenticate': 'Basic realm="x", charset="UTF-8"' }).end();
      seen.push(request.url);
      const onward = new URL(request.url, s.server.url);
      return fetch(onward).then(async (answer) => {
        response.writeHead(answer.status, {
          'content-type': answer.headers.get('content-type'),
          ...(answer.headers.has('etag') && { etag: answer.headers.get('etag') }),
        });
        response.end(Buffer.from(await answer.arrayBuffer()));
      });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    writeFileSync(join(s.server.root, 'guarded.txt'), 'guarded');
    const browser = await launch();
    try {
      const url = Object.assign(new URL(`http://127.0.0.1:${server.address().port}/`), {
        username: 'ann',
        password: 'pä@ss',
      });
      const guarded = await open(browser, url.href, BASES.installed);
      assert.ok((await guarded.evaluate(() => document.baseURI)).includes('ann'));
      const { length, warning, message } = await guarded.evaluate(() =>
        attempt('/guarded.txt', { wasmUrl: '/driblet/wasm/driblet_bg.wasm' }),
      );
      assert.deepEqual([length, warning], [7, undefined], message);
      assert.ok(seen.includes('/guarded.txt.driblet/none'));
    } finally {
      await browser.close();
      server.closeAllConnections();
      server.close();
    }
  });
});
