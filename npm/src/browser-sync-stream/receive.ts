import { Duplex } from 'readable-stream';
import { check, checkMaxBytes, checkTimeout } from '../shared/check.js';
import { SyncError, asSyncError } from '../shared/error.js';
import { databaseOf } from '../stores/database.js';
import { idleTimer } from './idleTimer.js';
import { beginReceiving } from './receiving.js';
import { messageBytes, closeError, socketOf } from './socket.js';
import type { Buffer } from 'buffer';
import type { Duplex as DuplexStream } from 'node:stream';
import type { LevelDatabase } from '../stores/database.js';
import type { FileReceiver } from './receiving.js';

/** How many bytes of the list are sent at once: WebSockets make a message of each piece. */
const LIST_PIECE = 1 << 16;

/** Options of {@link receive}. */
export interface ReceiveOptions {
  /**
   * The file's name in a database that several files share: the chunks of files with other names stay. Default: none;
   * all chunks that this file does not use, and that no name claims, are deleted.
   */
  name?: string | undefined;
  /**
   * The longest file to accept, in bytes; `Infinity` accepts any. The callback gets the file in memory. Default: 2 GiB.
   */
  maxBytes?: number | undefined;
  /** How long the sender may send nothing, in milliseconds; `Infinity`: no limit. Default: 30,000. */
  timeout?: number | undefined;
}

/** Called once: with the file, or with a {@link SyncError}. */
export type ReceiveCallback = (error: Error | null, file?: Buffer) => void;

/**
 * Creates a stream that syncs a file into a level database. Pipe it to the sender, and the sender into it. It emits
 * `'download'` with each new chunk, a Buffer, once its hash is verified.
 *
 * @param db - any levelup or abstract-level instance. It may have been written by browser-sync-stream.
 * @example
 * const stream = receive(db, (error, file) => console.log(error ?? file.length));
 * stream.pipe(websocket('ws://localhost:8080/app.js')).pipe(stream);
 */
export function receive(db: LevelDatabase, callback?: ReceiveCallback): DuplexStream;
export function receive(db: LevelDatabase, options: ReceiveOptions, callback?: ReceiveCallback): DuplexStream;
export function receive(
  db: LevelDatabase,
  given: ReceiveOptions | ReceiveCallback = {},
  last?: ReceiveCallback,
): DuplexStream {
  const [options, callback] = typeof given === 'function' ? [{}, given] : [given ?? {}, last];
  const name = options.name ?? undefined;
  const maxBytes = checkMaxBytes(options.maxBytes ?? 2 ** 31);
  const timeout = checkTimeout(options.timeout ?? 30_000);
  check(
    name === undefined || (typeof name === 'string' && !/\p{Surrogate}/u.test(name)),
    'name',
    'a string without lone surrogates',
    name,
  );
  check(callback === undefined || typeof callback === 'function', 'the callback', 'a function', callback);
  databaseOf(db);
  let receiver: FileReceiver | undefined;
  let sent = 0;
  let isDone = false;
  /** The work on messages of a WebSocket, in order, if this stream listens to one. */
  let queue: Promise<void> | undefined;
  let opened: (receiver: FileReceiver) => void;
  const opening = new Promise<FileReceiver>((resolve) => (opened = resolve));
  const sources: { destroy?(): void }[] = [];
  const idle = idleTimer(timeout, () =>
    fail(new SyncError('network', `the sender was silent for ${timeout} ms; try again`)),
  );

  const stream = new Duplex({
    construct(constructed) {
      const onNew = (chunk: Buffer) => void stream.emit('download', chunk);
      beginReceiving({ db, name, maxBytes, onNew }).then(
        (begun) => {
          receiver = begun;
          opened(begun);
          idle.start();
          constructed();
        },
        (error) => constructed(asSyncError('store', 'nothing can be received', error) as Error),
      );
    },
    read() {
      const { list } = receiver as FileReceiver;
      if (sent === list.length) return; // The stream ends when the file is complete.
      idle.start();
      const piece = list.subarray(sent, sent + LIST_PIECE);
      sent += piece.length;
      stream.push(piece);
    },
    write(piece: Buffer, _encoding, taken) {
      if (queue) return taken(); // The socket's own message was used.
      take(receiver as FileReceiver, piece).then(() => taken(), taken);
    },
    final(ended) {
      if (queue) return ended();
      end(receiver as FileReceiver).then(() => ended(), ended);
    },
    destroy(error, destroyed) {
      idle.stop();
      const reason = isDone
        ? error
        : (error ?? new SyncError('network', 'the stream was closed before the file was complete'));
      // pipe() does not close the connection.
      if (reason) sources.forEach((source) => source.destroy?.());
      const left = receiver?.leave().catch(() => {}); // The first error is reported.
      void Promise.resolve(left).then(() => {
        if (!isDone) later(() => callback?.(reason));
        isDone = true;
        destroyed(error);
      });
    },
  });
  // With a callback, no listener for 'error' is needed.
  if (callback) stream.on('error', () => {});

  async function take(receiver: FileReceiver, piece: Uint8Array): Promise<void> {
    idle.stop();
    await receiver.take(piece);
    idle.start();
  }

  async function end(receiver: FileReceiver): Promise<void> {
    idle.stop();
    const file = await receiver.end();
    isDone = true;
    stream.push(null);
    later(() => callback?.(null, file));
  }

  function fail(error: unknown): void {
    stream.destroy(asSyncError('store', 'the file was not received', error) as Error);
  }

  /** Reads messages from the socket behind a stream; see socket.ts. */
  function listenToSocket(source: object): boolean {
    const socket = socketOf(source);
    if (!socket) return false;
    queue = Promise.resolve();
    /** A connection error. The close may have a better reason: the sender gave up. */
    let failure: unknown;
    const then = (work: (receiver: FileReceiver) => Promise<void>) => {
      queue = queue
        ?.then(() => opening)
        .then((receiver) => (stream.destroyed ? undefined : work(receiver)))
        .catch(fail);
    };
    socket.addEventListener('message', ({ data }) => {
      const bytes = messageBytes(data);
      if (!bytes) return fail(new TypeError("a WebSocket's binaryType must be 'arraybuffer'"));
      return then(async (receiver) => {
        if (failure) return;
        await take(receiver, bytes).catch((error) => {
          if ((error as SyncError).code !== 'network') throw error;
          failure = error;
          idle.start();
        });
      });
    });
    socket.addEventListener('close', ({ code, reason }) => {
      then(async (receiver) => {
        const error = closeError(code, reason) ?? failure;
        if (error) throw error;
        await end(receiver);
      });
    });
    return true;
  }

  stream.on('pipe', (source: (typeof sources)[number] & NodeJS.EventEmitter) => {
    sources.push(source);
    source.on('error', (error: unknown) => fail(error instanceof SyncError ? error : broken(error)));
    if (listenToSocket(source)) return;
    source.on('close', () => {
      const { ended, endEmitted } =
        (source as { _readableState?: { ended?: boolean; endEmitted?: boolean } })._readableState ?? {};
      if (!ended && !endEmitted && !isDone)
        fail(new SyncError('network', 'the stream from the sender closed before its end; try again'));
    });
  });
  return stream;
}

/** Runs a caller's function apart, so that its exceptions do not end up here. */
function later(call: () => void): void {
  queueMicrotask(call);
}

/**
 * The error for a stream that is not driblet's. Its message may contain the password of its URL, which must not reach
 * logs.
 */
function broken(error: unknown): SyncError {
  const message = error instanceof Error ? error.message : 'no reason is known';
  const shown = message.replaceAll(/\/\/[^/?#\s]*@/g, '//');
  return new SyncError(
    'network',
    `the stream from the sender failed: ${shown}; try again`,
    shown === message ? { cause: error } : {},
  );
}
