// Directories in a small quota.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from '../support/browser.mjs';
import { openDirectories } from '../support/directorypage.mjs';
import { serve } from '../support/driblet.mjs';
import { install } from '../support/installed.mjs';
import { proxyTo } from '../support/proxy.mjs';
import { randomBytes, treeIn } from '../support/tree.mjs';

const NAMES = [...'abcdefg'];
let server;
let link;
let packed;

before(async () => {
  server = await serve(...[...NAMES, 'large'].flatMap((name) => ['--directory', name]));
  link = await proxyTo(server);
  packed = install();
  packed.publish(server);
});
after(async () => {
  await link?.close();
  await server?.close();
  packed?.remove();
});

for (const kind of ['opfs', 'indexeddb']) {
  test(`a quota of 5 MB, ${kind}: what was used longest ago is evicted, directories and files, but nothing that is read`, async () => {
    const browser = await launch();
    try {
      const page = await openDirectories(browser, link.url);
      const session = await browser.context.newCDPSession(page);
      await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(link.url).origin, quotaSize: 5_000_000 });
      const store = { kind, name: 'full' };
      /** In a page of its own: Chromium frees blobs of its database only when no script has them any more. */
      const attempt = async (path) => {
        const own = await openDirectories(browser, link.url);
        try {
          return await own.evaluate(([path, store]) => attemptDirectory(path, { store }), [path, store]);
        } finally {
          await own.close();
        }
      };
      const publish = async (name, length) => {
        const folder = treeIn(server, name);
        for (let number = 0; number < 4; number += 1)
          folder.write(`${number}.bin`, randomBytes(number * 1000 + name.charCodeAt(0), length / 4));
        await folder.publish();
        return folder;
      };
      const listed = () =>
        page.evaluate(async (store) => (await list(store)).map(({ url }) => new URL(url).pathname), store);

      const first = await publish('a', 800_000);
      const held = await page.evaluateHandle(([path, store]) => syncDirectory(path, { store }), [first.path, store]);
      writeFileSync(join(server.root, 'file.bin'), randomBytes(99, 800_000));
      await page.evaluate(
        (store) => sync('/file.bin', { store }).then((handle) => handle.stored.then(handle.close)),
        store,
      );
      for (const name of NAMES.slice(1)) {
        const folder = await publish(name, 800_000);
        const synced = await attempt(folder.path);
        assert.deepEqual(synced.files ?? synced.message, folder.digests(), name);
        assert.equal(synced.warning, undefined, name);
      }
      const kept = await listed();
      assert.ok(kept.includes('/a/') && kept.includes('/g/'), kept.join());
      assert.ok(!kept.includes('/file.bin') && !kept.includes('/b/'), kept.join());
      assert.deepEqual(await held.evaluate((directory) => digests(directory)), first.digests());
      await held.evaluate((directory) => directory.close());

      // A directory that does not fit even when all others are evicted is delivered all the same.
      const large = await publish('large', 7_200_000);
      const delivered = await attempt(large.path);
      assert.deepEqual(delivered.files ?? delivered.message, large.digests());
      assert.match(delivered.warning, /no room.*in memory only/);
    } finally {
      await browser.close();
    }
  });
}
