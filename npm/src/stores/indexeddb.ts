import { isQuota } from './access.js';
import { entryOf, isWorthNoting, roomFor, headTimesNow, withRoom } from './entries.js';
import { SyncError } from '../shared/error.js';
import { collecting } from './journal.js';
import { holdLock, lockIfFree } from '../shared/lock.js';
import { NO_ROOM, memoryLease, readerOfBuffers } from './memory.js';
import { OPEN_TURNS, Unavailable, watching } from '../shared/watch.js';
import { BATCH, PIECE, readingPieces, writingPieces } from './pieces.js';
import type { Entry, HeadTimes } from './entries.js';
import type { Watch } from '../shared/watch.js';
import type { Begun, Held, Journal, Lease, Pair, Range, Snapshot, Staging, Version } from './store.js';

/*
 * A snapshot in IndexedDB, for pages without https and threads without files. Three tables: `heads` says which version a key has; `files`
 * has an entry for each file a version or a cut delta is kept in; `pieces` has their bytes, as blobs where it can: Chromium
 * writes and reads these twice as fast as buffers, and what a handle gives stays on the disk until it is read. A file that no head names is a
 * leftover, or is being read. Write order as in OPFS: the pieces, then the head, then deletions. Pieces may be lost in a crash, for reading verifies; the
 * head is durable before the old version goes.
 */

const TABLES = 1;
/** What errors call it. */
export const INDEXED_DB = 'IndexedDB';
/** The name of the file that a cut delta is kept in. */
const BEGUN = 'begun';

/** How many of a delta's bytes are written at once. */
const WORTH_A_WRITE = 1 << 20;

type Piece = Blob | ArrayBuffer;

type Head = Version & HeadTimes & { readonly file: string };

/** A piece's key: the snapshot's, the file, and how manieth it is. */
type PieceKey = [key: string, file: string, index: number];

/** Opens what the database `name` keeps under a key. Rejects where IndexedDB does not work, or has tables of a later driblet. */
export async function indexedDbSnapshot(name: string, key: string, watch: Watch): Promise<Snapshot> {
  const tables = await openTables(name, watch);
  const lockName = (file: string) => fileLock(name, key, file);

  /** What was held when this sync began, which its handle may be of. */
  let opened: { named: Head; blob: Promise<Blob> } | undefined;

  const head = () => tables.read<Head>('heads', key);

  const remove = (file: string) => removeFile(tables, key, file);

  async function tidy(...kept: string[]): Promise<boolean> {
    return removeAllBut(name, tables, key, [BEGUN, (await head())?.file, ...kept]);
  }

  const setHead = (value: Head, durability: IDBTransactionDurability) =>
    tables.write(durability, (files) => {
      files('heads').put(value, key);
      files('files').put({}, [key, value.file]);
    });

  async function leaseOf(named: Head): Promise<Lease> {
    const { version, length, file } = named;
    const hold = await holdLock(lockName(file));
    let found = opened?.named.file === file ? opened.blob : undefined;
    const blob = () => (found ??= whole(file));
    return { version, length, blob, held: async () => heldIn(named, await blob()), ...hold };
  }

  /** A file; shorter where some of its pieces are lost. */
  async function whole(file: string): Promise<Blob> {
    const found = await tables.all<unknown>('pieces', IDBKeyRange.bound([key, file, 0], [key, file, Infinity]));
    return new Blob(found.filter((piece) => piece instanceof Blob || piece instanceof ArrayBuffer));
  }

  return {
    async held(): Promise<Held | undefined> {
      const named = await head();
      // All at once, for a transaction that reads waits for those that write; what a blob refers to needs none.
      opened = named && { named, blob: whole(named.file) };
      return opened && heldIn(opened.named, await opened.blob);
    },

    drop: () => tables.write('strict', (files) => files('heads').delete(key)),

    async begun(): Promise<Begun | undefined> {
      const pair = await tables.read<Pair>('files', [key, BEGUN]);
      if (!pair) return undefined;
      const bytes = await read(await whole(BEGUN));
      if (!bytes?.length) {
        await remove(BEGUN);
        return undefined;
      }
      return { ...pair, length: bytes.length, read: readerOfBuffers(bytes), proceed: () => journal(pair, true) };
    },

    journal: (pair) => journal(pair, false),

    async stage(target): Promise<Staging> {
      const file = `${target.version} ${crypto.getRandomValues(new Uint32Array(4)).join('-')}`;
      const makeRoom = roomFor(key, () => tidy(file), () => indexedDbEntries(name, watch));
      const hasRoom = async (write: Promise<void>) => write.then(() => true);
      const staging = writingPieces(BATCH, async (from, pieces) => {
        const put = (pieces: Piece[]) =>
          tables.write('relaxed', (files) => {
            files('files').put({}, [key, file]); // Each time, for a tab without locks may have deleted it.
            pieces.forEach((piece, at) => files('pieces').put(piece, [key, file, from + at] satisfies PieceKey));
          });
        return (await withRoom(makeRoom, () => hasRoom(writeBlobs(pieces, put)))) ?? false;
      });

      /** All bytes, stored or not. */
      async function spilled(left: Blob[]): Promise<Uint8Array<ArrayBuffer>> {
        const bytes = await read(new Blob([await whole(file), ...left]));
        if (bytes?.length !== target.length) throw new SyncError('store', 'pieces of a file in the store were removed while it was written');
        return bytes;
      }

      return {
        write: staging.write,
        async commit() {
          const left = await staging.flush();
          const named = { ...target, file, ...headTimesNow() };
          const done = left.length === 0 && (await withRoom(makeRoom, () => hasRoom(setHead(named, 'strict'))));
          if (done) return leaseOf(named);
          const bytes = await spilled(left);
          await remove(file);
          return memoryLease(target, [bytes], NO_ROOM);
        },
        async discard() {
          await staging.flush().catch(() => {}); // What is on its way would come after.
          await remove(file);
        },
      };
    },

    async lease() {
      const named = await head();
      if (!named) throw new SyncError('store', 'nothing is stored');
      if (isWorthNoting(named.used)) await setHead({ ...named, used: Date.now() }, 'relaxed').catch(() => {}); // It is evicted sooner, then.
      return leaseOf(named);
    },

    async tidy() {
      await tidy();
    },
  };

  /** Keeps a delta's bytes, after those that are there if it goes on. */
  function journal(pair: Pair, goesOn: boolean): Journal {
    const all = IDBKeyRange.bound([key, BEGUN, 0], [key, BEGUN, Infinity]);
    const collected = collecting(WORTH_A_WRITE, async (pieces) => {
      const kept = goesOn ? await tables.keys('pieces', all) : [];
      await writeBlobs([new Blob(pieces)], ([piece]) =>
        tables.write('relaxed', (files) => {
          if (!goesOn) files('pieces').delete(all);
          files('files').put(pair, [key, BEGUN]);
          files('pieces').put(piece, [key, BEGUN, kept.length] satisfies PieceKey);
        }),
      );
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

/** All that a database keeps. */
export async function indexedDbEntries(name: string, watch = watching(INDEXED_DB)): Promise<Entry[]> {
  const tables = await openTables(name, watch);
  const { keys, heads, files } = await tables.overview();
  const headOf = new Map(keys.map((key, at) => [key, heads[at]]));
  for (const [key] of files) headOf.set(key, headOf.get(key));
  return [...headOf].map(([key, head]) =>
    entryOf(name, key, head, head && fileLock(name, key, head.file), async () => {
      await tables.write('relaxed', (files) => files('heads').delete(key));
      await removeAllBut(name, tables, key, []);
    }),
  );
}

/** Deletes a key's files that nobody reads; whether there were any. */
async function removeAllBut(name: string, tables: Tables, key: string, kept: (string | undefined)[]): Promise<boolean> {
  const files = (await tables.keys('files', IDBKeyRange.bound([key], [key, []]))) as [string, string][];
  let removed = false;
  for (const [, file] of files) {
    if (kept.includes(file)) continue;
    const done = await lockIfFree(fileLock(name, key, file), () => removeFile(tables, key, file).then(() => true));
    removed ||= done === true;
  }
  return removed;
}

async function removeFile(tables: Tables, key: string, file: string): Promise<void> {
  await tables.write('relaxed', (files) => {
    files('files').delete([key, file]);
    files('pieces').delete(IDBKeyRange.bound([key, file, 0], [key, file, Infinity]));
  });
}

function fileLock(name: string, key: string, file: string): string {
  return `driblet entry ${name} ${key} ${file}`;
}

/** Whether this browser has refused to keep a blob, as WebKit does in private windows. */
let refusesBlobs = false;

/** Writes blobs, or their bytes where they are refused. */
async function writeBlobs(blobs: Blob[], write: (pieces: Piece[]) => Promise<void>): Promise<void> {
  if (!refusesBlobs) {
    try {
      return await write(blobs);
    } catch (error) {
      if (isQuota(error)) throw error;
    }
  }
  await write(await Promise.all(blobs.map((blob) => blob.arrayBuffer())));
  refusesBlobs = true;
}

/** A version that is held as a file; nothing where some of it is lost. */
function heldIn({ version, length, outboard }: Version, file: Blob): Held | undefined {
  if (file.size !== length) return undefined;
  const slice = ([start, end]: Range) => read(file.slice(start, end));
  return { version, length, outboard, slice, ...readingPieces(length, (index) => slice([index * PIECE, (index + 1) * PIECE])), close() {} };
}

/** A blob's bytes; nothing where the browser lost them. */
async function read(blob: Blob): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return new Uint8Array(await watching(INDEXED_DB)(() => blob.arrayBuffer()));
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    return undefined;
  }
}

type Table = 'heads' | 'files' | 'pieces';

/** A database's tables. */
interface Tables {
  read<T>(table: Table, key: IDBValidKey): Promise<T | undefined>;
  all<T>(table: Table, range: IDBKeyRange): Promise<T[]>;
  keys(table: Table, range: IDBKeyRange): Promise<IDBValidKey[]>;
  /** All heads with their keys, and the keys of all files, as they are at one time. */
  overview(): Promise<{ keys: string[]; heads: Head[]; files: [key: string, file: string][] }>;
  /** Runs what writes in one transaction, and waits for its end. */
  write(durability: IDBTransactionDurability, work: (table: (name: Table) => IDBObjectStore) => void): Promise<void>;
}

const databases = new Map<string, Promise<IDBDatabase>>();

/** Opens a database; one that was removed meanwhile is made anew when it is next used. */
async function openTables(name: string, watch: Watch): Promise<Tables> {
  await database(name);

  async function transact<T>(mode: IDBTransactionMode, options: IDBTransactionOptions, work: (table: (name: Table) => IDBObjectStore) => () => T): Promise<T> {
    const begin = async () => (await database(name)).transaction(['heads', 'files', 'pieces'], mode, options);
    return watch(async () => {
      // A connection that was closed meanwhile, as when the user cleared the site's data, says so here.
      const transaction = await begin().catch((error: DOMException) => {
        if (error.name !== 'InvalidStateError') throw error;
        databases.delete(name);
        return begin();
      });
      return new Promise<T>((resolve, reject) => {
        const results = work((table) => transaction.objectStore(table));
        transaction.oncomplete = () => resolve(results());
        transaction.onabort = () => reject(transaction.error ?? new DOMException('a transaction was aborted', 'AbortError'));
      });
    });
  }

  const read = <T>(table: Table, request: (table: IDBObjectStore) => IDBRequest<T>) =>
    transact('readonly', {}, (tables) => resultOf(request(tables(table))));

  return {
    read: (table, key) => read(table, (files) => files.get(key)),
    all: (table, range) => read(table, (files) => files.getAll(range)),
    keys: (table, range) => read(table, (files) => files.getAllKeys(range)),
    overview: () =>
      transact('readonly', {}, (table) => {
        const keys = resultOf(table('heads').getAllKeys() as IDBRequest<string[]>);
        const heads = resultOf(table('heads').getAll() as IDBRequest<Head[]>);
        const files = resultOf(table('files').getAllKeys() as unknown as IDBRequest<[string, string][]>);
        return () => ({ keys: keys(), heads: heads(), files: files() });
      }),
    write: (durability, work) =>
      transact('readwrite', { durability }, (table) => {
        work(table);
        return () => {};
      }),
  };
}

/** What a request found, once its transaction is complete. */
function resultOf<T>(request: IDBRequest<T>): () => T {
  return () => request.result;
}

function database(name: string): Promise<IDBDatabase> {
  const known = databases.get(name);
  if (known) return known;
  const opening = watching(INDEXED_DB, undefined, OPEN_TURNS)(() => openDatabase(name), (late) => late.close());
  databases.set(name, opening);
  opening.then(
    (database) => {
      const forget = () => {
        if (databases.get(name) === opening) databases.delete(name);
      };
      database.onclose = forget;
      database.onversionchange = () => {
        forget();
        database.close();
      };
    },
    () => databases.delete(name),
  );
  return opening;
}

function openDatabase(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    if (!globalThis.indexedDB) return reject(new Unavailable('there is no IndexedDB here'));
    const request = indexedDB.open(name, TABLES);
    request.onupgradeneeded = () => (['heads', 'files', 'pieces'] as const).forEach((table) => request.result.createObjectStore(table));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(reasonOf(name, request.error));
  });
}

/** Why a database does not open. */
function reasonOf(name: string, error: DOMException | null): Error | null {
  if (error?.name === 'VersionError') return new Error(`the database ${name} was written by a later driblet`);
  // Chromium has no name of its own for it.
  return error && /denied|did not allow/.test(error.message) ? new Unavailable(`IndexedDB is denied: ${error.message}`, false, error) : error;
}
