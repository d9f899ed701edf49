// Deltas that look through containers, in the page: the wasm module with all codecs is loaded when one needs it, and a page
// that cannot load it gets other deltas.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { open } from '../support/browser.mjs';
import { binary, release, whenDeltaIs } from '../support/driblet.mjs';
import { assertIs, useSite } from '../support/site.mjs';

const folder = mkdtempSync(join(tmpdir(), 'driblet-codecs-'));
after(() => rmSync(folder, { recursive: true }));
const [old, fresh] = ['5.9.2', '5.9.3'].map((version) => {
  const path = join(folder, `${version}.js.gz`);
  writeFileSync(path, gzipSync(readFileSync(release(version)), { level: 9 }));
  return path;
});
const LENGTH = smallest(old, fresh).length;
// The smallest delta, however long it takes to decode.
const s = useSite(undefined, { options: ['--codec', 'dense'] });

/** The smallest delta between two files. */
function smallest(from, to) {
  const delta = join(folder, 'delta');
  execFileSync(binary, ['diff', from, to, '--codec', 'dense', '-o', delta]);
  return readFileSync(delta);
}

/** A page that stores the old file under this name, while the server has the fresh one, and its smallest delta. */
async function behind(name, stored = old, head = fresh, length = LENGTH) {
  s.server.publish(name, stored);
  const page = await open(s.browser, s.link.url);
  const sync = () => page.evaluate((name) => attempt(name, { store: { kind: 'opfs', name } }), name);
  const first = await sync();
  assertIs(first, stored);
  s.server.publish(name, head);
  await whenDeltaIs(length, new URL(`${name}.driblet/${first.version}`, s.server.url));
  return { page, sync };
}

const modules = () => s.link.requests.filter(({ path }) => /^\/\.driblet\/codecs-\w+\.wasm$/.test(path)).length;

// First, since the browser keeps the module.
test('a page that cannot load the module gets another delta', async () => {
  const { page, sync } = await behind('missing.js.gz');
  s.link.fault = ({ url }) => (url.includes('codecs-') ? { status: 404 } : undefined);
  const synced = await sync();
  assertIs(synced, fresh);
  assert.deepEqual([synced.cost.basis, synced.cost.requests], ['version', 2]);
  s.server.publish('missing.js.gz', old);
  assertIs(await sync(), old);
  s.link.fault = () => undefined;
  await page.close();
});

test('the module is loaded for a delta that needs it, and only once', async () => {
  const { page, sync } = await behind('needed.js.gz');
  const before = modules();
  const synced = await sync();
  assertIs(synced, fresh);
  assert.equal(synced.cost.basis, 'version');
  assert.ok(synced.cost.received <= LENGTH, `${synced.cost.received} bytes`);
  const { reused } = synced.cost;
  assert.ok(0.9 * synced.length < reused && reused <= synced.length, `${reused} of ${synced.length} bytes`);
  assert.ok(LENGTH * 100 < statSync(fresh).size, `${LENGTH} bytes`);
  assert.equal(modules() - before, 1);
  s.server.publish('needed.js.gz', old);
  assertIs(await sync(), old);
  assert.equal(modules() - before, 1);
  await page.close();
});

test('new text is predicted in the page', async () => {
  const [before, after] = ['5.8.3', '5.9.2'].map((version) => release(version, 'typescript.d.ts'));
  const delta = smallest(before, after);
  assert.equal(delta[headerLength(delta)] & 0x3f, 5);
  const { page, sync } = await behind('types.d.ts', before, after, delta.length);
  const synced = await sync();
  assertIs(synced, after);
  assert.equal(synced.cost.received, delta.length);
  await page.close();
});

/** Where the first region of a delta begins. */
function headerLength(delta) {
  let [at, length] = [34, 0];
  for (let place = 0; ; place += 7) {
    length += (delta[at] & 0x7f) * 2 ** place;
    if (delta[at++] < 0x80) break;
  }
  const group = 2 ** (18 + (delta[1] & 7));
  return at + 8 + (length <= group ? 0 : 32 * Math.ceil(length / group));
}

test('a transfer that is cut off anywhere continues', async () => {
  for (const at of [10, 60, Math.floor(LENGTH / 2), LENGTH - 1]) {
    const { page, sync } = await behind(`cut-${at}.js.gz`);
    s.link.fault = ({ url }) => (url.includes('.driblet/') && !url.startsWith('/.driblet/') ? { cut: at } : undefined);
    const failed = await sync();
    s.link.fault = () => undefined;
    assert.equal(failed.code, 'network', `${failed.message}`);
    assertIs(await sync(), fresh);
    await page.close();
  }
});
