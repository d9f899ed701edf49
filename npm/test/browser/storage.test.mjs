// Stored versions: listed, deleted, evicted when the disk is full, and cleared by the user.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { launch, open } from '../support/browser.mjs';
import { release } from '../support/driblet.mjs';
import { isDelta } from '../support/proxy.mjs';
import { assertIs, digestOf, useSite } from '../support/site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let origin;

const s = useSite(async () => {
  origin = new URL(s.link.url).origin;
});

/** Lists a store, with times as numbers. */
function listed(store) {
  return s.page.evaluate(
    async (store) =>
      (await list(store)).map((kept) => ({
        ...kept,
        stored: kept.stored.getTime(),
        used: kept.used.getTime(),
        delete: undefined,
      })),
    store,
  );
}

/** Deletes the versions of a path. Returns how many there were. */
function remove(store, path) {
  return s.page.evaluate(
    async ([store, path]) => {
      const found = (await list(store)).filter(({ url }) => new URL(url).pathname === path);
      for (const kept of found) await kept.delete();
      return found.length;
    },
    [store, path],
  );
}

/** Publishes a file of random bytes, which no codec shortens. */
function publishRandom(name, length) {
  const path = join(s.server.root, name);
  writeFileSync(path, randomBytes(length));
  return path;
}

for (const kind of ['browser', 'opfs', 'indexeddb']) {
  describe(`the ${kind} store`, () => {
    const store = { kind, name: `kept-${kind}` };
    const attempt = (path, options) => s.attempt(path, { store, ...options });

    test('lists its versions, the latest first, with URL, version, length and times', async () => {
      const before = Date.now();
      s.server.publish('listed.d.ts', old);
      publishRandom('listed.bin', 1000);
      assert.deepEqual(await listed(store), []);
      const first = await attempt('listed.d.ts');
      const second = await attempt('listed.bin?q=1', { scope: 'ann\nand bob' });
      const found = await listed(store);
      const { href } = new URL('listed.bin?q=1', s.link.url);
      assert.deepEqual(
        found.map(({ url, scope, version, length }) => ({ url, scope, version, length })),
        [
          { url: href, scope: 'ann\nand bob', version: second.version, length: 1000 },
          {
            url: new URL('listed.d.ts', s.link.url).href,
            scope: undefined,
            version: first.version,
            length: first.length,
          },
        ],
      );
      for (const { stored, used } of found)
        assert.ok(before <= stored && stored <= Date.now() && used === stored, `${stored}, ${used}`);
    });

    test('deletes one version and no other; the next sync fetches it again', async () => {
      s.server.publish('deleted.d.ts', old);
      s.server.publish('stays.d.ts', old);
      await attempt('deleted.d.ts');
      await attempt('stays.d.ts');
      assert.equal(await remove(store, '/deleted.d.ts'), 1);
      assert.equal(await remove(store, '/deleted.d.ts'), 0);
      const again = await attempt('deleted.d.ts');
      assertIs(again, old);
      assert.deepEqual([again.cost.basis, again.cost.requests], ['none', 1]);
      assert.equal((await attempt('stays.d.ts')).cost.basis, 'same');
    });

    test('deletes a version that a handle reads when the handle is done with it', async () => {
      s.server.publish('read.d.ts', old);
      await s.page.evaluate(async (store) => {
        globalThis.reading = await sync('/read.d.ts', { store });
        await reading.stored;
        await reading.bytes(); // Later reads come from the store.
      }, store);
      assert.equal(await remove(store, '/read.d.ts'), 1);
      assert.equal(
        (await listed(store)).some(({ url }) => url.endsWith('/read.d.ts')),
        false,
      );
      assert.equal(await s.page.evaluate(async () => digest(await reading.bytes())), digestOf(old));
      // A new sync beside it stores the same version in another file.
      assert.equal((await attempt('read.d.ts')).cost.basis, 'none');
      assert.equal(await s.page.evaluate(async () => digest(await reading.bytes())), digestOf(old));
      await s.page.evaluate(() => reading.close());
    });

    test('a quota of 5 MB: the versions used longest ago are evicted, but none that a handle reads', async () => {
      // Browsers remember for a while how much room there was. This one never had more.
      const other = await launch();
      try {
        const page = await open(other, s.link.url);
        const session = await other.context.newCDPSession(page);
        await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 5_000_000 });
        const store = { kind, name: 'full' };
        const attempt = (name) => page.evaluate(([name, store]) => attempt(`/${name}.bin`, { store }), [name, store]);
        const names = () =>
          page.evaluate(
            async (store) => (await list(store)).map(({ url }) => /(\w)\.bin$/.exec(url)[1]).join(''),
            store,
          );
        const all = 'abcdefghijkl';
        publishRandom('a.bin', 700_000);
        await page.evaluate(async (store) => {
          globalThis.reading = await sync('/a.bin', { store });
          await reading.stored;
        }, store);
        for (const name of all.slice(1)) {
          const path = publishRandom(`${name}.bin`, 700_000);
          const synced = await attempt(name);
          assertIs(synced, path);
          assert.equal(synced.warning, undefined, name);
        }
        const kept = await names();
        assert.match(kept, /^l.*a$/);
        assert.ok(kept.length < 8, kept);
        assert.ok([...all].reverse().join('').startsWith(kept.slice(0, -1)), kept);
        await page.evaluate(() => reading.close());
        // A version that does not fit even when all others are evicted is delivered all the same.
        const large = publishRandom('large.bin', 6_000_000);
        const delivered = await attempt('large');
        assertIs(delivered, large);
        assert.match(delivered.warning, /no room.*in memory only/);
      } finally {
        await other.close();
      }
    });

    test("the user clears the site's data: handles reject, and syncs fetch the files again", async () => {
      // If files are open, Chromium may never finish clearing them, so this test has its own browser.
      const other = await launch();
      try {
        const page = await open(other, s.link.url);
        s.server.publish('cleared.d.ts', old);
        await page.evaluate(async (store) => {
          configure({ workerTimeout: 4000 });
          globalThis.cleared = await sync('/cleared.d.ts', { store });
          await cleared.stored;
          await cleared.bytes();
        }, store);
        await (await other.context.newCDPSession(page)).send('Storage.clearDataForOrigin', {
          origin,
          storageTypes: 'all',
        });
        assert.equal(
          await page.evaluate(() =>
            cleared.bytes().then(
              () => 'read',
              ({ code }) => code,
            ),
          ),
          'store',
        );
        // The browser continues to clear for a moment after it has answered: syncs may lose their stored version, or
        // their worker.
        const bases = [];
        while (bases.length < 6 && bases.at(-1) !== 'same') {
          const next = await page.evaluate((store) => attempt('/cleared.d.ts', { store, timeout: 1000 }), store);
          if (next.code !== 'store') assertIs(next, old);
          bases.push(next.cost?.basis ?? next.code);
        }
        assert.deepEqual([bases[0] === 'same', bases.at(-1)], [false, 'same'], bases.join());
      } finally {
        await other.close();
      }
    });
  });
}

test('a page without stores lists nothing; memory is not listed', async () => {
  assert.deepEqual(await listed({ kind: 'browser', name: 'never' }), []);
  assert.equal(await s.page.evaluate(() => list(memoryStore()).catch(({ name }) => name)), 'TypeError');
});

test('the browser tells usage and quota, and promises to keep the data if it may', async () => {
  // In a browser in which nothing else runs.
  const other = await launch();
  try {
    const page = await open(other, s.link.url);
    publishRandom('estimated.bin', 3_000_000);
    const before = await page.evaluate(() => estimate());
    await page.evaluate(() => attempt('estimated.bin', { store: opfsStore('estimated') }));
    const after = await page.evaluate(() => estimate());
    assert.ok(3_000_000 <= after.usage - before.usage, `${before.usage}, ${after.usage}`);
    assert.ok(after.usage < after.quota);
    await other.context.grantPermissions(['persistent-storage'], { origin }).catch(() => {});
    const persisted = await page.evaluate(() => persist());
    assert.equal((await page.evaluate(() => estimate())).persisted, persisted);
  } finally {
    await other.close();
  }
});

test('if the browser forbids one place, the other one is listed', async () => {
  publishRandom('elsewhere.bin', 1000);
  await s.attempt('elsewhere.bin', { store: { kind: 'indexeddb', name: 'elsewhere' } });
  const page = await open(s.browser, s.link.url);
  const urls = await page.evaluate(async () => {
    const urls = async () => (await list(browserStore('elsewhere'))).map(({ url }) => new URL(url).pathname);
    StorageManager.prototype.getDirectory = () => Promise.reject(new DOMException('not here', 'SecurityError'));
    const forbidden = await urls();
    delete StorageManager.prototype.getDirectory;
    return [forbidden, await urls()];
  });
  assert.deepEqual(urls, [['/elsewhere.bin'], ['/elsewhere.bin']]);
  await page.close();
});

test('a version in both places is listed once, and deleted in both', async () => {
  publishRandom('both.bin', 1000);
  for (const kind of ['indexeddb', 'opfs']) await s.attempt('both.bin', { store: { kind, name: 'both' } });
  const store = { kind: 'browser', name: 'both' };
  assert.equal((await listed(store)).length, 1);
  assert.equal(await remove(store, '/both.bin'), 1);
  assert.deepEqual(await listed(store), []);
});

/** Syncs into a store while the clock moves. Runs in the thread whose clock it sets. */
const GOING = `async (kind) => {
  const [driblet, { list }] = await Promise.all([import('/.driblet/inline.js'), import('/.driblet/store.js')]);
  const store = driblet[kind]('clock');
  const now = Date.now();
  const seen = [];
  for (const clock of [now, now - 86_400_000, now + 86_400_000, now + 86_500_000]) {
    Date.now = () => clock;
    const handle = await driblet.sync('/clock.bin', { store });
    await handle.stored;
    handle.close();
    const [{ stored, used }] = await list(store);
    seen.push([handle.cost.basis, stored - now, used - now]);
  }
  return seen;
}`;

for (const [kind, place] of [
  ['indexedDbStore', 'page'],
  ['opfsStore', 'worker'],
]) {
  test(`a clock that was set back, ${kind}: versions are kept and listed, and uses are recorded`, async () => {
    publishRandom('clock.bin', 1000);
    writeFileSync(
      join(s.server.root, 'clock.js'),
      `(${GOING})('${kind}').then(postMessage, (error) => postMessage(String(error)));`,
    );
    const page = await s.browser.context.newPage();
    await page.goto(s.link.url);
    const times = await page.evaluate(
      ([going, kind, place]) => {
        if (place === 'page') return (0, eval)(going)(kind);
        return new Promise((resolve) =>
          Object.assign(new Worker('/clock.js', { type: 'module' }), { onmessage: ({ data }) => resolve(data) }),
        );
      },
      [GOING, kind, place],
    );
    await page.close();
    assert.deepEqual(times, [
      ['none', 0, 0],
      ['same', 0, -86_400_000],
      ['same', 0, 86_400_000],
      ['same', 0, 86_400_000],
    ]);
  });
}

test('fifty syncs at once, of ten files: each gets its bytes, and each file is transferred once', async () => {
  const paths = Array.from({ length: 10 }, (_, index) => publishRandom(`many-${index}.bin`, 100_000 + index));
  const before = s.link.requests.length;
  const digests = await s.page.evaluate(() =>
    Promise.all(
      Array.from({ length: 50 }, (_, index) => attempt(`/many-${index % 10}.bin`).then(({ digest }) => digest)),
    ),
  );
  assert.deepEqual(
    digests,
    Array.from({ length: 50 }, (_, index) => digestOf(paths[index % 10])),
  );
  const asked = s.link.requests.slice(before).map(({ path }) => path);
  assert.equal(asked.filter((path) => path.endsWith('/none')).length, 10);
});

test('offline, then online: a network error at once, and then the sync succeeds', async () => {
  s.server.publish('offline.d.ts', old);
  const { version } = await s.attempt('offline.d.ts');
  s.server.publish('offline.d.ts', fresh);
  await s.browser.context.setOffline(true);
  try {
    const failed = await s.attempt('offline.d.ts');
    assert.deepEqual([failed.name, failed.code], ['SyncError', 'network']);
    assertIs(await s.attempt('offline.d.ts', { version }), old);
  } finally {
    await s.browser.context.setOffline(false);
  }
  assertIs(await s.attempt('offline.d.ts'), fresh);
});

for (const kind of ['indexeddb', 'opfs']) {
  test(`the user clears the site's data while a delta comes into the ${kind} store: the sync ends with an error, the next one gets the bytes`, async () => {
    // If files are open, Chromium never finishes clearing them, so this test has its own browser.
    const other = await launch();
    try {
      const page = await open(other, s.link.url);
      const name = `clearing-${kind}.d.ts`;
      const attempt = (options) =>
        page.evaluate(
          ([name, store, options]) => attempt(name, { store, ...options }),
          [name, { kind, name }, options],
        );
      await page.evaluate(() => configure({ workerTimeout: 4000 }));
      s.server.publish(name, old);
      const { version } = await attempt();
      s.server.publish(name, fresh);
      await (await fetch(new URL(`${name}.driblet/${version}`, s.server.url))).arrayBuffer(); // The delta is made now, so the next request for it is answered at once.
      s.link.fault = (request) => (isDelta(request) ? { stall: 10_000 } : undefined);
      const cut = page.evaluate(
        ([name, store]) => {
          return attempt(name, {
            store,
            timeout: 1000,
            onProgress: ({ received }) => (globalThis.came ||= 10_000 <= received),
          });
        },
        [name, { kind, name }],
      );
      await page.waitForFunction(() => globalThis.came, null, { polling: 10 });
      await (await other.context.newCDPSession(page)).send('Storage.clearDataForOrigin', {
        origin,
        storageTypes: 'all',
      });
      const { code, message } = await cut;
      // Chromium may hang in closing the files.
      if (kind === 'indexeddb' || code === 'network')
        assert.deepEqual(
          [code, message],
          ['network', 'reading the answer: the server sent nothing for 1000 ms; sync again to continue'],
        );
      else assert.equal(code, 'store', message);
      s.link.fault = () => undefined;
      assertIs(await attempt(), fresh);
    } finally {
      await other.close();
    }
  });
}
