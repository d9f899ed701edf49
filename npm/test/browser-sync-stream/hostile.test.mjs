// Peers that break the wire's rules, streams that break, damaged databases: a clear error, and no stored chunk is lost.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { MemoryLevel } from 'memory-level';
import websocket from 'websocket-stream';
import { release, serve } from '../support/driblet.mjs';
import { chunksOf } from '../support/rabin.mjs';
import {
  message,
  peerSend,
  receiveOver,
  browserSyncStream,
  tcpServer,
  websocketServer,
} from '../support/browser-sync-stream.mjs';
import { temporaryFolder } from '../support/folder.mjs';

const OLD = release('5.8.3', 'lib.dom.d.ts');
const CHUNKS = chunksOf(readFileSync(OLD));
const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const good = ({ hash, bytes }) => message(Buffer.from(hash, 'hex'), bytes);

const folder = temporaryFolder('hostile');

/** A database with the old version. */
async function holding() {
  const db = new MemoryLevel();
  await db.batch(
    CHUNKS.map(({ hash, bytes }) => ({
      type: 'put',
      key: hash,
      value: Buffer.concat([Buffer.from(hash, 'hex'), bytes]),
    })),
    { valueEncoding: 'buffer' },
  );
  return db;
}

/** Fails unless all stored chunks are still there. */
async function assertKept(db) {
  const keys = new Set(await db.keys().all());
  for (const { hash } of CHUNKS) assert.ok(keys.has(hash), hash);
}

/** All bytes from a stream of websocket-stream. */
async function all(stream) {
  const pieces = [];
  stream.on('data', (piece) => pieces.push(piece));
  await once(stream, 'end');
  return pieces;
}

/** The end of a receiver's list. */
async function listed(socket) {
  for await (const piece of socket.iterator({ destroyOnReturn: false }))
    if (piece.subarray(-2).equals(Buffer.from([1, 0]))) return;
}

/** Receives from a sender that runs `then` once it has the list. */
async function receiveFrom(t, then, options, db) {
  const server = await tcpServer(async (socket) => {
    await listed(socket);
    then(socket);
  });
  t.after(server.close);
  return receiveOver(server.connect(), db ?? (await holding()), options);
}

describe('receive', () => {
  const fresh = { hash: sha256('fresh').toString('hex'), bytes: Buffer.from('fresh') };
  const cases = [
    ['a message of 31 bytes', [message(Buffer.alloc(31))], 'protocol', /31 bytes came where a hash of 32/],
    ['an empty message', [message()], 'protocol', /0 bytes came where a hash/],
    [
      '2^40 announced bytes',
      [Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x20])],
      'protocol',
      /1099511627776 bytes is announced/,
    ],
    ['a length that is none', [Buffer.alloc(11, 0xff)], 'protocol', /no|none/],
    [
      'a wrong hash',
      [good(fresh), message(sha256('other'), fresh.bytes)],
      'protocol',
      /chunk 1 should have the hash d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa and has/,
    ],
    ['a hash that was never announced', [message(sha256('other'))], 'protocol', /never announced/],
    [
      'a cut within a message',
      [good(fresh), good(CHUNKS[0]).subarray(0, 1000)],
      'network',
      /ended within a message, after 1000 of/,
    ],
    ['a cut within a length', [Buffer.from([0x80])], 'network', /ended within a message/],
    ['a sender that gave up', [good(fresh), message(Buffer.alloc(32))], 'network', /the sender gave up/],
  ];
  for (const [name, pieces, code, text] of cases) {
    for (const split of [false, true]) {
      test(`${name}${split ? ', byte by byte' : ''}`, async (t) => {
        const db = await holding();
        const bytes = Buffer.concat(pieces);
        const { error } = await receiveFrom(
          t,
          async (socket) => {
            if (split) for (const byte of bytes) socket.write(Buffer.from([byte]));
            else socket.write(bytes);
            socket.end();
          },
          {},
          db,
        );
        assert.deepEqual([error.name, error.code], ['SyncError', code], error.message);
        assert.match(error.message, text);
        await assertKept(db);
        // The chunks before the fault are verified, and stay for the next sync.
        if (pieces[0].equals(good(fresh))) assert.ok(await db.get(fresh.hash));
      });
    }
  }

  test('a file longer than maxBytes', async (t) => {
    const db = await holding();
    // The same stored chunk again and again: a short transfer would make a long file.
    const again = message(Buffer.from(CHUNKS[0].hash, 'hex'));
    const { error } = await receiveFrom(
      t,
      (socket) => socket.end(Buffer.concat(Array(1000).fill(again))),
      { maxBytes: 1_000_000 },
      db,
    );
    assert.equal(error.code, 'protocol');
    assert.match(error.message, /longer than maxBytes, 1000000 bytes/);
    await assertKept(db);
  });

  test('a sender that sends nothing, and one that hangs up', async (t) => {
    const silent = await receiveFrom(t, () => {}, { timeout: 50 });
    assert.deepEqual(
      [silent.error.code, silent.error.message],
      ['network', 'the sender was silent for 50 ms; try again'],
    );
    const gone = await receiveFrom(t, (socket) => socket.resetAndDestroy());
    assert.equal(gone.error.code, 'network');
  });

  test('a chunk that was damaged in the database is reported, and transferred again', async (t) => {
    const db = await holding();
    await db.put(CHUNKS[3].hash, Buffer.alloc(100), { valueEncoding: 'buffer' });
    const server = await tcpServer((socket) => peerSend(socket, CHUNKS));
    t.after(server.close);
    const { error } = await receiveOver(server.connect(), db);
    assert.equal(error.code, 'store');
    assert.match(
      error.message,
      new RegExp(`${CHUNKS[3].hash} was changed or removed; it is deleted now, so sync again`),
    );
    const { file, downloaded } = await receiveOver(server.connect(), db);
    assert.ok(readFileSync(OLD).equals(file));
    assert.equal(downloaded, CHUNKS[3].bytes.length);
  });

  test('a database that fails, and an object that is no database', async (t) => {
    const db = await holding();
    db.batch = async () => {
      throw new Error('the disk is full');
    };
    const { error } = await receiveFrom(t, (socket) => socket.end(good(fresh)), {}, db);
    assert.deepEqual(
      [error.code, error.message],
      ['store', 'chunks cannot be stored; check the database, or clear it: the disk is full'],
    );
    assert.throws(() => browserSyncStream.receive({}), TypeError);
    assert.throws(() => browserSyncStream.receive(undefined), TypeError);
  });

  test('a stream that is destroyed calls back', async () => {
    const stream = browserSyncStream.receive(new MemoryLevel(), (error) => stream.emit('called', error));
    setImmediate(() => stream.destroy());
    const [error] = await once(stream, 'called');
    assert.equal(error.code, 'network');
  });
});

describe('receive, over WebSockets', () => {
  test('driblet serve has no such file: the error says so, and nothing is deleted', async (t) => {
    const server = await serve();
    t.after(server.close);
    const url = new URL('missing', server.url);
    url.protocol = 'ws:';
    const db = await holding();
    const { error } = await receiveOver(websocket(url.href), db);
    assert.deepEqual(
      [error.code, error.message],
      ['protocol', 'the server closed with 4404: There is no file of that name here.'],
    );
    await assertKept(db);
    // What browser-sync-stream's receivers get, which do not see the close code.
    const stream = websocket(url.href);
    stream.write(Buffer.from([1, 0]));
    assert.ok(Buffer.concat(await all(stream)).equals(message(Buffer.alloc(32))));
  });

  test('a connection that breaks between two messages is not an end', async (t) => {
    const server = await websocketServer((stream) => {
      stream.on('data', (piece) => {
        if (!piece.subarray(-2).equals(Buffer.from([1, 0]))) return;
        stream.socket.send(good(CHUNKS[0]), () => stream.socket.terminate());
      });
    });
    t.after(server.close);
    const db = await holding();
    const { error } = await receiveOver(websocket(server.url), db);
    assert.equal(error.code, 'network');
    await assertKept(db);
  });

  test('messages that arrive faster than the database stores them are not lost when the server closes', async (t) => {
    const large = chunksOf(readFileSync(release('5.9.2')));
    const server = await websocketServer((stream) => {
      stream.on('data', () => {
        for (const chunk of large) stream.socket.send(good(chunk));
        stream.socket.close();
      });
    });
    t.after(server.close);
    const db = new MemoryLevel();
    const { batch } = db;
    let waiting = 0;
    db.batch = async function (...values) {
      // Not before the socket is closed: then websocket-stream drops its data.
      if (stream.socket.readyState !== 3)
        await new Promise((resolve) => stream.socket.addEventListener('close', resolve));
      waiting += 1;
      return batch.apply(this, values);
    };
    const stream = websocket(server.url);
    const { error, file } = await receiveOver(stream, db);
    assert.ifError(error);
    assert.ok(readFileSync(release('5.9.2')).equals(file));
    assert.ok(1 < waiting);
  });

  test('the server cannot be reached', async () => {
    const { error } = await receiveOver(websocket('ws://127.0.0.1:1/'), await holding());
    assert.equal(error.code, 'network');
  });
});

/** Serves one connection with `send`, to a receiver that runs `then` with its socket. Returns the stream of `send`. */
async function sendTo(t, then, path = OLD, options = {}) {
  let started;
  const stream = new Promise((resolve) => (started = resolve));
  const server = await tcpServer((socket) => {
    const sender = browserSyncStream.send(path, options);
    socket.pipe(sender).pipe(socket);
    started(sender);
  });
  t.after(server.close);
  const socket = server.connect();
  socket.on('error', () => {}); // The sender may hang up.
  await then(socket);
  return { sender: await stream, socket };
}

describe('send', () => {
  const cases = [
    ['a message of 31 bytes', message(Buffer.alloc(31)), 'protocol', /31 bytes came where a hash/],
    [
      '2^40 announced bytes',
      Buffer.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x20]),
      'protocol',
      /1099511627776 bytes is announced/,
    ],
    ['a chunk where a hash should be', message(Buffer.alloc(33)), 'protocol', /33 bytes is announced, and at most 32/],
    ['a list without its end', message(Buffer.alloc(32, 7)), 'network', /broke off after 1 hashes/],
    ['nothing', Buffer.alloc(0), 'network', /broke off after 0 hashes/],
  ];
  for (const [name, bytes, code, text] of cases) {
    test(name, async (t) => {
      const { sender, socket } = await sendTo(t, (socket) => socket.end(bytes));
      const [error] = await once(sender, 'error');
      assert.deepEqual([error.name, error.code], ['SyncError', code], error.message);
      assert.match(error.message, text);
      // The receiver is told, in a form that it understands.
      assert.ok(Buffer.concat(await socket.toArray()).equals(message(Buffer.alloc(32))));
    });
  }

  test('three million hashes, and then the file: memory stays', async (t) => {
    const hash = Buffer.alloc(33, 32);
    const many = Buffer.concat(
      Array.from({ length: 100_000 }, (_, at) => {
        hash.writeUInt32LE(at, 1);
        return Buffer.from(hash);
      }),
    );
    const { socket } = await sendTo(t, async (socket) => {
      for (let round = 0; round < 30; round += 1) {
        for (let at = 0; at < many.length; at += 33) many.writeUInt32LE(round, at + 5);
        await new Promise((resolve) => socket.write(Buffer.from(many), resolve));
      }
      socket.write(Buffer.from([1, 0]));
    });
    assert.equal(
      Buffer.concat(await socket.toArray()).length,
      CHUNKS.reduce((sum, chunk) => sum + good(chunk).length, 0),
    );
    assert.ok(process.memoryUsage().external < 100e6, `${process.memoryUsage().external} bytes`);
  });

  test('a list that never ends', async (t) => {
    const { sender } = await sendTo(
      t,
      (socket) => {
        const more = () => socket.destroyed || socket.write(message(Buffer.alloc(32, 7)), more);
        more();
      },
      OLD,
      { listTimeout: 200 },
    );
    const [error] = await once(sender, 'error');
    assert.deepEqual([error.code, error.message], ['network', "the receiver's list was not complete after 200 ms"]);
  });

  test('a list that stops in the middle', async (t) => {
    const { sender } = await sendTo(t, (socket) => socket.write(message(Buffer.alloc(32, 7))), OLD, { timeout: 200 });
    const [error] = await once(sender, 'error');
    assert.deepEqual([error.code, error.message], ['network', 'the receiver has sent nothing of its list for 200 ms']);
  });

  test('a receiver that stops reading', async (t) => {
    const path = join(folder, 'large');
    writeFileSync(path, Buffer.alloc(50_000_000, 'x'));
    const { sender, socket } = await sendTo(t, (socket) => socket.pause().write(Buffer.from([1, 0])), path, {
      timeout: 200,
    });
    let uploaded = 0;
    sender.on('upload', ({ length }) => (uploaded += length));
    const [error] = await once(sender, 'error');
    assert.equal(error.message, 'the receiver has read nothing for 200 ms');
    assert.ok(uploaded < 50_000_000);
    socket.resume();
    await Promise.race([once(socket, 'end'), once(socket, 'close')]);
  });

  test('a missing file, a folder, invalid options: an error on the stream, and to the receiver', async (t) => {
    for (const [path, options, text] of [
      [join(folder, 'missing'), {}, /missing cannot be read: ENOENT/],
      [folder, {}, /is not a regular file/],
      [OLD, { bits: 31 }, /bits are at most 30/],
    ]) {
      const { sender, socket } = await sendTo(t, async () => {}, path, options);
      const [error] = await once(sender, 'error');
      assert.match(error.message, text);
      assert.ok(Buffer.concat(await socket.toArray()).equals(message(Buffer.alloc(32))));
    }
    const server = await tcpServer((socket) =>
      socket.pipe(browserSyncStream.send(join(folder, 'missing'))).pipe(socket),
    );
    t.after(server.close);
    const { error } = await receiveOver(server.connect(), await holding());
    assert.equal(error.code, 'network');
    assert.match(error.message, /the sender gave up/);
  });

  test('a file that changes while it is sent', async (t) => {
    const path = join(folder, 'changing');
    writeFileSync(path, readFileSync(OLD));
    const server = await tcpServer((socket) => {
      const sender = browserSyncStream.send(path);
      sender.on('error', () => {});
      let indexed = 0;
      sender.on('indexing', ({ length }) => {
        indexed += length;
        // All chunks are known by now, and no byte is read again before this is done.
        if (indexed === readFileSync(OLD).length) {
          writeFileSync(path, Buffer.alloc(indexed));
          socket.pipe(sender).pipe(socket);
        }
      });
    });
    t.after(server.close);
    const db = await holding();
    await db.del(CHUNKS[0].hash);
    const { error } = await receiveOver(server.connect(), db);
    assert.match(error.message, /the sender gave up/);
  });
});
