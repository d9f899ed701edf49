// Busy servers, connections that fail in each phase of a request, and proxies that change answers. In Node.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { memoryStore, sync } from '../dist/node.js';
import { assertIsFile as assertIs, attemptBy } from './support/attempt.mjs';
import { release } from './support/driblet.mjs';
import { isDelta } from './support/proxy.mjs';
import { useServer } from './support/site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let server;
let link;

useServer((started) => {
  ({ server, link } = started);
  server.publish('lib.d.ts', old);
});
afterEach(() => {
  link.fault = () => undefined;
  link.requests.length = 0;
});

const attempt = (name, options) => attemptBy(sync, new URL(name, link.url), options);

/** The first `count` requests for a delta get that fault. */
function first(count, fault) {
  let left = count;
  link.fault = (request) => {
    if (!isDelta(request) || left === 0) return undefined;
    left -= 1;
    return fault;
  };
}

describe('a busy server', () => {
  const inAMoment = () => new Date(Date.now() + 500).toUTCString();
  for (const [how, busy] of [
    ['seconds', '1'],
    ['no second', '0'],
    ['a date', inAMoment()],
    ['a date that is over', 'Sun, 06 Nov 1994 08:49:37 GMT'],
    ['nonsense', 'soon'],
  ]) {
    test(`asks to come back after ${how}: the sync does, and gets the file`, async () => {
      first(2, { busy });
      const synced = await attempt('lib.d.ts', { store: memoryStore(), timeout: 20_000 });
      assertIs(synced, old);
      assert.equal(synced.cost.requests, 3);
    });
  }

  test('is no silence: the wait may be longer than the timeout', async () => {
    // The server has made this delta before, so it answers at once.
    assertIs(await attempt('lib.d.ts', { store: memoryStore() }), old);
    first(1, { busy: '3' });
    assertIs(await attempt('lib.d.ts', { store: memoryStore(), timeout: 2_900 }), old);
  });

  test('when a delta is resumed, and when a signature is sent', async () => {
    const store = memoryStore();
    link.fault = (request) => (isDelta(request) ? { stall: 20_000 } : undefined);
    assert.equal(
      (await attempt('lib.d.ts', { store, onProgress: ({ received }) => 20_000 <= received && link.hangUp() })).code,
      'network',
    );
    first(1, { busy: '0' });
    link.requests.length = 0;
    assertIs(await attempt('lib.d.ts', { store }), old);
    assert.deepEqual(link.requests.map(({ range }) => range).slice(0, 2), ['bytes=20000-', 'bytes=20000-']);
    server.publish('lib.d.ts', fresh);
    await server.forget();
    let left = 1;
    link.fault = ({ method }) => (method === 'POST' && 0 < left-- ? { busy: '0' } : undefined);
    const matched = await attempt('lib.d.ts', { store });
    assertIs(matched, fresh);
    assert.equal(matched.cost.basis, 'matched');
    server.publish('lib.d.ts', old);
  });

  test('an abort ends the wait at once', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    let asked;
    const wasAsked = new Promise((resolve) => (asked = resolve));
    link.fault = () => ({ busy: '3600', gone: asked });
    const syncing = attempt('lib.d.ts', { store: memoryStore(), signal: abort.signal });
    await wasAsked;
    abort.abort(reason);
    assert.equal(await syncing, reason);
    assert.equal(link.requests.length, 1);
  });

  test('that names no time to ask again is an error', async () => {
    link.fault = () => ({ busy: null });
    const { code, message } = await attempt('lib.d.ts', { store: memoryStore() });
    assert.deepEqual([code, /status 503/.test(message)], ['network', true], message);
    assert.equal(link.requests.length, 1);
  });
});

describe('an error names the phase of the request', () => {
  test('connecting', async () => {
    const { name, code, message } = await sync('http://127.0.0.1:1/lib.d.ts').catch((error) => error);
    assert.deepEqual([name, code], ['SyncError', 'network']);
    assert.match(
      message,
      /while connecting to 127\.0\.0\.1:1\b.*bad port|while connecting to 127\.0\.0\.1:1\b.*ECONNREFUSED/,
    );
    // A port on which nobody listens.
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address();
    await new Promise((resolve) => gone.close(resolve));
    const refused = await sync(`http://127.0.0.1:${port}/lib.d.ts`).catch((error) => error);
    assert.match(
      refused.message,
      new RegExp(`^the connection failed while connecting to 127\\.0\\.0\\.1:${port}, .*ECONNREFUSED`),
    );
    const unknown = await sync('http://nowhere.invalid/lib.d.ts').catch((error) => error);
    assert.match(unknown.message, /^the connection failed while connecting to nowhere\.invalid, /);
  });

  test('waiting for the answer', async () => {
    first(1, { never: true });
    const silent = await attempt('lib.d.ts', { store: memoryStore(), timeout: 200 });
    assert.deepEqual(
      [silent.code, silent.message],
      ['network', 'waiting for the answer: the server sent nothing for 200 ms; sync again to continue'],
    );
    first(1, { hangUp: true });
    const hungUp = await attempt('lib.d.ts', { store: memoryStore() });
    assert.equal(hungUp.code, 'network');
    assert.match(
      hungUp.message,
      /^the connection failed while waiting for the answer \(sync again to continue\): .*other side closed/,
    );
  });

  test('reading the answer', async () => {
    assertIs(await attempt('lib.d.ts', { store: memoryStore() }), old); // From now on the server answers at once.
    first(1, { stall: 1000 });
    const silent = await attempt('lib.d.ts', { store: memoryStore(), timeout: 2000 });
    assert.deepEqual(
      [silent.code, silent.message],
      ['network', 'reading the answer: the server sent nothing for 2000 ms; sync again to continue'],
    );
    first(1, { cut: 1000 });
    const cut = await attempt('lib.d.ts', { store: memoryStore() });
    assert.equal(cut.code, 'network');
    assert.match(cut.message, /^the connection failed while reading the answer \(sync again to continue\): /);
    // Without a length, the end of the connection looks like the end of the answer.
    first(1, { cut: 1000, lengthless: true, headers: { connection: 'close', 'transfer-encoding': 'identity' } });
    const short = await attempt('lib.d.ts', { store: memoryStore() });
    assert.equal(short.code, 'network');
    assert.match(short.message, /reading the answer/);
  });
});

for (const [what, fault] of Object.entries({
  'a weak ETag': { weak: true },
  gzip: { gzip: true },
  'no length': { lengthless: true },
  'all of these': { weak: true, gzip: true, lengthless: true },
})) {
  test(`behind a proxy that changes each answer to one with ${what}: all ways to sync, and to resume`, async () => {
    const store = memoryStore();
    link.fault = () => fault;
    const bases = [];
    for (const path of [old, old, fresh]) {
      server.publish('proxied.d.ts', path);
      const synced = await attempt('proxied.d.ts', { store });
      assertIs(synced, path);
      bases.push(synced.cost.basis);
    }
    server.publish('proxied.d.ts', old);
    await server.forget();
    const matched = await attempt('proxied.d.ts', { store });
    assertIs(matched, old);
    assert.deepEqual([...bases, matched.cost.basis], ['none', 'same', 'version', 'matched']);
    const another = memoryStore();
    link.fault = (request) => (isDelta(request) ? { ...fault, gzip: false, stall: 20_000 } : fault);
    assert.equal(
      (
        await attempt('proxied.d.ts', {
          store: another,
          onProgress: ({ received }) => 20_000 <= received && link.hangUp(),
        })
      ).code,
      'network',
    );
    link.fault = () => fault;
    assertIs(await attempt('proxied.d.ts', { store: another }), old);
  });
}
