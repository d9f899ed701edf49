// The installed package in Node: in memory, in a folder, and failures of a folder.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { assertIsFile as assertIs, attemptBy } from './support/attempt.mjs';
import { release } from './support/driblet.mjs';
import { install } from './support/installed.mjs';
import { largeBytes } from './support/large.mjs';
import { isDelta } from './support/proxy.mjs';
import { digestOf } from './support/site.mjs';
import { useServer } from './support/site.mjs';

const old = release('5.8.3', 'lib.dom.d.ts');
const fresh = release('5.9.2', 'lib.dom.d.ts');
let packed;
let server;
let link;
let entry;
let driblet;
let folder;

useServer(async (started) => {
  packed = install();
  ({ server, link } = started);
  entry = execFileSync(process.execPath, ['--input-type=module', '-e', "console.log(import.meta.resolve('driblet'))"], {
    cwd: packed.folder,
    encoding: 'utf8',
  }).trim();
  driblet = await import(entry);
});
after(() => packed?.remove());
beforeEach(() => {
  folder = mkdtempSync(join(packed.folder, 'store-'));
});

/** Syncs into the folder; see `attemptBy`. */
function attempt(name, options) {
  return attemptBy(driblet.sync, new URL(name, link.url), { store: driblet.directoryStore(folder), ...options });
}

const TRAP = new URL('support/trap.mjs', import.meta.url).href;

/**
 * Starts a script in a process of its own, with the file's URL and the folder. The process stops in the call `trap` of
 * node:fs.
 */
function start(script, name, trap) {
  const values = [
    ...(trap ? ['--import', TRAP] : []),
    '--input-type=module',
    '-e',
    script,
    new URL(name, link.url).href,
    folder,
  ];
  const child = spawn(process.execPath, values, { cwd: packed.folder, env: { ...process.env, TRAP: trap } });
  let said = '';
  let errors = '';
  child.stdout.setEncoding('latin1').on('data', (text) => (said += text));
  const trapped = new Promise((resolve) =>
    child.stderr.setEncoding('utf8').on('data', (text) => (errors += text).includes('trapped') && resolve(true)),
  );
  const ended = new Promise((resolve) =>
    child.once('close', (_code, signal) => resolve({ said: Buffer.from(said, 'latin1'), signal, errors })),
  );
  return {
    ended,
    async trapped() {
      assert.ok(await Promise.race([trapped, ended.then(() => false)]), `it was never in ${trap}: ${errors}`);
    },
    goOn: () => child.stdin.end('\n'),
    kill: () => child.kill('SIGKILL'),
  };
}

/** Syncs, reads, and returns the result as JSON. */
const SYNC = `
  import { createHash } from 'node:crypto';
  import { directoryStore, sync } from 'driblet';
  const handle = await sync(process.argv[1], { store: directoryStore(process.argv[2]) });
  await handle.stored;
  const digest = createHash('sha256').update(await handle.bytes()).digest('hex');
  console.log(JSON.stringify({ digest, basis: handle.cost.basis, warning: handle.warning }));`;

async function toldBy({ ended }) {
  const { said, errors } = await ended;
  assert.match(said.toString(), /^\{/, errors);
  return JSON.parse(said);
}

/** Publishes a large file, with some bytes set to `edit`. */
function publishLarge(name, edit) {
  const bytes = largeBytes();
  bytes.fill(edit, 20_000_000, 20_000_100);
  const path = join(folder, '..', `${name}-${edit}`);
  writeFileSync(path, bytes);
  server.publish(name, path);
  return path;
}

/** Reads the stored version without a request. */
async function assertStill(name, { version }, path) {
  const still = await attempt(name, { version });
  assertIs(still, path);
  assert.equal(still.cost.requests, 0);
}

/** The files in the folder. */
function kept() {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [join(entry.parentPath ?? entry.path, entry.name)] : [],
  );
}

/** The files in the folder that do not belong to one version. */
function leftOver({ version }) {
  return kept()
    .map((file) => basename(file))
    .filter((name) => !['head', 'key'].includes(name) && !name.startsWith(version));
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

test('in a folder: one process takes a delta from the version that another stored, or sends a signature of it to a server that has forgotten it', async () => {
  server.publish('folder.d.ts', old);
  assert.equal((await toldBy(start(SYNC, 'folder.d.ts'))).basis, 'none');
  server.publish('folder.d.ts', fresh);
  assert.equal((await toldBy(start(SYNC, 'folder.d.ts'))).basis, 'version');
  const same = await attempt('folder.d.ts');
  assertIs(same, fresh);
  assert.equal(same.cost.basis, 'same');
  server.publish('folder.d.ts', old);
  await server.forget();
  const matched = await attempt('folder.d.ts');
  assertIs(matched, old);
  assert.equal(matched.cost.basis, 'matched');
  await attempt('folder.d.ts'); // The sync before has cleaned up when this one begins.
  assert.equal(kept().length, 3);
  assert.deepEqual(leftOver(matched), []);
});

test('a folder keeps scopes and paths apart, and does the work once when two sync at once', async () => {
  server.publish('scope.d.ts', old);
  const bases = [];
  for (const options of [
    { scope: 'ann' },
    { scope: 'bob' },
    {},
    { store: driblet.directoryStore(join(folder, 'another')) },
    { scope: 'ann' },
  ]) {
    const found = await attempt('scope.d.ts', options);
    assertIs(found, old);
    bases.push(found.cost.basis);
  }
  assert.deepEqual(bases, ['none', 'none', 'none', 'none', 'same']);
  const twice = await Promise.all([1, 2].map(() => attempt('scope.d.ts', { scope: 'twice' })));
  assert.deepEqual(
    twice.map(({ cost }) => cost.basis),
    ['none', 'same'],
  );
});

test('a folder takes files of zero bytes and of one', async () => {
  for (const content of ['', 'x', '']) {
    writeFileSync(join(server.root, 'small.txt'), content);
    const { bytes, warning } = await attempt('small.txt');
    assert.deepEqual([Buffer.from(bytes).toString(), warning], [content, undefined]);
    assert.equal((await attempt('small.txt')).cost.basis, 'same');
  }
});

test('three processes at once get the same bytes, and the next sync works with the files that they leave', async () => {
  const path = publishLarge('thrice.bin', 1);
  const found = await Promise.all([1, 2, 3].map(() => toldBy(start(SYNC, 'thrice.bin'))));
  for (const { digest, warning } of found) assert.deepEqual([digest, warning], [digestOf(path), undefined]);
  const same = await attempt('thrice.bin');
  assertIs(same, path);
  assert.equal(same.cost.basis, 'same');
  assert.deepEqual(leftOver(same), []);
});

test('a process that stages while another syncs and cleans up: both get their versions', async () => {
  publishLarge('staging.bin', 1);
  await attempt('staging.bin');
  const path = publishLarge('staging.bin', 2);
  const other = start(SYNC, 'staging.bin', 'writeSync.3');
  await other.trapped();
  for (const basis of ['version', 'same']) {
    const mine = await attempt('staging.bin'); // The sync before has cleaned up when this one begins.
    assertIs(mine, path);
    assert.equal(mine.cost.basis, basis);
  }
  assert.equal(kept().length, 4);
  other.goOn();
  const { digest, warning } = await toldBy(other);
  assert.deepEqual([digest, warning], [digestOf(path), undefined]);
  for (const when of ['found', 'tidied up']) assert.equal((await attempt('staging.bin')).cost.basis, 'same', when);
  assert.equal(kept().length, 3);
});

test('a version that this process stored stays while a handle reads it, whatever another process syncs', async () => {
  server.publish('held.d.ts', old);
  const handle = await driblet.sync(new URL('held.d.ts', link.url), { store: driblet.directoryStore(folder) });
  await handle.stored;
  await handle.bytes();
  server.publish('held.d.ts', fresh);
  assert.equal((await toldBy(start(SYNC, 'held.d.ts'))).digest, digestOf(fresh));
  assertIs({ bytes: await handle.bytes() }, old);
  handle.close();
  const same = await attempt('held.d.ts');
  assert.equal(same.cost.basis, 'same');
  await attempt('held.d.ts');
  assert.deepEqual(leftOver(same), []);
});

test("a version of a process that ended is deleted by another's sync: its reader gets an error, and the next sync repairs the folder", async () => {
  server.publish('lost.d.ts', old);
  await toldBy(start(SYNC, 'lost.d.ts'));
  const handle = await driblet.sync(new URL('lost.d.ts', link.url), { store: driblet.directoryStore(folder) });
  assert.equal(handle.cost.basis, 'same');
  server.publish('lost.d.ts', fresh);
  await toldBy(start(SYNC, 'lost.d.ts'));
  await assert.rejects(handle.bytes(), { name: 'SyncError', code: 'store', message: /removed/ });
  const healed = await attempt('lost.d.ts');
  assertIs(healed, fresh);
  assert.equal(healed.cost.basis, 'same');
});

test('a file that is removed while it is written never becomes the head', async () => {
  server.publish('removed.d.ts', old);
  const before = await attempt('removed.d.ts');
  server.publish('removed.d.ts', fresh);
  const other = start(SYNC, 'removed.d.ts', 'fsyncSync.1');
  await other.trapped();
  const [staged] = kept().filter((file) => leftOver(before).includes(basename(file)));
  rmSync(staged);
  other.goOn();
  const { digest, warning } = await toldBy(other);
  assert.equal(digest, digestOf(fresh));
  assert.match(warning, /not stored.*removed while it was written/);
  await assertStill('removed.d.ts', before, old);
});

test('a record that was read stays valid while another process writes the next one', async () => {
  const { directoryHandle } = await import(new URL('stores/directory.js', entry));
  writeFileSync(join(folder, 'head'), 'one');
  const read = await (await directoryHandle(folder).getFileHandle('head')).getFile();
  writeFileSync(join(folder, 'head'), 'another');
  assert.equal(await read.text(), 'one');
});

test('a delta that was cut off continues where it ended', async () => {
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
  [
    'a flipped byte',
    (file) => {
      const bytes = readFileSync(file);
      bytes[1000] ^= 1;
      writeFileSync(file, bytes);
    },
  ],
  ['a truncated file', (file) => truncateSync(file, 1000)],
  ['a deleted file', (file) => rmSync(file)],
]) {
  test(`${how}: noticed when it is read, repaired by a sync`, async () => {
    server.publish('damaged.d.ts', old);
    const { version } = await attempt('damaged.d.ts');
    damage(kept().find((file) => file.includes(version)));
    let healed = await attempt('damaged.d.ts');
    if (healed.code === 'store') healed = await attempt('damaged.d.ts');
    assertIs(healed, old);
    assert.equal(healed.cost.basis, 'none');
  });
}

for (const [when, trap, whole] of [
  ['while it stages', 'writeSync.1', old],
  ['while it makes what it staged durable', 'fsyncSync.1', old],
  ['before it writes the record', 'writeSync.2', old],
  ['after it wrote the record', 'fsyncSync.3', fresh],
  ['while it deletes the old version', 'rm.1', fresh],
]) {
  test(`a process killed ${when}: one of the two versions is whole, the next sync continues from it, and nothing is left over`, async () => {
    const name = `killed-${trap}.d.ts`;
    server.publish(name, old);
    const before = await toldBy(start(SYNC, name));
    assert.equal(before.digest, digestOf(old));
    server.publish(name, fresh);
    const doomed = start(SYNC, name, trap);
    await doomed.trapped();
    doomed.kill();
    assert.equal((await doomed.ended).signal, 'SIGKILL');
    const next = await attempt(name);
    assertIs(next, fresh);
    assert.equal(next.cost.basis, whole === old ? 'version' : 'same');
    await attempt(name); // The sync before has cleaned up when this one begins.
    assert.equal(kept().length, 3);
    assert.deepEqual(leftOver(next), []);
  });
}

test('a process killed while it stages a version that arrives: the old version is whole, and nothing is left over after the next sync', async () => {
  const first = publishLarge('killed.bin', 1);
  const before = await attempt('killed.bin');
  const second = publishLarge('killed.bin', 2);
  const doomed = start(SYNC, 'killed.bin', 'writeSync.2');
  await doomed.trapped();
  doomed.kill();
  await doomed.ended;
  await assertStill('killed.bin', before, first);
  const next = await attempt('killed.bin');
  assertIs(next, second);
  assert.equal(next.cost.basis, 'version');
  await attempt('killed.bin');
  assert.equal(kept().length, 3);
  assert.deepEqual(leftOver(next), []);
});

test('an abort while a delta arrives: the old version is whole, and the next sync continues', async () => {
  server.publish('aborted.d.ts', old);
  const before = await attempt('aborted.d.ts');
  server.publish('aborted.d.ts', fresh);
  const aborting = new AbortController();
  link.fault = (request) => (isDelta(request) ? { stall: 3_000 } : undefined);
  const enough = () => aborting.abort(new Error('enough'));
  const { message } = await attempt('aborted.d.ts', {
    signal: aborting.signal,
    onProgress: ({ received }) => 3_000 <= received && setImmediate(enough),
  });
  link.fault = () => undefined;
  assert.equal(message, 'enough');
  await assertStill('aborted.d.ts', before, old);
  link.requests.length = 0;
  assertIs(await attempt('aborted.d.ts'), fresh);
  assert.equal(link.requests[0].range, 'bytes=3000-');
});

/** Mounts a disk at the folder, if this user may. */
function mounted(t, size) {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder], { stdio: 'pipe' });
  } catch {
    t.skip('this user may not mount a disk');
    return false;
  }
  const disk = folder;
  t.after(() => execFileSync('umount', [disk]));
  return true;
}

test('a full disk: the version is in memory with a warning, and the old one stays', async (t) => {
  if (!mounted(t, '4m')) return;
  server.publish('full.d.ts', old);
  const before = await attempt('full.d.ts');
  assert.equal(before.warning, undefined);
  for (const room of [0, 4_096, 400_000]) {
    const { bavail, bsize } = statfsSync(folder);
    writeFileSync(join(folder, 'ballast'), Buffer.alloc(bavail * bsize - room));
    for (const publish of [() => server.publish('full.d.ts', fresh), () => publishLarge('full.d.ts', 1)]) {
      publish();
      const synced = await attempt('full.d.ts');
      assertIs(synced, join(server.root, 'full.d.ts'));
      assert.match(synced.warning, /no room/);
      await assertStill('full.d.ts', before, old);
    }
    rmSync(join(folder, 'ballast'));
  }
  server.publish('full.d.ts', fresh);
  assert.equal((await attempt('full.d.ts')).warning, undefined);
});

test('a full disk: versions used longest ago are evicted, but none that a sync or a handle uses', async (t) => {
  if (!mounted(t, '6m')) return;
  server.publish('using.d.ts', old);
  const before = await attempt('using.d.ts');
  server.publish('unused.d.ts', old);
  await attempt('unused.d.ts');
  server.publish('using.d.ts', fresh);
  link.fault = ({ url }) => (url.includes('using.d.ts.') ? { stall: 3_000 } : undefined);
  let came;
  const stalled = new Promise((resolve) => (came = resolve));
  const using = attempt('using.d.ts', { onProgress: ({ received }) => 3_000 <= received && came() });
  await stalled;
  // A version needs twice its length: the bytes kept for resuming are deleted once it is stored.
  writeFileSync(join(server.root, 'wanted.bin'), randomBytes(2_000_000));
  assert.equal((await attempt('wanted.bin')).warning, undefined);
  writeFileSync(join(server.root, 'more.bin'), randomBytes(3_000_000));
  assert.match((await attempt('more.bin')).warning, /no room/);
  link.fault = () => undefined;
  link.hangUp();
  assert.equal((await using).code, 'network');
  await assertStill('using.d.ts', before, old);
  assert.equal((await attempt('unused.d.ts')).cost.basis, 'none');
});

test('a folder that cannot be written: stored versions are read, new ones are in memory with a warning', async (t) => {
  if (!mounted(t, '9m')) return;
  server.publish('fixed.d.ts', old);
  await attempt('fixed.d.ts');
  execFileSync('mount', ['-o', 'remount,ro', folder]);
  const same = await attempt('fixed.d.ts');
  assertIs(same, old);
  assert.equal(same.cost.basis, 'same');
  server.publish('fixed.d.ts', fresh);
  const synced = await attempt('fixed.d.ts');
  assertIs(synced, fresh);
  assert.match(synced.warning, /in memory only.*EROFS/);
  publishLarge('fixed.d.ts', 1);
  const { code, message } = await attempt('fixed.d.ts');
  assert.equal(code, 'store');
  assert.match(message, /EROFS/);
});

test('a path that is not a folder: the version is in memory, and the warning says why', async () => {
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
  await assert.rejects(driblet.sync(new URL('x', link.url), { signal: AbortSignal.abort(new Error('enough')) }), {
    message: 'enough',
  });
  await assert.rejects(driblet.sync('/relative.js'), { name: 'TypeError', message: /must be absolute/ });
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
