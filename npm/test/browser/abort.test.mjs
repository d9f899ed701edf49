// A signal that is aborted, in every phase of a sync: its reason at once, the old version whole, and no lock left behind.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { open } from '../support/browser.mjs';
import { isDelta } from '../support/proxy.mjs';
import { digestOf, site } from '../support/site.mjs';

/** Longer than what is given before it is stored. */
const LENGTH = 40_000_000;
let s;
let oldPath;

before(async () => {
  s = await site();
  oldPath = join(s.server.root, 'old.bin');
});
after(() => s?.close());

/** 40 MB, of which every 100,000th byte differs by edition. */
function edition(number) {
  const bytes = Buffer.alloc(LENGTH);
  for (let at = 0; at < LENGTH; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);
  for (let at = 0; at < LENGTH; at += 100_000) bytes[at] = number;
  return bytes;
}

/** When to abort: what the page runs to start a sync, and to wait until it is there. */
const PHASES = {
  'before it begins': { begun: 'abort.abort(reason)' },
  'while the worker starts': { begun: 'undefined' },
  'while another sync of the URL runs': { first: true, fault: { stall: 0 }, begun: 'asked()' },
  'while the server is silent': { fault: { never: true }, begun: 'asked()' },
  'while a delta comes': { fault: { stall: 60 }, begun: 'reported(({ received }) => 0 < received)' },
  'while the version is written': { begun: 'reported(({ written }) => 0 < written)' },
};

for (const kind of ['opfs', 'indexeddb']) {
  describe(`into the ${kind} store`, () => {
    for (const [phase, { first = false, fault, begun }] of Object.entries(PHASES)) {
      test(phase, async () => {
        const name = `${kind}-${Object.keys(PHASES).indexOf(phase)}.bin`;
        const store = { kind, name };
        writeFileSync(oldPath, edition(1));
        s.server.publish(name, oldPath);
        const { version } = await s.attempt(name, { store });
        writeFileSync(join(s.server.root, name), edition(2));
        let asked;
        const wasAsked = new Promise((resolve) => {
          asked = resolve;
        });
        s.link.fault = (request) => {
          if (!isDelta(request)) return undefined;
          asked();
          return fault;
        };
        // A page of its own, whose worker is not there yet.
        const page = await open(s.browser, s.link.url);
        await page.exposeFunction('asked', () => wasAsked);
        const said = await page.evaluate(async ([name, store, begun, first]) => {
          const abort = new AbortController();
          const reason = new Error('enough');
          const listeners = new Set();
          const reported = (wanted) => new Promise((resolve) => listeners.add((progress) => wanted(progress) && resolve()));
          const others = first ? sync(name, { store, signal: abort.signal }).catch(() => {}) : undefined;
          const begin = new Function('abort', 'reason', 'reported', `return ${begun}`)(abort, reason, reported);
          const onProgress = (progress) => listeners.forEach((listener) => listener(progress));
          const started = sync(name, { store, signal: abort.signal, onProgress }).then(() => 'synced', (error) => error);
          await begin;
          abort.abort(reason);
          await others;
          return (await started) === reason ? 'its reason' : String(await started);
        }, [name, store, begun, first]);
        assert.equal(said, 'its reason');
        s.link.fault = () => undefined;
        // A sync of the same page waits until the lock is free. Where all had come the new version may be stored by now, else it is the old one.
        const held = async (version) => {
          const { digest, cost, message } = await page.evaluate(([name, store, version]) => attempt(name, { store, version }), [name, store, version]);
          return message ?? (cost.requests === 0 ? digest : 'fetched anew');
        };
        await page.evaluate((name) => navigator.locks.request(`driblet sync ${name.store} ${name.key}`, () => {}), { store: name, key: new URL(name, s.link.url).href });
        const [{ version: kept }] = await page.evaluate((store) => list(store), store);
        if (fault || first || phase.startsWith('before')) assert.equal(kept, version);
        assert.equal(await held(kept), digestOf(kept === version ? oldPath : join(s.server.root, name)));
        const next = await page.evaluate(([name, store]) => attempt(name, { store }), [name, store]);
        assert.equal(next.digest, digestOf(join(s.server.root, name)), next.message);
        assert.ok(next.cost.received < 100_000, `${next.cost.received} bytes`);
        assert.deepEqual(await page.evaluate(async () => (await navigator.locks.query()).held.map(({ name }) => name)), []);
        await page.close();
      });
    }
  });
}
