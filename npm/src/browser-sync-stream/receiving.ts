import { Buffer } from 'buffer';
import { SyncError, asSyncError } from '../shared/error.js';
import { HASH, claimsOf, storedHashes } from './claims.js';
import { Came, loadStreamCore } from './core.js';
import { databaseOf } from '../stores/database.js';
import type { Change, LevelDatabase } from '../stores/database.js';

/** Bytes of new chunks that are stored in one batch. */
const CHUNK_BATCH = 1 << 20;
/** How many chunks are handled at once: the stored ones among them are read together. */
const TAKEN = 256;

/** What a receiver works with. */
export interface ReceivingOptions {
  readonly db: LevelDatabase;
  readonly name: string | undefined;
  readonly maxBytes: number;
  /** Called with each new chunk, verified. */
  readonly onNew: (chunk: Buffer) => void;
}

/** Receives one file into a database. One call at a time. */
export interface FileReceiver {
  /** The list to send: the hashes of all stored chunks. */
  readonly list: Uint8Array;
  /** Handles received bytes. */
  take(piece: Uint8Array): Promise<void>;
  /** Handles the end: stores the last chunks, deletes chunks that nobody needs, and returns the file. */
  end(): Promise<Buffer>;
  /**
   * Stores the chunks of a file that will not be complete, for the next sync, and lets others delete the chunks that
   * were announced here.
   */
  leave(): Promise<void>;
}

/** A chunk of the file. A new one has a value to store: the hash, followed by the bytes. */
interface Part {
  readonly hash: string;
  readonly value: Buffer | undefined;
}

/** The chunks that the receivers of this thread have announced, by database. Nobody deletes them meanwhile. */
const relied = new WeakMap<LevelDatabase, Set<ReadonlySet<string>>>();

/** Starts to receive: reads the hashes of all stored chunks. */
export async function beginReceiving({ db, name, maxBytes, onNew }: ReceivingOptions): Promise<FileReceiver> {
  const core = await loadStreamCore();
  const database = databaseOf(db);
  const claims = claimsOf(database, name);
  const announced = new Set(await storedHashes(database).catch(failed('the stored chunks cannot be listed')));
  const all = relied.get(db) ?? new Set();
  relied.set(db, all.add(announced));
  const receiver = new core.Receiver();
  for (const hash of announced) receiver.announce(Buffer.from(hash, 'hex'));
  receiver.endAnnouncing();

  const file: Buffer[] = [];
  let length = 0;
  /** The chunks of the file. A chunk that occurs twice is in memory once. */
  const used = new Map<string, Buffer>();
  let waiting: Change[] = [];
  let waitingBytes = 0;
  /** The current or last call. */
  let running: Promise<unknown> = Promise.resolve();
  let isLeft = false;

  /**
   * The next chunks of the input. The core repeats its refusal with each poll, so the chunks before it are handled
   * first.
   */
  function poll(): Part[] {
    const parts: Part[] = [];
    for (let size = 0; size < CHUNK_BATCH && parts.length < TAKEN; ) {
      let came: Came;
      try {
        came = receiver.poll();
      } catch (error) {
        if (parts.length === 0) throw refused(error);
        break;
      }
      if (came !== Came.Held && came !== Came.New) break;
      const hash = receiver.hash as string;
      const value = came === Came.New ? core.copy(receiver.start, receiver.end, HASH) : undefined;
      value?.write(hash, 'hex');
      size += value?.length ?? 0;
      parts.push({ hash, value });
    }
    return parts;
  }

  async function drain(): Promise<void> {
    for (let parts = poll(); 0 < parts.length && !isLeft; parts = poll()) {
      await read(parts.flatMap(({ hash, value }) => (value || used.has(hash) ? [] : hash)));
      for (const part of parts) add(part);
      if (CHUNK_BATCH <= waitingBytes) await store();
    }
  }

  /** Reads stored chunks, and verifies their hashes. */
  async function read(hashes: readonly string[]): Promise<void> {
    const values = await database.values(hashes).catch(failed('chunks cannot be read'));
    for (const [at, hash] of hashes.entries()) {
      const bytes = viewOf(values[at] ?? new Uint8Array()).subarray(HASH);
      if (core.hash(bytes) !== hash) {
        await database.change([[hash, undefined]]).catch(failed('a damaged chunk cannot be deleted'));
        throw new SyncError(
          'store',
          `the stored chunk ${hash} was changed or removed; it is deleted now, so sync again`,
        );
      }
      used.set(hash, bytes);
    }
  }

  function add({ hash, value }: Part): void {
    const isNew = value && !used.has(hash);
    if (isNew) {
      used.set(hash, value.subarray(HASH));
      waiting.push([hash, value]);
      waitingBytes += value.length;
    }
    const bytes = used.get(hash) as Buffer;
    length += bytes.length;
    if (maxBytes < length)
      throw new SyncError(
        'protocol',
        `the file is longer than maxBytes, ${maxBytes} bytes; set maxBytes to accept longer files`,
      );
    file.push(bytes);
    if (value) onNew(bytes);
  }

  async function store(): Promise<void> {
    const batch = waiting;
    [waiting, waitingBytes] = [[], 0];
    if (0 < batch.length)
      await database
        .change([...batch, ...claims.add(batch.map(([hash]) => hash))])
        .catch(failed('chunks cannot be stored'));
  }

  async function take(piece: Uint8Array): Promise<void> {
    receiver.handleInput(piece);
    await drain();
  }

  async function end(): Promise<Buffer> {
    receiver.handleEnd();
    await drain();
    await store();
    const whole = wholeFile(file, length);
    const needed = (hash: string) => [...all].some((other) => other !== announced && other.has(hash));
    const changes = await claims
      .settle(announced, new Set(used.keys()), needed)
      .catch(failed('the claims cannot be read'));
    if (0 < changes.length) await database.change(changes).catch(failed('old chunks cannot be deleted'));
    return whole;
  }

  function run<T>(work: () => Promise<T>): Promise<T> {
    const done = work();
    running = done.catch(() => {});
    return done;
  }

  return {
    list: receiver.pollOutput() ?? new Uint8Array(),
    take: (piece) => run(() => take(piece)),
    end: () => run(end),
    async leave() {
      isLeft = true;
      await running;
      await store().finally(() => {
        all.delete(announced);
        receiver.free();
      });
    },
  };
}

function wholeFile(file: Buffer[], length: number): Buffer {
  try {
    return Buffer.concat(file, length);
  } catch (error) {
    throw new SyncError('store', `the file has ${length} bytes, more than fit into memory; all its chunks are stored`, {
      cause: error,
    });
  }
}

/** A buffer on the same bytes. */
export function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A SyncError for the core's exception, which has the code. */
export function refused(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return code === 'network' || code === 'protocol' || code === 'store' ? new SyncError(code, String(message)) : error;
}

function failed(what: string): (error: unknown) => never {
  return (error) => {
    throw asSyncError('store', `${what}; check the database, or clear it`, error);
  };
}
