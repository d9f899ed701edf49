import { Unavailable, OPEN_TURNS, watching } from '../shared/watch.js';
import { isQuota } from './access.js';
import { entryOf, headTimesNow, isWorthNoting, roomFor, withRoom } from './entries.js';
import { BEGUN, blobBytes, fileLock, pieceSnapshot, removeUnused } from './pieceSnapshot.js';
import { BATCH, PIECE, readingPieces } from './pieces.js';
import type { Watch } from '../shared/watch.js';
import type { Entry, StoredHead } from './entries.js';
import type { PieceDatabase } from './pieceSnapshot.js';
import type { Held, Pair, Range, Snapshot, VersionInfo } from './store.js';

/*
 * A snapshot in IndexedDB, for pages without https and threads without files. Three tables: `heads` has the head of
 * each key; `files` has an entry for each file; `pieces` has the files' bytes. Pieces are blobs where the browser
 * stores them: Chromium writes and reads blobs twice as fast as buffers, and a blob stays on the disk until it is read.
 *
 * Transactions that write pieces or heads are strict. Chromium stores each blob in a file of its own, and flushes that
 * file only if the transaction that writes the blob is strict. A later strict transaction does not flush it. All other
 * writes are relaxed: losing them costs only space, or bytes that are received again.
 */

const TABLES = 1;
/** What errors call it. */
export const INDEXED_DB = 'IndexedDB';

/** How many bytes of a delta are written at once. */
const JOURNAL = 1 << 20;

type Piece = Blob | ArrayBuffer;

/** A piece's key: the snapshot's key, the file, and the piece's number. */
type PieceKey = [key: string, file: string, index: number];

/**
 * Opens what the database `name` keeps under a key. Rejects if IndexedDB does not work here, or if a later driblet
 * wrote the database.
 */
export async function indexedDbSnapshot(name: string, key: string, watch: Watch): Promise<Snapshot> {
  return pieceSnapshot(databaseFor(name, key, await openTables(name, watch), watch));
}

function databaseFor(name: string, key: string, tables: Tables, watch: Watch): PieceDatabase {
  const piecesOf = (file: string) => IDBKeyRange.bound([key, file, 0], [key, file, Infinity]);

  const putHead = (value: StoredHead, durability: IDBTransactionDurability) =>
    tables.write(durability, (table) => {
      table('heads').put(value, key);
      table('files').put({}, [key, value.file]);
    });

  return {
    part: INDEXED_DB,
    pieceLength: BATCH,
    journalLength: JOURNAL,
    lockName: (file) => fileLock(name, key, file),
    head: () => tables.read<StoredHead>('heads', key),
    setHead: (head) => putHead({ ...head, ...headTimesNow() }, 'strict'),
    deleteHead: () => tables.write('strict', (table) => table('heads').delete(key)),

    async noteUse(head) {
      const { used } = head as StoredHead;
      if (isWorthNoting(used)) await putHead({ ...(head as StoredHead), used: Date.now() }, 'relaxed');
    },

    async blob(file) {
      // All pieces in one transaction: it waits for transactions that write. Reading the blobs needs none.
      const found = await tables.all<unknown>('pieces', piecesOf(file));
      return new Blob(found.filter((piece) => piece instanceof Blob || piece instanceof ArrayBuffer));
    },

    open: async (head, blob) => heldInBlob(head, await blob()),

    async write(file, from, blobs) {
      await writeBlobs(blobs, (pieces) =>
        tables.write('strict', (table) => {
          table('files').put({}, [key, file]); // With each batch: a tab without locks may have deleted it.
          pieces.forEach((piece, at) => table('pieces').put(piece, [key, file, from + at] satisfies PieceKey));
        }),
      );
    },

    withRoom(tidy) {
      const makeRoom = roomFor(key, tidy, () => indexedDbEntries(name, watch));
      return async (write) => (await withRoom(makeRoom, () => write().then(() => true))) ?? false;
    },

    pair: () => tables.read<Pair>('files', [key, BEGUN]),

    async writeBegun(pair, bytes, isContinued) {
      const kept = isContinued ? await tables.keys('pieces', piecesOf(BEGUN)) : [];
      await writeBlobs([new Blob(bytes)], ([piece]) =>
        tables.write('relaxed', (table) => {
          if (!isContinued) table('pieces').delete(piecesOf(BEGUN));
          table('files').put(pair, [key, BEGUN]);
          table('pieces').put(piece, [key, BEGUN, kept.length] satisfies PieceKey);
        }),
      );
    },

    async files() {
      const keys = (await tables.keys('files', IDBKeyRange.bound([key], [key, []]))) as [string, string][];
      return keys.map(([, file]) => file);
    },

    remove: (file) =>
      tables.write('relaxed', (table) => {
        table('files').delete([key, file]);
        table('pieces').delete(piecesOf(file));
      }),
  };
}

/** All entries of a database. */
export async function indexedDbEntries(name: string, watch = watching(INDEXED_DB)): Promise<Entry[]> {
  const tables = await openTables(name, watch);
  const { keys, heads, files } = await tables.overview();
  const headOf = new Map(keys.map((key, at) => [key, heads[at]]));
  for (const [key] of files) headOf.set(key, headOf.get(key));
  return [...headOf].map(([key, head]) =>
    entryOf(name, key, head, head && fileLock(name, key, head.file), async () => {
      await tables.write('relaxed', (table) => table('heads').delete(key));
      await removeUnused(databaseFor(name, key, tables, watch), []);
    }),
  );
}

/** Whether this browser has refused to store a blob, as WebKit does in private windows. */
let refusesBlobs = false;

/** Writes blobs, or their bytes if the browser refuses blobs. */
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

/** Opens a version whose bytes are in `file`; undefined if some were lost. */
function heldInBlob({ version, length, outboard }: VersionInfo, file: Blob): Held | undefined {
  if (file.size !== length) return undefined;
  const slice = ([start, end]: Range) => blobBytes(INDEXED_DB, file.slice(start, end));
  return {
    version,
    length,
    outboard,
    slice,
    ...readingPieces(length, (index) => slice([index * PIECE, (index + 1) * PIECE])),
    close() {},
  };
}

type Table = 'heads' | 'files' | 'pieces';

/** The tables of a database. */
interface Tables {
  read<T>(table: Table, key: IDBValidKey): Promise<T | undefined>;
  all<T>(table: Table, range: IDBKeyRange): Promise<T[]>;
  keys(table: Table, range: IDBKeyRange): Promise<IDBValidKey[]>;
  /** All heads with their keys, and the keys of all files, from one transaction. */
  overview(): Promise<{ keys: string[]; heads: StoredHead[]; files: [key: string, file: string][] }>;
  /** Runs writes in one transaction, and waits for its end. */
  write(durability: IDBTransactionDurability, work: (table: (name: Table) => IDBObjectStore) => void): Promise<void>;
}

const databases = new Map<string, Promise<IDBDatabase>>();

/** Opens a database. If it is deleted later, its next use creates it anew. */
async function openTables(name: string, watch: Watch): Promise<Tables> {
  await database(name);

  async function transact<T>(
    mode: IDBTransactionMode,
    options: IDBTransactionOptions,
    work: (table: (name: Table) => IDBObjectStore) => () => T,
  ): Promise<T> {
    const begin = async () => (await database(name)).transaction(['heads', 'files', 'pieces'], mode, options);
    return watch(async () => {
      // The connection was closed meanwhile, for example because the user cleared the site's data.
      const transaction = await begin().catch((error: DOMException) => {
        if (error.name !== 'InvalidStateError') throw error;
        databases.delete(name);
        return begin();
      });
      return new Promise<T>((resolve, reject) => {
        const results = work((table) => transaction.objectStore(table));
        transaction.oncomplete = () => resolve(results());
        transaction.onabort = () =>
          reject(transaction.error ?? new DOMException('a transaction was aborted', 'AbortError'));
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
        const heads = resultOf(table('heads').getAll() as IDBRequest<StoredHead[]>);
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

/** The result of a request, once its transaction is complete. */
function resultOf<T>(request: IDBRequest<T>): () => T {
  return () => request.result;
}

function database(name: string): Promise<IDBDatabase> {
  const known = databases.get(name);
  if (known) return known;
  const opening = watching(
    INDEXED_DB,
    undefined,
    OPEN_TURNS,
  )(
    () => openDatabase(name),
    (late) => late.close(),
  );
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
    request.onupgradeneeded = () =>
      (['heads', 'files', 'pieces'] as const).forEach((table) => request.result.createObjectStore(table));
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(reasonOf(name, request.error));
  });
}

/** Why a database does not open. */
function reasonOf(name: string, error: DOMException | null): Error | null {
  if (error?.name === 'VersionError') return new Error(`the database ${name} was written by a later driblet`);
  // Chromium has no error name for it.
  return error && /denied|did not allow/.test(error.message)
    ? new Unavailable(`IndexedDB is denied: ${error.message}`, false, error)
    : error;
}
