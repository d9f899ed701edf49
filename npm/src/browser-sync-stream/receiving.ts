import { Buffer } from 'buffer';
import { SyncError, asSyncError } from '../shared/error.js';
import { claimsOf, held } from './claims.js';
import { Came, loadCore } from './core.js';
import { databaseOf } from '../stores/database.js';
import type { Change, LevelDatabase } from '../stores/database.js';

/** Bytes of new chunks that are stored in one batch. */
const BATCH = 1 << 20;
/** Chunks that are taken at once, for the held ones among them are read at once. */
const TAKEN = 256;
/** The bytes of a hash. */
const HASH = 32;

/** What a receiver is told. */
export interface Receiving {
  readonly db: LevelDatabase;
  readonly name: string | undefined;
  readonly maxBytes: number;
  /** Hears of each new chunk, verified. */
  readonly onNew: (chunk: Buffer) => void;
}

/** One file on its way into a database. One call at a time. */
export interface Session {
  /** What is to be sent: the hashes of all that is held. */
  readonly list: Uint8Array;
  /** Takes what comes. */
  take(piece: Uint8Array): Promise<void>;
  /** Takes the end, stores what is left, deletes what nobody needs any more, and gives the file. */
  end(): Promise<Buffer>;
  /** Stores what came of a file that will not be complete, so that the next sync has it, and lets others delete what was announced here. */
  leave(): Promise<void>;
}

/** A chunk of the file, and if it is new what is to be stored of it: the hash, and the bytes behind it. */
interface Part {
  readonly hash: string;
  readonly value: Buffer | undefined;
}

/** What the receivers of this thread have announced, by database: nobody deletes it meanwhile. */
const relied = new WeakMap<LevelDatabase, Set<ReadonlySet<string>>>();

/** Begins to receive: reads what is held. */
export async function beginReceiving({ db, name, maxBytes, onNew }: Receiving): Promise<Session> {
  const core = await loadCore();
  const database = databaseOf(db);
  const claims = claimsOf(database, name);
  const announced = new Set(await held(database).catch(failed('what is held cannot be read')));
  const all = relied.get(db) ?? new Set();
  relied.set(db, all.add(announced));
  const receiver = new core.Receiver();
  for (const hash of announced) receiver.announce(Buffer.from(hash, 'hex'));
  receiver.endAnnouncing();

  const file: Buffer[] = [];
  let length = 0;
  /** What the file consists of; a chunk that it has twice is in memory once. */
  const used = new Map<string, Buffer>();
  let waiting: Change[] = [];
  let waitingBytes = 0;
  /** The call that runs, or ran last. */
  let running: Promise<unknown> = Promise.resolve();
  let isLeft = false;

  /** The next chunks that came. What is refused is refused with every poll, so what came before it is taken first. */
  function poll(): Part[] {
    const parts: Part[] = [];
    for (let size = 0; size < BATCH && parts.length < TAKEN; ) {
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
      if (BATCH <= waitingBytes) await store();
    }
  }

  /** Reads chunks that are held; each must still be what its hash says. */
  async function read(hashes: readonly string[]): Promise<void> {
    const values = await database.values(hashes).catch(failed('chunks cannot be read'));
    for (const [at, hash] of hashes.entries()) {
      const bytes = viewOf(values[at] ?? new Uint8Array()).subarray(HASH);
      if (core.hash(bytes) !== hash) {
        await database.change([[hash, undefined]]).catch(failed('a damaged chunk cannot be deleted'));
        throw new SyncError('store', `the stored chunk ${hash} was changed or removed; it is deleted now, so sync again`);
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
    if (maxBytes < length) throw new SyncError('protocol', `the file is longer than the ${maxBytes} bytes that are accepted; say maxBytes to accept more`);
    file.push(bytes);
    if (value) onNew(bytes);
  }

  async function store(): Promise<void> {
    const batch = waiting;
    [waiting, waitingBytes] = [[], 0];
    if (0 < batch.length) await database.change([...batch, ...claims.add(batch.map(([hash]) => hash))]).catch(failed('chunks cannot be stored'));
  }

  async function take(piece: Uint8Array): Promise<void> {
    receiver.handleInput(piece);
    await drain();
  }

  async function end(): Promise<Buffer> {
    receiver.handleEnd();
    await drain();
    await store();
    const whole = joined(file, length);
    const needed = (hash: string) => [...all].some((other) => other !== announced && other.has(hash));
    const changes = await claims.settle(announced, new Set(used.keys()), needed).catch(failed('what is claimed cannot be read'));
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

function joined(file: Buffer[], length: number): Buffer {
  try {
    return Buffer.concat(file, length);
  } catch (error) {
    throw new SyncError('store', `the file has ${length} bytes, more than fit into memory; all its chunks are stored`, { cause: error });
  }
}

/** Bytes as a buffer, where they lie. */
export function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** What the core refuses: an exception that has the code already. */
export function refused(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return code === 'network' || code === 'protocol' || code === 'store' ? new SyncError(code, String(message)) : error;
}

function failed(what: string): (error: unknown) => never {
  return (error) => {
    throw asSyncError('store', `${what}; look at what the database says, or clear it`, error);
  };
}
