// The main path of directories, in browsers other than Chromium.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { DIRECTORIES, preparePage } from './directorypage.mjs';
import { serve } from './driblet.mjs';
import { install } from './installed.mjs';
import { proxyTo } from './proxy.mjs';
import { treeIn, writeSite } from './tree.mjs';

/** Tests directories with the kinds of store of a browser; see `testMainPath`. */
export function testDirectories(launch, kinds, beforehand = () => {}) {
  let server;
  let link;
  let packed;
  let browser;
  let page;

  const open = async () => {
    page = await browser.open(link.url);
    await preparePage(page, DIRECTORIES.installed);
  };

  before(async () => {
    server = await serve(...kinds.flatMap((kind) => ['--directory', kind]));
    beforehand(server);
    packed = install();
    packed.publish(server);
    link = await proxyTo(server); // The link keeps its address when the server starts anew.
    browser = await launch(link.url);
    await open();
  });
  after(async () => {
    await browser?.close();
    await link?.close();
    await server?.close();
    packed?.remove();
  });

  for (const kind of kinds) {
    test(`directories in the ${kind} store: a first sync, the same, changed files, a version that the server has forgotten, damage`, async () => {
      const folder = treeIn(server, kind);
      const store = { kind, name: `main-${kind}` };
      const attempt = () =>
        page.evaluate((path, store) => globalThis.attemptDirectory(path, { store }), folder.path, store);
      const assertIs = (result) => assert.deepEqual(result.files ?? result.message, folder.digests());
      writeSite(folder, 1);
      await folder.publish();
      const first = await attempt();
      assertIs(first);
      assert.deepEqual([first.warning ?? undefined, first.cost.reused], [undefined, 0]);
      const same = await attempt();
      assert.deepEqual([same.version, same.cost.requests, same.cost.reused], [first.version, 1, first.length]);
      folder.write('assets/chunk-5.js', 'changed');
      folder.move('copy', 'moved');
      await folder.publish();
      const next = await attempt();
      assertIs(next);
      assert.deepEqual([next.cost.requests, next.cost.received < 3000], [1, true]);
      folder.write('assets/chunk-6.js', 'changed too');
      await server.forget();
      await page.close();
      await open();
      const held = await attempt();
      assertIs(held);
      assert.equal(held.cost.requests, kind === 'memory' ? 1 : 3);
      if (kind !== 'indexeddb') return;
      await page.evaluate((name) => globalThis.packs.damage(name, 'delete'), store.name);
      assertIs(await attempt());
    });
  }
}
