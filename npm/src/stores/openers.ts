import { INDEXED_DB, indexedDbSnapshot } from './indexeddb.js';
import { FILE_STORE, opfsSnapshot } from './opfs.js';
import type { Store, StoreOpener } from './store.js';

const FILES: StoreOpener = { part: FILE_STORE, open: opfsSnapshot };
const DATABASE: StoreOpener = { part: INDEXED_DB, open: indexedDbSnapshot };

/**
 * How the stores that every thread can open are opened: the places of each kind, in the order in which they are tried.
 */
export const storeOpeners: Partial<Record<Store['kind'], readonly StoreOpener[]>> = {
  browser: [FILES, DATABASE],
  opfs: [FILES],
  indexeddb: [DATABASE],
};
