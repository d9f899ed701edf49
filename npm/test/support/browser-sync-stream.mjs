// Peers that speak browser-sync-stream's wire, both sides, made of the libraries that it uses; and the lengths that the
// wire's rules give.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { createRequire } from 'node:module';
import lengthPrefixed from 'length-prefixed-stream';
import websocket from 'websocket-stream';

/** The built entry, loaded by `require` as browser-sync-stream is. */
export const browserSyncStream = createRequire(import.meta.url)('../../dist/browser-sync-stream/node.cjs');

/** Sends these chunks on a stream. `told` gets the hashes that the receiver announced. */
export function peerSend(stream, chunks, told = () => {}) {
  const [encode, decode] = [lengthPrefixed.encode(), lengthPrefixed.decode()];
  const held = new Set();
  encode.pipe(stream);
  decode.on('data', (message) => {
    if (message.length === 32) return held.add(message.toString('hex'));
    told(held);
    for (const { hash, bytes } of chunks) {
      const head = Buffer.from(hash, 'hex');
      encode.write(held.has(hash) ? head : Buffer.concat([head, bytes]));
    }
    return encode.end();
  });
  stream.pipe(decode);
}

/** Receives on a stream, with these chunks already held. Returns the file, and the bytes transferred each way. */
export async function peerReceive(stream, chunks) {
  const [encode, decode] = [lengthPrefixed.encode(), lengthPrefixed.decode()];
  const held = new Map(chunks.map(({ hash, bytes }) => [hash, bytes]));
  const file = [];
  let [sent, received] = [0, 0];
  encode.on('data', ({ length }) => (sent += length));
  stream.on('data', ({ length }) => (received += length));
  decode.on('data', (message) => {
    const [hash, bytes] = [message.subarray(0, 32), message.subarray(32)];
    file.push(bytes.length === 0 ? held.get(hash.toString('hex')) : bytes);
  });
  encode.pipe(stream, { end: false });
  stream.pipe(decode);
  for (const hash of held.keys()) encode.write(Buffer.from(hash, 'hex'));
  encode.write(Buffer.alloc(1));
  await once(decode, 'finish');
  return { file: Buffer.concat(file), sent, received };
}

/** The length of a list of that many chunks. */
export const listLength = (count) => 33 * count + 2;

/** The length of the messages for `chunks` to a receiver that has `held`. */
export function answerLength(chunks, held = []) {
  const hashes = new Set(held.map(({ hash }) => hash));
  return chunks.reduce((sum, { hash, bytes }) => sum + framed(32 + (hashes.has(hash) ? 0 : bytes.length)), 0);
}

/** The length of the chunks that are not held. */
export function newLength(chunks, held = []) {
  const hashes = new Set(held.map(({ hash }) => hash));
  return chunks.reduce((sum, { hash, bytes }) => sum + (hashes.has(hash) ? 0 : bytes.length), 0);
}

function framed(length) {
  return Math.ceil(length.toString(2).length / 7) + length;
}

/** A message with its length before it. */
export function message(...parts) {
  const bytes = Buffer.concat(parts);
  const prefix = [];
  for (let left = bytes.length; ; left = Math.floor(left / 128)) {
    prefix.push(left < 128 ? left : (left % 128) + 128);
    if (left < 128) return Buffer.concat([Buffer.from(prefix), bytes]);
  }
}

/** A WebSocket server of websocket-stream. `use` gets each stream. */
export async function websocketServer(use) {
  const streams = new Set();
  const server = websocket.createServer({ port: 0, host: '127.0.0.1' }, (stream) => {
    streams.add(stream);
    stream.on('error', () => {}); // Peers may hang up.
    use(stream);
  });
  await once(server, 'listening');
  return {
    url: `ws://127.0.0.1:${server._server.address().port}/`,
    close: () =>
      new Promise((resolve) => {
        for (const { socket } of streams) socket.terminate();
        server.close(resolve);
      }),
  };
}

/** Syncs into a database from a duplex stream. Returns the result and the bytes transferred. */
export function receiveOver(stream, db, options = {}) {
  return new Promise((resolve) => {
    let [sent, received, downloaded] = [0, 0, 0];
    const receiver = browserSyncStream.receive(db, options, (error, file) =>
      resolve({ error, file, sent, received, downloaded }),
    );
    receiver.on('download', ({ length }) => (downloaded += length));
    // The receiver reads a WebSocket's messages from the socket itself.
    if (stream.socket) stream.socket.addEventListener('message', ({ data }) => (received += data.byteLength));
    else stream.on('data', ({ length }) => (received += length));
    const counter = new PassThrough().on('data', ({ length }) => (sent += length));
    receiver.pipe(counter).pipe(stream).pipe(receiver);
  });
}

/** A TCP server, for streams with back-pressure. `use` gets each connection. */
export async function tcpServer(use) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {}); // Peers may hang up.
    use(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sockets = [];
  server.on('connection', (socket) => sockets.push(socket));
  return {
    connect: () => connect({ port: server.address().port, host: '127.0.0.1', allowHalfOpen: true }),
    close: () =>
      new Promise((resolve) => {
        sockets.forEach((socket) => socket.destroy());
        server.close(resolve);
      }),
  };
}
