// Pages behind nginx and Caddy with the files of deploy/, over TLS and HTTP/2.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { PLAIN_HOST, launch, open } from '../support/browser.mjs';
import { deployedCaddy } from '../support/caddy.mjs';
import { newCertificate } from '../support/certificate.mjs';
import { release, serve } from '../support/driblet.mjs';
import { temporaryFolder } from '../support/folder.mjs';
import { deployedNginx } from '../support/nginx.mjs';
import { assertIs } from '../support/site.mjs';

const [old, fresh] = [release('5.8.3', 'lib.dom.d.ts'), release('5.9.2', 'lib.dom.d.ts')];
const certificate = newCertificate();
const socket = join(temporaryFolder('socket'), 'http.sock');
let server;
let browser;

before(async () => {
  server = await serve('--listen', `unix:${socket}`, '--allow-host', PLAIN_HOST);
  browser = await launch({ ignoreHTTPSErrors: true });
});
after(async () => {
  await browser?.close();
  await server?.close();
});

const starts = {
  nginx: () => deployedNginx(server.url.host, certificate),
  'nginx, by a Unix socket': () => deployedNginx(`unix:${socket}`, certificate),
  Caddy: () => deployedCaddy(server.url.host, PLAIN_HOST, certificate),
  'Caddy, by a Unix socket': () => deployedCaddy(`unix/${socket}`, PLAIN_HOST, certificate),
};

for (const [name, start] of Object.entries(starts)) {
  test(`${name}: a sync, its delta, a poll, a range, compression and a WebSocket`, async () => {
    const proxy = await start();
    const file = `${name.replaceAll(/\W/g, '')}.d.ts`;
    server.publish(file, old);
    writeFileSync(join(server.root, 'note.txt'), 'now');
    const page = await open(browser, `https://${PLAIN_HOST}:${proxy.port}/`);
    try {
      const attempt = () => page.evaluate((path) => globalThis.attempt(path), `/${file}`);
      assertIs(await attempt(), old);
      server.publish(file, fresh);
      const next = await attempt();
      assertIs(next, fresh);
      assert.equal(next.cost.basis, 'version');

      // A poll is answered when the file changes.
      const polls = page.evaluate(async () => {
        const { counter } = await (await fetch('/note.txt.driblet/head')).json();
        globalThis.asked = true;
        return (await fetch(`/note.txt.driblet/head?since=${counter}&wait=60`)).json();
      });
      await page.waitForFunction('globalThis.asked');
      writeFileSync(join(server.root, 'note.txt'), 'later');
      assert.equal((await polls).length, 5);
      const answers = await page.evaluate(async (path) => {
        const answer = async (options) => {
          const { status, headers } = await fetch(path, { cache: 'no-store', ...options });
          return [status, headers.get('content-encoding'), headers.get('content-range'), headers.get('etag')];
        };
        return [await answer(), await answer({ headers: { range: 'bytes=5-9' } })];
      }, `/${file}`);
      const { length } = next;
      assert.equal(answers[0][0], 200);
      assert.match(answers[0][1], /^(br|zstd)$/, 'the server has compressed it');
      assert.match(answers[0][3], /^"/, 'the ETag is strong: the proxy has changed nothing');
      assert.deepEqual(answers[1].slice(0, 3), [206, null, `bytes 5-9/${length}`]);

      // The message of a receiver of browser-sync-stream that has nothing. It gets the whole file.
      const received = await page.evaluate(async (url) => {
        const websocket = new WebSocket(url);
        websocket.binaryType = 'arraybuffer';
        let bytes = 0;
        websocket.onopen = () => websocket.send(new Uint8Array([1, 0]));
        websocket.onmessage = ({ data }) => (bytes += data.byteLength);
        const { code } = await new Promise((resolve) => (websocket.onclose = resolve));
        return { code, bytes };
      }, `wss://${PLAIN_HOST}:${proxy.port}/${file}`);
      assert.equal(received.code, 1000);
      assert.ok(length < received.bytes);

      const protocols = await page.evaluate(() =>
        performance.getEntries().flatMap(({ nextHopProtocol }) => nextHopProtocol || []),
      );
      assert.deepEqual([...new Set(protocols)], ['h2']);
    } finally {
      await page.close();
      await proxy.close();
    }
  });
}
