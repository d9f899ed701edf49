// Parts of the platform that never answer, and other tabs that hold a lock and do nothing: a sync waits while there is
// a sign of life, and then continues without them.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { open } from '../support/browser.mjs';
import { denying, prepared } from '../support/denied.mjs';
import { release } from '../support/driblet.mjs';
import { LARGE } from '../support/large.mjs';
import { isDelta } from '../support/proxy.mjs';
import { assertIs, digestOf, useSite } from '../support/site.mjs';
import { publishStop, publishWorker, stoppingIn, stops } from '../support/stop.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');

const s = useSite(
  async () => {
    publishStop(s.server);
  },
  { checks: 'at the end' },
);

/** Publishes a file that is too long to be collected in memory. */
function publishLong(name) {
  const path = join(s.server.root, name);
  writeFileSync(path, Buffer.alloc(LARGE, name));
  return path;
}

/** Opens a page in which a script runs first. Returns the page, and a function that sends it commands. */
async function pageAfter(script) {
  const page = await s.browser.context.newPage();
  await page.goto(s.link.url);
  return { page, ask: await prepared(page, script) };
}

/** Opens a page that holds the lock of a URL and does nothing, until it calls `free`. */
async function pageWithLock(name) {
  const { page } = await pageAfter(`await new Promise((held) => {
    navigator.locks.request('driblet sync driblet ' + new URL('/${name}', location), () => (held(), new Promise((free) => (globalThis.free = free))));
  })`);
  return page;
}

const HERE = { Worker: 'missing' };

/** The parts that never answer, the thread that calls them, and where the sync then stores. */
const SILENT = [
  { parts: ['storage'], left: 'indexeddb' },
  { parts: ['folders'], left: 'indexeddb' },
  { parts: ['files'], left: 'indexeddb' },
  { parts: ['files'], kind: 'opfs', left: undefined },
  { parts: ['storage', 'indexedDB'], left: undefined },
  { parts: ['storage', 'transactions'], left: undefined },
  { parts: ['locks'], left: undefined },
  { parts: ['storage', 'files', 'folders', 'indexedDB', 'transactions', 'locks', 'BroadcastChannel'], left: undefined },
  { parts: ['indexedDB'], here: true, left: undefined },
  { parts: ['transactions'], here: true, left: undefined },
  { parts: ['locks'], here: true, left: undefined },
  { parts: ['Worker'], left: 'indexeddb' },
];

// These tests wait at the same time, some seconds each.
describe('what never answers', { concurrency: true }, () => {
  for (const [index, { parts, here = false, kind = 'browser', left }] of SILENT.entries()) {
    test(`${parts.join(', ')}, called by a ${here ? 'page' : 'worker'}, ${kind} store: the sync continues into ${left ?? 'memory, and says so'}`, async () => {
      const name = `silent-${index}.d.ts`;
      s.server.publish(name, old);
      const inPage = here || parts.includes('Worker');
      if (!inPage) publishWorker(s.server, `${name}.js`, denying(parts, 'hang'));
      const { page, ask } = await pageAfter(inPage ? denying(parts, 'hang', here ? HERE : {}) : '');
      const synced = await ask('attempt', `/${name}`, kind, inPage ? {} : { workerUrl: `/${name}.js` });
      assertIs(synced, old);
      if (left) assert.equal(synced.warning, undefined);
      else assert.match(synced.warning, /in memory only: .*(did not answer|does nothing)/);
      await page.close();
      const { version } = synced;
      const stored = await s.page.evaluate(
        ([path, kind, version]) => attempt(path, { store: { kind, name: 'driblet' }, version }),
        [`/${name}`, left ?? kind, version],
      );
      assert.equal(stored.cost?.requests === 0, left !== undefined, stored.message);
    });
  }

  test('the wasm module: a network error, and the next sync loads it', async () => {
    s.server.publish('module.d.ts', old);
    const { page, ask } = await pageAfter('');
    await page.route(/\.wasm$/, () => {}, { times: 1 });
    const failed = await ask('attempt', '/module.d.ts', 'browser');
    assert.deepEqual(
      [failed.code, failed.message],
      [
        'network',
        "SyncError: the wasm module did not load (sync again): driblet's wasm module did not answer for 30 seconds",
      ],
    );
    assertIs(await ask('attempt', '/module.d.ts', 'browser'), old);
    await page.close();
  });

  test('the wasm module for directories: the same', async () => {
    const { page } = await pageAfter('');
    await page.route(/directories-\w+\.wasm$/, () => {}, { times: 1 });
    const attempt = () =>
      page.evaluate(async () => {
        const { syncDirectory } = await import('/.driblet/directories.js');
        return syncDirectory('/').then(
          (directory) => directory.close(),
          ({ code, message }) => [code, message],
        );
      });
    assert.deepEqual(await attempt(), [
      'network',
      "the wasm module did not load (sync again): driblet's wasm module did not answer for 30 seconds",
    ]);
    assert.equal(await attempt(), undefined);
    await page.close();
  });

  test('the engine does not load in a page without workers: a network error', async () => {
    s.server.publish('engine.d.ts', old);
    const { page, ask } = await pageAfter(denying([], 'hang', HERE));
    await page.route(/\/worker-\w+\.js$/, () => {});
    const failed = await ask('attempt', '/engine.d.ts', 'browser');
    assert.deepEqual(
      [failed.code, failed.message],
      [
        'network',
        "SyncError: neither driblet's worker nor its engine loaded: driblet's engine did not answer for 30 seconds",
      ],
    );
    await page.close();
  });

  test('a list names the store that did not answer; the other place is listed', async () => {
    s.server.publish('listed.d.ts', old);
    await s.attempt('/listed.d.ts', { store: { kind: 'opfs', name: 'driblet' } });
    const { page, ask } = await pageAfter(denying(['indexedDB'], 'hang'));
    const [both, one] = await Promise.all([
      ask('listed', 'browser'),
      ask('listed', 'indexeddb').catch(({ message }) => message),
    ]);
    assert.ok(both.includes('/listed.d.ts'));
    assert.match(one, /SyncError: IndexedDB did not answer/);
    await page.close();
  });

  test('another tab holds the lock and does nothing: the new version comes by a delta, into memory; once the lock is free it is stored', async () => {
    const name = 'held.d.ts';
    const store = { kind: 'browser', name: 'driblet' };
    s.server.publish(name, old);
    const { version } = await s.attempt(name, { store });
    const page = await pageWithLock(name);
    s.server.publish(name, fresh);
    const sync = () => s.attempt(name, { store, timeout: 5000 });
    for (const synced of await Promise.all([sync(), sync()])) {
      assertIs(synced, fresh);
      assert.match(synced.warning, /in memory only: another page holds the lock/);
    }
    const again = await sync();
    assert.deepEqual([again.digest, again.cost.basis], [digestOf(fresh), 'same']);
    assert.equal(
      (await s.page.evaluate((store) => list(store), store)).find(({ url }) => url.endsWith(name)).version,
      version,
    );
    await page.evaluate(() => free());
    await page.close();
    const stored = await sync();
    assert.deepEqual([stored.digest, stored.cost.basis, stored.warning], [digestOf(fresh), 'version', undefined]);
  });

  test('another tab holds the lock and does nothing, and the server has the stored version: it is in the store', async () => {
    const name = 'held-same.d.ts';
    const store = { kind: 'browser', name: 'driblet' };
    s.server.publish(name, old);
    await s.attempt(name, { store });
    const page = await pageWithLock(name);
    const synced = await s.attempt(name, { store });
    assertIs(synced, old);
    assert.deepEqual([synced.cost.basis, synced.warning], ['same', undefined]); // `attempt` compares `stored` with it.
    await page.evaluate(() => free());
    await page.close();
  });

  test('another tab that makes progress is waited for, longer than a silent one: its version is found', async () => {
    const name = 'slow.bin';
    const path = join(s.server.root, name);
    writeFileSync(path, randomBytes(200_000));
    const holder = await open(s.browser, s.link.url);
    s.link.fault = (request) =>
      isDelta(request) && request.url.startsWith(`/${name}`) ? { stall: 100_000 } : undefined;
    const cut = holder.evaluate(
      (name) =>
        new Promise((begun) => {
          globalThis.syncing = attempt(name, { timeout: 120_000, onProgress: begun });
        }),
      name,
    );
    await cut;
    const waiter = await open(s.browser, s.link.url);
    const waiting = waiter.evaluate((name) => attempt(name), name);
    // The waiting page asks every second whether the holder works.
    await s.page.evaluate(
      (name) =>
        new Promise((resolve) => {
          let asked = 0;
          new BroadcastChannel(`driblet sync driblet ${new URL(name, location).href}`).onmessage = ({ data }) => {
            asked += data.includes('?') ? 1 : 0;
            if (asked === 35) resolve();
          };
        }),
      name,
    );
    s.link.fault = () => undefined;
    s.link.hangUp();
    assert.equal((await holder.evaluate(() => syncing)).code, 'network');
    const synced = await waiting;
    assertIs(synced, path);
    assert.equal(synced.warning, undefined);
    await Promise.all([holder.close(), waiter.close()]);
  });
});

test('a worker that hangs in the middle of a sync is ended, and the sync continues in memory and says so', async () => {
  const name = 'hangs-syncing.bin';
  const path = publishLong(name);
  const store = { kind: 'opfs', name };
  await s.attempt(name, { store: { kind: 'memory', name } }); // The server then has the delta.
  const tab = await open(s.browser, s.link.url);
  stops(s.link);
  const synced = await tab.evaluate(
    ([name, store, workerUrl]) => attempt(name, { store, workerUrl, workerTimeout: 8000 }),
    [name, store, stoppingIn('FileSystemSyncAccessHandle.write.2')],
  );
  s.link.fault = () => undefined;
  assertIs(synced, path);
  assert.match(synced.warning, /in memory only: driblet's worker hung/);
  assertIs(await s.attempt(name, { store }), path);
  await tab.close();
});

describe('an abort while the store hangs frees the lock', () => {
  for (const [what, worker] of Object.entries({
    'in a call that never answers': (name) => {
      publishWorker(
        s.server,
        `${name}.js`,
        denying(['files'], 'hang').replace('new Promise(() => {})', "(fetch('/hangs'), new Promise(() => {}))"),
      );
      return `/${name}.js`;
    },
    'in a call that does not return': () => stoppingIn('FileSystemSyncAccessHandle.flush.1'),
  })) {
    test(`${what}: another tab syncs and stores`, async () => {
      const name = `aborted-${what.length}.bin`;
      const path = publishLong(name);
      const store = { kind: 'opfs', name };
      const tab = await open(s.browser, s.link.url);
      const hangs = new Promise((resolve) => {
        s.link.fault = ({ url }) => {
          if (!['/hangs', '/stopped'].includes(url)) return undefined;
          resolve();
          return { never: true };
        };
      });
      await tab.evaluate(
        ([name, store, workerUrl]) => {
          configure({ workerUrl });
          globalThis.abort = new AbortController();
          globalThis.aborted = sync(name, { store, signal: abort.signal }).catch(({ name }) => name);
        },
        [name, store, worker(name)],
      );
      await hangs;
      assert.equal(await tab.evaluate(() => (abort.abort(), aborted)), 'AbortError');
      const synced = await s.attempt(name, { store });
      assertIs(synced, path);
      assert.equal(synced.warning, undefined);
      await tab.close();
    });
  }
});

for (const kind of ['browser', 'opfs', 'indexeddb']) {
  test(`a list beside a page that syncs, ${kind} store, has what is kept each time`, async () => {
    const name = `beside-${kind}.d.ts`;
    const store = { kind, name };
    const versions = [old, fresh];
    s.server.publish(name, old);
    await s.attempt(name, { store });
    const tab = await open(s.browser, s.link.url);
    await tab.evaluate((store) => {
      globalThis.listing = true;
      globalThis.lists = (async () => {
        const seen = [];
        while (listing)
          seen.push(
            await list(store).then((kept) => kept.map(({ url }) => new URL(url).pathname.slice(1)).join(), String),
          );
        return seen;
      })();
    }, store);
    for (let turn = 1; turn <= 40; turn += 1) {
      s.server.publish(name, versions[turn % 2]);
      assertIs(await s.attempt(name, { store }), versions[turn % 2]);
    }
    const seen = await tab.evaluate(() => ((globalThis.listing = false), lists));
    assert.deepEqual([...new Set(seen)], [name], `${seen.length} lists`);
    await tab.close();
  });
}
