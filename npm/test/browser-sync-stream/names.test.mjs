// A database that several files share, with names and without.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { MemoryLevel } from 'memory-level';
import { chunksOf } from '../support/rabin.mjs';
import { newLength, peerSend, receiveOver, tcpServer } from '../support/browser-sync-stream.mjs';

const [shared, a, b, c] = [200_000, 300_000, 300_000, 100_000].map((length) => randomBytes(length));
const FILES = {
  a: chunksOf(Buffer.concat([a, shared])),
  b: chunksOf(Buffer.concat([b, shared])),
  next: chunksOf(Buffer.concat([a, c])),
};
let server;
let wanted;

before(async () => {
  server = await tcpServer((socket) => peerSend(socket, FILES[wanted]));
});
after(() => server?.close());

/** Receives one of the files, with a name if one is given. Returns how much of it was new. */
async function receive(db, file, options) {
  wanted = file;
  const { error, file: found, downloaded } = await receiveOver(server.connect(), db, options);
  assert.ifError(error);
  assert.ok(Buffer.concat(FILES[file].map(({ bytes }) => bytes)).equals(found));
  return downloaded;
}

/** The chunks in a database, of all chunks of these files. */
async function held(db) {
  return (await db.keys().all()).filter((key) => /^[0-9a-f]{64}$/.test(key)).sort();
}

const hashes = (...names) => [...new Set(names.flatMap((name) => FILES[name].map(({ hash }) => hash)))].sort();

test('without a name, chunks that this file does not use are deleted, as by browser-sync-stream', async () => {
  const db = new MemoryLevel();
  await receive(db, 'a');
  assert.deepEqual(await held(db), hashes('a'));
  await receive(db, 'b');
  assert.deepEqual(await held(db), hashes('b'));
});

test('with names, both files stay, and shared chunks are deleted with the last one', async () => {
  const db = new MemoryLevel();
  await receive(db, 'a', { name: 'first!' });
  assert.equal(await receive(db, 'b', { name: 'second' }), newLength(FILES.b, FILES.a));
  assert.deepEqual(await held(db), hashes('a', 'b'));
  assert.equal(await receive(db, 'a', { name: 'first!' }), 0);
  assert.equal(await receive(db, 'next', { name: 'first!' }), newLength(FILES.next, [...FILES.a, ...FILES.b]));
  assert.deepEqual(await held(db), hashes('b', 'next'));
  await receive(db, 'next', { name: 'second' });
  assert.deepEqual(await held(db), hashes('next'));
});

test('a file without a name deletes no chunk that a name claims', async () => {
  const db = new MemoryLevel();
  await receive(db, 'a', { name: 'a' });
  await receive(db, 'b');
  await receive(db, 'next');
  assert.deepEqual(await held(db), hashes('a', 'next'));
});

test('the chunks of a file that broke off are found the next time, and deleted when nobody needs them', async () => {
  const db = new MemoryLevel();
  const broken = await tcpServer((socket) =>
    peerSend(socket, FILES.a.slice(0, -1).concat({ hash: FILES.a[0].hash, bytes: Buffer.from('wrong') })),
  );
  const { error } = await receiveOver(broken.connect(), db, { name: 'a' });
  await broken.close();
  assert.equal(error.code, 'protocol');
  assert.equal((await held(db)).length, FILES.a.length - 1);
  await receive(db, 'next', { name: 'a' });
  assert.deepEqual(await held(db), hashes('next'));
});

test('two at once: neither deletes chunks that the other has announced', async (t) => {
  const db = new MemoryLevel();
  await receive(db, 'a', { name: 'one' });
  // Announces the first file's chunks, and gets an answer that uses them only after the other sync has finished without
  // them.
  let corked;
  const announced = new Promise((resolve) => (corked = resolve));
  const slow = await tcpServer((socket) =>
    peerSend(socket, FILES.a, () => {
      socket.cork();
      corked(socket);
    }),
  );
  t.after(slow.close);
  const second = receiveOver(slow.connect(), db, { name: 'two' });
  const socket = await announced;
  await receive(db, 'next', { name: 'one' });
  assert.deepEqual(await held(db), hashes('a', 'next'));
  socket.uncork();
  const { error, downloaded } = await second;
  assert.ifError(error);
  assert.equal(downloaded, 0);
  await receive(db, 'next', { name: 'two' });
  // The first sync later deletes the chunks that it kept for the second.
  await receive(db, 'next', { name: 'one' });
  assert.deepEqual(await held(db), hashes('next'));
});
