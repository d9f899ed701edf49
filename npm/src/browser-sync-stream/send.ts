import { Duplex } from 'readable-stream';
import { check, checkTimeout } from '../shared/check.js';
import { SyncError, asSyncError } from '../shared/error.js';
import { idleTimer } from './idleTimer.js';
import { openOutgoing } from './sending.js';
import type { Duplex as DuplexStream } from 'node:stream';
import type { Indexed, Outgoing, RabinOptions } from './sending.js';

/** Options of {@link send}. */
export interface SendOptions extends RabinOptions {
  /**
   * How long the receiver may be silent, in milliseconds: before its list, between two pieces of the list, and when
   * it reads nothing. `Infinity`: no limit. Default: 30,000.
   */
  timeout?: number | undefined;
  /** How long the receiver's whole list may take, in milliseconds; `Infinity`: no limit. Default: 30,000. */
  listTimeout?: number | undefined;
}

/**
 * Tells the receiver that the sender cannot continue: a hash that no chunk has. Every receiver refuses it. If the
 * stream just ended, the file would seem complete.
 */
const GAVE_UP = Buffer.alloc(33).fill(32, 0, 1);

/**
 * Creates a stream that sends a file: pipe a receiver into it, and pipe it to the receiver. It emits `'indexing'` with
 * each chunk's hash, offset and length while the file is cut, and `'upload'` with each chunk that the receiver did not
 * have, a Buffer.
 *
 * Failures are `'error'` events with a {@link SyncError}; the receiver is told that nothing more comes. A process
 * without a listener for them does not crash.
 *
 * @param options - default: the cuts of npm rabin, and timeouts of 30 seconds.
 * @example
 * createServer({ port: 8080 }, (stream) => stream.pipe(send('app.js', { bits: 9, min: 1024, max: 4096
 * })).pipe(stream));
 */
export function send(filename: string, options: SendOptions = {}): DuplexStream {
  if (typeof filename !== 'string') throw new TypeError('the first argument must be a file name');
  const timeout = checkTimeout(options?.timeout ?? 30_000);
  const listTimeout = checkTimeout(options?.listTimeout ?? 30_000, 'listTimeout');
  const cuts = { bits: cutOf(options, 'bits'), min: cutOf(options, 'min'), max: cutOf(options, 'max') };
  const sources: { destroy?(): void }[] = [];
  let outgoing: Outgoing | undefined;
  let isListed = false;
  let isOver = false;
  let drained = () => {};
  const idle = idleTimer(timeout, () => {
    const what = isListed ? 'has read nothing' : 'has sent nothing of its list';
    stream.destroy(new SyncError('network', `the receiver ${what} for ${timeout} ms`));
  });
  const listing = idleTimer(listTimeout, () => {
    stream.destroy(new SyncError('network', `the receiver's list was not complete after ${listTimeout} ms`));
  });

  const stream = new Duplex({
    construct(constructed) {
      const onIndexed = (chunk: Indexed) => void stream.emit('indexing', chunk);
      const opened = openOutgoing(filename, cuts, onIndexed).then((found) => {
        outgoing = found;
        found.indexed.catch(giveUp);
      });
      opened.then(startTimers, giveUp).then(() => constructed());
    },
    read: () => drained(),
    write(piece: Buffer, _encoding, taken) {
      takeList(piece)
        .catch(giveUp)
        .then(() => taken());
    },
    final(ended) {
      if (!isListed && !isOver) {
        try {
          outgoing?.handleListEnd();
        } catch (error) {
          giveUp(error);
        }
      }
      ended();
    },
    destroy(error, destroyed) {
      const wasOver = isOver;
      leave();
      // pipe() does not close the connection.
      if (error ?? !wasOver) sources.forEach((source) => source.destroy?.());
      destroyed(error);
    },
  });
  // A server must not crash because of one client.
  stream.on('error', () => {});
  stream.on('pipe', (source: (typeof sources)[number]) => sources.push(source));

  function startTimers(): void {
    idle.start();
    listing.start();
  }

  async function takeList(piece: Uint8Array): Promise<void> {
    if (isListed || isOver) return;
    idle.stop(); // A long list waits until the file is cut.
    isListed = (await outgoing?.handleList(piece)) ?? false;
    if (isOver) return;
    if (!isListed) return idle.start();
    listing.stop();
    void sendMessages().catch(giveUp);
  }

  /** Sends the file's messages, as fast as they are read. */
  async function sendMessages(): Promise<void> {
    for (let next = await outgoing?.next(); next && !isOver; next = await outgoing?.next()) {
      next.uploaded.forEach((chunk) => stream.emit('upload', chunk));
      if (stream.push(next.bytes)) continue;
      idle.start();
      await new Promise<void>((resolve) => (drained = resolve));
      idle.stop();
    }
    if (isOver) return;
    leave();
    stream.push(null);
  }

  /** Reports a failure here and to the receiver. */
  function giveUp(error: unknown): void {
    if (isOver) return;
    leave();
    stream.push(GAVE_UP);
    stream.push(null);
    stream.emit('error', asSyncError('store', `${filename} was not sent`, error));
  }

  function leave(): void {
    isOver = true;
    idle.stop();
    listing.stop();
    drained();
    void outgoing?.close().catch(() => {}); // It was only read.
    outgoing = undefined;
  }

  return stream;
}

/** An option of npm rabin; 0 means its default. */
function cutOf(options: SendOptions, name: keyof RabinOptions): number {
  const value = options?.[name] ?? 0;
  check(Number.isInteger(value) && 0 <= value && value < 2 ** 32, name, 'a whole number from 0 on, below 2^32', value);
  return value;
}
