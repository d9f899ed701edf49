// The request that a page makes while its worker starts: used, dropped, cut, stalled, cancelled.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from '../support/browser.mjs';
import { lengthOf, lengthOfDiff, release, whenDeltaIs } from '../support/driblet.mjs';
import { isDelta } from '../support/proxy.mjs';
import { assertIs, digestOf, useSite } from '../support/site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
const s = useSite();

/**
 * A new page, after another page has stored the old version and a fresh one was published. It syncs into the same
 * store.
 */
async function returning(name) {
  const options = { store: { kind: 'opfs', name } };
  s.server.publish(name, old);
  const stored = await s.attempt(name, options);
  assertIs(stored, old);
  s.server.publish(name, fresh);
  const page = await open(s.browser, s.link.url);
  return {
    page,
    version: stored.version,
    sync: (more = {}) => page.evaluate(([name, options]) => attempt(name, options), [name, { ...options, ...more }]),
    /** The version that the other page finds without a request. */
    async assertStillOld() {
      const still = await s.attempt(name, { ...options, version: stored.version });
      assert.deepEqual([still.digest, still.cost.requests], [digestOf(old), 0]);
    },
  };
}

/** Makes the answer to a request for a delta stall. Resolves when the browser has closed its end. */
function stalled(at) {
  return new Promise((gone) => {
    s.link.fault = (request) => (isDelta(request) ? { stall: at, gone } : undefined);
  });
}

test('the page asks once, and its answer is used', async () => {
  const visitor = await returning('used');
  s.link.requests.length = 0;
  const found = await visitor.sync();
  assertIs(found, fresh);
  assert.deepEqual([found.cost.basis, found.cost.requests], ['version', 1]);
  assert.equal(s.link.requests.filter(isDeltaPath).length, 1);
  // The worker's own requests are in the worker's timeline.
  const asked = await visitor.page.evaluate(() => performance.getEntriesByType('resource').map(({ name }) => name));
  assert.equal(asked.filter((name) => name.endsWith(visitor.version)).length, 1);
  await visitor.page.close();
});

test('the server is busy when the page asks: the worker asks again', async () => {
  const visitor = await returning('busy');
  let left = 1;
  s.link.fault = (request) => (isDelta(request) && 0 < left-- ? { busy: '0' } : undefined);
  const found = await visitor.sync();
  s.link.fault = () => undefined;
  assertIs(found, fresh);
  assert.deepEqual([found.cost.basis, found.cost.requests], ['version', 2]);
  await visitor.page.close();
});

for (const at of [0, 2_500]) {
  test(`cut at ${at}: a network error, the version stays whole, the next sync succeeds`, async () => {
    const visitor = await returning(`cut-${at}`);
    s.link.fault = (request) => (isDelta(request) ? { cut: at } : undefined);
    const failed = await visitor.sync();
    s.link.fault = () => undefined;
    assert.deepEqual([failed.name, failed.code], ['SyncError', 'network'], failed.message);
    await visitor.assertStillOld();
    assertIs(await visitor.sync(), fresh);
    await visitor.page.close();
  });

  test(`stalled at ${at}: the deadline ends the sync and the request, the next sync succeeds`, async () => {
    const visitor = await returning(`stall-${at}`);
    const gone = stalled(at);
    const failed = await visitor.sync({ timeout: 500 });
    assert.deepEqual([failed.name, failed.code], ['SyncError', 'network']);
    assert.match(failed.message, /500 ms/);
    await gone;
    s.link.fault = () => undefined;
    await visitor.assertStillOld();
    assertIs(await visitor.sync(), fresh);
    await visitor.page.close();
  });
}

test('the noted version is no longer stored: the answer is dropped, and counted', async () => {
  const name = 'dropped';
  const visitor = await returning(name);
  await s.page.evaluate(
    async (folder) => (await navigator.storage.getDirectory()).removeEntry(folder, { recursive: true }),
    name,
  );
  const [delta, whole] = [visitor.version, 'none'].map((from) => new URL(`${name}.driblet/${from}`, s.server.url));
  const best = lengthOfDiff(old, fresh);
  await whenDeltaIs(best, delta);
  const sizes = [best, await lengthOf(whole)];
  const found = await visitor.sync();
  assertIs(found, fresh);
  assert.deepEqual([found.cost.basis, found.cost.requests, found.cost.received], ['none', 2, sizes[0] + sizes[1]]);
  await visitor.page.close();
});

test('a sync that fails before it takes the answer ends the request', async () => {
  const name = 'unused';
  const visitor = await returning(name);
  await s.page.evaluate(
    async ([folder, version]) => {
      // A folder in the place of the version's file.
      const { name, directory } = (await files()).find(
        ({ path, name }) => path.startsWith(`/${folder}/`) && name.startsWith(version),
      );
      await directory.removeEntry(name);
      await directory.getDirectoryHandle(name, { create: true });
    },
    [name, visitor.version],
  );
  const gone = stalled(2_500);
  s.link.requests.length = 0;
  assert.equal((await visitor.sync()).code, 'store');
  // If the sync fails before the request is sent, there is no request to end.
  if (s.link.requests.some(isDeltaPath)) await gone;
  s.link.fault = () => undefined;
  await visitor.page.close();
});

function isDeltaPath({ path }) {
  return isDelta({ url: path });
}
