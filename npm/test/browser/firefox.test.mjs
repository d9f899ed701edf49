// The main path in Firefox, driven over WebDriver BiDi.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { launch } from 'puppeteer-core';
import { BASES } from '../support/browser.mjs';
import { release, serve } from '../support/driblet.mjs';
import { install } from '../support/installed.mjs';
import { proxyTo } from '../support/proxy.mjs';
import { digestOf } from '../support/site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let server;
let link;
let browser;
let page;
let packed;

before(async () => {
  server = await serve();
  packed = install();
  packed.publish(server);
  link = await proxyTo(server); // It stays where it is when the server starts anew.
  browser = await launch({ browser: 'firefox', executablePath: executable(), headless: true });
});
after(async () => {
  await browser?.close();
  await link?.close();
  await server?.close();
  packed?.remove();
});

async function open(base) {
  const page = await browser.newPage();
  await page.goto(link.url);
  await page.evaluate(async (base) => {
    Object.assign(globalThis, await import(base.client), await import(base.store));
    /** Syncs, reads, closes, and tells what came of it; or how it failed. */
    globalThis.attempt = async (path, options) => {
      try {
        const handle = await sync(path, options);
        const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await handle.bytes()));
        await handle.stored;
        const { version, cost, warning } = handle;
        handle.close();
        return { version, warning, basis: cost.basis, requests: cost.requests, received: cost.received, digest: Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('') };
      } catch (error) {
        return { code: error.code, message: String(error.message) };
      }
    };
  }, base);
  return page;
}

for (const [where, base] of Object.entries(BASES)) {
  describe(`as it is ${where}`, () => {
    before(async () => {
      page = await open(base);
    });
    after(() => page?.close());

    // Stores are the same code in both.
    for (const kind of where === 'shipped' ? ['browser', 'opfs', 'indexeddb', 'memory'] : ['browser']) {
      test(`the ${kind} store: a first sync, the same, a delta, a version that the server has forgotten`, async () => {
        const store = { kind, name: `${where}-${kind}` };
        const path = `/${where}-${kind}.d.ts`;
        const attempt = () => page.evaluate((path, store) => globalThis.attempt(path, { store }), path, store);
        server.publish(path, old);
        const first = await attempt();
        assert.deepEqual([first.digest, first.basis, first.warning], [digestOf(old), 'none', undefined], first.message);
        assert.equal((await attempt()).basis, 'same');
        server.publish(path, fresh);
        const next = await attempt();
        assert.deepEqual([next.digest, next.basis, next.requests], [digestOf(fresh), 'version', 1], next.message);
        server.publish(path, old);
        await server.forget();
        await page.close();
        page = await open(base);
        const matched = await attempt();
        assert.deepEqual([matched.digest, matched.basis], [digestOf(old), kind === 'memory' ? 'none' : 'matched'], matched.message);
      });
    }

    test('what is stored is listed, streamed and deleted', async () => {
      server.publish(`${where}-kept.d.ts`, old);
      const seen = await page.evaluate(async (where) => {
        const handle = await sync(`/${where}-kept.d.ts`);
        await handle.stored;
        const response = handle.response();
        const length = (await response.arrayBuffer()).byteLength;
        handle.close();
        const kept = (await list()).filter(({ url }) => url.endsWith(`/${where}-kept.d.ts`));
        await kept[0].delete();
        const after = (await list()).filter(({ url }) => url.endsWith(`/${where}-kept.d.ts`));
        return [length === handle.length, kept.length, after.length];
      }, where);
      assert.deepEqual(seen, [true, 1, 0]);
    });

    test('an abort rejects with its reason', async () => {
      server.publish('abort.d.ts', old);
      const said = await page.evaluate(async () => {
        const abort = new AbortController();
        const syncing = sync('/abort.d.ts', { signal: abort.signal }).catch((error) => error.message);
        abort.abort(new Error('enough'));
        return syncing;
      });
      assert.equal(said, 'enough');
    });
  });
}

function executable() {
  if (process.env.FIREFOX) return process.env.FIREFOX;
  for (const name of ['firefox-esr', 'firefox']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim();
    } catch {
      // The next one, then.
    }
  }
  throw new Error('there is no Firefox here; set FIREFOX, or run scripts/setup.sh browser');
}
