// Each of driblet's two sides against the other side made of browser-sync-stream's libraries, and against driblet's own
// server and client: the file is right, and the transferred bytes are exactly those of the wire's rules.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import encodingDown from 'encoding-down';
import { Level } from 'level';
import levelup from 'levelup';
import memdown from 'memdown';
import { MemoryLevel } from 'memory-level';
import websocket from 'websocket-stream';
import { binary, release, serve } from '../support/driblet.mjs';
import { chunksOf } from '../support/rabin.mjs';
import {
  answerLength,
  listLength,
  newLength,
  peerReceive,
  peerSend,
  receiveOver,
  browserSyncStream,
  tcpServer,
  websocketServer,
} from '../support/browser-sync-stream.mjs';
import { temporaryFolder } from '../support/folder.mjs';

const PATHS = { old: release('5.8.3'), fresh: release('5.9.2') };
const FILES = { old: readFileSync(PATHS.old), fresh: readFileSync(PATHS.fresh) };
const CHUNKS = { old: chunksOf(FILES.old), fresh: chunksOf(FILES.fresh) };
/** A chunk that occurs twice in a file is stored once. */
const distinct = (chunks) => [...new Map(chunks.map((chunk) => [chunk.hash, chunk])).values()];

const folder = temporaryFolder('browser-sync-stream');

/** A first sync, an update, and a sync without changes: `sync` receives what was published last. */
async function assertSyncs(publish, sync) {
  for (const [held, wanted] of [
    [[], 'old'],
    [CHUNKS.old, 'fresh'],
    [CHUNKS.fresh, 'fresh'],
  ]) {
    await publish(wanted);
    const { error, file, sent, received, downloaded } = await sync(held);
    assert.ifError(error);
    assert.ok(FILES[wanted].equals(file), wanted);
    assert.deepEqual([sent, received], [listLength(distinct(held).length), answerLength(CHUNKS[wanted], held)]);
    if (downloaded !== undefined) assert.equal(downloaded, newLength(CHUNKS[wanted], held));
  }
}

/** Fails unless a database has exactly these chunks, as browser-sync-stream stores them. */
async function assertHolds(db, chunks) {
  const found = await db.iterator({ keyEncoding: 'utf8', valueEncoding: 'buffer' }).all();
  const expected = distinct(chunks).map(({ hash, bytes }) => [hash, Buffer.concat([Buffer.from(hash, 'hex'), bytes])]);
  assert.deepEqual(
    found.map(([key]) => key),
    expected.map(([key]) => key).sort(),
  );
  const values = new Map(expected);
  for (const [key, value] of found) assert.ok(values.get(key).equals(value), key);
}

describe('receive', () => {
  let wanted;
  let original;
  let ours;
  before(async () => {
    original = await websocketServer((stream) => peerSend(stream, CHUNKS[wanted]));
    ours = await serve();
  });
  after(async () => {
    await original?.close();
    await ours?.close();
  });
  const publish = async (name) => void (wanted = name);

  test("from a server made of browser-sync-stream's libraries, into memory-level", async () => {
    const db = new MemoryLevel();
    await assertSyncs(publish, () => receiveOver(websocket(original.url), db));
    await assertHolds(db, CHUNKS.fresh);
  });

  test('into level, on the disk', async () => {
    const db = new Level(join(folder, 'level'));
    await assertSyncs(publish, () => receiveOver(websocket(original.url), db));
    await assertHolds(db, CHUNKS.fresh);
    await db.close();
  });

  test('into levelup, which calls back', async () => {
    const db = levelup(encodingDown(memdown()));
    await assertSyncs(publish, () => receiveOver(websocket(original.url), db));
  });

  test('into a database whose default encoding is JSON', async () => {
    const db = new MemoryLevel({ keyEncoding: 'json', valueEncoding: 'json' });
    await assertSyncs(publish, () => receiveOver(websocket(original.url), db));
    await assertHolds(db, CHUNKS.fresh);
  });

  test('from driblet serve', async () => {
    const db = new MemoryLevel();
    const url = new URL('file', ours.url);
    url.protocol = 'ws:';
    await assertSyncs(
      (name) => ours.publish('file', PATHS[name]),
      () => receiveOver(websocket(url.href), db),
    );
    await assertHolds(db, CHUNKS.fresh);
  });

  test('over TCP', async (t) => {
    const server = await tcpServer((socket) => peerSend(socket, CHUNKS[wanted]));
    t.after(server.close);
    const db = new MemoryLevel();
    await assertSyncs(publish, () => receiveOver(server.connect(), db));
  });

  test('an empty file replaces a file', async (t) => {
    const db = new MemoryLevel();
    const server = await tcpServer((socket) => peerSend(socket, []));
    t.after(server.close);
    await db.put('some key', 'of another');
    wanted = 'old';
    assert.equal((await receiveOver(websocket(original.url), db)).file.length, FILES.old.length);
    const { file, sent, received } = await receiveOver(server.connect(), db);
    assert.deepEqual([file.length, sent, received], [0, listLength(distinct(CHUNKS.old).length), 0]);
    assert.deepEqual(await db.keys().all(), ['some key']);
  });
});

describe('send', () => {
  const path = () => join(folder, 'sent');
  const publish = async (name) => copyFileSync(PATHS[name], path());
  let uploaded;
  let server;
  before(async () => {
    server = await websocketServer((stream) => {
      uploaded = 0;
      stream.pipe(browserSyncStream.send(path()).on('upload', ({ length }) => (uploaded += length))).pipe(stream);
    });
  });
  after(() => server?.close());

  test("to a receiver made of browser-sync-stream's libraries", async () => {
    await assertSyncs(publish, async (held) => ({
      ...(await peerReceive(websocket(server.url), distinct(held))),
      downloaded: uploaded,
    }));
  });

  test("to driblet's own receiver", async () => {
    const db = new MemoryLevel();
    await assertSyncs(publish, () => receiveOver(websocket(server.url), db));
  });

  test('to driblet pull ws:', async () => {
    const target = join(folder, 'pulled');
    await assertSyncs(publish, async () => {
      const { stdout } = await promisify(execFile)(binary, ['pull', server.url, target, '--stats', 'json']);
      const { sent, received } = JSON.parse(stdout);
      return { sent, received, file: readFileSync(target) };
    });
  });

  test('an empty file', async () => {
    writeFileSync(path(), '');
    assert.deepEqual(await peerReceive(websocket(server.url), []), { file: Buffer.alloc(0), sent: 2, received: 0 });
  });
});

describe("driblet's own server and client", () => {
  test("driblet serve, to a receiver made of browser-sync-stream's libraries", async (t) => {
    const server = await serve();
    t.after(server.close);
    const url = new URL('file', server.url);
    url.protocol = 'ws:';
    await assertSyncs(
      (name) => server.publish('file', PATHS[name]),
      (held) => peerReceive(websocket(url.href), distinct(held)),
    );
  });

  test("driblet pull ws:, from a server made of browser-sync-stream's libraries", async (t) => {
    let wanted;
    const server = await websocketServer((stream) => peerSend(stream, CHUNKS[wanted]));
    t.after(server.close);
    const target = join(folder, 'pulled-original');
    await assertSyncs(
      async (name) => void (wanted = name),
      async () => {
        const { stdout } = await promisify(execFile)(binary, ['pull', server.url, target, '--stats', 'json']);
        const { sent, received } = JSON.parse(stdout);
        return { sent, received, file: readFileSync(target) };
      },
    );
  });

  test("driblet serve accepts a list of 40,000 hashes by browser-sync-stream's libraries", async (t) => {
    const server = await serve();
    t.after(server.close);
    server.publish('file', PATHS.old);
    const url = new URL('file', server.url);
    url.protocol = 'ws:';
    const many = Array.from({ length: 40_000 }, (_, at) => ({
      hash: createHash('sha256').update(String(at)).digest('hex'),
      bytes: Buffer.alloc(0),
    }));
    const stream = websocket(url.href);
    const lengths = [];
    const { send } = stream.socket;
    stream.socket.send = function (data, ...rest) {
      lengths.push(data.length);
      return send.call(this, data, ...rest);
    };
    const { file, sent } = await peerReceive(stream, many);
    assert.ok(FILES.old.equals(file));
    assert.equal(sent, listLength(40_000));
    // Both write as much at once as a stream buffers, and no message is empty.
    assert.ok(Math.max(...lengths) <= 1 << 15, `${Math.max(...lengths)} bytes`);
    assert.ok(0 < Math.min(...lengths));
  });
});
