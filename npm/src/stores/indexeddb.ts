import { watching } from '../shared/watch.js';
import { entryOf, headTimesNow, isWorthNoting, roomFor, withRoom } from './entries.js';
import { BEGUN, blobBytes, fileLock, pieceSnapshot, removeUnused } from './pieceSnapshot.js';
import { BATCH, PIECE, readingPieces } from './pieces.js';
import { INDEXED_DB, openTables, resultOf, writeBlobs } from './tables.js';
import type { Watch } from '../shared/watch.js';
import type { Entry, StoredHead } from './entries.js';
import type { PieceDatabase } from './pieceSnapshot.js';
import type { Held, Pair, Range, Snapshot, VersionInfo } from './store.js';
import type { Tables } from './tables.js';

/*
 * A snapshot in IndexedDB, for pages without https and threads without files. Three tables: `heads` has the head of
 * each key; `files` has an entry for each file; `pieces` has the files' bytes. Pieces are blobs where the browser
 * stores them: Chromium writes and reads blobs twice as fast as buffers, and a blob stays on the disk until it is read.
 *
 * Transactions that write pieces or heads are strict. Chromium stores each blob in a file of its own, and flushes that
 * file only if the transaction that writes the blob is strict. A later strict transaction does not flush it. All other
 * writes are relaxed: losing them costs only space, or bytes that are received again.
 */

/** The tables of a database. */
const TABLES = ['heads', 'files', 'pieces'] as const;

/** How many bytes of a delta are written at once. */
const JOURNAL = 1 << 20;

/** A piece's key: the snapshot's key, the file, and the piece's number. */
type PieceKey = [key: string, file: string, index: number];

/**
 * Opens what the database `name` keeps under a key. Rejects if IndexedDB does not work here, or if a later driblet
 * wrote the database.
 */
export async function indexedDbSnapshot(name: string, key: string, watch: Watch): Promise<Snapshot> {
  return pieceSnapshot(databaseFor(name, key, await openTables(name, TABLES, watch), watch));
}

function databaseFor(name: string, key: string, tables: Tables<Table>, watch: Watch): PieceDatabase {
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
  const tables = await openTables(name, TABLES, watch);
  const { keys, heads, files } = await overview(tables);
  const headOf = new Map(keys.map((key, at) => [key, heads[at]]));
  for (const [key] of files) headOf.set(key, headOf.get(key));
  return [...headOf].map(([key, head]) =>
    entryOf(name, key, head, head && fileLock(name, key, head.file), async () => {
      await tables.write('relaxed', (table) => table('heads').delete(key));
      await removeUnused(databaseFor(name, key, tables, watch), []);
    }),
  );
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

type Table = (typeof TABLES)[number];

/** All heads with their keys, and the keys of all files, from one transaction. */
function overview(tables: Tables<Table>) {
  return tables.transact('readonly', {}, (table) => {
    const keys = resultOf(table('heads').getAllKeys() as IDBRequest<string[]>);
    const heads = resultOf(table('heads').getAll() as IDBRequest<StoredHead[]>);
    const files = resultOf(table('files').getAllKeys() as unknown as IDBRequest<[string, string][]>);
    return () => ({ keys: keys(), heads: heads(), files: files() });
  });
}
