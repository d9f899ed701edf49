// Network faults: connections that break or stall, flipped bytes, answers from something else than the server. The
// stored version stays whole.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lengthOfDiff, release, whenDeltaIs } from '../support/driblet.mjs';
import { isDelta } from '../support/proxy.mjs';
import { assertIs, digestOf, useSite } from '../support/site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let oldVersion;
let deltaLength;

const s = useSite(async () => {
  s.server.publish('lib.d.ts', old);
  oldVersion = (await s.attempt('/lib.d.ts')).version;
  s.server.publish('lib.d.ts', fresh);
  deltaLength = lengthOfDiff(old, fresh);
  await whenDeltaIs(deltaLength, new URL(`lib.d.ts.driblet/${oldVersion}`, s.server.url));
});

/** Makes the old version the stored one again. */
async function goBack() {
  s.link.fault = () => undefined;
  const back = await s.attempt('/lib.d.ts', { version: oldVersion });
  assertIs(back, old);
}

/** The stored version, without a request. */
async function assertStillOld() {
  const still = await s.attempt('/lib.d.ts', { version: oldVersion });
  assert.deepEqual([still.digest, still.cost.requests], [digestOf(old), 0]);
}

test('cut at every 1,000th byte of a delta: the version stays whole, the next sync resumes', async () => {
  assert.ok(5_000 < deltaLength, `a delta of ${deltaLength} bytes has too few places to cut`);
  for (let cut = 1_000; cut < deltaLength; cut += 1_000) {
    const failed = await s.attemptCut('/lib.d.ts', cut);
    assert.deepEqual([failed.name, failed.code], ['SyncError', 'network'], `cut at ${cut}: ${failed.message}`);
    await assertStillOld();
    s.link.requests.length = 0;
    const resumed = await s.attempt('/lib.d.ts');
    assertIs(resumed, fresh);
    assert.equal(resumed.cost.basis, 'version');
    assert.equal(s.link.requests[0].range, `bytes=${cut}-`);
    assert.ok(resumed.cost.received < deltaLength - cut + 100, `${resumed.cost.received} bytes after a cut at ${cut}`);
    await goBack();
  }
});

test('cut at every 10,000th byte of a first sync: nothing is stored, the next sync resumes', async () => {
  const folder = (name) => ({ kind: 'opfs', name });
  await s.attempt('/lib.d.ts', { store: folder('whole') });
  // The first request gets a delta made at once; later ones get the better one.
  const wholeLength = lengthOfDiff('/dev/null', fresh);
  await whenDeltaIs(wholeLength, new URL('lib.d.ts.driblet/none', s.server.url));
  for (let cut = 10_000; cut < wholeLength; cut += 10_000) {
    const store = folder(`cold-${cut}`);
    assert.equal((await s.attemptCut('/lib.d.ts', cut, { store })).code, 'network');
    s.link.requests.length = 0;
    const resumed = await s.attempt('/lib.d.ts', { store });
    assertIs(resumed, fresh);
    assert.equal(s.link.requests[0].range, `bytes=${cut}-`);
  }
});

test('cut again while it resumes: the bytes of each try are kept', async () => {
  for (const cut of [2_000, 1_500, 1_000]) {
    assert.equal((await s.attemptCut('/lib.d.ts', cut)).code, 'network');
  }
  s.link.requests.length = 0;
  assertIs(await s.attempt('/lib.d.ts'), fresh);
  assert.equal(s.link.requests[0].range, 'bytes=4500-');
  await goBack();
});

test('a delta that was cut off is finished although there is a newer head, and then the head is fetched', async () => {
  assert.equal((await s.attemptCut('/lib.d.ts', 3_000)).code, 'network');
  const newer = release('5.9.3');
  s.server.publish('lib.d.ts', newer);
  s.link.requests.length = 0;
  assertIs(await s.attempt('/lib.d.ts'), newer);
  assert.equal(s.link.requests[0].range, 'bytes=3000-');
  s.server.publish('lib.d.ts', fresh);
  await goBack();
});

test('any byte of a delta flipped: an error or the right file, and the next sync has the right file', async () => {
  const places = [...Array(48).keys()]; // The header, byte by byte.
  for (let at = 48; at < deltaLength; at += 997) places.push(at);
  for (const flip of places) {
    s.link.fault = (request) => (isDelta(request) ? { flip } : undefined);
    const result = await s.attempt('/lib.d.ts');
    s.link.fault = () => undefined;
    if (result.digest) {
      assertIs(result, fresh, `flipped at ${flip}`);
    } else {
      assert.ok(['protocol', 'network'].includes(result.code), `flipped at ${flip}: ${result.code} ${result.message}`);
      await assertStillOld();
    }
    assertIs(await s.attempt('/lib.d.ts'), fresh, `after a flip at ${flip}`);
    await goBack();
  }
});

test('flipped and then cut: the kept bytes are damaged, and the next sync starts anew by itself', async () => {
  s.link.fault = (request) => (isDelta(request) ? { flip: 4_000, cut: 5_000 } : undefined);
  assert.ok((await s.attempt('/lib.d.ts')).code);
  s.link.fault = () => undefined;
  assertIs(await s.attempt('/lib.d.ts'), fresh);
  await goBack();
});

test('a web page in place of a delta is refused', async () => {
  s.link.fault = (request) => (isDelta(request) ? { html: '<h1>Welcome to our hotel</h1>' } : undefined);
  const failed = await s.attempt('/lib.d.ts');
  assert.equal(failed.code, 'protocol');
  assert.match(failed.message, /text\/html.*captive portal/);
  s.link.fault = () => undefined;
  await assertStillOld();
});

for (const [stall, where] of [
  [0, 'before the first byte'],
  [2_500, 'in the middle'],
]) {
  test(`a server that stalls ${where}: the sync gives up at its deadline, and the next one continues`, async () => {
    s.link.fault = (request) => (isDelta(request) ? { stall } : undefined);
    const failed = await s.attempt('/lib.d.ts', { timeout: 500 });
    assert.equal(failed.code, 'network');
    assert.match(failed.message, /500 ms/);
    s.link.fault = () => undefined;
    await assertStillOld();
    assertIs(await s.attempt('/lib.d.ts'), fresh);
    await goBack();
  });
}

test('an abort rejects with its reason and leaves the store whole', async () => {
  s.link.fault = (request) => (isDelta(request) ? { stall: 2_500 } : undefined);
  const reason = await s.page.evaluate(async () => {
    const abort = new AbortController();
    const reports = new Promise((resolve) => {
      const onProgress = resolve;
      globalThis.aborted = sync('/lib.d.ts', { signal: abort.signal, onProgress }).catch((error) => error);
    });
    await reports;
    abort.abort(new Error('enough'));
    return (await aborted).message;
  });
  assert.equal(reason, 'enough');
  s.link.fault = () => undefined;
  await assertStillOld();
  s.link.requests.length = 0;
  assertIs(await s.attempt('/lib.d.ts'), fresh);
  assert.equal(s.link.requests[0].range, 'bytes=2500-');
  await goBack();
});

test('cut so fast that the browser drops bytes: the version stays whole, the next sync succeeds', async () => {
  for (const cut of [10, 1_000, 5_000]) {
    s.link.fault = (request) => (isDelta(request) ? { cut } : undefined);
    assert.equal((await s.attempt('/lib.d.ts')).code, 'network');
    s.link.fault = () => undefined;
    await assertStillOld();
    assertIs(await s.attempt('/lib.d.ts'), fresh);
    await goBack();
  }
});

test('a delta from a version other than the named one is refused', async () => {
  s.server.publish('other.d.ts', release('5.9.3', 'lib.es5.d.ts'));
  const { version } = await s.attempt('/other.d.ts');
  s.server.publish('other.d.ts', fresh);
  s.link.fault = (request) => (isDelta(request) ? { instead: `/other.d.ts.driblet/${version}` } : undefined);
  const failed = await s.attempt('/lib.d.ts');
  s.link.fault = () => undefined;
  assert.equal(failed.code, 'protocol', failed.message);
  await assertStillOld();
});

test('a delta to a version other than the pinned one is refused, by name', async () => {
  const pinned = 'c'.repeat(64);
  s.link.fault = (request) => (isDelta(request) ? { instead: `/lib.d.ts.driblet/${oldVersion}` } : undefined);
  for (const scope of [undefined, 'nothing is held']) {
    const failed = await s.attempt('/lib.d.ts', { version: pinned, scope });
    assert.equal(failed.code, 'protocol', failed.message);
    if (scope === undefined)
      assert.match(failed.message, /the server sent version [0-9a-f]{64}, but version c{64} was asked for/);
  }
  s.link.fault = () => undefined;
  await assertStillOld();
});

test('more than maxBytes is refused, even if the server announces less; the old version stays', async () => {
  const options = { maxBytes: 1_000_000 };
  const honest = await s.attempt('/lib.d.ts', options);
  assert.deepEqual([honest.code, /1000000 allowed/.test(honest.message)], ['protocol', true], honest.message);
  // The length is a varint of three bytes, after two bytes and the version. Its last byte is made small.
  s.link.fault = (request) => (isDelta(request) ? { put: [36, 1] } : undefined);
  const understated = await s.attempt('/lib.d.ts', options);
  assert.equal(understated.code, 'protocol', understated.message);
  s.link.fault = () => undefined;
  await assertStillOld();
});

test('a delta whose ETag is too long for the journal is not resumed, and does no harm', async () => {
  s.link.fault = (request) =>
    isDelta(request) ? { headers: { etag: `"${'e'.repeat(2000)}"` }, cut: 2_000 } : undefined;
  const failed = await s.attempt('/lib.d.ts');
  s.link.fault = () => undefined;
  assert.deepEqual([failed.name, failed.code], ['SyncError', 'network'], failed.message);
  await assertStillOld();
});

test('a server that cannot be reached is a network error', async () => {
  s.link.fault = (request) => (isDelta(request) ? { cut: 0 } : undefined);
  assert.equal((await s.attempt('/lib.d.ts')).code, 'network');
  s.link.fault = () => undefined;
  await assertStillOld();
});
