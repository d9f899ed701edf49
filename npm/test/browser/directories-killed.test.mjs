// Tabs that are closed in the middle of a sync of a directory: what is stored is one version, whole, and the next sync
// continues.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch } from '../support/browser.mjs';
import { openDirectories } from '../support/directorypage.mjs';
import { serve } from '../support/driblet.mjs';
import { install } from '../support/installed.mjs';
import { proxyTo } from '../support/proxy.mjs';
import { directoryStoppingIn, publishDirectoryStop, stops } from '../support/stop.mjs';
import { treeIn, writeSite } from '../support/tree.mjs';

/** Calls in which tabs are closed, for each kind of store. DRIBLET_KILLS replaces it. */
const KILLS = Number(process.env.DRIBLET_KILLS ?? 16);
/** Calls that a sync makes at most: beyond them, the tab is closed when the sync is done. */
const CALLS = { opfs: 12, indexeddb: 8 };

let server;
let link;
let browser;
let page;
let packed;

before(async () => {
  server = await serve('--directory', 'opfs', '--directory', 'indexeddb');
  link = await proxyTo(server);
  packed = install();
  packed.publish(server);
  publishDirectoryStop(server);
  browser = await launch();
  page = await openDirectories(browser, link.url);
});
after(async () => {
  await browser?.close();
  await link?.close();
  await server?.close();
  packed?.remove();
});

const attempt = (path, options) => page.evaluate(([path, options]) => attemptDirectory(path, options), [path, options]);

/** Syncs in a new tab, and closes it when its worker is in the nth call that changes the store, or is done. */
async function closeIn(nth, path, store) {
  const tab = await openDirectories(browser, link.url);
  const { stopped } = stops(link);
  const synced = tab
    .evaluate(
      ([path, options]) => attemptDirectory(path, options),
      [path, { store, directoryWorkerUrl: directoryStoppingIn(nth) }],
    )
    .catch(() => {}); // The tab is closed meanwhile.
  const isDone = await Promise.race([stopped().then(() => false), synced.then(() => true)]);
  link.fault = () => undefined;
  await tab.close();
  return isDone;
}

/** The version that the store lists. */
const listed = (store) => page.evaluate(async (store) => (await list(store)).map(({ version }) => version)[0], store);

for (const kind of ['opfs', 'indexeddb']) {
  describe(`tabs that are closed, ${kind}`, () => {
    test(`in ${KILLS} calls: never a mixed directory, and the next sync continues`, async () => {
      const folder = treeIn(server, kind);
      const store = { kind, name: `killed-${kind}` };
      let state = 1;
      const random = (below) => {
        state = (state * 48_271) % 2_147_483_647;
        return 1 + (state % below);
      };
      let [seed, interrupted] = [0, 0];
      const next = async () => {
        seed += 1;
        // Each version changes half of the files, adds some and removes some.
        writeSite(folder, 1);
        for (let number = seed % 2; number < 40; number += 2)
          folder.write(`assets/chunk-${number}.js`, `// ${number} of ${seed}`);
        folder.write(`added-${seed}.js`, `added ${seed}`);
        if (1 < seed) folder.remove(`added-${seed - 1}.js`);
        await folder.publish();
      };
      await next();
      // First syncs too, into stores of their own.
      for (let kill = 0; kill < KILLS / 4; kill += 1) {
        const own = { kind, name: `killed-first-${kind}-${kill}` };
        const isDone = await closeIn(random(CALLS[kind]), folder.path, own);
        interrupted += isDone ? 0 : 1;
        const synced = await attempt(folder.path, { store: own });
        assert.deepEqual(synced.files ?? synced.message, folder.digests());
        if (isDone) assert.equal(synced.cost.reused, synced.length);
      }
      let before = await attempt(folder.path, { store });
      for (let kill = 0; kill < KILLS; kill += 1) {
        await next();
        const nth = random(CALLS[kind]);
        const isDone = await closeIn(nth, folder.path, store);
        interrupted += isDone ? 0 : 1;
        // Read without a request: the old version or the new one, and nothing else.
        const version = await listed(store);
        const still = await attempt(folder.path, { store, version });
        const expected = version === before.version ? before.files : folder.digests();
        assert.deepEqual([still.files ?? still.message, still.cost?.requests], [expected, 0], `call ${nth}`);
        if (isDone) assert.notEqual(version, before.version);
        const synced = await attempt(folder.path, { store });
        assert.deepEqual(synced.files ?? synced.message, folder.digests(), `after call ${nth}`);
        before = synced;
      }
      assert.ok(KILLS / 2 < interrupted, `${interrupted} were in the middle`);
      // Nothing is left over: a sync tidies up before the next one begins.
      await attempt(folder.path, { store });
      const { bytes } = await page.evaluate((name) => packs.measure(name), store.name);
      assert.ok(bytes <= 4 * before.length, `${bytes} bytes for ${before.length}`);
    });
  });
}
