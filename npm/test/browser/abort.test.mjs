// Aborts in every phase of a sync: the sync rejects with the signal's reason at once, the old version is whole, and no
// lock is left.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { assertNothingLeft, leftOver, open, whenIdle } from '../support/browser.mjs';
import { LARGE, largeBytes } from '../support/large.mjs';
import { isDelta } from '../support/proxy.mjs';
import { assertIs, digestOf, useSite } from '../support/site.mjs';
import { publishStop, stoppingIn, stops } from '../support/stop.mjs';

let oldPath;

const s = useSite(async () => {
  oldPath = join(s.server.root, 'old.bin');
  publishStop(s.server);
});

/** A large file, in which every 100,000th byte differs between editions. */
function edition(number) {
  const bytes = largeBytes();
  for (let at = 0; at < LARGE; at += 100_000) bytes[at] = number;
  return bytes;
}

const isSignature = ({ method }) => method === 'POST';

/** When to abort: the script with which the page waits for that phase, and what keeps the sync in it. */
const PHASES = {
  'before it begins': { begun: 'abort.abort(reason)' },
  'while the worker starts': { begun: 'undefined' },
  'while another sync of the URL runs': { first: true, fault: { stall: 0 }, begun: 'asked()' },
  'while the server is silent': { fault: { never: true }, begun: 'asked()' },
  'while a delta comes': { fault: { stall: 60 }, begun: 'reported(({ received }) => 0 < received)' },
  'while the version is written': { begun: 'reported(({ written }) => 0 < written)' },
  'while the server thinks about a signature': {
    forgotten: true,
    which: isSignature,
    fault: { never: true },
    begun: 'asked()',
  },
  'while a delta is resumed': { cut: 100, fault: { stall: 0 }, begun: 'asked()' },
  'while the version is committed': {
    stop: { opfs: 'FileSystemSyncAccessHandle.flush.1', indexeddb: 'IDBObjectStore.put.1.heads' },
    begun: 'asked()',
  },
};

for (const kind of ['opfs', 'indexeddb']) {
  describe(`into the ${kind} store`, () => {
    for (const [phase, { first = false, forgotten, which = isDelta, cut, stop, fault, begun }] of Object.entries(
      PHASES,
    )) {
      test(phase, async () => {
        const name = `${kind}-${Object.keys(PHASES).indexOf(phase)}.bin`;
        const store = { kind, name };
        writeFileSync(oldPath, edition(1));
        s.server.publish(name, oldPath);
        const { version } = await s.attempt(name, { store });
        writeFileSync(join(s.server.root, name), edition(2));
        if (cut !== undefined) assert.equal((await s.attemptCut(name, cut, { store })).code, 'network');
        if (forgotten) await s.server.forget();
        const { stopped, goOn } = stops(s.link);
        const wasAsked = stop
          ? stopped()
          : new Promise((asked) => {
              s.link.fault = (request) => {
                if (!which(request)) return undefined;
                asked();
                return fault;
              };
            });
        // A new page, which has no worker yet.
        const page = await open(s.browser, s.link.url);
        await page.exposeFunction('asked', () => wasAsked);
        const said = await page.evaluate(
          async ([name, store, begun, first, workerUrl]) => {
            configure({ workerUrl });
            const abort = new AbortController();
            const reason = new Error('enough');
            const listeners = new Set();
            const reported = (wanted) =>
              new Promise((resolve) => listeners.add((progress) => wanted(progress) && resolve()));
            const others = first ? sync(name, { store, signal: abort.signal }).catch(() => {}) : undefined;
            const begin = new Function('abort', 'reason', 'reported', `return ${begun}`)(abort, reason, reported);
            const onProgress = (progress) => listeners.forEach((listener) => listener(progress));
            const started = sync(name, { store, signal: abort.signal, onProgress }).then(
              () => 'synced',
              (error) => error,
            );
            await begin;
            abort.abort(reason);
            await others;
            return (await started) === reason ? 'its reason' : String(await started);
          },
          [name, store, begun, first, stop && stoppingIn(stop[kind])],
        );
        assert.equal(said, 'its reason');
        goOn();
        s.link.fault = () => undefined;
        // A sync in the same page waits until the lock is free. If the whole delta had arrived, the new version may be
        // stored by now; otherwise the old one is.
        const held = async (version) => {
          const { digest, cost, message } = await page.evaluate(
            ([name, store, version]) => attempt(name, { store, version }),
            [name, store, version],
          );
          return message ?? (cost.requests === 0 ? digest : 'fetched anew');
        };
        await whenIdle(page, store, name);
        const [{ version: kept }] = await page.evaluate((store) => list(store), store);
        if (fault || first || phase.startsWith('before')) assert.equal(kept, version);
        assert.equal(await held(kept), digestOf(kept === version ? oldPath : join(s.server.root, name)));
        const next = await page.evaluate(([name, store]) => attempt(name, { store }), [name, store]);
        assert.equal(next.digest, digestOf(join(s.server.root, name)), next.message);
        assert.ok(next.cost.received < (forgotten ? 4_000_000 : 100_000), `${next.cost.received} bytes`);
        assert.deepEqual(await leftOver(page, store, next.version, name), []);
        await assertNothingLeft(page);
        await page.close();
      });
    }
  });
}

test('after the handle was returned: it is too late, and the version is stored', async () => {
  const path = join(s.server.root, 'late.bin');
  writeFileSync(path, edition(3).subarray(0, 1_000_000));
  const warning = await s.page.evaluate(async () => {
    const abort = new AbortController();
    const handle = await sync('/late.bin', { signal: abort.signal });
    abort.abort();
    await handle.stored;
    handle.close();
    return handle.warning ?? 'none';
  });
  assert.equal(warning, 'none');
  const next = await s.attempt('late.bin');
  assertIs(next, path);
  assert.equal(next.cost.basis, 'same');
});
