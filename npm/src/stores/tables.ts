import { Unavailable, OPEN_TURNS, watching } from '../shared/watch.js';
import { isQuota } from './access.js';
import type { Watch } from '../shared/watch.js';

/* The tables of IndexedDB databases. */

/** The version of all databases. */
const VERSION = 1;
/** What errors call IndexedDB. */
export const INDEXED_DB = 'IndexedDB';

type Piece = Blob | ArrayBuffer;

/** Whether this browser has refused to store a blob, as WebKit does in private windows. */
let refusesBlobs = false;

/** Writes blobs, or their bytes if the browser refuses blobs. */
export async function writeBlobs(blobs: Blob[], write: (pieces: Piece[]) => Promise<void>): Promise<void> {
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

/** The tables of a database. */
export interface Tables<Table extends string> {
  /** Runs requests in one transaction, waits for its end, and returns the results. */
  transact<T>(
    mode: IDBTransactionMode,
    options: IDBTransactionOptions,
    work: (table: (name: Table) => IDBObjectStore) => () => T,
  ): Promise<T>;
  read<T>(table: Table, key: IDBValidKey): Promise<T | undefined>;
  all<T>(table: Table, range: IDBKeyRange): Promise<T[]>;
  keys(table: Table, range: IDBKeyRange): Promise<IDBValidKey[]>;
  /** Runs writes in one transaction, and waits for its end. */
  write(durability: IDBTransactionDurability, work: (table: (name: Table) => IDBObjectStore) => void): Promise<void>;
}

const databases = new Map<string, Promise<IDBDatabase>>();

/** Opens a database. If it is deleted later, its next use creates it anew. */
export async function openTables<Table extends string>(
  name: string,
  names: readonly Table[],
  watch: Watch,
): Promise<Tables<Table>> {
  await database(name, names);

  async function transact<T>(
    mode: IDBTransactionMode,
    options: IDBTransactionOptions,
    work: (table: (name: Table) => IDBObjectStore) => () => T,
  ): Promise<T> {
    const begin = async () => (await database(name, names)).transaction(names, mode, options);
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
    transact,
    read: (table, key) => read(table, (files) => files.get(key)),
    all: (table, range) => read(table, (files) => files.getAll(range)),
    keys: (table, range) => read(table, (files) => files.getAllKeys(range)),
    write: (durability, work) =>
      transact('readwrite', { durability }, (table) => {
        work(table);
        return () => {};
      }),
  };
}

/** The result of a request, once its transaction is complete. */
export function resultOf<T>(request: IDBRequest<T>): () => T {
  return () => request.result;
}

function database(name: string, tables: readonly string[]): Promise<IDBDatabase> {
  const known = databases.get(name);
  if (known) return known;
  const opening = watching(
    INDEXED_DB,
    undefined,
    OPEN_TURNS,
  )(
    () => openDatabase(name, tables),
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

function openDatabase(name: string, tables: readonly string[]): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    if (!globalThis.indexedDB) return reject(new Unavailable('there is no IndexedDB here'));
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => tables.forEach((table) => request.result.createObjectStore(table));
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
