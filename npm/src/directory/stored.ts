import { watching } from '../shared/watch.js';
import { recordsOf } from '../stores/directories/holdings.js';
import { directoryOpeners } from '../stores/directories/openers.js';
import { INDEXED_DB } from '../stores/tables.js';
import { directoryCore } from './core.js';
import { openVersion } from './reading.js';
import type { DirectoryReader } from './reading.js';
import type { DirectoryHead, Pin } from '../stores/directories/holdings.js';
import type { DirectoryStore } from '../stores/directories/store.js';

/* What is stored of a directory, for code that reads it without a page and without a sync, such as a service worker. */

/** A directory that a page has synced. */
export interface StoredDirectory {
  /** The newest version; undefined if no sync has finished. */
  head(): Promise<DirectoryHead | undefined>;
  /** The versions that are kept: the newest one, the one before, and those that are pinned. */
  versions(): Promise<string[]>;
  /**
   * Opens a version; undefined if it is not stored. `listing.find(path)` is the index of a file, `read(index)` its
   * verified bytes, or a blob of them. Release the reader when nothing reads from it any more.
   */
  open(version: string): Promise<DirectoryReader | undefined>;
  pins(): Promise<Pin[]>;
  /** Keeps a version until each name that pins it is unpinned. A name pins one version. */
  pin(name: string, version: string): Promise<void>;
  unpin(...names: readonly string[]): Promise<void>;
}

/** What a store keeps of the directory with this key: its URL, and the scope after a line break. */
export function storedDirectory(store: DirectoryStore, key: string, wasmUrl?: string | URL): StoredDirectory {
  const { head, kept, pins, pin, unpin } = recordsOf(store.records, key);
  return {
    ...{ head, pins, pin, unpin, versions: kept },
    open: (version) => openVersion(store, key, version, directoryCore(wasmUrl)),
  };
}

/** Opens the `browserStore` with this name. Rejects if IndexedDB does not work here. */
export function openBrowserStore(name: string): Promise<DirectoryStore> {
  const [opener] = directoryOpeners.browser ?? [];
  return opener!.open(name, watching(INDEXED_DB));
}
