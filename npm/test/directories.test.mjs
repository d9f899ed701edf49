// Directories in Node: in memory, in a folder, and in a level database.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { MemoryLevel } from 'memory-level';
import { levelStore } from '../dist/level.js';
import { SyncError, directoryStore, memoryStore, sync, syncDirectory } from '../dist/node.js';
import { contractFolders, testContract } from './support/directorycontract.mjs';
import { serve } from './support/driblet.mjs';
import { temporaryFolder } from './support/folder.mjs';
import { proxyTo } from './support/proxy.mjs';
import { randomBytes, treeIn, writeLong, writeSite } from './support/tree.mjs';

const home = temporaryFolder('directories');
const s = { attempt, hold };

before(async () => {
  const own = ['own', 'hostile', 'busy', 'progress'].flatMap((name) => ['--directory', name]);
  s.server = await serve(...['memory', 'folder', 'level'].flatMap(contractFolders), ...own);
  s.link = await proxyTo(s.server);
});
after(async () => {
  await s.link?.close();
  await s.server?.close();
});

async function readAll(directory) {
  const files = {};
  for (const path of directory.paths().sort())
    files[path] = createHash('sha256')
      .update(await directory.bytes(path))
      .digest('hex');
  return files;
}

/** Syncs, reads all files and closes; see `testContract`. */
async function attempt(path, { abortAfterFiles, ...options }) {
  let directory;
  try {
    const abort = new AbortController();
    const onProgress = ({ files }) => abortAfterFiles <= files && abort.abort(new Error('enough'));
    const { signal } = abort;
    directory = await syncDirectory(new URL(path, s.link.url), {
      ...options,
      ...(abortAfterFiles && { onProgress, signal }),
    });
    const { version, length, cost, warning } = directory;
    return { version, length, cost, warning, files: await readAll(directory) };
  } catch (error) {
    return { name: error.name, code: error.code, message: error.message };
  } finally {
    directory?.close();
  }
}

async function hold(path, options) {
  const directory = await syncDirectory(new URL(path, s.link.url), options);
  return { files: () => readAll(directory), close: () => directory.close() };
}

/** The packs in a folder. */
function packsIn({ folder }) {
  const path = join(folder, 'driblet directories');
  return readdirSync(path)
    .filter((name) => name.startsWith('f-'))
    .map((name) => join(path, name));
}

const inFolder = {
  async damage(options, how) {
    for (const pack of packsIn(options)) {
      if (how === 'delete') rmSync(pack);
      else
        writeFileSync(
          pack,
          readFileSync(pack).map((byte) => byte ^ 1),
        );
    }
  },
  packed: async (options) => packsIn(options).reduce((sum, pack) => sum + statSync(pack).size, 0),
};

let stores = 0;
function newFolder() {
  stores += 1;
  const folder = join(home, `store-${stores}`);
  return { folder, store: directoryStore(folder) };
}

testContract('memory', s, () => ({ store: memoryStore() }));
testContract('folder', Object.assign(Object.create(s), inFolder), newFolder);
testContract('level', s, () => ({ store: levelStore(new MemoryLevel()) }));

test('a directory reads its files as blobs, bytes, streams and responses', async () => {
  const folder = treeIn(s.server, 'own');
  folder.write('index.html', '<p>hello');
  folder.write('assets/app.js', randomBytes(7, 10_000));
  folder.write('long.bin', randomBytes(8, 5_000_000));
  folder.write('empty.txt', '');
  await folder.publish();
  const { folder: path, store } = newFolder();
  const directory = await syncDirectory(new URL(folder.path, s.link.url), { store });
  assert.deepEqual(directory.paths(), ['assets/app.js', 'empty.txt', 'index.html', 'long.bin']);
  assert.deepEqual([directory.has('index.html'), directory.has('assets'), directory.has('')], [true, false, false]);
  assert.equal(directory.length, 5_010_008);
  assert.deepEqual([await directory.stored, await directory.persisted], [true, false]);
  const html = await directory.file('index.html');
  assert.deepEqual([html.type, await html.text()], ['text/html', '<p>hello']);
  assert.equal((await directory.file('assets/app.js', 'text/plain')).type, 'text/plain');
  assert.deepEqual(Buffer.from(await directory.bytes('long.bin')), randomBytes(8, 5_000_000));
  assert.equal((await directory.bytes('empty.txt')).length, 0);
  const response = directory.response('assets/app.js', { headers: { 'x-more': '1' } });
  assert.deepEqual(
    ['content-type', 'content-length', 'etag', 'x-more'].map((name) => response.headers.get(name)),
    ['text/javascript; charset=utf-8', '10000', `"${directory.version}"`, '1'],
  );
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), randomBytes(7, 10_000));
  for (const call of ['file', 'bytes']) {
    const { name, message } = await directory[call]('none.js').catch((error) => error);
    assert.deepEqual([name, /has no file none\.js/.test(message)], ['NotFoundError', true]);
  }
  // A stream that is being read keeps the directory open.
  const reader = directory.stream('long.bin').getReader();
  let read = (await reader.read()).value.length;
  directory.close();
  folder.write('long.bin', 'short now');
  await folder.publish();
  for (let times = 0; times < 3; times += 1) {
    folder.write('assets/app.js', `${times}`);
    await folder.publish();
    (await syncDirectory(new URL(folder.path, s.link.url), { store })).close();
  }
  for (let next = await reader.read(); !next.done; next = await reader.read()) read += next.value.length;
  assert.equal(read, 5_000_000);
  assert.match((await directory.bytes('index.html').catch((error) => error)).message, /closed; sync again/);
  const last = await syncDirectory(new URL(folder.path, s.link.url), { store });
  last.close();
  assert.ok((await inFolder.packed({ folder: path })) < 100_000);
});

test('options are checked, and each function names the other one', async () => {
  const url = new URL('/own/', s.link.url);
  for (const [given, options, expected] of [
    [
      new URL('/own/index.html', url),
      {},
      /a URL whose path ends in \/ \(for a file call sync\(\)\), not "\/own\/index.html"/,
    ],
    [url, { maxFiles: 'many' }, /maxFiles must be a number of files/],
    [url, { maxBytes: -1 }, /maxBytes must be/],
    [url, { version: 'v1' }, /version must be 64/],
    [url, { onProgress: 1 }, /onProgress must be a function/],
    [url, { store: 'disk' }, /store must be/],
    [url, { scope: 1 }, /scope must be/],
  ]) {
    const error = await syncDirectory(given, options).catch((error) => error);
    assert.ok(error instanceof TypeError, `${error}`);
    assert.match(error.message, expected);
  }
  const error = await sync(url).catch((error) => error);
  assert.deepEqual([error instanceof SyncError, error.code], [true, 'protocol']);
  assert.match(error.message, /call syncDirectory\(\)/);
  const absent = await syncDirectory(new URL('/no-such/', url)).catch((error) => error);
  assert.deepEqual([absent instanceof SyncError, absent.code], [true, 'protocol']);
});

test('two syncs at once make the requests of one', async () => {
  const folder = treeIn(s.server, 'busy');
  writeSite(folder, 5);
  await folder.publish();
  const { store } = newFolder();
  s.link.fault = ({ url }) => (url.endsWith('/none') && s.link.requests.length % 2 === 0 ? { busy: '0' } : undefined);
  const url = new URL(folder.path, s.link.url);
  const both = await Promise.all([syncDirectory(url, { store }), syncDirectory(url, { store })]);
  s.link.fault = () => undefined;
  const reused = both.map(({ cost }) => cost.reused).sort((a, b) => a - b);
  assert.deepEqual(reused, [0, both[0].length]);
  for (const directory of both) {
    assert.deepEqual(await readAll(directory), folder.digests());
    directory.close();
  }
});

test('the progress counts files and bytes', async () => {
  const folder = treeIn(s.server, 'progress');
  writeLong(folder, 3);
  await folder.publish();
  const seen = [];
  const onProgress = (progress) => seen.push({ ...progress });
  const directory = await syncDirectory(new URL(folder.path, s.link.url), { onProgress });
  directory.close();
  for (const name of ['received', 'files', 'written'])
    assert.deepEqual(
      seen.map((progress) => progress[name]),
      seen.map((progress) => progress[name]).sort((a, b) => a - b),
    );
  const { received, ...last } = seen.at(-1);
  assert.deepEqual(last, { files: 6, totalFiles: 6, written: 54_000_000, length: 54_000_000 });
  assert.deepEqual([received, directory.cost.reused], [directory.cost.received, 0]);
});

const vectors = JSON.parse(readFileSync(new URL('../../spec/vectors.json', import.meta.url), 'utf8'));

test('hostile answers are refused and named, and what is stored stays', async () => {
  const folder = treeIn(s.server, 'hostile');
  writeSite(folder);
  await folder.publish();
  const given = newFolder();
  const first = await attempt(folder.path, given);
  assert.deepEqual(first.files, folder.digests());
  folder.write('more.js', 'more');
  await folder.publish();
  const deltas = vectors.directory_deltas.map(({ name, bytes, refused }) => ({ name, bytes, refused }));
  const answers = [
    ...deltas.filter(({ refused }) => refused),
    { name: 'nothing', bytes: '', refused: 'truncated' },
    { name: 'text', bytes: Buffer.from('<html>').toString('hex'), refused: 'bad-magic' },
    { name: 'another old version', bytes: deltas[0].bytes, refused: 'wrong-basis' },
  ];
  for (const { name, bytes } of answers) {
    writeFileSync(join(s.server.root, 'answer.bin'), Buffer.from(bytes, 'hex'));
    s.link.fault = ({ url }) => (/\.driblet\/[0-9a-f]{64}$/.test(url) ? { instead: '/answer.bin' } : undefined);
    const refused = await attempt(folder.path, given);
    assert.equal(refused.code, refused.message.includes('ended while reading') ? 'network' : 'protocol', name);
    assert.match(refused.message, /directory delta/, name);
  }
  // Bytes that are changed on the way: refused, or without effect.
  for (const flip of [1, 5, 40, 80, 120, 200, 300]) {
    s.link.fault = ({ url }) => (/\.driblet\/[0-9a-f]{64}$/.test(url) ? { flip } : undefined);
    const flipped = await attempt(folder.path, given);
    assert.ok(flipped.code !== undefined || flipped.files !== undefined);
    if (flipped.files) assert.deepEqual(flipped.files, folder.digests());
  }
  s.link.fault = () => undefined;
  assert.deepEqual((await attempt(folder.path, given)).files, folder.digests());

  // Manifests, for a server that does not know the version.
  folder.write('more.js', 'much more');
  await s.server.forget();
  await folder.publish();
  for (const { name, bytes, refused } of vectors.manifests.filter(({ refused }) => refused)) {
    writeFileSync(join(s.server.root, 'answer.bin'), Buffer.from(bytes, 'hex'));
    s.link.fault = ({ url }) => (url.includes('/manifest/') ? { instead: '/answer.bin' } : undefined);
    const error = await attempt(folder.path, given);
    assert.deepEqual(
      [error.code, /manifest is not valid/.test(error.message)],
      ['protocol', true],
      `${name}: ${refused}`,
    );
  }
  s.link.fault = () => undefined;
  assert.deepEqual((await attempt(folder.path, given)).files, folder.digests());
});
