import { Duplex } from 'readable-stream';
import { check, checkMaxBytes, checkTimeout } from '../shared/check.js';
import { SyncError, asSyncError } from '../shared/error.js';
import { databaseOf } from '../stores/database.js';
import { patienceOf } from './patience.js';
import { beginReceiving } from './receiving.js';
import { bytesOf, closeError, socketOf } from './socket.js';
import type { Buffer } from 'buffer';
import type { Duplex as DuplexStream } from 'node:stream';
import type { LevelDatabase } from '../stores/database.js';
import type { Session } from './receiving.js';

/** Bytes of the list that are handed out at once, for WebSockets make a message of each. */
const PIECE = 1 << 16;

/** What a receiver may be told. */
export interface ReceiveOptions {
  /** The file's own name in a database that several files share; their chunks stay. Without one all chunks go that this file does not use. */
  name?: string | undefined;
  /** The longest file to accept, in bytes, `Infinity` for any; the callback gets it in memory. Default: 2 GiB. */
  maxBytes?: number | undefined;
  /** How long to wait for the sender, in milliseconds; `Infinity` waits without end. Default: 30,000. */
  timeout?: number | undefined;
}

/** Called once: with the file, or with a {@link SyncError}. */
export type ReceiveCallback = (error: Error | null, file?: Buffer) => void;

/**
 * A stream that syncs a file into a level database: pipe it to the sender, and the sender into it. Emits `'download'` with each new
 * chunk, a Buffer, once its hash is verified.
 *
 * @param db - any levelup or abstract-level instance. One that browser-sync-stream wrote is understood.
 * @example
 * const stream = receive(db, (error, file) => console.log(error ?? file.length));
 * stream.pipe(websocket('ws://localhost:8080/app.js')).pipe(stream);
 */
export function receive(db: LevelDatabase, callback?: ReceiveCallback): DuplexStream;
export function receive(db: LevelDatabase, options: ReceiveOptions, callback?: ReceiveCallback): DuplexStream;
export function receive(db: LevelDatabase, given: ReceiveOptions | ReceiveCallback = {}, last?: ReceiveCallback): DuplexStream {
  const [options, callback] = typeof given === 'function' ? [{}, given] : [given ?? {}, last];
  const name = options.name ?? undefined;
  const maxBytes = checkMaxBytes(options.maxBytes ?? 2 ** 31);
  const timeout = checkTimeout(options.timeout ?? 30_000);
  check(name === undefined || (typeof name === 'string' && !/\p{Surrogate}/u.test(name)), 'name', 'a string of whole characters', name);
  check(callback === undefined || typeof callback === 'function', 'the callback', 'a function', callback);
  databaseOf(db);
  let session: Session | undefined;
  let sent = 0;
  let isDone = false;
  /** Where a socket is listened to: what it brought and nobody has taken yet, one after the other. */
  let queue: Promise<void> | undefined;
  let opened: (session: Session) => void;
  const opening = new Promise<Session>((resolve) => (opened = resolve));
  const sources: { destroy?(): void }[] = [];
  const patience = patienceOf(timeout, () => fail(new SyncError('network', `the sender was silent for ${timeout} ms; try again`)));

  const stream = new Duplex({
    construct(constructed) {
      const onNew = (chunk: Buffer) => void stream.emit('download', chunk);
      beginReceiving({ db, name, maxBytes, onNew }).then((begun) => {
        session = begun;
        opened(begun);
        patience.wait();
        constructed();
      }, (error) => constructed(asSyncError('store', 'nothing can be received', error) as Error));
    },
    read() {
      const { list } = session as Session;
      if (sent === list.length) return; // The end comes when the file has.
      patience.wait();
      const piece = list.subarray(sent, sent + PIECE);
      sent += piece.length;
      stream.push(piece);
    },
    write(piece: Buffer, _encoding, taken) {
      if (queue) return taken(); // The socket brought it already.
      take(session as Session, piece).then(() => taken(), taken);
    },
    final(ended) {
      if (queue) return ended();
      end(session as Session).then(() => ended(), ended);
    },
    destroy(error, destroyed) {
      patience.stop();
      const reason = isDone ? error : (error ?? new SyncError('network', 'the stream was closed before the file was complete'));
      // Else the connection would stay open, for pipe() does not tell.
      if (reason) sources.forEach((source) => source.destroy?.());
      const left = session?.leave().catch(() => {}); // What failed first is told.
      void Promise.resolve(left).then(() => {
        if (!isDone) later(() => callback?.(reason));
        isDone = true;
        destroyed(error);
      });
    },
  });
  // Whoever is called back need not listen.
  if (callback) stream.on('error', () => {});

  async function take(session: Session, piece: Uint8Array): Promise<void> {
    patience.stop();
    await session.take(piece);
    patience.wait();
  }

  async function end(session: Session): Promise<void> {
    patience.stop();
    const file = await session.end();
    isDone = true;
    stream.push(null);
    later(() => callback?.(null, file));
  }

  function fail(error: unknown): void {
    stream.destroy(asSyncError('store', 'the file was not received', error) as Error);
  }

  /** Takes what a socket brings from itself; see there. */
  function listen(source: object): boolean {
    const socket = socketOf(source);
    if (!socket) return false;
    queue = Promise.resolve();
    /** What failed, where the close may say why: the sender gave up. */
    let failure: unknown;
    const then = (work: (session: Session) => Promise<void>) => {
      queue = queue?.then(() => opening).then((session) => (stream.destroyed ? undefined : work(session))).catch(fail);
    };
    socket.addEventListener('message', ({ data }) => {
      const bytes = bytesOf(data);
      if (!bytes) return fail(new TypeError("a WebSocket's binaryType must be 'arraybuffer'"));
      return then(async (session) => {
        if (failure) return;
        await take(session, bytes).catch((error) => {
          if ((error as SyncError).code !== 'network') throw error;
          failure = error;
          patience.wait();
        });
      });
    });
    socket.addEventListener('close', ({ code, reason }) => {
      then(async (session) => {
        const error = closeError(code, reason) ?? failure;
        if (error) throw error;
        await end(session);
      });
    });
    return true;
  }

  stream.on('pipe', (source: typeof sources[number] & NodeJS.EventEmitter) => {
    sources.push(source);
    source.on('error', (error: unknown) => fail(error instanceof SyncError ? error : broken(error)));
    if (listen(source)) return;
    source.on('close', () => {
      const { ended, endEmitted } = (source as { _readableState?: { ended?: boolean; endEmitted?: boolean } })._readableState ?? {};
      if (!ended && !endEmitted && !isDone) fail(new SyncError('network', 'the stream from the sender closed before its end; try again'));
    });
  });
  return stream;
}

/** Calls what is not ours: what it throws is its own affair. */
function later(call: () => void): void {
  queueMicrotask(call);
}

/** What failed in a stream that is not ours. What it says may have the password of its URL in it, which nobody is to read in a log. */
function broken(error: unknown): SyncError {
  const said = error instanceof Error ? error.message : 'no reason is known';
  const told = said.replaceAll(/\/\/[^/?#\s]*@/g, '//');
  return new SyncError('network', `the stream from the sender failed: ${told}; try again`, told === said ? { cause: error } : {});
}
