// Compression dictionaries in Chromium, over TLS: pages that run no script of ours get the difference.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch } from '../support/browser.mjs';
import { newCertificate } from '../support/certificate.mjs';
import { release, serve } from '../support/driblet.mjs';
import { eventually } from '../support/limit.mjs';

let server;
let browser;

before(async () => {
  const { cert, key, hash } = newCertificate();
  server = await serve('--tls-cert', cert, '--tls-key', key, '--access-log', 'json');
  browser = await launch({ trusted: hash });
});
after(async () => {
  await browser?.close();
  await server?.close();
});

/** Writes a release of TypeScript that says which one it is. */
function writeRelease(name, version) {
  const whole = join(server.root, `${name}.new`);
  writeFileSync(whole, `${readFileSync(release(version))}\nglobalThis.shown = '${version}';`);
  renameSync(whole, join(server.root, name));
}

/**
 * Opens a page in a tab of its own. Returns the version of the script that ran there, the coding of the answer that
 * brought it, and how many bytes of it crossed the wire.
 */
async function show(path) {
  const page = await browser.context.newPage();
  const answers = [];
  page.on('response', (answer) => answers.push(answer));
  await page.goto(new URL(path, server.url).href);
  const shown = await page.evaluate(() => globalThis.shown);
  const coding = await answers.find((answer) => answer.url().endsWith('.js'))?.headerValue('content-encoding');
  const transferred = await page.evaluate(() => performance.getEntriesByType('resource')[0]?.transferSize);
  await page.close();
  return { shown, coding, transferred };
}

/**
 * Waits until the browser has stored a page's script, and has heard each time whether it is the newest one. The page was
 * shown once before.
 */
async function isStored(page, script) {
  let shown = 1;
  // A request may come after the page was shown, and is in the log later still.
  const allAnswered = () => eventually(() => shown <= server.answers.filter(({ path }) => path === script).length);
  await allAnswered();
  await eventually(async () => {
    const { transferred } = await show(page);
    shown += 1;
    await allAnswered();
    return transferred === 0;
  });
}

/** The bytes that the server sent for a path, one number for each answer. */
function sent(path) {
  return server.answers.filter((answer) => answer.path === path && answer.status === 200).map(({ bytes }) => bytes);
}

test('a script that changes is shown once more, while its difference is fetched', async () => {
  writeFileSync(join(server.root, 'same.html'), '<!doctype html><script src="/typescript.js"></script>');
  writeRelease('typescript.js', '5.9.2');
  assert.equal((await show('/same.html')).shown, '5.9.2');
  await isStored('/same.html', '/typescript.js');
  const before = sent('/typescript.js');
  writeRelease('typescript.js', '5.9.3');
  assert.equal((await show('/same.html')).shown, '5.9.2');
  await eventually(async () => (await show('/same.html')).shown === '5.9.3');
  // The browser fetches a newer form of the same version at most once, and that is short too.
  const later = sent('/typescript.js').slice(before.length);
  assert.ok(0 < later.length && later.every((bytes) => bytes < before[0] / 100), `${later} of ${before[0]} bytes`);
});

test('the next build of a script with a content hash comes as a difference at once', async () => {
  const page = (name) => `<!doctype html><script src="/assets/${name}"></script>`;
  const before = 'index-B3f2a9xx.js';
  mkdirSync(join(server.root, 'assets'));
  writeRelease(`assets/${before}`, '5.9.2');
  writeFileSync(join(server.root, 'hashed.html'), page(before));
  assert.equal((await show('/hashed.html')).shown, '5.9.2');
  rmSync(join(server.root, 'assets', before));
  // The browser stores a dictionary some time after the script ran, which no event tells.
  let builds = 0;
  const showNext = async () => {
    builds += 1;
    const name = `index-Q9bd1c${String(builds).padStart(2, '0')}.js`;
    writeRelease(`assets/${name}`, '5.9.3');
    writeFileSync(join(server.root, 'hashed.html'), page(name));
    const { shown, coding } = await show('/hashed.html');
    assert.equal(shown, '5.9.3');
    return /^dc[bz]$/.test(coding) ? name : undefined;
  };
  let next;
  await eventually(async () => (next = await showNext()));
  await eventually(() => sent(`/assets/${next}`).length === 1);
  assert.ok(sent(`/assets/${next}`)[0] < sent(`/assets/${before}`)[0] / 100);
});
