import { SyncError } from '../shared/error.js';
import { collecting } from './journal.js';
import { holdLock, lockIfFree } from '../shared/lock.js';
import { NO_ROOM, memoryLease, readerOfBuffers } from './memory.js';
import { PIECE, readingPieces, writingPieces } from './pieces.js';
import type { Change, Database } from './database.js';
import type { Begun, Held, Journal, Lease, Pair, Snapshot, Staging, Version } from './store.js';

/*
 * A snapshot in a level database. As in IndexedDB: `head` says which version a key has and in which file, a file is pieces under a name of its own,
 * and a delta that was cut off is a file with a record of its pair. Write order as there: the pieces, then the head, then deletions. What a database
 * loses in a crash shows when it is read.
 *
 *   driblet!store!KEY!head              the head, as JSON
 *   driblet!store!KEY!begun             the pair of a cut delta, as JSON
 *   driblet!store!KEY!file!FILE!INDEX   a piece
 */

/** The name of the file that a cut delta is kept in. */
const BEGUN = 'begun';
/** So that keys are in the order of what they number. */
const DIGITS = 10;
/** What follows all keys that begin with something and `!`. */
const AFTER = '"';

type Head = Version & { readonly file: string };

/** Opens what a database keeps under a key; `name` is the database's. */
export function levelSnapshot(database: Database, name: string, key: string): Snapshot {
  const own = `driblet!store!${encodeURIComponent(key).replaceAll('!', '%21')}!`;
  const lockName = (file: string) => `driblet entry ${name} ${key} ${file}`;
  const files = `${own}file!`;
  const pieceKey = (file: string, index: number) => `${files}${file}!${String(index).padStart(DIGITS, '0')}`;
  const keysOf = (file: string) => database.keys(`${files}${file}!`, `${files}${file}${AFTER}`);

  async function record<T>(what: string): Promise<T | undefined> {
    const [value] = await database.values([`${own}${what}`]);
    try {
      return value && (JSON.parse(new TextDecoder().decode(value)) as T);
    } catch {
      return undefined; // It was damaged, and is none.
    }
  }

  const recorded = (what: string, value: unknown): Change => [`${own}${what}`, new TextEncoder().encode(JSON.stringify(value))];

  async function head(): Promise<Head | undefined> {
    const found = await record<Partial<Head>>('head');
    const isHead = typeof found?.version === 'string' && Number.isSafeInteger(found.length) && 0 <= (found.length ?? -1) && typeof found.file === 'string';
    return isHead ? (found as Head) : undefined;
  }

  async function piece(file: string, index: number): Promise<Uint8Array | undefined> {
    const [value] = await database.values([pieceKey(file, index)]).catch(() => []);
    return value;
  }

  async function all(file: string): Promise<Uint8Array<ArrayBuffer>[]> {
    const values = await database.values(await keysOf(file));
    return values.flatMap((value) => (value as Uint8Array<ArrayBuffer> | undefined) ?? []);
  }

  async function remove(file: string): Promise<void> {
    const keys = [...(await keysOf(file)), ...(file === BEGUN ? [`${own}${BEGUN}`] : [])];
    await database.change(keys.map((key): Change => [key, undefined]));
  }

  async function leaseOf(named: Head): Promise<Lease> {
    const { version, length, file } = named;
    const hold = await holdLock(lockName(file));
    return { version, length, blob: async () => new Blob(await all(file)), held: () => heldIn(named), ...hold };
  }

  async function heldIn({ version, length, outboard, file }: Head): Promise<Held | undefined> {
    if ((await keysOf(file)).length !== Math.ceil(length / PIECE)) return undefined;
    return { version, length, outboard, ...readingPieces(length, (index) => piece(file, index)), close() {} };
  }

  return {
    async held(): Promise<Held | undefined> {
      const named = await head();
      return named && heldIn(named);
    },

    drop: () => database.change([[`${own}head`, undefined]]),

    async begun(): Promise<Begun | undefined> {
      const pair = await record<Pair>(BEGUN);
      if (!pair) return undefined;
      const bytes = joined(await all(BEGUN));
      if (bytes.length === 0) {
        await remove(BEGUN);
        return undefined;
      }
      return { ...pair, length: bytes.length, read: readerOfBuffers(bytes), proceed: () => journal(pair, true) };
    },

    journal: (pair) => journal(pair, false),

    async stage(target): Promise<Staging> {
      const file = `${target.version} ${crypto.getRandomValues(new Uint32Array(4)).join('-')}`;
      // Databases tell no full disk from other failures; what is not written stays in memory.
      const store = async (from: number, pieces: Blob[]) => {
        const values = await Promise.all(pieces.map((piece) => piece.arrayBuffer()));
        const changes = values.map((value, at): Change => [pieceKey(file, from + at), new Uint8Array(value)]);
        return database.change(changes).then(() => true, () => false);
      };
      const staging = writingPieces(PIECE, store);
      return {
        write: staging.write,
        async commit() {
          const left = await staging.flush();
          const named = { ...target, file };
          const done = left.length === 0 && (await database.change([recorded('head', named)]).then(() => true, () => false));
          if (done) return leaseOf(named);
          const pieces = [...(await all(file)), ...(await Promise.all(left.map(async (piece) => new Uint8Array(await piece.arrayBuffer()))))];
          await remove(file).catch(() => {}); // The next sync tries again.
          return memoryLease(target, pieces, NO_ROOM);
        },
        async discard() {
          await staging.flush().catch(() => {}); // What is on its way would come after.
          await remove(file);
        },
      };
    },

    async lease() {
      const named = await head();
      if (!named) throw new SyncError('store', 'nothing is stored; sync again');
      return leaseOf(named);
    },

    async tidy() {
      const kept = [BEGUN, (await head())?.file];
      const names = (await database.keys(files, `${files.slice(0, -1)}${AFTER}`)).map((key) => key.slice(files.length).split('!')[0] as string);
      for (const file of new Set(names)) {
        if (!kept.includes(file)) await lockIfFree(lockName(file), () => remove(file));
      }
    },
  };

  /** Keeps a delta's bytes, after those that are there if it goes on. */
  function journal(pair: Pair, goesOn: boolean): Journal {
    const collected = collecting(PIECE, async (pieces) => {
      if (!goesOn) await remove(BEGUN);
      const index = (await keysOf(BEGUN)).length;
      await database.change([recorded(BEGUN, pair), [pieceKey(BEGUN, index), joined(pieces)]]);
      goesOn = true;
    });
    return {
      ...collected,
      async discard() {
        if (goesOn) await remove(BEGUN);
      },
    };
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((length, { length: more }) => length + more, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
