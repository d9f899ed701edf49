// Pages behind a real nginx in its usual first configuration: with the upstream's name as Host.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PLAIN_HOST, launch } from '../support/browser.mjs';
import { release, serve } from '../support/driblet.mjs';
import { nginx } from '../support/nginx.mjs';
import { digestOf } from '../support/site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let server;
let browser;

before(async () => {
  // The server has forgotten the page's version when the page comes back, so the page sends a signature.
  server = await serve('--history-versions', '1');
  writeFileSync(
    join(server.root, 'page.html'),
    '<!doctype html><title>driblet</title><script type="module" src="main.mjs"></script>',
  );
  writeFileSync(
    join(server.root, 'main.mjs'),
    `import { sync, watch } from '/.driblet/client.js';
    globalThis.seen = [];
    globalThis.watches = async (path) => {
      for await (const handle of watch(path)) {
        seen.push(new TextDecoder().decode(await handle.bytes()));
        handle.close();
      }
    };
    globalThis.syncs = async (path) => {
      const handle = await sync(path);
      const digest = await crypto.subtle.digest('SHA-256', await handle.bytes());
      await handle.stored;
      return { basis: handle.cost.basis, digest: Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('') };
    };
    globalThis.loaded = true;`,
  );
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.close();
});

for (const [how, more] of [
  ['plain', ''],
  ['compressing everything', 'gzip on; gzip_proxied any; gzip_types *; gzip_min_length 1;'],
]) {
  test(`nginx, ${how}: module scripts, a first sync, and a signature`, async () => {
    const proxy = await nginx(`location / { proxy_pass ${server.url.origin}; ${more} }`);
    const page = await browser.context.newPage();
    try {
      const posts = [];
      page.on('response', (response) => response.request().method() === 'POST' && posts.push(response.status()));
      const name = `${more ? 'packed' : 'plain'}.d.ts`;
      server.publish(name, old);
      await page.goto(`http://localhost:${proxy.port}/page.html`);
      await page.waitForFunction('globalThis.loaded');
      const first = await page.evaluate((path) => syncs(path), `/${name}`);
      assert.deepEqual([first.digest, first.basis], [digestOf(old), 'none']);
      server.publish(name, fresh);
      const next = await page.evaluate((path) => syncs(path), `/${name}`);
      assert.deepEqual([next.digest, next.basis, posts], [digestOf(fresh), 'matched', [200]]);
      // If nginx holds the stream back, the page polls.
      for (const text of ['one', 'two', 'three']) {
        writeFileSync(join(server.root, `live-${name}`), text);
        if (text === 'one') await page.evaluate((path) => void watches(path), `/live-${name}`);
        await page.waitForFunction((text) => seen.at(-1) === text, text);
      }
    } finally {
      await page.close();
      await proxy.close();
    }
  });
}

test('nginx in front of a site without https: an error with the configuration line to add, and success with it', async () => {
  const proxy = await nginx(`location / { proxy_pass ${server.url.origin}; }
    location /named/ { proxy_pass ${server.url.origin}/; proxy_set_header X-Forwarded-Host $http_host; }`);
  const page = await browser.context.newPage();
  try {
    const origin = `http://${PLAIN_HOST}:${proxy.port}`;
    const refused = page.waitForResponse(`${origin}/main.mjs`);
    await page.goto(`${origin}/page.html`);
    assert.equal((await refused).status(), 403);
    const refusal = await page.evaluate(async () => (await fetch('/main.mjs', { method: 'POST' })).text());
    assert.match(refusal, new RegExp(`--allow-host ${PLAIN_HOST}:${proxy.port}`));
    const answer = page.waitForResponse(`${origin}/named/main.mjs`);
    await page.goto(`${origin}/named/page.html`);
    assert.equal((await answer).status(), 200);
  } finally {
    await page.close();
    await proxy.close();
  }
});
