// The package in Node, as it is installed: in memory, in a folder, and what can go wrong with one.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { release, serve } from './support/driblet.mjs';
import { install } from './support/installed.mjs';
import { isDelta, proxyTo } from './support/proxy.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let packed;
let server;
let link;
let driblet;
let folder;

before(async () => {
  packed = install();
  server = await serve();
  link = await proxyTo(server);
  const entry = execFileSync(process.execPath, ['--input-type=module', '-e', "console.log(import.meta.resolve('driblet'))"], { cwd: packed.folder, encoding: 'utf8' }).trim();
  driblet = await import(entry);
});
after(async () => {
  await link?.close();
  await server?.close();
  packed?.remove();
});
beforeEach(() => {
  folder = mkdtempSync(join(packed.folder, 'store-'));
});

/** Syncs, reads, closes, and tells what came of it; or how it failed. */
async function attempt(name, options) {
  try {
    const handle = await driblet.sync(new URL(name, link.url), { store: driblet.directoryStore(folder), ...options });
    const bytes = await handle.bytes();
    await handle.stored;
    const { version, cost, warning } = handle;
    handle.close();
    return { version, cost, warning, bytes };
  } catch (error) {
    return { code: error.code, message: error.message };
  }
}

function assertIs({ bytes, code, message }, path) {
  assert.ok(bytes, `${code}: ${message}`);
  assert.ok(readFileSync(path).equals(bytes));
}

/** Runs a script in a process of its own, with the file's URL and the folder; gives what it said and how it ended. */
function inProcess(script, name) {
  const values = ['--input-type=module', '-e', script, new URL(name, link.url).href, folder];
  const child = spawn(process.execPath, values, { cwd: packed.folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const pieces = [];
  child.stdout.on('data', (piece) => pieces.push(piece));
  return new Promise((resolve) => child.once('close', (code, signal) => resolve({ said: Buffer.concat(pieces), code, signal })));
}

/** The folder's files. */
function kept() {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [join(entry.parentPath ?? entry.path, entry.name)] : []));
}

test('in memory, the default: a first sync, the same, a delta', async () => {
  server.publish('memory.d.ts', old);
  const bases = [];
  for (const path of [old, old, fresh]) {
    server.publish('memory.d.ts', path);
    const synced = await attempt('memory.d.ts', { store: undefined });
    assertIs(synced, path);
    assert.equal(synced.warning, undefined);
    bases.push(synced.cost.basis);
  }
  assert.deepEqual(bases, ['none', 'same', 'version']);
});

test('in a folder: what one process stored another takes the delta from, or describes to a server that has forgotten it', async () => {
  server.publish('folder.d.ts', old);
  const script = `
    import { directoryStore, sync } from 'driblet';
    const handle = await sync(process.argv[1], { store: directoryStore(process.argv[2]) });
    await handle.stored;
    console.log(handle.cost.basis);`;
  const run = async () => (await inProcess(script, 'folder.d.ts')).said.toString().trim();
  assert.equal(await run(), 'none');
  server.publish('folder.d.ts', fresh);
  assert.equal(await run(), 'version');
  const same = await attempt('folder.d.ts');
  assertIs(same, fresh);
  assert.equal(same.cost.basis, 'same');
  server.publish('folder.d.ts', old);
  await server.forget();
  const matched = await attempt('folder.d.ts');
  assertIs(matched, old);
  assert.equal(matched.cost.basis, 'matched');
  await attempt('folder.d.ts'); // When it begins the one before has tidied up.
  assert.deepEqual(kept().map((file) => file.replace(/^.*\//, '').replace(matched.version, 'version').replace(/-.*/, '')).sort(), ['head', 'key', 'version']);
});

test('two processes at once come to the same bytes, and what they leave can be synced from', async () => {
  server.publish('twice.d.ts', old);
  const script = `
    import { directoryStore, sync } from 'driblet';
    const handle = await sync(process.argv[1], { store: directoryStore(process.argv[2]) });
    process.stdout.write(await handle.bytes());`;
  const found = await Promise.all([1, 2, 3].map(() => inProcess(script, 'twice.d.ts')));
  for (const { said } of found) assert.ok(readFileSync(old).equals(said));
  assertIs(await attempt('twice.d.ts'), old);
  server.publish('twice.d.ts', fresh);
  assertIs(await attempt('twice.d.ts'), fresh);
});

test('a delta that was cut off goes on where it ended', async () => {
  server.publish('cut.d.ts', old);
  link.fault = (request) => (isDelta(request) ? { stall: 20_000 } : undefined);
  const cut = await attempt('cut.d.ts', { onProgress: ({ received }) => 20_000 <= received && link.hangUp() });
  link.fault = () => undefined;
  assert.equal(cut.code, 'network', cut.message);
  link.requests.length = 0;
  assertIs(await attempt('cut.d.ts'), old);
  assert.equal(link.requests[0].range, 'bytes=20000-');
});

for (const [how, damage] of [
  ['a flipped byte', (file) => { const bytes = readFileSync(file); bytes[1000] ^= 1; writeFileSync(file, bytes); }],
  ['a truncated file', (file) => truncateSync(file, 1000)],
  ['a deleted file', (file) => rmSync(file)],
]) {
  test(`${how}: noticed when it is read, healed by a sync`, async () => {
    server.publish('damaged.d.ts', old);
    const { version } = await attempt('damaged.d.ts');
    damage(kept().find((file) => file.includes(version)));
    let healed = await attempt('damaged.d.ts');
    if (healed.code === 'store') healed = await attempt('damaged.d.ts');
    assertIs(healed, old);
    assert.equal(healed.cost.basis, 'none');
  });
}

test('a process killed while it stages: the old version is whole, and nothing is left over after the next sync', async () => {
  const bytes = Buffer.alloc(40_000_000);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(Math.imul(at, 2_654_435_761) >>> 0, at);
  const path = join(server.root, 'killed.bin');
  writeFileSync(path, bytes);
  const { version } = await attempt('killed.bin');
  bytes.fill(1, 20_000_000, 20_000_100);
  writeFileSync(path, bytes);
  const script = `
    import { directoryStore, sync } from 'driblet';
    await sync(process.argv[1], { store: directoryStore(process.argv[2]), onProgress: ({ written }) => 0 < written && process.kill(process.pid, 'SIGKILL') });`;
  assert.equal((await inProcess(script, 'killed.bin')).signal, 'SIGKILL');
  const still = await attempt('killed.bin', { version });
  assert.deepEqual([still.version, still.cost?.requests], [version, 0], still.message);
  const next = await attempt('killed.bin');
  assert.ok(bytes.equals(next.bytes));
  assert.equal(kept().length, 3);
});

test('what is no folder: the version is in memory, and the warning says why', async () => {
  server.publish('file.d.ts', old);
  writeFileSync(join(folder, 'file'), 'x');
  const synced = await attempt('file.d.ts', { store: driblet.directoryStore(join(folder, 'file')) });
  assertIs(synced, old);
  assert.match(synced.warning, /in memory only.*ENOTDIR/);
});

test('errors as in a browser: a page in place of a delta, an abort, a relative URL', async () => {
  link.fault = () => ({ html: '<h1>Log in</h1>' });
  const page = await attempt('page.d.ts');
  link.fault = () => undefined;
  assert.deepEqual([page.code, /captive portal/.test(page.message)], ['protocol', true]);
  await assert.rejects(driblet.sync(new URL('x', link.url), { signal: AbortSignal.abort(new Error('enough')) }), { message: 'enough' });
  await assert.rejects(driblet.sync('/relative.js'), { name: 'TypeError', message: /Invalid URL/ });
});

test('a handle gives streams, blobs and responses', async () => {
  server.publish('handle.js', old);
  const handle = await driblet.sync(new URL('handle.js', link.url), { store: driblet.directoryStore(folder) });
  await handle.stored;
  await handle.bytes();
  const response = handle.response();
  assert.equal(response.headers.get('content-type'), 'text/javascript');
  assert.ok(readFileSync(old).equals(Buffer.from(await response.arrayBuffer())));
  assert.equal((await handle.blob()).size, statSync(old).size);
  assert.equal(handle.length, statSync(old).size);
  handle.close();
});
