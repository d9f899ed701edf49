import { DATABASE, indexedDirectories } from './indexeddb.js';
import { FILE, filePacks } from './filePacks.js';
import { Unavailable } from '../../shared/watch.js';
import { INDEXED_DB } from '../tables.js';
import type { Watch } from '../../shared/watch.js';
import type { Store } from '../store.js';
import type { DirectoryOpener, Packs } from './store.js';

/*
 * The stores for directories that every thread can open. Records are always in IndexedDB, so that the switch to another
 * version is one transaction for pages and service workers. Packs are in the origin private file system where this
 * thread can write there, otherwise in IndexedDB. Every thread reads both.
 */

async function openBoth(name: string, watch: Watch, writes: { files: boolean; database: boolean }) {
  const { records, packs } = await indexedDirectories(name, watch);
  const files = await filePacks(name, watch, storageRoot).catch(() => undefined);
  const filesBeside = () => import('./room.js').then(({ fileEntries }) => fileEntries(name));
  return { name, records, packs: packsOf(files, packs, writes), filesBeside };
}

/** Packs in files and in a database. The letter at the start of an id tells where a pack is. */
function packsOf(files: Packs | undefined, database: Packs, writes: { files: boolean; database: boolean }): Packs {
  const placeOf = (id: string) => (id.startsWith(DATABASE) ? database : id.startsWith(FILE) ? files : undefined);
  return {
    async create(makeRoom) {
      if (writes.files && files && canWriteFiles()) return files.create(makeRoom);
      if (writes.database) return database.create(makeRoom);
      throw new Unavailable(files ? 'the file store can be written in workers only' : 'there is no file store here');
    },
    open: async (id) => placeOf(id)?.open(id),
    list: async () => [...((await files?.list()) ?? []), ...(await database.list())],
    remove: async (id) => placeOf(id)?.remove(id),
  };
}

function canWriteFiles(): boolean {
  return 'createSyncAccessHandle' in (globalThis.FileSystemFileHandle?.prototype ?? {});
}

async function storageRoot(): Promise<FileSystemDirectoryHandle> {
  if (!navigator.storage?.getDirectory) throw new Unavailable('there is no file store here');
  return navigator.storage.getDirectory();
}

const opener = (files: boolean, database: boolean): DirectoryOpener => ({
  part: INDEXED_DB,
  open: (name, watch) => openBoth(name, watch, { files, database }),
});

/** The places of each kind of store. */
export const directoryOpeners: Partial<Record<Store['kind'], readonly DirectoryOpener[]>> = {
  browser: [opener(true, true)],
  opfs: [opener(true, false)],
  indexeddb: [opener(false, true)],
};
