// Directories in Chromium: the contract with each kind of store, and what only browsers have.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertNothingLeft, launch } from '../support/browser.mjs';
import { contractFolders, testContract } from '../support/directorycontract.mjs';
import { openDirectories } from '../support/directorypage.mjs';
import { serve } from '../support/driblet.mjs';
import { install } from '../support/installed.mjs';
import { proxyTo } from '../support/proxy.mjs';
import { treeIn, writeSite } from '../support/tree.mjs';

const KINDS = ['browser', 'opfs', 'indexeddb', 'memory'];
const OWN = ['tabs', 'list', 'streams', 'persist'];

let packed;
const openPage = () => openDirectories(s.browser, s.link.url);

const s = {
  attempt: (path, options) => s.page.evaluate(([path, options]) => attemptDirectory(path, options), [path, options]),
  async hold(path, options) {
    const handle = await s.page.evaluateHandle(([path, options]) => syncDirectory(path, options), [path, options]);
    return {
      files: () => handle.evaluate((directory) => digests(directory)),
      close: () => handle.evaluate((directory) => directory.close()),
    };
  },
};

before(async () => {
  const own = OWN.flatMap((name) => ['--directory', name]);
  s.server = await serve(...KINDS.flatMap(contractFolders), ...own);
  s.link = await proxyTo(s.server);
  s.browser = await launch();
  packed = install();
  packed.publish(s.server);
  s.page = await openPage();
});
after(async () => {
  try {
    if (s.page) await assertNothingLeft(s.page, 2); // One worker for files, one for directories.
  } finally {
    await s.browser?.close();
    await s.link?.close();
    await s.server?.close();
    packed?.remove();
  }
});

const onDisk = {
  damage: ({ store }, how) => s.page.evaluate(([name, how]) => packs.damage(name, how), [store.name, how]),
  packed: ({ store }) => s.page.evaluate((name) => packs.measure(name).then(({ bytes }) => bytes), store.name),
};

let stores = 0;
function storeOf(kind) {
  stores += 1;
  return { store: { kind, name: `directories-${stores}` } };
}

for (const kind of KINDS)
  testContract(kind, kind === 'memory' ? s : Object.assign(Object.create(s), onDisk), () => storeOf(kind));

const attempt = (folder, options) => s.attempt(folder.path, options);

function assertIs(result, folder) {
  assert.equal(result.message, undefined);
  assert.deepEqual(result.files, folder.digests());
}

test('packs are files in workers, and in the database for IndexedDB', async () => {
  const folder = treeIn(s.server, 'tabs');
  writeSite(folder, 3);
  await folder.publish();
  for (const [kind, files, pieces] of [
    ['browser', 1, 0],
    ['opfs', 1, 0],
    ['indexeddb', 0, 1],
  ]) {
    const { store } = storeOf(kind);
    assertIs(await attempt(folder, { store }), folder);
    const { bytes, ...counts } = await s.page.evaluate((name) => packs.measure(name), store.name);
    assert.deepEqual(counts, { files, pieces }, kind);
    assert.ok(0 < bytes);
  }
});

test('two tabs at once: one fetches, both have the version, and each stays on its own', async () => {
  const folder = treeIn(s.server, 'tabs');
  writeSite(folder, 4);
  await folder.publish();
  const { store } = storeOf('browser');
  const other = await openPage();
  const both = await Promise.all(
    [s.page, other].map((page) =>
      page.evaluate(([path, store]) => attemptDirectory(path, { store }), [folder.path, store]),
    ),
  );
  for (const each of both) assertIs(each, folder);
  const reused = both.map(({ cost }) => cost.reused).sort((a, b) => a - b);
  assert.deepEqual(reused, [0, both[0].length]);

  const before = folder.digests();
  const held = await other.evaluateHandle(([path, store]) => syncDirectory(path, { store }), [folder.path, store]);
  for (const seed of [5, 6, 7]) {
    writeSite(folder, seed);
    await folder.publish();
    assertIs(await attempt(folder, { store }), folder);
  }
  assert.deepEqual(await held.evaluate((directory) => digests(directory)), before);
  await other.close();
  // The closed tab's locks are gone, so its packs are.
  writeSite(folder, 8);
  await folder.publish();
  const last = await attempt(folder, { store });
  assertIs(last, folder);
  const { bytes } = await s.page.evaluate((name) => packs.measure(name), store.name);
  assert.ok(bytes <= 4 * last.length, `${bytes} bytes for ${last.length}`);
});

test('a stream is read to its end while other syncs compact the packs', async () => {
  const folder = treeIn(s.server, 'streams');
  const { store } = storeOf('browser');
  folder.write('long.bin', Buffer.alloc(9_000_000, 'long'));
  writeSite(folder, 1);
  await folder.publish();
  const before = folder.digests();
  await s.page.evaluate(
    async ([path, store]) => {
      const directory = await syncDirectory(path, { store });
      globalThis.reader = directory.stream('long.bin').getReader();
      globalThis.came = [(await reader.read()).value];
      directory.close();
    },
    [folder.path, store],
  );
  folder.remove('long.bin');
  for (const seed of [2, 3, 4]) {
    writeSite(folder, seed);
    await folder.publish();
    assertIs(await attempt(folder, { store }), folder);
  }
  const digest = await s.page.evaluate(async () => {
    for (let next = await reader.read(); !next.done; next = await reader.read()) came.push(next.value);
    return globalThis.digest(await new Blob(came).arrayBuffer());
  });
  assert.equal(digest, before['long.bin']);
  // Now nobody reads the pack.
  writeSite(folder, 5);
  await folder.publish();
  assertIs(await attempt(folder, { store }), folder);
  const { bytes } = await s.page.evaluate((name) => packs.measure(name), store.name);
  assert.ok(bytes < 9_000_000, `${bytes} bytes`);
});

test('directories are listed beside files, and deleted', async () => {
  const folder = treeIn(s.server, 'list');
  writeSite(folder, 1);
  await folder.publish();
  const { store } = storeOf('browser');
  const synced = await attempt(folder, { store });
  await s.page.evaluate(([path, store]) => attempt(path, { store }), [`${folder.path}index.html`, store]);
  const listed = () =>
    s.page.evaluate(async (store) => {
      const kept = await list(store);
      return kept
        .map(({ url, scope, version, length, files }) => ({
          path: new URL(url).pathname,
          scope,
          version,
          length,
          files,
        }))
        .sort((a, b) => a.path.length - b.path.length);
    }, store);
  const [directory, file] = await listed();
  const { version, length } = synced;
  assert.deepEqual(directory, { path: '/list/', scope: undefined, version, length, files: 43 });
  assert.deepEqual([file.path, file.files], ['/list/index.html', undefined]);
  await s.page.evaluate(async (store) => {
    for (const kept of await list(store)) if (kept.files !== undefined) await kept.delete();
  }, store);
  assert.deepEqual(
    (await listed()).map(({ path }) => path),
    ['/list/index.html'],
  );
  const { bytes } = await s.page.evaluate((name) => packs.measure(name), store.name);
  assert.equal(bytes, 0);
  assert.equal((await attempt(folder, { store })).cost.reused, 0);
  // A list of another store creates no database.
  const names = await s.page.evaluate(async () => {
    await list({ kind: 'browser', name: 'never-used' });
    return (await indexedDB.databases()).map(({ name }) => name);
  });
  assert.ok(!names.some((name) => name === 'never-used directories'));
});

test('a page asks for persistent storage once it has stored more than 10 MiB', async () => {
  const folder = treeIn(s.server, 'persist');
  writeSite(folder, 1);
  await folder.publish();
  const page = await openPage();
  await page.evaluate(() => {
    globalThis.asked = 0;
    navigator.storage.persist = async () => (asked += 1) < 2;
  });
  const { store } = storeOf('browser');
  const run = () => page.evaluate(([path, store]) => attemptDirectory(path, { store }), [folder.path, store]);
  assert.equal((await run()).persisted, false);
  folder.write('long.bin', Buffer.alloc(11_000_000, 'long'));
  await folder.publish();
  assert.deepEqual([(await run()).persisted, (await run()).persisted], [true, true]);
  assert.equal(await page.evaluate(() => asked), 1);
  await page.close();
});

test('without a worker the engine runs in the page, and reads packs in files', async () => {
  const folder = treeIn(s.server, 'tabs');
  const { store } = storeOf('browser');
  assertIs(await attempt(folder, { store }), folder);
  const page = await openPage();
  await page.evaluate(() => {
    globalThis.Worker = class {
      constructor() {
        throw new Error('no workers here');
      }
    };
  });
  const run = () => page.evaluate(([path, store]) => attemptDirectory(path, { store }), [folder.path, store]);
  const same = await run();
  assertIs(same, folder);
  assert.equal(same.cost.reused, same.length);
  writeSite(folder, 9);
  await folder.publish();
  const next = await run();
  assertIs(next, folder);
  assert.equal(next.warning, undefined);
  await page.close();
  assertIs(await attempt(folder, { store }), folder);
});
