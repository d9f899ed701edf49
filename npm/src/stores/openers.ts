import { indexedDbEntries, indexedDbSnapshot } from './indexeddb.js';
import { FILE_STORE, opfsEntries, opfsSnapshot } from './opfs.js';
import { INDEXED_DB } from './tables.js';
import type { Entry } from './entries.js';
import type { Store, StoreOpener } from './store.js';

/*
 * The stores that every thread can open. A new one needs:
 *
 * - a file in this folder that opens a `Snapshot`. For a database, implement `PieceDatabase` and call `pieceSnapshot`;
 * - a function there that lists its entries, made with `entryOf`;
 * - its kind in `Store` (store.ts), and a line in both tables below;
 * - a function in index.ts that creates the `Store`;
 * - a row in the README, and its kind in the tests of test/browser that loop over kinds: stores, storage, abort, silent,
 *   denied, firefox and webkit.
 */

const FILES: StoreOpener = { part: FILE_STORE, open: opfsSnapshot };
const DATABASE: StoreOpener = { part: INDEXED_DB, open: indexedDbSnapshot };

/** The places of each kind of store, in the order in which they are tried. */
export const storeOpeners: Partial<Record<Store['kind'], readonly StoreOpener[]>> = {
  browser: [FILES, DATABASE],
  opfs: [FILES],
  indexeddb: [DATABASE],
};

type Entries = (name: string) => Promise<Entry[]>;

/** What lists the entries at these places. */
export const storeEntries: Partial<Record<Store['kind'], readonly Entries[]>> = {
  browser: [opfsEntries, indexedDbEntries],
  opfs: [opfsEntries],
  indexeddb: [indexedDbEntries],
};
