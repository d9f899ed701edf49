import { isQuota } from './access.js';
import { entryOf, isWorthNoting, roomFor, withRoom } from './entries.js';
import { SyncError } from './error.js';
import { holdLock, lockIfFree } from './lock.js';
import { memoryLease, reader } from './memory.js';
import { NO_ROOM } from './opfs.js';
import type { Entry, Times } from './entries.js';
import type { Begun, Held, Journal, Lease, Pair, Range, Snapshot, Staging, Version } from './store.js';

/*
 * A snapshot in IndexedDB, for pages without https and threads without files. Three tables: `heads` says which version a key has; `files`
 * has an entry for each file a version or a cut delta is kept in; `pieces` has their bytes, as blobs: written and
 * read twice as fast as buffers in Chromium, and what a handle gives stays on the disk until it is read. A file that no head names is a leftover, or is
 * being read. Write order as in OPFS: the pieces, then the head, then deletions. Pieces may be lost in a crash, for reading verifies; the
 * head is durable before the old version goes.
 */

const TABLES = 1;
const PIECE = 1 << 20;
/** Pieces that are written in one transaction. */
const BATCH = 8;
/** Pieces of what is held that are kept at hand. */
const CACHED = 16;
/** The name of the file that a cut delta is kept in. */
const BEGUN = 'begun';

type Head = Version & Times & { readonly file: string };

/** A piece's key: the snapshot's, the file, and how manieth it is. */
type PieceKey = [key: string, file: string, index: number];

/** Opens what the database `name` keeps under a key. Rejects where IndexedDB does not work, or has tables of a later driblet. */
export async function indexedDbSnapshot(name: string, key: string): Promise<Snapshot> {
  const tables = await open(name);
  const lockName = (file: string) => fileLock(name, key, file);

  const head = () => tables.read<Head>('heads', key);
  const piece = (file: string, index: number) => tables.read<unknown>('pieces', [key, file, index]).then(asBlob);

  const remove = (file: string) => removeFile(tables, key, file);

  async function tidy(...kept: string[]): Promise<boolean> {
    return removeAllBut(name, tables, key, [BEGUN, (await head())?.file, ...kept]);
  }

  const setHead = (value: Head, durability: IDBTransactionDurability) => tables.write(durability, (files) => files('heads').put(value, key));

  async function leaseOf({ version, length, file }: Head): Promise<Lease> {
    const hold = await holdLock(lockName(file));
    return { version, length, blob: async () => new Blob(await all(file, length)), ...hold };
  }

  /** The pieces of a file of that length; fewer where some are lost. */
  async function all(file: string, length: number): Promise<Blob[]> {
    const found = await tables.all<unknown>('pieces', IDBKeyRange.bound([key, file, 0], [key, file, Infinity]));
    return found.slice(0, Math.ceil(length / PIECE)).flatMap((piece) => asBlob(piece) ?? []);
  }

  return {
    async held(): Promise<Held | undefined> {
      const named = await head();
      if (!named) return undefined;
      const last = Math.ceil(named.length / PIECE) - 1;
      const isThere = named.length === 0 || (await piece(named.file, last))?.size === named.length - last * PIECE;
      return isThere ? { version: named.version, length: named.length, ...inPieces((index) => piece(named.file, index).then(read)), close() {} } : undefined;
    },

    drop: () => tables.write('strict', (files) => files('heads').delete(key)),

    async begun(): Promise<Begun | undefined> {
      const pair = await tables.read<Pair>('files', [key, BEGUN]);
      if (!pair) return undefined;
      const bytes = new Uint8Array((await read(new Blob(await all(BEGUN, Infinity)))) ?? []);
      if (bytes.length === 0) {
        await remove(BEGUN);
        return undefined;
      }
      return { ...pair, length: bytes.length, read: reader(bytes), proceed: () => journal(pair, true) };
    },

    journal: (pair) => journal(pair, false),

    async stage(target): Promise<Staging> {
      const file = `${target.version} ${crypto.getRandomValues(new Uint32Array(4)).join('-')}`;
      const makeRoom = roomFor(key, () => tidy(file), () => indexedDbEntries(name));
      const staging = fileInPieces(target.length);
      return {
        write: staging.write,
        async commit() {
          await staging.flush();
          if (!staging.isFull()) {
            const named = { ...target, file, stored: Date.now(), used: Date.now() };
            const done = await withRoom(makeRoom, () => setHead(named, 'strict').then(() => true));
            if (done) return leaseOf(named);
          }
          const pieces = await staging.spilled();
          await remove(file);
          return memoryLease(target, pieces, NO_ROOM);
        },
        discard: () => remove(file),
      };

      /** Collects pieces and writes them in batches; where the disk is full, keeps them in memory. */
      function fileInPieces(length: number) {
        const collected = new Uint8Array(Math.min(PIECE, length));
        let filled = 0;
        let batch: Blob[] = [];
        let stored = 0;
        let full = false;

        async function store(): Promise<void> {
          if (full) return;
          const [from, pieces] = [stored, batch];
          const put = () =>
            tables.write('relaxed', (files) => {
              if (from === 0) files('files').put({}, [key, file]);
              pieces.forEach((bytes, at) => files('pieces').put(bytes, [key, file, from + at] satisfies PieceKey));
            });
          const done = await withRoom(makeRoom, () => put().then(() => true));
          if (!done) {
            full = true;
            return;
          }
          stored += pieces.length;
          batch = [];
        }

        function finish(): void {
          if (filled === 0) return;
          batch.push(new Blob([collected.subarray(0, filled)])); // It copies.
          filled = 0;
        }

        return {
          write(bytes: Uint8Array): Promise<void> | undefined {
            for (let at = 0; at < bytes.length; ) {
              const part = bytes.subarray(at, at + collected.length - filled);
              collected.set(part, filled);
              filled += part.length;
              at += part.length;
              if (filled === collected.length) finish();
            }
            return BATCH <= batch.length ? store() : undefined;
          },
          async flush(): Promise<void> {
            finish();
            await store();
          },
          isFull: () => full,
          /** All pieces, from wherever they came to be. */
          async spilled(): Promise<Uint8Array<ArrayBuffer>[]> {
            const before = await all(file, stored * PIECE);
            const pieces = await Promise.all([...before, ...batch].map(read));
            const found = pieces.flatMap((bytes) => (bytes ? [new Uint8Array(bytes)] : []));
            if (found.length < stored + batch.length) throw new SyncError('store', 'pieces of a file in the store were removed while it was written');
            return found;
          },
        };
      }
    },

    async lease() {
      const named = await head();
      if (!named) throw new SyncError('store', 'nothing is stored for this URL');
      if (isWorthNoting(named.used)) await setHead({ ...named, used: Date.now() }, 'relaxed').catch(() => {}); // It is evicted sooner, then.
      return leaseOf(named);
    },

    async tidy() {
      await tidy();
    },
  };

  /** Keeps a delta's bytes, after those that are there if it goes on. */
  function journal(pair: Pair, goesOn: boolean): Journal {
    let waiting: Uint8Array[] = [];
    let size = 0;
    let full = false;

    async function write(): Promise<void> {
      const bytes = new Blob(waiting as Uint8Array<ArrayBuffer>[]);
      const kept = goesOn ? await tables.keys('pieces', IDBKeyRange.bound([key, BEGUN, 0], [key, BEGUN, Infinity])) : [];
      try {
        await tables.write('relaxed', (files) => {
          if (!goesOn) files('pieces').delete(IDBKeyRange.bound([key, BEGUN, 0], [key, BEGUN, Infinity]));
          files('files').put(pair, [key, BEGUN]);
          files('pieces').put(bytes, [key, BEGUN, kept.length] satisfies PieceKey);
        });
      } catch (error) {
        if (!isQuota(error)) throw error;
        full = true; // The delta is not resumed from beyond here, and no harm is done.
      }
      [waiting, size, goesOn] = [[], 0, true];
    }

    return {
      async append(bytes) {
        if (full) return;
        waiting.push(bytes);
        size += bytes.length;
        if (PIECE <= size) await write();
      },
      async keep() {
        if (!full && 0 < size) await write();
      },
      async forget() {
        if (goesOn) await remove(BEGUN);
      },
    };
  }
}

/** All that a database keeps. */
export async function indexedDbEntries(name: string): Promise<Entry[]> {
  const tables = await open(name);
  const all = IDBKeyRange.lowerBound('');
  const [keys, heads, files] = await Promise.all([tables.keys('heads', all), tables.all<Head>('heads', all), tables.keys('files', IDBKeyRange.lowerBound([]))]);
  const headOf = new Map(keys.map((key, at) => [key as string, heads[at]]));
  for (const [key] of files as [string, string][]) headOf.set(key, headOf.get(key));
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

/** A piece as it was stored; nothing where it is something else. */
function asBlob(found: unknown): Blob | undefined {
  return found instanceof Blob ? found : undefined;
}

/** A piece's bytes; nothing where the browser lost them. */
function read(piece: Blob | undefined): Promise<ArrayBuffer | undefined> {
  return Promise.resolve(piece?.arrayBuffer()).catch(() => undefined);
}

/** Reads what is held by pieces, the latest of which are kept. */
function inPieces(load: (index: number) => Promise<ArrayBuffer | undefined>): Pick<Held, 'ready' | 'read'> {
  const pieces = new Map<number, Uint8Array>();

  async function fetch(missing: Set<number>): Promise<void> {
    const found = await Promise.all([...missing].map(async (index) => [index, await load(index)] as const));
    for (const [index, bytes] of found) pieces.set(index, bytes ? new Uint8Array(bytes) : new Uint8Array());
  }

  return {
    ready(ranges: readonly Range[]) {
      const missing = new Set<number>();
      const wanted = new Set<number>();
      for (const [start, end] of ranges) {
        for (let index = Math.floor(start / PIECE); index * PIECE < end; index += 1) {
          wanted.add(index);
          if (!pieces.has(index)) missing.add(index);
        }
      }
      if (missing.size === 0) return undefined;
      for (const index of [...pieces.keys()]) {
        if (pieces.size + missing.size <= CACHED) break;
        if (!wanted.has(index)) pieces.delete(index);
      }
      return fetch(missing);
    },
    read(into, at) {
      let filled = 0;
      while (filled < into.length) {
        const piece = pieces.get(Math.floor((at + filled) / PIECE));
        const part = piece?.subarray((at + filled) % PIECE).subarray(0, into.length - filled);
        if (!part || part.length === 0) break;
        into.set(part, filled);
        filled += part.length;
      }
      return filled;
    },
  };
}

type Table = 'heads' | 'files' | 'pieces';

/** A database's tables. */
interface Tables {
  read<T>(table: Table, key: IDBValidKey): Promise<T | undefined>;
  all<T>(table: Table, range: IDBKeyRange): Promise<T[]>;
  keys(table: Table, range: IDBKeyRange): Promise<IDBValidKey[]>;
  /** Runs what writes in one transaction, and waits for its end. */
  write(durability: IDBTransactionDurability, work: (table: (name: Table) => IDBObjectStore) => void): Promise<void>;
}

const databases = new Map<string, Promise<IDBDatabase>>();

/** Opens a database; one that was removed meanwhile is made anew when it is next used. */
async function open(name: string): Promise<Tables> {
  await database(name);

  async function transact<T>(mode: IDBTransactionMode, options: IDBTransactionOptions, work: (transaction: IDBTransaction) => IDBRequest<T> | void): Promise<T> {
    const begin = async () => (await database(name)).transaction(['heads', 'files', 'pieces'], mode, options);
    // A connection that was closed meanwhile, as when the user cleared the site's data, says so here.
    const transaction = await begin().catch((error: DOMException) => {
      if (error.name !== 'InvalidStateError') throw error;
      databases.delete(name);
      return begin();
    });
    return new Promise<T>((resolve, reject) => {
      const request = work(transaction);
      transaction.oncomplete = () => resolve(request?.result as T);
      transaction.onabort = () => reject(transaction.error ?? new DOMException('a transaction was aborted', 'AbortError'));
    });
  }

  return {
    read: (table, key) => transact('readonly', {}, (transaction) => transaction.objectStore(table).get(key)),
    all: (table, range) => transact('readonly', {}, (transaction) => transaction.objectStore(table).getAll(range)),
    keys: (table, range) => transact('readonly', {}, (transaction) => transaction.objectStore(table).getAllKeys(range)),
    write: (durability, work) => transact<void>('readwrite', { durability }, (transaction) => work((table) => transaction.objectStore(table))),
  };
}

function database(name: string): Promise<IDBDatabase> {
  const known = databases.get(name);
  if (known) return known;
  const opening = new Promise<IDBDatabase>((resolve, reject) => {
    if (!globalThis.indexedDB) return reject(new Error('there is no IndexedDB here'));
    const request = indexedDB.open(name, TABLES);
    request.onupgradeneeded = () => (['heads', 'files', 'pieces'] as const).forEach((table) => request.result.createObjectStore(table));
    request.onsuccess = () => {
      const forget = () => void databases.delete(name);
      request.result.onclose = forget;
      request.result.onversionchange = () => {
        forget();
        request.result.close();
      };
      resolve(request.result);
    };
    request.onerror = () => {
      const later = request.error?.name === 'VersionError';
      reject(later ? new Error(`the database ${name} was written by a later driblet`) : request.error);
    };
  });
  databases.set(name, opening);
  opening.catch(() => databases.delete(name));
  return opening;
}
