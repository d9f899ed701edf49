// A tab whose process ends during a call of its store: the version stored before, or the new one, is whole.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { leftOver, open } from '../support/browser.mjs';
import { release } from '../support/driblet.mjs';
import { LARGE } from '../support/large.mjs';
import { assertIs, digestOf, useSite } from '../support/site.mjs';
import { publishStop, publishWorker, stoppingIn, stops } from '../support/stop.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');

const s = useSite(async () => {
  publishStop(s.server);
});

/** Syncs in a new tab until its worker is in that call, and kills the tab's process there. */
async function killIn(call, path, store, worker = stoppingIn(call)) {
  const tab = await open(s.browser, s.link.url);
  const { stopped } = stops(s.link);
  await tab.evaluate(
    ([path, store, workerUrl]) => {
      configure({ workerUrl });
      void sync(path, { store }).catch(() => {});
    },
    [path, store, worker],
  );
  await stopped();
  s.link.fault = () => undefined;
  const crashed = new Promise((resolve) => tab.once('crash', resolve));
  const session = await s.browser.context.newCDPSession(tab);
  session.send('Page.crash').catch(() => {}); // Nobody can answer.
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
    ['before it writes the record', 'IDBObjectStore.put.1.heads', old],
    ['while deleting the old version', 'IDBObjectStore.delete.1', fresh],
  ],
};

for (const [kind, deaths] of Object.entries(DEATHS)) {
  describe(`a tab killed, ${kind}`, () => {
    for (const [when, call, kept] of deaths) {
      test(`${when}: one of the two versions is whole, the next sync continues from it, and nothing is left over`, async () => {
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
        assert.deepEqual(await leftOver(s.page, store, next.version, path), []);
      });
    }

    test('while a first version is staged: nothing is stored, and the leftovers are deleted by the next sync', async () => {
      const path = `${kind}-large.bin`;
      const store = { kind, name: path };
      writeFileSync(join(s.server.root, path), Buffer.alloc(LARGE, path)); // Its delta is too short for a journal.
      await killIn(kind === 'opfs' ? `${FILE}.write.20` : 'IDBObjectStore.put.4', path, store);
      assert.deepEqual(await listed(store), []);
      const whole = await s.attempt(path, { store });
      assertIs(whole, join(s.server.root, path));
      assert.deepEqual(await leftOver(s.page, store, whole.version, path), []);
    });
  });
}

test('a tab without locks deletes a file that another one is writing, and that one is killed: nothing is left over', async () => {
  const path = 'robbed.bin';
  const store = { kind: 'indexeddb', name: path };
  writeFileSync(join(s.server.root, path), Buffer.alloc(LARGE, path));
  // The deletion comes between the first batch and the second, as another tab's would.
  publishWorker(
    s.server,
    'robbed.js',
    `
    import './before-stopping.js';
    const { transaction } = IDBDatabase.prototype;
    let writing = 0;
    IDBDatabase.prototype.transaction = function (...options) {
      writing += options[1] === 'readwrite' ? 1 : 0;
      if (writing === 2) {
        const other = transaction.call(this, ['files', 'pieces'], 'readwrite');
        for (const table of ['files', 'pieces']) other.objectStore(table).clear();
      }
      return transaction.apply(this, options);
    };`,
  );
  const call = 'IDBObjectStore.put.1.heads';
  await killIn(call, path, store, `/robbed.js?${call}`);
  assert.deepEqual(await listed(store), []);
  const whole = await s.attempt(path, { store });
  assertIs(whole, join(s.server.root, path));
  assert.deepEqual(await leftOver(s.page, store, whole.version, path), []);
});

/** Does `work` in a new tab whose worker hangs in that call. Returns the tab and the result. */
async function inHangingTab(call, path, store, work) {
  const tab = await open(s.browser, s.link.url);
  stops(s.link);
  await tab.evaluate((workerUrl) => configure({ workerUrl, workerTimeout: 2000 }), stoppingIn(call));
  const seen = await tab.evaluate(work, [path, store]);
  s.link.fault = () => undefined;
  return { tab, seen };
}

describe('a worker that hangs is ended', () => {
  // The first close is that of the key's file, the last one that of the version's file.
  for (const nth of [1, 4]) {
    test(`while it stores the version of a handle, in close ${nth}: the handle says so, and another tab syncs`, async () => {
      const path = `hangs-${nth}.d.ts`;
      const store = { kind: 'opfs', name: path };
      s.server.publish(path, old);
      const { tab, seen } = await inHangingTab(`${FILE}.close.${nth}`, path, store, async ([path, store]) => {
        const handle = await sync(path, { store });
        const given = await digest(await handle.bytes());
        const isStored = await handle.stored;
        const { code, message } = await handle.bytes().catch((error) => error);
        return { given, isStored, warning: handle.warning, code, message };
      });
      assert.deepEqual([seen.given, seen.isStored, seen.code], [digestOf(old), false, 'store']);
      assert.match(seen.warning, /hung/);
      assert.match(seen.message, /closed; sync again/);
      assertIs(await s.attempt(path, { store }), old);
      await tab.close();
    });
  }

  test('while it reads: the read rejects, and the same tab syncs', async () => {
    const path = 'hangs-reading.d.ts';
    const store = { kind: 'opfs', name: path };
    s.server.publish(path, old);
    await s.attempt(path, { store });
    const { tab, seen } = await inHangingTab(`${FILE}.close.2`, path, store, async ([path, store]) => {
      const handle = await sync(path, { store });
      await handle.stored;
      const { code, message } = await handle.blob().catch((error) => error);
      return { basis: handle.cost.basis, code, message };
    });
    assert.deepEqual([seen.basis, seen.code], ['same', 'store']);
    assert.match(seen.message, /hung/);
    assertIs(await tab.evaluate(([path, store]) => attempt(path, { store }), [path, store]), old);
    await tab.close();
  });
});
