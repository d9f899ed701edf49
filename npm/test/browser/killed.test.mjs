// A tab whose process ends in the middle of a call into its store: what was stored before, or what was to be stored, is whole.
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { open } from '../support/browser.mjs';
import { release } from '../support/driblet.mjs';
import { assertIs, digestOf, site } from '../support/site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let s;

before(async () => {
  s = await site();
  const worker = readdirSync(fileURLToPath(new URL('../../../crates/driblet/client', import.meta.url))).find((name) => /^worker-\w+\.js$/.test(name));
  // A worker that stops in the nth call of a method, `?FileSystemSyncAccessHandle.write.2`, and says so by a request that is never answered.
  writeFileSync(join(s.server.root, 'trap.js'), `import './stop.js';\nimport '/.driblet/${worker}';\n`);
  writeFileSync(join(s.server.root, 'stop.js'), `
    const [type, method, nth] = location.search.slice(1).split('.');
    const { prototype } = self[type];
    const call = prototype[method];
    let left = Number(nth);
    prototype[method] = function (...values) {
      left -= 1;
      if (left === 0) {
        const request = new XMLHttpRequest();
        request.open('GET', '/trapped', false);
        request.send();
      }
      return call.apply(this, values);
    };`);
});
after(() => s?.close());

/** Syncs in a new tab until the worker is in that call, and kills the tab's process there. */
async function killIn(call, path, store) {
  const tab = await open(s.browser, s.link.url);
  const trapped = new Promise((resolve) => {
    s.link.fault = ({ url }) => {
      if (url !== '/trapped') return undefined;
      resolve();
      return { never: true };
    };
  });
  await tab.evaluate(([path, store, call]) => void sync(path, { store, workerUrl: `/trap.js?${call}` }).catch(() => {}), [path, store, call]);
  await trapped;
  s.link.fault = () => undefined;
  const crashed = new Promise((resolve) => tab.once('crash', resolve));
  const session = await s.browser.context.newCDPSession(tab);
  session.send('Page.crash').catch(() => {}); // Nobody is left to answer.
  await crashed;
  await tab.close();
}

function listed(store) {
  return s.page.evaluate(async (store) => (await list(store)).map(({ version }) => version), store);
}

const FILE = 'FileSystemSyncAccessHandle';
const DEATHS = {
  opfs: [
    ['while staging', `${FILE}.write.1`, old],
    ['while it makes what it staged durable', `${FILE}.flush.1`, old],
    ['before it writes the record', `${FILE}.write.2`, old],
    ['after it wrote the record', `${FILE}.flush.2`, fresh],
    ['while deleting the old version', 'FileSystemDirectoryHandle.removeEntry.1', fresh],
  ],
  indexeddb: [
    ['while staging', 'IDBObjectStore.put.2', old],
    ['before it writes the record', 'IDBObjectStore.put.4', old],
    ['while deleting the old version', 'IDBObjectStore.delete.1', fresh],
  ],
};

for (const [kind, deaths] of Object.entries(DEATHS)) {
  describe(`a tab killed, ${kind}`, () => {
    for (const [when, call, kept] of deaths) {
      test(`${when}: one of the two versions is whole, the next sync goes on from it, and nothing is left over`, async () => {
        const path = `${kind}-${call}.d.ts`;
        const store = { kind, name: path };
        s.server.publish(path, old);
        const { version: before } = await s.attempt(path, { store });
        s.server.publish(path, fresh);
        await killIn(call, path, store);
        const [version] = await listed(store);
        assert.equal(version === before, kept === old);
        // Read without a request.
        const still = await s.attempt(path, { store, version });
        assert.deepEqual([still.digest, still.cost.requests], [digestOf(kept), 0]);
        const next = await s.attempt(path, { store });
        assertIs(next, fresh);
        assert.equal(next.cost.basis, kept === old ? 'version' : 'same');
        assert.deepEqual(await leftOver(store, next.version), []);
      });
    }

    test('while a first version is staged as it comes: nothing is stored, and what is left over goes with the next sync', async () => {
      const path = `${kind}-large.bin`;
      const store = { kind, name: path };
      const bytes = Buffer.alloc(40_000_000);
      for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);
      writeFileSync(join(s.server.root, path), bytes);
      await killIn(kind === 'opfs' ? `${FILE}.write.20` : 'IDBObjectStore.put.20', path, store);
      assert.deepEqual(await listed(store), []);
      const whole = await s.attempt(path, { store });
      assertIs(whole, join(s.server.root, path));
      assert.deepEqual(await leftOver(store, whole.version), []);
    });
  });
}

/** What a store has besides one version. */
function leftOver({ kind, name }, version) {
  return s.page.evaluate(
    async ([kind, name, version]) => {
      if (kind === 'opfs') {
        const found = (await files()).filter(({ path }) => path.startsWith(`/${name}/`)).map(({ name }) => name);
        return found.filter((file) => !['key', 'head'].includes(file) && !file.startsWith(version));
      }
      const done = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }));
      const database = await done(indexedDB.open(name));
      const found = await done(database.transaction('files').objectStore('files').getAllKeys());
      database.close();
      return found.map(([, file]) => file).filter((file) => !file.startsWith(version));
    },
    [kind, name, version],
  );
}
