// The contract of all stores, with level databases: in Node, in memory and on the disk, and in a page.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import encodingDown from 'encoding-down';
import { build as esbuild } from 'esbuild';
import { Level } from 'level';
import levelup from 'levelup';
import memdown from 'memdown';
import { MemoryLevel } from 'memory-level';
import { levelStore } from '../../dist/level.js';
import { memoryStore, sync } from '../../dist/node.js';
import { assertIsFile, attemptBy } from '../support/attempt.mjs';
import { launch } from '../support/browser.mjs';
import { release } from '../support/driblet.mjs';
import { here } from '../support/installed.mjs';
import { largeBytes } from '../support/large.mjs';
import { isDelta } from '../support/proxy.mjs';
import { digestOf, useServer } from '../support/site.mjs';
import { temporaryFolder } from '../support/folder.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let server;
let link;
const folder = temporaryFolder('level');

useServer((started) => {
  ({ server, link } = started);
});

const attempt = (name, options) => attemptBy(sync, new URL(name, link.url), options);

/** Fails unless an attempt returned that file and stored it. */
function assertIs(result, path) {
  assertIsFile(result, path);
  assert.equal(result.warning, undefined);
}

const DATABASES = {
  'memory-level': () => new MemoryLevel(),
  level: () => new Level(join(folder, 'level')),
  levelup: () => levelup(encodingDown(memdown())),
};

for (const [kind, make] of Object.entries(DATABASES)) {
  describe(`a level store: ${kind}`, () => {
    let db;
    let store;
    before(() => {
      db = make();
      store = levelStore(db);
    });
    after(() => db.close());

    test('keeps a version: a second sync finds it, a third takes the delta from it', async () => {
      server.publish(`${kind}.d.ts`, old);
      const first = await attempt(`${kind}.d.ts`, { store });
      assertIs(first, old);
      assert.equal(first.cost.basis, 'none');
      assert.equal((await attempt(`${kind}.d.ts`, { store: levelStore(db) })).cost.basis, 'same');
      server.publish(`${kind}.d.ts`, fresh);
      const next = await attempt(`${kind}.d.ts`, { store });
      assertIs(next, fresh);
      assert.equal(next.cost.basis, 'version');
    });

    test('sends a signature of a version that the server has forgotten', async () => {
      server.publish(`${kind}-forgotten.d.ts`, old);
      await attempt(`${kind}-forgotten.d.ts`, { store });
      server.publish(`${kind}-forgotten.d.ts`, fresh);
      await server.forget();
      const matched = await attempt(`${kind}-forgotten.d.ts`, { store });
      assertIs(matched, fresh);
      assert.equal(matched.cost.basis, 'matched');
    });

    test('keeps a delta that was cut off, and continues where it ended', async () => {
      server.publish(`${kind}-cut.d.ts`, old);
      const whole = (await attempt(`${kind}-cut.d.ts`, { store: memoryStore() })).cost.received;
      link.fault = (request) => (isDelta(request) ? { stall: 20_000 } : undefined);
      const onProgress = ({ received }) => 20_000 <= received && link.hangUp();
      assert.equal((await attempt(`${kind}-cut.d.ts`, { store, onProgress })).code, 'network');
      link.fault = () => undefined;
      const rest = await attempt(`${kind}-cut.d.ts`, { store });
      assertIs(rest, old);
      assert.ok(rest.cost.received <= whole - 20_000 + 100, `${rest.cost.received} bytes of ${whole}`);
    });

    test('keeps a version while a handle reads it, even if newer ones are synced', async () => {
      server.publish(`${kind}-held.d.ts`, old);
      const held = await sync(new URL(`${kind}-held.d.ts`, link.url), { store });
      assert.ok(readFileSync(old).equals(await held.bytes()));
      server.publish(`${kind}-held.d.ts`, fresh);
      assertIs(await attempt(`${kind}-held.d.ts`, { store }), fresh);
      assert.ok(readFileSync(old).equals(await held.bytes()));
      held.close();
    });

    test('keeps scopes and databases apart', async () => {
      server.publish(`${kind}-scope.d.ts`, old);
      const bases = [];
      for (const options of [
        { scope: 'ann!' },
        { scope: 'ann' },
        {},
        { store: levelStore(new MemoryLevel()) },
        { scope: 'ann!' },
      ]) {
        const found = await attempt(`${kind}-scope.d.ts`, { store, ...options });
        assertIs(found, old);
        bases.push(found.cost.basis);
      }
      assert.deepEqual(bases, ['none', 'none', 'none', 'none', 'same']);
    });

    test('takes versions that are stored while they arrive, and leaves nothing of earlier ones', async () => {
      const bytes = largeBytes();
      const path = join(server.root, `${kind}-large.bin`);
      const keys = async () => (await db.keys?.().all())?.filter((key) => key.includes('large')).length;
      writeFileSync(path, bytes);
      assertIs(await attempt(`${kind}-large.bin`, { store }), path);
      const kept = await keys();
      for (const at of [5_000, 20_000_000, 39_990_000]) bytes.fill(at % 251, at, at + 1000);
      writeFileSync(path, bytes);
      const next = await attempt(`${kind}-large.bin`, { store });
      assertIs(next, path);
      assert.equal(next.cost.basis, 'version');
      // A sync cleans up after it has resolved. The next one begins when that is done.
      assert.equal((await attempt(`${kind}-large.bin`, { store })).cost.basis, 'same');
      assert.equal(await keys(), kept);
    });

    test('takes files of zero bytes and of one', async () => {
      for (const content of ['', 'x', '']) {
        const path = join(server.root, `${kind}-small.txt`);
        writeFileSync(path, content);
        assertIs(await attempt(`${kind}-small.txt`, { store }), path);
      }
    });

    test('does the work once when two sync at once', async () => {
      server.publish(`${kind}-twice.d.ts`, old);
      const results = await Promise.all([
        attempt(`${kind}-twice.d.ts`, { store }),
        attempt(`${kind}-twice.d.ts`, { store }),
      ]);
      assert.deepEqual(results.map(({ cost }) => cost.basis).sort(), ['none', 'same']);
    });
  });
}

describe('a level store that is damaged', () => {
  const damages = {
    'a flipped byte': (value) => {
      value[1000] ^= 1;
      return value;
    },
    'a shorter piece': (value) => value.subarray(0, 1000),
    'a lost piece': () => undefined,
  };
  for (const [name, damage] of Object.entries(damages)) {
    test(`${name}: the next version is synced all the same`, async () => {
      const db = new MemoryLevel();
      const store = levelStore(db);
      server.publish('damaged.d.ts', old);
      assertIs(await attempt('damaged.d.ts', { store }), old);
      const options = { valueEncoding: 'view' };
      const key = (await db.keys().all()).find((key) => key.includes('!file!'));
      const value = damage(Uint8Array.from(await db.get(key, options)));
      await (value ? db.put(key, value, options) : db.del(key));
      server.publish('damaged.d.ts', fresh);
      assertIs(await attempt('damaged.d.ts', { store }), fresh);
    });
  }

  test('a head that is not valid: as if nothing were stored', async () => {
    const db = new MemoryLevel();
    const store = levelStore(db);
    server.publish('head.d.ts', old);
    await attempt('head.d.ts', { store });
    for (const value of ['', '{}', 'null', '{"version":1,"length":-1,"file":2}']) {
      await db.put(
        (await db.keys().all()).find((key) => key.endsWith('!head')),
        value,
      );
      const found = await attempt('head.d.ts', { store });
      assertIs(found, old);
      assert.equal(found.cost.basis, 'none');
    }
  });

  test('a database that takes nothing: the version is in memory, and the handle says so', async () => {
    const db = new MemoryLevel();
    db.batch = async () => {
      throw new Error('the disk is full');
    };
    server.publish('full.d.ts', old);
    const found = await attempt('full.d.ts', { store: levelStore(db) });
    assert.ok(readFileSync(old).equals(found.bytes));
    assert.match(found.warning, /in memory only/);
  });
});

test('an object that is no database is a TypeError at once', () => {
  assert.throws(() => levelStore({}), /neither createKeyStream.* nor keys and getMany/);
});

test('browser-level, in a page', async (t) => {
  const browser = await launch();
  t.after(browser.close);
  writeFileSync(
    join(folder, 'main.js'),
    `
    import { configure, sync } from '${here}dist/index.js';
    import { levelStore } from '${here}dist/level.js';
    import { BrowserLevel } from 'browser-level';
    globalThis.late = () => {
      const pending = sync('/page.d.ts').catch(() => {});
      try {
        levelStore(new BrowserLevel('late'));
      } catch ({ message }) {
        return pending.then(() => message);
      }
    };
    globalThis.run = async () => {
      configure({ wasmUrl: '/driblet_bg.wasm' });
      const db = new BrowserLevel('cache');
      const handle = await sync('/page.d.ts', { store: levelStore(db) });
      const digest = await crypto.subtle.digest('SHA-256', await handle.bytes());
      await handle.stored;
      handle.close();
      const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
      const found = { digest: hex, basis: handle.cost.basis, warning: handle.warning };
      return found;
    };
  `,
  );
  const { outputFiles } = await esbuild({
    entryPoints: [join(folder, 'main.js')],
    bundle: true,
    format: 'esm',
    write: false,
    nodePaths: [join(here, 'node_modules')],
    logLevel: 'error',
  });
  writeFileSync(join(server.root, 'main.js'), outputFiles[0].text);
  writeFileSync(join(server.root, 'driblet_bg.wasm'), readFileSync(join(here, 'wasm', 'driblet_bg.wasm')));
  writeFileSync(
    join(server.root, 'index.html'),
    '<!doctype html><title>level</title><script type="module" src="main.js"></script>',
  );
  const bases = [];
  for (const path of [old, old, fresh]) {
    server.publish('page.d.ts', path);
    const page = await browser.context.newPage();
    await page.goto(server.url.href);
    const { digest, basis, warning } = await page.evaluate(() => run());
    assert.deepEqual([digest, warning], [digestOf(path), undefined]);
    bases.push(basis);
    await page.close();
  }
  assert.deepEqual(bases, ['none', 'same', 'version']);
  const page = await browser.context.newPage();
  await page.goto(server.url.href);
  assert.match(await page.evaluate(() => late()), /^levelStore\(\) must be called before the first sync\(\)/);
});
