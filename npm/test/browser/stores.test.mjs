// The contract of all stores, tested with each store; then tests of IndexedDB alone.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { leftOver, open } from '../support/browser.mjs';
import { defineInDatabase } from '../support/database.mjs';
import { release } from '../support/driblet.mjs';
import { LARGE, largeBytes } from '../support/large.mjs';
import { assertIs, digestOf, useSite } from '../support/site.mjs';
import { publishStop, publishWorker, stoppingIn, stops } from '../support/stop.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');

const s = useSite(async () => {
  publishStop(s.server);
  await defineInDatabase(s.page);
});

/** Publishes a large file, with random bytes at the places in `edits`. */
function publishLarge(name, edits) {
  const bytes = largeBytes();
  for (const at of edits) randomBytes(1000).copy(bytes, at);
  const path = join(s.server.root, name);
  writeFileSync(path, bytes);
  return path;
}

for (const kind of ['browser', 'opfs', 'indexeddb', 'memory']) {
  describe(`the ${kind} store`, () => {
    let store;
    before(() => {
      store = { kind, name: `contract-${kind}` };
    });
    const attempt = (path, options) => s.attempt(path, { store, ...options });

    test('keeps a version: a second sync finds it, a third takes the delta from it', async () => {
      s.server.publish(`${kind}.d.ts`, old);
      const first = await attempt(`${kind}.d.ts`);
      assertIs(first, old);
      assert.deepEqual([first.cost.basis, first.warning], ['none', undefined]);
      assert.equal((await attempt(`${kind}.d.ts`)).cost.basis, 'same');
      s.server.publish(`${kind}.d.ts`, fresh);
      const next = await attempt(`${kind}.d.ts`);
      assertIs(next, fresh);
      assert.equal(next.cost.basis, 'version');
      assert.ok(next.cost.received < 200_000, `${next.cost.received} bytes`);
    });

    test('sends a signature of a version that the server has forgotten', async () => {
      s.server.publish(`${kind}-forgotten.d.ts`, old);
      await attempt(`${kind}-forgotten.d.ts`);
      s.server.publish(`${kind}-forgotten.d.ts`, fresh);
      await s.server.forget();
      const matched = await attempt(`${kind}-forgotten.d.ts`);
      assertIs(matched, fresh);
      assert.equal(matched.cost.basis, 'matched');
    });

    test('keeps a delta that was cut off, and continues where it ended', async () => {
      s.server.publish(`${kind}-cut.d.ts`, old);
      const whole = (await attempt(`${kind}-cut.d.ts`, { store: { kind: 'memory', name: `other-${kind}` } })).cost
        .received;
      assert.equal((await s.attemptCut(`${kind}-cut.d.ts`, 20_000, { store })).code, 'network');
      const rest = await attempt(`${kind}-cut.d.ts`);
      assertIs(rest, old);
      // The other bytes are the answer that the version is the head.
      assert.ok(rest.cost.received <= whole - 20_000 + 100, `${rest.cost.received} bytes of ${whole}`);
    });

    test('keeps a version while a handle reads it, even if newer ones are synced', async () => {
      s.server.publish(`${kind}-held.d.ts`, old);
      const read = () => s.page.evaluate(async () => digest(await held.bytes()));
      await s.page.evaluate(
        async ([path, store]) => {
          globalThis.held = await sync(path, { store });
        },
        [`${kind}-held.d.ts`, store],
      );
      assert.equal(await read(), digestOf(old));
      s.server.publish(`${kind}-held.d.ts`, fresh);
      assertIs(await attempt(`${kind}-held.d.ts`), fresh);
      assert.equal(await read(), digestOf(old));
      assert.equal(await s.page.evaluate(async () => digest(await (await held.blob()).arrayBuffer())), digestOf(old));
      await s.page.evaluate(() => held.close());
    });

    test('keeps scopes and names apart', async () => {
      s.server.publish(`${kind}-scope.d.ts`, old);
      const bases = [];
      for (const options of [
        { scope: 'ann' },
        { scope: 'bob' },
        {},
        { store: { kind, name: `another-${kind}` } },
        { scope: 'ann' },
      ]) {
        const found = await attempt(`${kind}-scope.d.ts`, options);
        assertIs(found, old);
        bases.push(found.cost.basis);
      }
      assert.deepEqual(bases, ['none', 'none', 'none', 'none', 'same']);
    });

    test('takes versions that are stored while they arrive', async () => {
      const path = publishLarge(`${kind}-large.bin`, []);
      assertIs(await attempt(`${kind}-large.bin`), path);
      publishLarge(`${kind}-large.bin`, [5_000, 20_000_000, 39_990_000]);
      const next = await attempt(`${kind}-large.bin`);
      assertIs(next, path);
      assert.equal(next.cost.basis, 'version');
      assert.ok(next.cost.received < 10_000, `${next.cost.received} bytes`);
    });

    test('takes files of zero bytes and of one', async () => {
      for (const content of ['', 'x', '']) {
        writeFileSync(join(s.server.root, `${kind}-small.txt`), content);
        assert.equal((await attempt(`${kind}-small.txt`)).length, content.length);
      }
    });

    if (kind !== 'memory') {
      test('stays when the page ends', async () => {
        s.server.publish(`${kind}-page.d.ts`, old);
        await attempt(`${kind}-page.d.ts`);
        const other = await open(s.browser, s.link.url);
        const found = await other.evaluate(([path, store]) => attempt(path, { store }), [`${kind}-page.d.ts`, store]);
        assertIs(found, old);
        assert.equal(found.cost.basis, 'same');
        await other.close();
      });

      test('does the work once when two pages sync at once', async () => {
        s.server.publish(`${kind}-twice.d.ts`, old);
        const other = await open(s.browser, s.link.url);
        const there = other.evaluate(([path, store]) => attempt(path, { store }), [`${kind}-twice.d.ts`, store]);
        const results = await Promise.all([attempt(`${kind}-twice.d.ts`), there, attempt(`${kind}-twice.d.ts`)]);
        results.forEach((result) => assertIs(result, old));
        assert.deepEqual(results.map(({ cost }) => cost.basis).sort(), ['none', 'same', 'same']);
        await other.close();
      });
    }
  });
}

for (const kind of ['opfs', 'indexeddb']) {
  describe(`a long version in the ${kind} store`, () => {
    const name = `long-${kind}.bin`;
    const store = { kind, name };
    let path;

    /** Asserts that the stored version is the published one. */
    async function held() {
      path ??= publishLarge(name, []);
      assertIs(await s.attempt(name, { store }), path);
    }

    /** Streams the stored version. Returns how many bytes came, their digest, and how the stream ended. */
    const stream = () =>
      s.page.evaluate(
        async ([name, store]) => {
          const handle = await sync(name, { store });
          const pieces = [];
          let code;
          try {
            for await (const piece of handle.stream()) pieces.push(piece);
          } catch (error) {
            code = error.code;
          }
          handle.close();
          return {
            basis: handle.cost.basis,
            came: pieces.reduce((sum, { length }) => sum + length, 0),
            digest: await digest(await new Blob(pieces).arrayBuffer()),
            code,
          };
        },
        [name, store],
      );

    test('is verified part by part while it is read: the bytes before the damage come, the damaged ones never do', async () => {
      await held();
      assert.deepEqual(await stream(), { basis: 'same', came: LARGE, digest: digestOf(path), code: undefined });
      await flip(kind, name, 35_000_000);
      const damaged = await stream();
      assert.deepEqual([damaged.basis, damaged.came, damaged.code], ['same', 2 ** 25, 'store']);
      assert.equal(
        damaged.digest,
        createHash('sha256')
          .update(readFileSync(path).subarray(0, 2 ** 25))
          .digest('hex'),
      );
      assert.equal((await stream()).basis, 'none');
    });

    for (const outboard of [undefined, 7, 'no base64!', btoa(`\x02${'x'.repeat(32 * 39)}`)]) {
      test(`is verified as a whole if the outboard is not valid (${String(outboard).slice(0, 10)})`, async () => {
        await held();
        await setOutboard(kind, name, outboard);
        assert.equal((await stream()).digest, digestOf(path));
        await flip(kind, name, 35_000_000);
        const damaged = await stream();
        assert.deepEqual([damaged.basis, damaged.came, damaged.code], ['same', 0, 'store']);
      });
    }
  });
}

/** Flips a byte of the only version in a store. */
function flip(kind, name, offset) {
  return s.page.evaluate(
    async ([kind, name, offset]) => {
      if (kind === 'opfs') {
        const { directory, name: file } = (await files()).find(
          ({ path, length }) => path.startsWith(`/${name}/`) && offset < length,
        );
        const handle = await directory.getFileHandle(file);
        const writer = await handle.createWritable({ keepExistingData: true });
        const [byte] = new Uint8Array(await (await handle.getFile()).slice(offset, offset + 1).arrayBuffer());
        await writer.write({ type: 'write', position: offset, data: Uint8Array.of(byte ^ 1) });
        return writer.close();
      }
      return inDatabase(name, async (table) => {
        let start = 0;
        for (const key of await table('pieces', 'getAllKeys')) {
          const piece = await table('pieces', 'get', key);
          if (start <= offset && offset < start + piece.size) {
            const bytes = new Uint8Array(await piece.arrayBuffer());
            bytes[offset - start] ^= 1;
            await table('pieces', 'put', new Blob([bytes]), key);
          }
          start += piece.size;
        }
      });
    },
    [kind, name, offset],
  );
}

/** Replaces the outboard of the only version in a store. */
function setOutboard(kind, name, outboard) {
  return s.page.evaluate(
    async ([kind, name, outboard]) => {
      if (kind === 'indexeddb') {
        return inDatabase(name, async (table) => {
          const [key] = await table('heads', 'getAllKeys');
          await table('heads', 'put', { ...(await table('heads', 'get', key)), outboard }, key);
        });
      }
      // The record's two slots, with their checksums.
      const { directory, name: file } = (await files()).find(
        ({ path, name: file }) => path.startsWith(`/${name}/`) && file === 'head',
      );
      const handle = await directory.getFileHandle(file);
      const record = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      for (let at = 0; at < record.length; at += 4096) {
        const body = record.subarray(at, at + 4064);
        const text = new TextDecoder().decode(body).replaceAll('\0', '').trim();
        if (text === '') continue;
        const { sequence, value } = JSON.parse(text);
        body.fill(0x20).set(new TextEncoder().encode(JSON.stringify({ sequence, value: { ...value, outboard } })));
        record.set(new Uint8Array(await crypto.subtle.digest('SHA-256', body)), at + 4064);
      }
      const writer = await handle.createWritable();
      await writer.write(record);
      await writer.close();
    },
    [kind, name, outboard],
  );
}

test('a delta of many copies from all over a file reads that file about once from OPFS', async () => {
  const name = 'typescript.js';
  s.server.publish(name, release('5.8.3'));
  publishWorker(
    s.server,
    'counting.js',
    `
    const { read, close } = FileSystemSyncAccessHandle.prototype;
    let total = 0;
    Object.assign(FileSystemSyncAccessHandle.prototype, {
      read(...values) {
        const length = read.apply(this, values);
        total += length;
        return length;
      },
      close() {
        fetch('/read?' + total);
        return close.call(this);
      },
    });`,
  );
  const page = await open(s.browser, s.link.url);
  const synced = () =>
    page.evaluate((name) => attempt(name, { store: { kind: 'opfs', name }, workerUrl: '/counting.js' }), name);
  assertIs(await synced(), release('5.8.3'));
  s.server.publish(name, release('5.9.2'));
  s.link.requests.length = 0;
  const next = await synced();
  assertIs(next, release('5.9.2'));
  assert.equal(next.cost.basis, 'version');
  const counts = s.link.requests.flatMap(({ path }) => /^\/read\?(\d+)/.exec(path)?.[1] ?? []).map(Number);
  assert.ok(0 < counts.length && Math.max(...counts) < 2 * next.length, `${counts} bytes of ${next.length}`);
  await page.close();
});

describe('IndexedDB', () => {
  /** Syncs the old version into a database of its own. */
  async function held(name) {
    s.server.publish(name, old);
    const store = { kind: 'indexeddb', name };
    assertIs(await s.attempt(name, { store }), old);
    return (options) => s.attempt(name, { store, ...options });
  }

  /** Flips a byte of the first file's first piece, or deletes the piece. */
  function change(name, how) {
    return s.page.evaluate(
      ([name, how]) =>
        inDatabase(name, async (table) => {
          const [key] = await table('pieces', 'getAllKeys');
          if (how === 'delete') return table('pieces', 'delete', key);
          const bytes = new Uint8Array(await (await table('pieces', 'get', key)).arrayBuffer());
          bytes[1000] ^= 1;
          return table('pieces', 'put', new Blob([bytes]), key);
        }),
      [name, how],
    );
  }

  test('a flipped byte: reading fails and drops the version, the next sync fetches it again', async () => {
    const sync = await held('flipped.d.ts');
    await change('flipped.d.ts', 'flip');
    assert.equal((await sync()).code, 'store');
    const healed = await sync();
    assertIs(healed, old);
    assert.equal(healed.cost.basis, 'none');
  });

  test('a lost piece: as if the version did not exist', async () => {
    const sync = await held('lost.d.ts');
    await change('lost.d.ts', 'delete');
    const healed = await sync();
    assertIs(healed, old);
    assert.equal(healed.cost.basis, 'none');
  });

  for (const how of ['flip', 'delete']) {
    test(`a basis with a damaged piece (${how}): the next version is whole`, async () => {
      const name = `basis-${how}.d.ts`;
      const sync = await held(name);
      await change(name, how);
      s.server.publish(name, fresh);
      assertIs(await sync(), fresh);
    });
  }

  test('a database that is deleted while the page is open: the next sync creates it again', async () => {
    const sync = await held('deleted.d.ts');
    await s.page.evaluate(
      (name) =>
        new Promise((resolve, reject) => {
          Object.assign(indexedDB.deleteDatabase(name), { onsuccess: resolve, onerror: reject });
        }),
      'deleted.d.ts',
    );
    const again = await sync();
    assertIs(again, old);
    assert.equal(again.cost.basis, 'none');
    assert.equal((await sync()).cost.basis, 'same');
  });

  test('a file that a tab without locks deletes while it is written: the sync rejects, the next one repairs the store, and nothing is left over', async () => {
    const name = 'stolen.bin';
    const store = { kind: 'indexeddb', name };
    const path = join(s.server.root, name);
    writeFileSync(path, Buffer.alloc(LARGE, name)); // Its delta is too short for a journal.
    const tab = await open(s.browser, s.link.url);
    const { stopped, goOn } = stops(s.link);
    // In the second of three batches. The other tab's deletion waits for it, and comes before the third.
    const syncing = tab.evaluate(
      ([name, store, workerUrl]) => attempt(name, { store, workerUrl }),
      [name, store, stoppingIn('IDBObjectStore.put.4')],
    );
    await stopped();
    await s.page.evaluate(
      (name) =>
        new Promise((begun) => {
          globalThis.deleted = inDatabase(name, (table) => {
            const both = [table('files', 'clear'), table('pieces', 'clear')];
            begun();
            return Promise.all(both);
          });
        }),
      name,
    );
    goOn();
    s.link.fault = () => undefined;
    const failed = await syncing;
    assert.deepEqual([failed.name, failed.code], ['SyncError', 'store'], failed.message);
    await s.page.evaluate(() => deleted);
    const healed = await s.attempt(name, { store });
    assertIs(healed, path);
    assert.equal(healed.cost.basis, 'none');
    assert.deepEqual(await leftOver(s.page, store, healed.version, name), []);
    await tab.close();
  });

  test('a transaction that the browser aborts is a store error, not an abort of the sync', async () => {
    const name = 'aborted.bin';
    const path = publishLarge(name, []);
    publishWorker(
      s.server,
      'aborting.js',
      `
      const { put } = IDBObjectStore.prototype;
      IDBObjectStore.prototype.put = function (...values) {
        const request = put.apply(this, values);
        this.transaction.abort();
        return request;
      };`,
    );
    const tab = await open(s.browser, s.link.url);
    const failed = await tab.evaluate(
      ([name, store]) => attempt(name, { store, workerUrl: '/aborting.js' }),
      [name, { kind: 'indexeddb', name }],
    );
    assert.deepEqual([failed.name, failed.code], ['SyncError', 'store'], failed.message);
    await tab.close();
    assertIs(await s.attempt(name, { store: { kind: 'indexeddb', name } }), path);
  });

  test('a database of a later driblet is left alone: the version is in memory, and the handle says why', async () => {
    s.server.publish('later.d.ts', old);
    await s.page.evaluate(
      () =>
        new Promise((resolve, reject) => {
          const request = indexedDB.open('later', 99);
          Object.assign(request, { onsuccess: () => resolve(request.result.close()), onerror: reject });
        }),
    );
    const found = await s.attempt('later.d.ts', { store: { kind: 'indexeddb', name: 'later' } });
    assertIs(found, old);
    assert.match(found.warning, /in memory only.*later driblet/);
    // If there are files, IndexedDB is not used.
    const store = { kind: 'browser', name: 'later' };
    assert.equal((await s.attempt('later.d.ts', { store })).warning, undefined);
    assert.equal((await s.page.evaluate((store) => list(store), store)).length, 1);
  });
});
