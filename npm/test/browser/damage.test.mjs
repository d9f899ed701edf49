// Stores that were changed from outside, and stores without room: reading notices it, and the next sync repairs it.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { open } from '../support/browser.mjs';
import { release } from '../support/driblet.mjs';
import { LARGE } from '../support/large.mjs';
import { isDelta } from '../support/proxy.mjs';
import { assertIs, digestOf, useSite } from '../support/site.mjs';
import { publishWorker } from '../support/stop.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
const s = useSite();

/** Syncs the old version of a file of this name, into a store of its own. */
async function held(name) {
  s.server.publish(name, old);
  const store = { kind: 'opfs', name };
  const synced = await s.attempt(name, { store });
  assertIs(synced, old);
  return { store, version: synced.version, sync: () => s.attempt(name, { store }) };
}

/** Changes the file of that store whose name starts with this: flips a byte, truncates it or deletes it. */
function damage({ store }, start, how) {
  return s.page.evaluate(
    async ([folder, start, how]) => {
      for (const { path, name, directory, length } of await files()) {
        if (!path.startsWith(`/${folder}/`) || !name.startsWith(start)) continue;
        if (how === 'delete') return directory.removeEntry(name);
        const handle = await directory.getFileHandle(name);
        const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
        const writer = await handle.createWritable();
        const at = how.byte ?? Math.floor(length / 2);
        bytes[at] ^= 1;
        await writer.write(how === 'truncate' ? bytes.subarray(0, at) : bytes);
        return writer.close();
      }
      throw new Error(`no file ${start}… in ${folder}`);
    },
    [store.name, start, how],
  );
}

test('a flipped byte: reading fails and drops the version, the next sync fetches it again', async () => {
  const kept = await held('flipped.d.ts');
  await damage(kept, kept.version, 'flip');
  const failed = await kept.sync();
  assert.deepEqual([failed.name, failed.code], ['SyncError', 'store']);
  const healed = await kept.sync();
  assert.deepEqual([healed.digest, healed.cost.basis], [digestOf(old), 'none']);
});

test('a flipped byte is found by a stream before it gives any', async () => {
  const kept = await held('stream.d.ts');
  await damage(kept, kept.version, { byte: 1_000_000 });
  const code = await s.page.evaluate(async (store) => {
    const handle = await sync('/stream.d.ts', { store });
    const said = await handle
      .stream()
      .getReader()
      .read()
      .then(
        () => 'gave bytes',
        (error) => error.code,
      );
    handle.close();
    return said;
  }, kept.store);
  assert.equal(code, 'store');
  assertIs(await kept.sync(), old);
});

test('a flipped byte in the basis of a delta: the same sync gets the new version whole', async () => {
  const kept = await held('basis.d.ts');
  await damage(kept, kept.version, 'flip');
  s.server.publish('basis.d.ts', fresh);
  const healed = await kept.sync();
  assert.deepEqual([healed.digest, healed.cost.basis, healed.cost.requests], [digestOf(fresh), 'none', 2]);
});

for (const how of ['truncate', 'delete']) {
  test(`the version's file, ${how}d: as if it did not exist`, async () => {
    const kept = await held(`${how}.d.ts`);
    await damage(kept, kept.version, how);
    const healed = await kept.sync();
    assert.deepEqual([healed.digest, healed.cost.basis], [digestOf(old), 'none']);
  });
}

test('the record that names the head, flipped or deleted: fetched anew', async () => {
  const kept = await held('record.d.ts');
  // The first record of a new store is in the second slot.
  for (const how of [{ byte: 4_100 }, 'delete', 'truncate']) {
    await damage(kept, 'head', how);
    assertIs(await kept.sync(), old);
  }
});

test('a record torn while it was written: the one before is still valid', async () => {
  const kept = await held('torn.d.ts');
  s.server.publish('torn.d.ts', fresh);
  await s.page.evaluate(async (store) => {
    // An open handle keeps the old version's file in its place.
    globalThis.torn = await sync('/torn.d.ts', { store });
    await torn.stored;
  }, kept.store);
  await damage(kept, 'head', { byte: 10 });
  assertIs(await kept.sync(), fresh);
  await s.page.evaluate(() => torn.close());
});

for (const how of ['flip', 'truncate', 'delete', { byte: 5 }]) {
  test(`the kept bytes of a delta, ${JSON.stringify(how)}: the sync still gets the right file`, async () => {
    const kept = await held(`begun-${how.byte ?? how}.d.ts`);
    s.server.publish(kept.store.name, fresh);
    assert.equal((await s.attemptCut(kept.store.name, 5_000, { store: kept.store })).code, 'network');
    await damage(kept, 'begun', how);
    assertIs(await kept.sync(), fresh);
  });
}

test('a read that fails although the bytes are whole rejects, and drops nothing', async () => {
  const kept = await held('unreadable.d.ts');
  publishWorker(
    s.server,
    'unreadable.js',
    "FileSystemSyncAccessHandle.prototype.read = () => { throw new DOMException('the disk is busy', 'InvalidStateError'); };",
  );
  const page = await open(s.browser, s.link.url);
  const failed = await page.evaluate(
    (store) => attempt('/unreadable.d.ts', { store, workerUrl: '/unreadable.js' }),
    kept.store,
  );
  assert.deepEqual([failed.name, failed.code], ['SyncError', 'store'], failed.message);
  assert.match(failed.message, /the disk is busy/);
  await page.close();
  assert.equal((await kept.sync()).cost.basis, 'same');
});

test('a sync that fails says why, although its staged file cannot be deleted', async () => {
  const name = 'undeletable.bin';
  writeFileSync(join(s.server.root, name), randomBytes(LARGE));
  publishWorker(
    s.server,
    'undeletable.js',
    `
    FileSystemDirectoryHandle.prototype.removeEntry = async () => {
      await fetch('/undeletable');
      throw new DOMException('the disk is busy', 'InvalidStateError');
    };`,
  );
  s.link.fault = (request) => (isDelta(request) ? { stall: 20_000_000 } : undefined);
  const page = await open(s.browser, s.link.url);
  await page.exposeFunction('hangUp', s.link.hangUp);
  const failed = await page.evaluate((name) => {
    const onProgress = ({ received }) => void (20_000_000 <= received && hangUp());
    return attempt(name, { store: { kind: 'opfs', name }, workerUrl: '/undeletable.js', onProgress });
  }, name);
  s.link.fault = () => undefined;
  assert.deepEqual([failed.name, failed.code], ['SyncError', 'network'], failed.message);
  assert.ok(
    s.link.requests.some(({ path }) => path === '/undeletable'),
    'nothing was to be deleted',
  );
  await page.close();
  assertIs(await s.attempt(name, { store: { kind: 'opfs', name } }), join(s.server.root, name));
});

test('no room left: the version is delivered from memory, verified and with a warning; the old one stays stored', async () => {
  const kept = await held('quota.d.ts');
  const session = await s.browser.context.newCDPSession(s.page);
  const { usage } = await session.send('Storage.getUsageAndQuota', { origin: new URL(s.link.url).origin });
  const limit = (quotaSize) =>
    session.send('Storage.overrideQuotaForOrigin', { origin: new URL(s.link.url).origin, ...quotaSize });
  s.server.publish('quota.d.ts', fresh);
  for (const room of [0, 100_000, 1_000_000]) {
    await limit({ quotaSize: usage + room });
    const result = await kept.sync();
    assertIs(result, fresh);
    assert.match(result.warning, /no room/);
    const still = await s.attempt('quota.d.ts', { store: kept.store, version: kept.version });
    assert.deepEqual([still.digest, still.cost.requests], [digestOf(old), 0]);
  }
  await limit({});
  const stored = await kept.sync();
  assert.deepEqual([stored.digest, stored.warning], [digestOf(fresh), undefined]);
  assert.equal((await kept.sync()).cost.basis, 'same');
});

test('a version that cannot be stored after its bytes were returned: it stays in memory with a warning, and the next sync repairs the store', async () => {
  const kept = await held('late.d.ts');
  s.server.publish('late.d.ts', fresh);
  const result = await s.page.evaluate(async (store) => {
    // A folder in the place of a file.
    const { directory } = (await files()).find(
      ({ path, name }) => path.startsWith(`/${store.name}/`) && name === 'key',
    );
    await directory.removeEntry('key');
    await directory.getDirectoryHandle('key', { create: true });
    const handle = await sync('/late.d.ts', { store });
    const given = await digest(await handle.bytes());
    await handle.stored;
    const again = await digest(await handle.bytes());
    await directory.removeEntry('key');
    handle.close();
    return { given, again, warning: handle.warning };
  }, kept.store);
  assert.deepEqual([result.given, result.again], Array(2).fill(digestOf(fresh)));
  assert.match(result.warning, /not stored/);
  const still = await s.attempt('late.d.ts', { store: kept.store, version: kept.version });
  assert.deepEqual([still.digest, still.cost.requests], [digestOf(old), 0]);
  const healed = await kept.sync();
  assert.deepEqual([healed.digest, healed.warning, healed.cost.basis], [digestOf(fresh), undefined, 'version']);
  assert.equal((await kept.sync()).cost.basis, 'same');
});

test('a page that dies in the middle of a sync leaves the old version whole', async () => {
  const kept = await held('dies.d.ts');
  s.server.publish('dies.d.ts', fresh);
  s.link.fault = (request) => (isDelta(request) ? { stall: 5_000 } : undefined);
  const doomed = await open(s.browser, s.link.url);
  await doomed.evaluate(async (store) => {
    await new Promise((resolve) => void sync('/dies.d.ts', { store, onProgress: resolve }));
  }, kept.store);
  await doomed.close();
  s.link.fault = () => undefined;
  const still = await s.attempt('dies.d.ts', { store: kept.store, version: kept.version });
  assert.deepEqual([still.digest, still.cost.requests], [digestOf(old), 0]);
  assertIs(await kept.sync(), fresh);
});
