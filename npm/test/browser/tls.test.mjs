// Pages over TLS and HTTP/2, from the server itself.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, open } from '../support/browser.mjs';
import { newCertificate } from '../support/certificate.mjs';
import { release, serve } from '../support/driblet.mjs';
import { assertIs } from '../support/site.mjs';
import { treeIn } from '../support/tree.mjs';

const [old, fresh] = [release('5.8.3', 'lib.dom.d.ts'), release('5.9.2', 'lib.dom.d.ts')];

let server;
let browser;

before(async () => {
  const { cert, key } = newCertificate();
  server = await serve('--tls-cert', cert, '--tls-key', key, '--directory', 'app');
  writeFileSync(join(server.root, 'index.html'), '<!doctype html><title>tls</title>');
  browser = await launch({ ignoreHTTPSErrors: true });
});
after(async () => {
  await browser?.close();
  await server?.close();
});

test('a page syncs over HTTP/2', async () => {
  assert.equal(server.url.protocol, 'https:');
  const page = await open(browser, server.url.href);
  const attempt = (path) => page.evaluate((path) => globalThis.attempt(path), path);
  server.publish('lib.d.ts', old);
  assertIs(await attempt('/lib.d.ts'), old);
  server.publish('lib.d.ts', fresh);
  const next = await attempt('/lib.d.ts');
  assertIs(next, fresh);
  assert.equal(next.cost.basis, 'version');
  const protocols = await page.evaluate(() =>
    performance.getEntries().flatMap(({ nextHopProtocol }) => nextHopProtocol || []),
  );
  assert.deepEqual([...new Set(protocols)], ['h2']);
});

test('a page syncs a directory over HTTP/2', async () => {
  const page = await open(browser, server.url.href);
  const folder = treeIn(server, 'app');
  for (let number = 0; number < 300; number += 1) folder.write(`chunk-${number}.js`, `// ${number}`);
  await folder.publish();
  const files = await page.evaluate(async () => {
    const { syncDirectory } = await import('/.driblet/directories.js');
    const directory = await syncDirectory('/app/');
    const texts = await Promise.all(directory.paths().map(async (path) => (await directory.file(path)).text()));
    directory.close();
    return texts.sort();
  });
  assert.deepEqual(files, Array.from({ length: 300 }, (_, number) => `// ${number}`).sort());
});
