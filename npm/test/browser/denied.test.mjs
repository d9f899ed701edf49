// Parts of the platform that the browser denies: a sync continues without them, in memory at worst, and its warning
// says why.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch as launchChromium } from '../support/browser.mjs';
import { PARTS, DENIALS, denying, framed, prepared, publishFrame } from '../support/denied.mjs';
import { release, serve } from '../support/driblet.mjs';
import { launch as launchFirefox } from '../support/firefox.mjs';
import { digestOf } from '../support/site.mjs';
import { publishWorker } from '../support/stop.mjs';
import { launch as launchWebkit, publishPage } from '../support/webkit.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let server;

before(async () => {
  server = await serve('--allow-origin', 'null');
  publishFrame(server);
  publishPage(server);
});
after(() => server?.close());

/**
 * The browsers. Each opens a site with `allowed` or `blocked` cookies, or with cookies blocked for `third` parties.
 * `hasFiles` says whether pages have a file store.
 */
const BROWSERS = {
  Chromium: {
    hasFiles: true,
    async start(cookies) {
      const profile = mkdtempSync(join(tmpdir(), 'driblet-profile-'));
      const settings = {
        blocked: { default_content_setting_values: { cookies: 2 } },
        third: { cookie_controls_mode: 1, block_third_party_cookies: true },
      };
      mkdirSync(join(profile, 'Default'));
      writeFileSync(join(profile, 'Default', 'Preferences'), JSON.stringify({ profile: settings[cookies] ?? {} }));
      const browser = await launchChromium({}, profile);
      return {
        async open(url) {
          const page = await browser.context.newPage();
          await page.goto(url);
          return page;
        },
        close: () => browser.close(),
      };
    },
  },
  Firefox: {
    hasFiles: true,
    start: (cookies) =>
      launchFirefox(
        { blocked: { 'network.cookie.cookieBehavior': 2 }, third: { 'network.cookie.cookieBehavior': 1 } }[cookies],
      ),
  },
  WebKit: {
    hasFiles: false,
    // Its cookie settings deny no storage.
    frames: ['allowed'],
    hasOneTab: true,
    start: (_cookies, url) => launchWebkit(url),
  },
};

for (const [name, { hasFiles, hasOneTab = false, frames = ['allowed', 'blocked', 'third'], start }] of Object.entries(
  BROWSERS,
)) {
  describe(`in ${name}`, () => {
    /** Opens a page of the site by its own name or by the other one, and closes it. */
    async function inPage(cookies, host, work) {
      const url = server.url.href.replace('127.0.0.1', host);
      const browser = await start(cookies, url);
      try {
        return await work(await browser.open(url));
      } finally {
        await browser.close();
      }
    }

    for (const [where, cookies, host, sandbox] of [
      ['a sandboxed frame', 'allowed', '127.0.0.1', 'allow-scripts'],
      ['a page whose cookies are blocked', 'blocked', '127.0.0.1', undefined],
      ["a third party's frame, where such parties' cookies are blocked", 'third', 'localhost', undefined],
    ].filter(([, cookies]) => frames.includes(cookies))) {
      test(`${where}: every store syncs in memory, the second time by a delta, and the handle says why; nothing is listed`, async () => {
        await inPage(cookies, host, async (page) => {
          const ask = await framed(page, new URL('frame.html', server.url).href, sandbox);
          for (const kind of ['browser', 'opfs', 'indexeddb', 'memory']) {
            const path = new URL(`${name}-${cookies}-${kind}.d.ts`, server.url);
            const syncs = async (file, basis) => {
              server.publish(path.pathname, file);
              const synced = await ask('attempt', path.href, kind);
              assert.deepEqual([synced.digest, synced.basis], [digestOf(file), basis], synced.message);
              if (kind === 'memory') assert.equal(synced.warning ?? undefined, undefined);
              else assert.match(synced.warning, /in memory only: ./);
            };
            await syncs(old, 'none');
            await syncs(fresh, 'version');
            if (kind !== 'memory') assert.deepEqual(await ask('listed', kind), []);
          }
          assert.equal((await ask('estimate')).persisted, false);
        });
      });
    }

    describe('one part denied, and all of them', () => {
      let browser;
      let undenied;

      before(async () => {
        browser = await start('allowed', server.url.href);
      });
      after(() => browser?.close());

      /** Where a sync stores if these parts are denied to its thread; undefined if in memory only. */
      function placeLeft(thread, parts) {
        const isDenied = (...some) => some.some((part) => parts.includes(part));
        if (hasFiles && thread === 'worker' && !isDenied('storage', 'files', 'folders', 'writing')) return 'opfs';
        return isDenied('indexedDB', 'transactions') ? undefined : 'indexeddb';
      }

      /** Denies parts to a page or to its worker, and syncs there. */
      async function syncsWithout(parts, denial, thread) {
        const id = `${name}-${thread}-${parts.join('')}-${denial}`;
        const path = `/${id}.d.ts`;
        if (thread === 'worker') publishWorker(server, `${id}.js`, denying(parts, denial));
        const page = await browser.open(server.url.href);
        const ask = await prepared(
          page,
          thread === 'page'
            ? denying(parts, denial, parts.includes('Worker') && denial !== 'reject' ? {} : { Worker: 'missing' })
            : '',
        );
        const options = thread === 'page' ? {} : { workerUrl: `/${id}.js` };
        server.publish(path, old);
        const first = await ask('attempt', path, 'browser', options);
        assert.deepEqual([first.digest, first.basis], [digestOf(old), 'none'], first.message);
        server.publish(path, fresh);
        const next = await ask('attempt', path, 'browser', options);
        assert.deepEqual([next.digest, next.basis], [digestOf(fresh), 'version'], next.message);
        const place = placeLeft(thread, parts);
        if (place) assert.equal(next.warning ?? undefined, undefined);
        else assert.match(next.warning, /in memory only: ./);
        await page.close();
        // Other pages find the stored version.
        if (hasOneTab || !undenied) undenied = await prepared(await browser.open(server.url.href), '');
        assert.equal((await undenied('listed', 'browser')).includes(path), place !== undefined);
        if (place) assert.ok((await undenied('listed', place)).includes(path), `not in ${place}`);
      }

      for (const thread of ['worker', 'page']) {
        for (const denial of DENIALS.filter((denial) => denial !== 'hang')) {
          for (const part of Object.keys(PARTS).filter(
            (part) => denying([part], denial) && (thread === 'page' || !['Worker', 'localStorage'].includes(part)),
          )) {
            test(`${part} denied to a ${thread} (${denial})`, () => syncsWithout([part], denial, thread));
          }
          test(`all denied to a ${thread} (${denial})`, () => syncsWithout(Object.keys(PARTS), denial, thread));
        }
      }
    });
  });
}
