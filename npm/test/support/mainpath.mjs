// The main path, in browsers other than Chromium: what every browser must do with the shipped and with the installed
// scripts.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BASES } from './browser.mjs';
import { release, serve } from './driblet.mjs';
import { install } from './installed.mjs';
import { proxyTo } from './proxy.mjs';
import { digestOf } from './site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');

/**
 * Tests the kinds of store of a browser. `launch(url)` starts it. It returns `close` and `open(url)`, which opens a
 * page of the site without a worker of an earlier page. Such a page has `evaluate(work, ...args)` and `close`.
 */
export function testMainPath(launch, kinds, beforehand = () => {}) {
  let server;
  let link;
  let packed;
  let browser;
  let page;

  before(async () => {
    server = await serve();
    beforehand(server);
    packed = install();
    packed.publish(server);
    link = await proxyTo(server); // The link keeps its address when the server starts anew.
    browser = await launch(link.url);
  });
  after(async () => {
    await browser?.close();
    await link?.close();
    await server?.close();
    packed?.remove();
  });

  async function open(base) {
    const page = await browser.open(link.url);
    await page.evaluate(async (base) => {
      Object.assign(globalThis, await import(base.client), await import(base.store));
      const digest = async (bytes) =>
        Array.from(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)), (byte) =>
          byte.toString(16).padStart(2, '0'),
        ).join('');
      /** Syncs, reads and closes. Returns what the handle says, or the error. */
      globalThis.attempt = async (path, options) => {
        try {
          const handle = await sync(path, options);
          await handle.stored;
          const { version, cost, warning } = handle;
          const digests = [await digest(await handle.bytes()), await digest(await (await handle.blob()).arrayBuffer())];
          handle.close();
          return { version, warning, basis: cost.basis, requests: cost.requests, received: cost.received, digests };
        } catch (error) {
          return { code: error.code, message: String(error.message) };
        }
      };
    }, base);
    return page;
  }

  const attempt = (path, store) =>
    page.evaluate((path, store) => globalThis.attempt(path, store ? { store } : {}), path, store ?? null);
  const assertIs = ({ digests, message }, path) => assert.deepEqual(digests, Array(2).fill(digestOf(path)), message);

  for (const [where, base] of Object.entries(BASES)) {
    describe(`as it is ${where}`, () => {
      before(async () => {
        page = await open(base);
      });
      after(() => page?.close());

      // The stores' code is the same in both.
      for (const kind of where === 'shipped' ? kinds : ['browser']) {
        test(`the ${kind} store: a first sync, the same, a delta, a version that the server has forgotten`, async () => {
          const store = { kind, name: `${where}-${kind}` };
          const path = `/${where}-${kind}.d.ts`;
          server.publish(path, old);
          const first = await attempt(path, store);
          assertIs(first, old);
          assert.deepEqual([first.basis, first.warning ?? undefined], ['none', undefined]);
          assert.equal((await attempt(path, store)).basis, 'same');
          server.publish(path, fresh);
          const next = await attempt(path, store);
          assertIs(next, fresh);
          assert.deepEqual([next.basis, next.requests], ['version', 1]);
          server.publish(path, old);
          await server.forget();
          await page.close();
          page = await open(base);
          const matched = await attempt(path, store);
          assertIs(matched, old);
          assert.equal(matched.basis, kind === 'memory' ? 'none' : 'matched');
        });
      }

      test('a version that is stored while it arrives is read part by part', async () => {
        const path = `/${where}-long.bin`;
        writeFileSync(join(server.root, path), Buffer.concat(Array(5).fill(randomBytes(8_000_000))));
        const seen = await page.evaluate(async (path) => {
          const handle = await sync(path);
          const reader = handle.stream().getReader();
          let came = 0;
          for (let next = await reader.read(); !next.done; next = await reader.read()) came += next.value.length;
          handle.close();
          return [came === handle.length, handle.warning ?? null];
        }, path);
        assert.deepEqual(seen, [true, null]);
      });

      test('stored versions are listed, streamed and deleted', async () => {
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

      test('a list during syncs always has the stored version', async () => {
        const path = `/${where}-beside.d.ts`;
        server.publish(path, old);
        await attempt(path);
        await page.evaluate((path) => {
          globalThis.listing = true;
          globalThis.lists = (async () => {
            const seen = [];
            while (listing)
              seen.push(await list().then((kept) => kept.filter(({ url }) => url.endsWith(path)).length, String));
            return seen;
          })();
        }, path);
        for (const file of Array(5).fill([fresh, old]).flat()) {
          server.publish(path, file);
          assertIs(await attempt(path), file);
        }
        const seen = await page.evaluate(() => ((globalThis.listing = false), lists));
        assert.deepEqual([...new Set(seen)], [1], `${seen.length} lists`);
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

      test('a synced module runs', async () => {
        writeFileSync(
          join(server.root, `${where}-answer.wasm`),
          Buffer.from('AGFzbQEAAAABBQFgAAF/AwIBAAcKAQZhbnN3ZXIAAAoGAQQAQSoL', 'base64'),
        );
        const answer = await page.evaluate(async (where) => {
          const handle = await sync(`/${where}-answer.wasm`);
          const { instance } = await WebAssembly.instantiateStreaming(handle.response());
          handle.close();
          return instance.exports.answer();
        }, where);
        assert.equal(answer, 42);
      });
    });
  }
}
