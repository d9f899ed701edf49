// Options of callers, in Node: numbers longer than timers take, options behind proxies, URLs with a password, one
// signal for many syncs.
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { reactive } from '@vue/reactivity';
import { MemoryLevel } from 'memory-level';
import { levelStore } from '../dist/level.js';
import { directoryStore, memoryStore, sync } from '../dist/node.js';
import { list } from '../dist/storage.js';
import { isDelta } from './support/proxy.mjs';
import { browserSyncStream } from './support/browser-sync-stream.mjs';
import { temporaryFolder } from './support/folder.mjs';
import { useServer } from './support/site.mjs';

const FILE = 'a file\n'.repeat(1000);
let server;
let link;
const folder = temporaryFolder('options');

useServer((started) => {
  ({ server, link } = started);
  writeFileSync(join(server.root, 'file.txt'), FILE);
});
afterEach(() => {
  link.fault = () => undefined;
});

const file = (name = 'file.txt') => new URL(name, link.url);

/** Syncs the file; fails if the sync does. */
async function syncs(options, url = file()) {
  const handle = await sync(url, { store: memoryStore(), ...options });
  assert.equal(Buffer.from(await handle.bytes()).toString(), FILE);
  await handle.stored;
  assert.equal(handle.warning, undefined);
  handle.close();
  return handle;
}

describe('numbers', () => {
  for (const timeout of [Infinity, 2 ** 31 - 1, 2 ** 31, 2 ** 53, Number.MAX_VALUE]) {
    test(`a timeout of ${timeout} ms waits`, async () => {
      let asked;
      const wasAsked = new Promise((resolve) => (asked = resolve));
      let goOn;
      const after = new Promise((resolve) => (goOn = resolve));
      link.fault = (request) => (isDelta(request) ? (asked(), { after }) : undefined);
      const syncing = syncs({ timeout });
      await wasAsked;
      // A timer with a delay that is too long fires after a millisecond, so it fires before this one, which is set later.
      await new Promise((resolve) => setTimeout(resolve, 2));
      goOn();
      await syncing;
    });
  }

  const no = [0, -1, NaN, -Infinity, '1000', null, true, {}, 10n];
  const wrong = {
    timeout: [no, /^timeout must be a number of milliseconds above 0, or Infinity for no limit, not /],
    maxBytes: [
      [-1, NaN, '5', null, {}],
      /^maxBytes must be a number of bytes from 0 on, or Infinity for no limit, not /,
    ],
    version: [
      ['', 'f'.repeat(63), 'F'.repeat(64), `${'f'.repeat(64)}\n`, 7, null],
      /^version must be 64 lower-case hex digits, not /,
    ],
    scope: [[7, null, {}, '\ud800'], /^scope must be a string without lone surrogates, not /],
    credentials: [['always', null, true], /^credentials must be 'omit', 'same-origin' or 'include', not /],
    onProgress: [['yes', null, {}], /^onProgress must be a function, not /],
    signal: [[true, {}, new AbortController()], /^signal must be an AbortSignal, not /],
    store: [
      [null, 'memory', {}, { kind: 'memory' }, { kind: 'memory', name: 7 }],
      /^store must be a store from browserStore\(\), memoryStore\(\) or similar, not /,
    ],
  };
  for (const [name, [values, message]] of Object.entries(wrong)) {
    test(`${name}: invalid values are a TypeError that says what is valid, and nothing is requested`, async () => {
      for (const value of values) {
        if (name === 'store' && value === null) continue; // In Node this is the default.
        link.requests.length = 0;
        await assert.rejects(
          sync(file(), { store: memoryStore(), [name]: value }),
          { name: 'TypeError', message },
          inspect(value),
        );
        assert.deepEqual(link.requests, []);
      }
    });
  }

  test('maxBytes: Infinity accepts any file, 0 only an empty one', async () => {
    await syncs({ maxBytes: Infinity });
    await assert.rejects(sync(file(), { maxBytes: 0 }), { code: 'protocol', message: /0 allowed/ });
    writeFileSync(join(server.root, 'empty'), '');
    assert.equal((await sync(file('empty'), { maxBytes: 0 })).length, 0);
  });

  test('something that is not a URL is a TypeError', async () => {
    for (const url of [undefined, null, 7, {}, new Request(file())])
      await assert.rejects(sync(url), { name: 'TypeError', message: /^a URL must be a string or a URL, not / });
    for (const url of ['data:text/plain,x', 'blob:http://127.0.0.1/x', 'mailto:x'])
      await assert.rejects(sync(url), { name: 'TypeError', message: /a URL with a path/ });
    for (const url of ['/relative.js', 'http://', 'http://127.0.0.1:99999/'])
      await assert.rejects(sync(url), { name: 'TypeError', message: /must be absolute; .* is not$/ });
  });

  test('driblet/store rejects stores that it cannot list', async () => {
    for (const store of [directoryStore(folder), levelStore(new MemoryLevel()), {}, 'driblet'])
      await assert.rejects(list(store), TypeError);
  });

  test('driblet/browser-sync-stream, both sides', () => {
    for (const timeout of no.filter((value) => value !== null)) {
      assert.throws(() => browserSyncStream.receive(new MemoryLevel(), { timeout }), {
        name: 'TypeError',
        message: /^timeout must be /,
      });
      for (const name of ['timeout', 'listTimeout'])
        assert.throws(() => browserSyncStream.send('x', { [name]: timeout }), {
          name: 'TypeError',
          message: new RegExp(`^${name} must be `),
        });
    }
    for (const maxBytes of [-1, NaN, '5'])
      assert.throws(() => browserSyncStream.receive(new MemoryLevel(), { maxBytes }), {
        name: 'TypeError',
        message: /^maxBytes must be /,
      });
    for (const name of ['bits', 'min', 'max']) {
      for (const value of [-1, NaN, Infinity, 1.5, '9', 2 ** 32])
        assert.throws(() => browserSyncStream.send('x', { [name]: value }), {
          name: 'TypeError',
          message: new RegExp(`^${name} must be a whole number`),
        });
    }
    for (const name of [7, {}, '\ud800'])
      assert.throws(() => browserSyncStream.receive(new MemoryLevel(), { name }), {
        name: 'TypeError',
        message: /^name must be /,
      });
    for (const timeout of [Infinity, 2 ** 31])
      browserSyncStream.receive(new MemoryLevel(), { timeout }, () => {}).destroy();
  });

  test('driblet/browser-sync-stream waits for its timeout', async (t) => {
    // Node warns of delays that are too long for timers, and fires them at once.
    const warned = [];
    const onWarning = ({ name }) => warned.push(name);
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    writeFileSync(join(folder, 'sent'), FILE);
    for (const timeout of [Infinity, 2 ** 31, 2 ** 40]) {
      const { promise, resolve, reject } = resolvers();
      const receiver = browserSyncStream.receive(new MemoryLevel(), { timeout }, (error, got) =>
        error ? reject(error) : resolve(got),
      );
      const sender = browserSyncStream.send(join(folder, 'sent'), { timeout, listTimeout: timeout });
      receiver.pipe(sender).pipe(receiver);
      assert.equal((await promise).toString(), FILE);
    }
    await new Promise(setImmediate);
    assert.deepEqual(warned, []);
  });
});

describe('one signal', () => {
  test('30 syncs add one listener, Node does not warn, and no listener is left', async (t) => {
    const warned = [];
    const onWarning = (warning) => warned.push(String(warning));
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    const { signal } = new AbortController();
    const store = memoryStore();
    const { promise: asked, resolve } = resolvers();
    const { promise: until, resolve: goOn } = resolvers();
    let left = 30;
    link.fault = (request) => {
      if (!isDelta(request)) return undefined;
      left -= 1;
      if (left === 0) resolve();
      return { after: until };
    };
    const syncing = Array.from({ length: 30 }, (_, at) => syncs({ store, signal, scope: `${at}` }));
    await asked;
    assert.equal(getEventListeners(signal, 'abort').length, 1);
    goOn();
    await Promise.all(syncing);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    await new Promise(setImmediate); // Warnings arrive a little later.
    assert.deepEqual(warned, []);
  });

  test('an abort ends all of them, each with its reason; one that failed before has removed its listener', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    await assert.rejects(sync(file('missing'), { signal: abort.signal }), { code: 'protocol' });
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
    const { promise: asked, resolve } = resolvers();
    let left = 12;
    link.fault = (request) => {
      if (!isDelta(request)) return undefined;
      left -= 1;
      if (left === 0) resolve();
      return { never: true };
    };
    const syncing = Array.from({ length: 12 }, (_, at) =>
      sync(file(), { store: memoryStore(), signal: abort.signal, scope: `${at}` }),
    );
    const failed = Promise.all(
      syncing.map((each) =>
        each.then(
          () => 'synced',
          (error) => error,
        ),
      ),
    );
    await asked;
    abort.abort(reason);
    assert.deepEqual([...new Set(await failed)], [reason]);
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
    await assert.rejects(sync(file(), { signal: abort.signal }), reason);
    assert.equal(getEventListeners(abort.signal, 'abort').length, 0);
  });

  test('an abort from a progress listener, and a new sync from an abort listener, do no harm', async () => {
    const abort = new AbortController();
    const other = new AbortController();
    let following;
    abort.signal.addEventListener('abort', () => (following = syncs({ signal: other.signal })));
    await assert.rejects(
      sync(file(), { store: memoryStore(), signal: abort.signal, onProgress: () => abort.abort() }),
      { name: 'AbortError' },
    );
    await following;
    assert.equal(getEventListeners(other.signal, 'abort').length, 0);
  });
});

describe('behind proxies', () => {
  const handler = { get: (target, name, receiver) => Reflect.get(target, name, receiver) };
  const proxied = {
    "Vue's reactive": reactive,
    'a plain Proxy': (value) => new Proxy(value, handler),
    'with a property of its own': (value) => Object.assign(value, { label: () => 'mine' }),
  };
  for (const [how, wrapped] of Object.entries(proxied)) {
    test(`${how}: stores, options, headers`, async () => {
      const store = wrapped(memoryStore());
      await syncs({ store });
      const again = await syncs({ store });
      assert.equal(again.cost.basis, 'same', 'the same store as before');
      await syncs({ store: wrapped(directoryStore(join(folder, how))) });
      assert.ok(0 < readdirSync(join(folder, how)).length);
      const { version } = again;
      const seen = [];
      link.fault = ({ headers }) => void seen.push(headers['x-one']);
      for (const headers of [{ 'x-one': '1' }, [['x-one', '1']], new Map([['x-one', '1']])]) {
        const options = wrapped({
          store: wrapped(memoryStore()),
          headers: wrapped(headers instanceof Map && how === 'a plain Proxy' ? [...headers] : headers),
          version,
          timeout: 30_000,
        });
        await syncs(options);
      }
      await syncs({ headers: new Headers({ 'x-one': '1' }) });
      assert.deepEqual(seen, ['1', '1', '1', '1']);
    });
  }

  test('a handle may be behind a proxy too', async () => {
    const { handle } = reactive({ handle: await sync(file(), { store: memoryStore() }) });
    assert.equal(Buffer.from(await handle.bytes()).toString(), FILE);
    assert.equal(await handle.response().text(), FILE);
    await handle.stored;
    assert.equal(handle.warning, undefined);
    handle.close();
  });
});

describe('a URL with a password', () => {
  const SECRET = 'pässword';
  const AUTHORIZATION = `Basic ${Buffer.from(`us@er:${SECRET}:/`).toString('base64')}`;
  const withPassword = (url) => Object.assign(new URL(url), { username: 'us@er', password: `${SECRET}:/` });
  const isSecret = (text) =>
    text.includes(SECRET) ||
    text.includes(encodeURIComponent(SECRET)) ||
    text.includes('us@er') ||
    text.includes('us%40er') ||
    text.includes(AUTHORIZATION.slice(6));

  test('is sent as basic authorization with each request, and is in no file', async () => {
    const seen = [];
    link.fault = ({ headers }) => void seen.push(headers.authorization);
    const store = directoryStore(join(folder, 'secret'));
    for (const url of [withPassword(file()), withPassword(file()).href]) {
      await syncs({ store }, url);
    }
    assert.deepEqual(seen, [AUTHORIZATION, AUTHORIZATION]);
    // Without the password the URL names the same asset.
    assert.equal((await syncs({ store })).cost.basis, 'same');
    const kept = readdirSync(join(folder, 'secret'), { recursive: true, withFileTypes: true }).filter((entry) =>
      entry.isFile(),
    );
    assert.ok(0 < kept.length);
    for (const { parentPath, path, name } of kept)
      assert.ok(!isSecret(name + readFileSync(join(parentPath ?? path, name), 'utf8')), name);
  });

  test('a header of the caller takes precedence', async () => {
    const seen = [];
    link.fault = ({ headers }) => void seen.push(headers.authorization);
    await syncs({ headers: { Authorization: 'Bearer x' } }, withPassword(file()));
    assert.deepEqual(seen, ['Bearer x']);
  });

  test('is in no error', async () => {
    const errors = [];
    const failing = async (url, fault, options) => {
      link.fault = (request) => (isDelta(request) ? fault : undefined);
      await sync(url, { store: memoryStore(), ...options }).then(
        () => assert.fail('it synced'),
        (error) => errors.push(error),
      );
    };
    await failing(withPassword(file()), { html: 'log in' });
    await failing(withPassword(file()), { cut: 0 });
    await failing(withPassword(file()), { never: true }, { timeout: 50 });
    await failing(withPassword(file('missing')));
    await failing(withPassword('http://127.0.0.1:1/'));
    await failing(withPassword('http://127.0.0.1/').href.replace('127.0.0.1', '127.0.0.1:99999'));
    await failing(`//${withPassword('http://127.0.0.1/').href.slice(7)}`);
    await failing(withPassword(file()), undefined, { maxBytes: 1 });
    for (const error of errors) assert.ok(!isSecret(inspect(error, { depth: 9, showHidden: true })), inspect(error));
    assert.equal(errors.length, 8);
  });

  test('is not sent to another origin', async (t) => {
    const seen = [];
    const other = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    t.after(() => other.close());
    link.fault = () => ({ redirect: `http://127.0.0.1:${other.address().port}/elsewhere` });
    await assert.rejects(sync(withPassword(file()), { store: memoryStore() }), { code: 'protocol' });
    assert.deepEqual(seen, [undefined]);
  });

  test("a stream from a WebSocket whose error contains its URL: driblet/browser-sync-stream's does not", async () => {
    const { promise, resolve } = resolvers();
    const receiver = browserSyncStream.receive(new MemoryLevel(), resolve);
    const source = new (await import('node:stream')).PassThrough();
    source.pipe(receiver);
    source.emit('error', new Error(`Invalid URL: ${withPassword('ws://127.0.0.1:1/x').href}`));
    const error = await promise;
    assert.equal(error.message, 'the stream from the sender failed: Invalid URL: ws://127.0.0.1:1/x; try again');
    assert.ok(!isSecret(inspect(error, { depth: 9, showHidden: true })));
  });
});

function resolvers() {
  let resolve;
  let reject;
  const promise = new Promise((...both) => ([resolve, reject] = both));
  return { promise, resolve, reject };
}
