import { Duplex } from 'readable-stream';
import { check, checkTimeout } from '../shared/check.js';
import { SyncError, asSyncError } from '../shared/error.js';
import { patienceOf } from './patience.js';
import { openOutgoing } from './sending.js';
import type { Duplex as DuplexStream } from 'node:stream';
import type { Indexed, Outgoing, RabinOptions } from './sending.js';

/** How a file is cut, and how long a receiver is waited for. */
export interface SendOptions extends RabinOptions {
  /** How long the receiver's list may take, and how long the receiver may read nothing, in milliseconds; `Infinity` waits without end. Default: 30,000. */
  timeout?: number | undefined;
}

/** What says that a sender cannot go on: a hash that no chunk has. Every receiver refuses it, where a stream that just ends looks like the end of the file. */
const GAVE_UP = Buffer.alloc(33).fill(32, 0, 1);

/**
 * A stream that sends a file: pipe a receiver into it, and it to the receiver. Emits `'indexing'` with each chunk's hash, offset and
 * length as the file is cut, and `'upload'` with each chunk that the receiver did not hold, a Buffer.
 *
 * What fails is an `'error'` event, a {@link SyncError}; the receiver hears that nothing more comes. Who does not listen does not crash.
 *
 * @example
 * createServer({ port: 8080 }, (stream) => stream.pipe(send('app.js', { bits: 9, min: 1024, max: 4096 })).pipe(stream));
 */
export function send(filename: string, options: SendOptions = {}): DuplexStream {
  if (typeof filename !== 'string') throw new TypeError('a file name is wanted first');
  const timeout = checkTimeout(options?.timeout ?? 30_000);
  const cuts = { bits: cutOf(options, 'bits'), min: cutOf(options, 'min'), max: cutOf(options, 'max') };
  const sources: { destroy?(): void }[] = [];
  let outgoing: Outgoing | undefined;
  let isListed = false;
  let isOver = false;
  let drained = () => {};
  const patience = patienceOf(timeout, () => {
    const what = isListed ? `the receiver has read nothing for ${timeout} ms` : `the receiver's list was not complete after ${timeout} ms`;
    stream.destroy(new SyncError('network', what));
  });

  const stream = new Duplex({
    construct(constructed) {
      const onIndexed = (chunk: Indexed) => void stream.emit('indexing', chunk);
      const opened = openOutgoing(filename, cuts, onIndexed).then((found) => {
        outgoing = found;
        found.indexed.catch(giveUp);
      });
      opened.then(patience.wait, giveUp).then(() => constructed());
    },
    read: () => drained(),
    write(piece: Buffer, _encoding, taken) {
      listen(piece).catch(giveUp).then(() => taken());
    },
    final(ended) {
      if (!isListed && !isOver) {
        try {
          outgoing?.listenEnd();
        } catch (error) {
          giveUp(error);
        }
      }
      ended();
    },
    destroy(error, destroyed) {
      const wasOver = isOver;
      leave();
      // Else the connection would stay open, for pipe() does not tell.
      if (error ?? !wasOver) sources.forEach((source) => source.destroy?.());
      destroyed(error);
    },
  });
  // Who serves many must not fall with one.
  stream.on('error', () => {});
  stream.on('pipe', (source: typeof sources[number]) => sources.push(source));

  async function listen(piece: Uint8Array): Promise<void> {
    if (isListed || isOver) return;
    isListed = (await outgoing?.listen(piece)) ?? false;
    if (isListed) void tell().catch(giveUp);
  }

  /** Sends what there is to send, as fast as it is read. */
  async function tell(): Promise<void> {
    patience.stop();
    for (let next = await outgoing?.next(); next && !isOver; next = await outgoing?.next()) {
      next.uploaded.forEach((chunk) => stream.emit('upload', chunk));
      if (stream.push(next.bytes)) continue;
      patience.wait();
      await new Promise<void>((resolve) => (drained = resolve));
      patience.stop();
    }
    if (isOver) return;
    leave();
    stream.push(null);
  }

  /** Says what failed to who listens here, and to the receiver. */
  function giveUp(error: unknown): void {
    if (isOver) return;
    leave();
    stream.push(GAVE_UP);
    stream.push(null);
    stream.emit('error', asSyncError('store', `${filename} was not sent`, error));
  }

  function leave(): void {
    isOver = true;
    patience.stop();
    drained();
    void outgoing?.close().catch(() => {}); // It was only read.
    outgoing = undefined;
  }

  return stream;
}

/** An option of npm rabin; 0 where it is left to the default. */
function cutOf(options: SendOptions, name: keyof RabinOptions): number {
  const value = options?.[name] ?? 0;
  check(Number.isInteger(value) && 0 <= value && value < 2 ** 32, name, 'a whole number from 0 on, below 2^32', value);
  return value;
}
