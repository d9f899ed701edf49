import { absent, openAccess, readFile, watchedFolder, withAccess } from './access.js';
import { entryOf, isWorthNoting, roomFor, headTimesNow, withRoom } from './entries.js';
import { SyncError } from '../shared/error.js';
import { journalIn, begunIn } from './journal.js';
import { holdLock, lockIfFree } from '../shared/lock.js';
import { NO_ROOM, memoryLease } from './memory.js';
import { Unavailable, watching } from '../shared/watch.js';
import { readerOfPieces } from './pieces.js';
import { RECORD, newestValue, writeRecord } from './record.js';
import { stagingFile } from './staging.js';
import type { Entry, StoredHead } from './entries.js';
import type { Watch } from '../shared/watch.js';
import type { Held, Lease, Snapshot, Staging } from './store.js';

/*
 * A snapshot in the origin private file system: one folder, named by the key's SHA-256. It contains `key` (the key
 * itself), `head` (a record with the name of the head's file), one contiguous file for each version, and `begun` (a
 * delta that was cut off). A file that the record does not name is a leftover, or a handle reads it.
 *
 * Order of writes: the delta's bytes, the version's file, its flush, the record, deletions. When all is deleted, the
 * record is deleted first. The user may clear the folder at any time: reads then find nothing, and writes create it
 * anew.
 */

/** How many bytes of a file are read at once. */
const BLOCK = 1 << 20;

/** How many blocks are cached. */
const BLOCKS = 16;

/** Ranges of at least this many bytes are read without the cache. */
const DIRECT = 1 << 17;

/** What errors call the origin private file system. */
export const FILE_STORE = 'the file store';

/**
 * Opens what `folder` keeps under a key, in the origin private file system or in something with its interface. Rejects
 * if there is none, or if this thread cannot write to it.
 */
export async function opfsSnapshot(
  folder: string,
  key: string,
  watch: Watch,
  openRoot = writableRoot,
  ownName = (): string => crypto.randomUUID(),
): Promise<Snapshot> {
  const [plainRoot, name] = await Promise.all([watch(openRoot), folderNameOf(key)]);
  const root = watchedFolder(plainRoot, watch);
  const lockName = (file: string) => fileLock(folder, name, file);
  let directory: FileSystemDirectoryHandle | undefined;
  await existing();

  /** The folder, if it exists; another holder of the lock may have created it meanwhile. */
  async function existing(): Promise<FileSystemDirectoryHandle | undefined> {
    directory ??= await root
      .getDirectoryHandle(folder)
      .then((store) => store.getDirectoryHandle(name))
      .catch(absent);
    return directory;
  }

  async function created(): Promise<FileSystemDirectoryHandle> {
    const before = directory;
    directory = await (await root.getDirectoryHandle(folder, { create: true })).getDirectoryHandle(name, {
      create: true,
    });
    if (!before) await noteKey(directory);
    return directory;
  }

  async function noteKey(directory: FileSystemDirectoryHandle): Promise<void> {
    const bytes = new TextEncoder().encode(key);
    await withAccess(await directory.getFileHandle('key', { create: true }), async (access) => {
      if (access.getSize() === bytes.length) return;
      access.write(bytes, { at: 0 });
      access.flush();
    });
  }

  async function fileNamed(file: string): Promise<FileSystemFileHandle | undefined> {
    return (await existing())?.getFileHandle(file).catch(absent);
  }

  async function head(): Promise<StoredHead | undefined> {
    return headIn(await fileNamed('head'), watch);
  }

  async function setHead(value: StoredHead): Promise<void> {
    const directory = await created();
    await noteKey(directory);
    await withAccess(await directory.getFileHandle('head', { create: true }), (access) => writeRecord(access, value));
  }

  async function open({ version, length, outboard, file }: StoredHead): Promise<Held | undefined> {
    const found = await fileNamed(file);
    const access = await (found && openAccess(found, 'read-only').catch(absent));
    if (!access) return undefined;
    if (access.getSize() === length)
      return { version, length, outboard, read: inBlocks(access), close: () => access.close() };
    access.close();
    return undefined;
  }

  async function leaseOf(named: StoredHead): Promise<Lease> {
    const hold = await holdLock(lockName(named.file));
    try {
      const file = await fileNamed(named.file);
      if (!file) throw new SyncError('store', 'a file in the store was removed; sync again');
      const blob = await file.getFile();
      return { version: named.version, length: named.length, blob: async () => blob, held: () => open(named), ...hold };
    } catch (error) {
      hold.release();
      throw error;
    }
  }

  async function tidy(...kept: (string | undefined)[]): Promise<boolean> {
    const directory = await existing();
    return directory
      ? removeAllBut(directory, ['key', 'head', 'begun', (await head())?.file, ...kept], lockName)
      : false;
  }

  return {
    async held() {
      const named = await head();
      return named && open(named);
    },

    async drop() {
      await (await existing())?.removeEntry('head').catch(absent);
    },

    async begun() {
      const directory = await existing();
      return directory && begunIn(directory);
    },

    journal: (pair) => journalIn(created, pair),

    async stage(target): Promise<Staging> {
      const file = `${target.version}-${ownName()}`;
      const makeRoom = roomFor(
        key,
        () => tidy(file),
        () => opfsEntries(folder, watch, openRoot),
      );
      const staging = await stagingFile(await created(), file, makeRoom);
      return {
        write: staging.write,
        discard: staging.discard,
        async commit() {
          let pieces = await staging.flush();
          if (!pieces) {
            const named = { ...target, file, ...headTimesNow() };
            const done = await withRoom(makeRoom, () => setHead(named).then(() => true));
            if (done) {
              staging.close();
              return leaseOf(named);
            }
            pieces = staging.spill();
          }
          await staging.discard();
          return memoryLease(target, pieces, NO_ROOM);
        },
      };
    },

    async lease() {
      const named = await head();
      if (!named) throw new SyncError('store', 'nothing is stored; sync again');
      // If this fails, the version is evicted sooner.
      if (isWorthNoting(named.used)) await setHead({ ...named, used: Date.now() }).catch(() => {});
      return leaseOf(named);
    },

    async borrow() {
      const named = await head();
      return named && leaseOf(named);
    },

    tidy: async () => void (await tidy()),
  };
}

/** All entries of a folder. */
export async function opfsEntries(
  folder: string,
  watch = watching(FILE_STORE),
  openRoot = storageRoot,
): Promise<Entry[]> {
  const store = await watchedFolder(await watch(openRoot), watch)
    .getDirectoryHandle(folder)
    .catch(absent);
  const entries: Entry[] = [];
  for await (const directory of store?.values() ?? []) {
    const entry =
      directory.kind === 'directory'
        ? await entryIn(folder, store!, directory as FileSystemDirectoryHandle, watch)
        : undefined;
    if (entry) entries.push(entry);
  }
  return entries;
}

/** The entry in a folder, if it is the folder of a key. */
async function entryIn(
  folder: string,
  store: FileSystemDirectoryHandle,
  directory: FileSystemDirectoryHandle,
  watch: Watch,
): Promise<Entry | undefined> {
  const named = (name: string) => directory.getFileHandle(name).catch(absent);
  const [head, key] = await Promise.all([
    named('head').then((file) => headIn(file, watch)),
    named('key').then((file) => file && readFile(file, (found) => found.text(), watch).catch(absent)),
  ]);
  if (key === undefined || (await folderNameOf(key)) !== directory.name) return undefined;
  const lockName = (file: string) => fileLock(folder, directory.name, file);

  return entryOf(folder, key, head, head && lockName(head.file), async () => {
    await directory.removeEntry('head').catch(absent);
    await removeAllBut(directory, [], lockName);
    await store.removeEntry(directory.name).catch(() => {}); // A file in it is being read.
  });
}

/**
 * The content of a `head` file. Read without an access handle: if the user clears the site's data while such a handle
 * is open, Chromium 156 hangs in closing it.
 */
async function headIn(file: FileSystemFileHandle | undefined, watch: Watch): Promise<StoredHead | undefined> {
  const record = await (file && readFile(file, (found) => found.slice(0, RECORD).arrayBuffer(), watch).catch(absent));
  return record && (await newestValue<StoredHead>(new Uint8Array(record)))?.value;
}

/** Deletes a folder's files that are not `kept` and that nobody reads. Returns whether there were any. */
async function removeAllBut(
  directory: FileSystemDirectoryHandle,
  kept: (string | undefined)[],
  lockName: (file: string) => string,
): Promise<boolean> {
  let removed = false;
  for await (const name of directory.keys()) {
    if (kept.includes(name)) continue;
    const done = await lockIfFree(lockName(name), () => directory.removeEntry(name).then(() => true, absent));
    removed ||= done === true;
  }
  return removed;
}

async function storageRoot(): Promise<FileSystemDirectoryHandle> {
  if (!navigator.storage?.getDirectory) throw new Unavailable('there is no file store here');
  return navigator.storage.getDirectory();
}

async function writableRoot(): Promise<FileSystemDirectoryHandle> {
  if (!('createSyncAccessHandle' in FileSystemFileHandle.prototype))
    throw new Unavailable('the file store can be written in workers only');
  return storageRoot();
}

/** The name of a key's folder. */
async function folderNameOf(key: string): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(key));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fileLock(folder: string, name: string, file: string): string {
  return `driblet file ${folder}/${name}/${file}`;
}

/**
 * Reads a file in blocks and caches the blocks that were used last. A delta of many short copies reads many short
 * ranges. In a private window each read of the file is a message to another process.
 */
function inBlocks(access: FileSystemSyncAccessHandle): Held['read'] {
  const blocks = new Map<number, Uint8Array<ArrayBuffer>>();

  function load(index: number): Uint8Array<ArrayBuffer> {
    const [oldest] = blocks.size < BLOCKS ? [] : blocks;
    if (oldest) blocks.delete(oldest[0]);
    const room = new Uint8Array(oldest?.[1].buffer ?? new ArrayBuffer(BLOCK));
    return room.subarray(0, access.read(room, { at: index * BLOCK }));
  }

  function block(index: number): Uint8Array {
    const found = blocks.get(index) ?? load(index);
    blocks.delete(index);
    blocks.set(index, found);
    return found;
  }

  const read = readerOfPieces(BLOCK, block);
  return (into, at) => (DIRECT <= into.length ? access.read(into as Uint8Array<ArrayBuffer>, { at }) : read(into, at));
}
