// What every store must do, in every store; then what is particular to IndexedDB.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { open } from '../support/browser.mjs';
import { release } from '../support/driblet.mjs';
import { assertIs, digestOf, site } from '../support/site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let s;

before(async () => {
  s = await site();
});
after(() => s?.close());
afterEach(() => s.assertNothingLeft());

/** Writes a file that is longer than what a sync gives before it is stored: 40 MB, of which the edits change some. */
function publishLarge(name, edits) {
  const bytes = Buffer.alloc(40_000_000);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);
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

    test('describes a version that the server has forgotten', async () => {
      s.server.publish(`${kind}-forgotten.d.ts`, old);
      await attempt(`${kind}-forgotten.d.ts`);
      s.server.publish(`${kind}-forgotten.d.ts`, fresh);
      await s.server.forget();
      const matched = await attempt(`${kind}-forgotten.d.ts`);
      assertIs(matched, fresh);
      assert.equal(matched.cost.basis, 'matched');
    });

    test('keeps a delta that was cut off, and goes on where it ended', async () => {
      s.server.publish(`${kind}-cut.d.ts`, old);
      const whole = (await attempt(`${kind}-cut.d.ts`, { store: { kind: 'memory', name: `other-${kind}` } })).cost.received;
      assert.equal((await s.attemptCut(`${kind}-cut.d.ts`, 20_000, { store })).code, 'network');
      const rest = await attempt(`${kind}-cut.d.ts`);
      assertIs(rest, old);
      // What comes besides is the head's word that the version is its own.
      assert.ok(rest.cost.received <= whole - 20_000 + 100, `${rest.cost.received} bytes of ${whole}`);
    });

    test('keeps a version while a handle reads it, whatever is synced meanwhile', async () => {
      s.server.publish(`${kind}-held.d.ts`, old);
      const read = () => s.page.evaluate(async () => digest(await held.bytes()));
      await s.page.evaluate(async ([path, store]) => {
        globalThis.held = await sync(path, { store });
      }, [`${kind}-held.d.ts`, store]);
      assert.equal(await read(), digestOf(old));
      s.server.publish(`${kind}-held.d.ts`, fresh);
      assertIs(await attempt(`${kind}-held.d.ts`), fresh);
      assert.equal(await read(), digestOf(old));
      assert.equal(await s.page.evaluate(async () => digest(await (await held.blob()).arrayBuffer())), digestOf(old));
      await s.page.evaluate(() => held.close());
    });

    test('keeps what scopes and names tell apart', async () => {
      s.server.publish(`${kind}-scope.d.ts`, old);
      const bases = [];
      for (const options of [{ scope: 'ann' }, { scope: 'bob' }, {}, { store: { kind, name: `another-${kind}` } }, { scope: 'ann' }]) {
        const found = await attempt(`${kind}-scope.d.ts`, options);
        assertIs(found, old);
        bases.push(found.cost.basis);
      }
      assert.deepEqual(bases, ['none', 'none', 'none', 'none', 'same']);
    });

    test('takes versions that are stored as they come', async () => {
      const path = publishLarge(`${kind}-large.bin`, []);
      assertIs(await attempt(`${kind}-large.bin`), path);
      publishLarge(`${kind}-large.bin`, [5_000, 20_000_000, 39_990_000]);
      const next = await attempt(`${kind}-large.bin`);
      assertIs(next, path);
      assert.equal(next.cost.basis, 'version');
      assert.ok(next.cost.received < 10_000, `${next.cost.received} bytes`);
    });

    test('takes files of no byte and of one', async () => {
      for (const content of ['', 'x', '']) {
        writeFileSync(join(s.server.root, `${kind}-small.txt`), content);
        assert.equal((await attempt(`${kind}-small.txt`)).length, content.length);
      }
    });

    if (kind !== 'memory') {
      test('outlives the page', async () => {
        s.server.publish(`${kind}-page.d.ts`, old);
        await attempt(`${kind}-page.d.ts`);
        const other = await open(s.browser, s.link.url);
        const found = await other.evaluate(([path, store]) => attempt(path, { store }), [`${kind}-page.d.ts`, store]);
        assertIs(found, old);
        assert.equal(found.cost.basis, 'same');
        await other.close();
      });

      test('does once what two pages want at once', async () => {
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

describe('IndexedDB', () => {
  /** Syncs the old version into a database of its own. */
  async function held(name) {
    s.server.publish(name, old);
    const store = { kind: 'indexeddb', name };
    assertIs(await s.attempt(name, { store }), old);
    return (options) => s.attempt(name, { store, ...options });
  }

  /** Changes a piece of the first file: flips a byte of it, or deletes it. */
  function change(name, how) {
    return s.page.evaluate(async ([name, how]) => {
      const done = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: () => reject(request.error) }));
      const database = await done(indexedDB.open(name));
      const table = () => database.transaction('pieces', 'readwrite').objectStore('pieces');
      const [key] = await done(table().getAllKeys());
      if (how === 'flip') {
        const bytes = new Uint8Array(await (await done(table().get(key))).arrayBuffer());
        bytes[1000] ^= 1;
        await done(table().put(new Blob([bytes]), key));
      } else {
        await done(table().delete(key));
      }
      database.close();
    }, [name, how]);
  }

  test('a flipped byte: reading fails and drops the version, the next sync brings it anew', async () => {
    const sync = await held('flipped.d.ts');
    await change('flipped.d.ts', 'flip');
    assert.equal((await sync()).code, 'store');
    const healed = await sync();
    assertIs(healed, old);
    assert.equal(healed.cost.basis, 'none');
  });

  test('a lost piece: as if the version had never been there', async () => {
    const sync = await held('lost.d.ts');
    await change('lost.d.ts', 'delete');
    const healed = await sync();
    assertIs(healed, old);
    assert.equal(healed.cost.basis, 'none');
  });

  for (const how of ['flip', 'delete']) {
    test(`a basis with a piece that is damaged (${how}): the next version comes whole`, async () => {
      const name = `basis-${how}.d.ts`;
      const sync = await held(name);
      await change(name, how);
      s.server.publish(name, fresh);
      assertIs(await sync(), fresh);
    });
  }

  test('a database that is deleted while the page is open: the next sync makes it anew', async () => {
    const sync = await held('deleted.d.ts');
    await s.page.evaluate((name) => new Promise((resolve, reject) => {
      Object.assign(indexedDB.deleteDatabase(name), { onsuccess: resolve, onerror: reject });
    }), 'deleted.d.ts');
    const again = await sync();
    assertIs(again, old);
    assert.equal(again.cost.basis, 'none');
    assert.equal((await sync()).cost.basis, 'same');
  });

  test('a database of a later driblet is left alone: the version is in memory, and the handle says why', async () => {
    s.server.publish('later.d.ts', old);
    await s.page.evaluate(() => new Promise((resolve, reject) => {
      const request = indexedDB.open('later', 99);
      Object.assign(request, { onsuccess: () => resolve(request.result.close()), onerror: reject });
    }));
    const found = await s.attempt('later.d.ts', { store: { kind: 'indexeddb', name: 'later' } });
    assertIs(found, old);
    assert.match(found.warning, /in memory only.*later driblet/);
    // Where there are files, nobody asks it.
    const store = { kind: 'browser', name: 'later' };
    assert.equal((await s.attempt('later.d.ts', { store })).warning, undefined);
    assert.equal((await s.page.evaluate((store) => list(store), store)).length, 1);
  });
});
