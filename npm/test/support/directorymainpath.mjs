// The main path of directories, in browsers other than Chromium.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { activate } from './activate.mjs';
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

/** Tests a service worker that serves a directory: a page in a frame opens offline, and stays on its version. */
export function testServing(launch, beforehand = () => {}) {
  let server;
  let link;
  let browser;

  before(async () => {
    server = await serve('--directory', 'app');
    beforehand(server);
    link = await proxyTo(server);
    const script = "importScripts('/.driblet/service-worker.js');\ndriblet.serveDirectory('/app/');\n";
    writeFileSync(join(server.root, 'worker.js'), script);
    writeFileSync(join(server.root, 'index.html'), '<!doctype html><title>start</title>');
    browser = await launch(link.url);
  });
  after(async () => {
    await browser?.close();
    await link?.close();
    await server?.close();
  });

  test('a service worker serves a directory: pages open offline, and stay on their version', async () => {
    const folder = treeIn(server, 'app');
    const release = async (number) => {
      for (const old of number === 1 ? [] : [`lazy-${number - 1}.js`]) folder.remove(old);
      folder.write('index.html', `<!doctype html><title>release ${number}</title>`);
      folder.write(`lazy-${number}.js`, `export const release = ${number};`);
      await folder.publish();
    };
    await release(1);
    const page = await browser.open(link.url);
    await page.evaluate(activate, { script: '/worker.js', scope: '/app/' });
    /** Opens a page of the directory in a frame. */
    const show = (name) =>
      page.evaluate(async (name) => {
        const frame = document.createElement('iframe');
        const loaded = new Promise((resolve) => frame.addEventListener('load', resolve));
        Object.assign(frame, { src: `/app/?${name}`, name });
        document.body.append(frame);
        await loaded;
      }, name);
    const read = (name, number) =>
      page.evaluate(
        async (name, number) => {
          const { contentWindow: shown } = document.querySelector(`iframe[name=${name}]`);
          const lazy = await shown.eval(`import('/app/lazy-${number}.js')`).then(
            ({ release }) => release,
            () => 'none',
          );
          return [shown.document.title, lazy];
        },
        name,
        number,
      );
    link.fault = () => ({ hangUp: true });
    await show('old');
    link.fault = () => undefined;
    await release(2);
    await page.evaluate(async () => {
      const { contentWindow: shown } = document.querySelector('iframe');
      const told = new Promise((resolve) => {
        shown.navigator.serviceWorker.addEventListener('message', ({ data }) => data.driblet === 'ready' && resolve());
      });
      shown.navigator.serviceWorker.startMessages();
      shown.navigator.serviceWorker.controller.postMessage('driblet check');
      await told;
    });
    // The file that it asks for is gone from the server.
    assert.deepEqual(await read('old', 1), ['release 1', 1]);
    await show('fresh');
    assert.deepEqual(await read('fresh', 2), ['release 2', 2]);
  });
}
