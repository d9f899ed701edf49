import { SyncError } from './error.js';
import { journalIn, begunIn } from './journal.js';
import { holdLock, lockIfFree } from './lock.js';
import { memoryLease } from './memory.js';
import { readRecord, writeRecord } from './record.js';
import type { Held, Lease, Snapshot, Staging, Version } from './store.js';

/*
 * A snapshot in the origin private file system: one folder, in it `head` (a record that names the head's file), one contiguous file
 * for each version, and `begun` (a delta that was cut off). A file that the record does not name is a leftover, or is being read.
 * Write order: delta bytes, the version's file, its flush, the record, deletions.
 */

/** What the `head` record says. */
type Head = Version & { readonly file: string };

/** How much of a file is read at once. */
const PIECE = 1 << 20;

/** From how many bytes on a range is read by itself. */
const DIRECT = 1 << 17;

/** Why a version is in memory only. */
export const NO_ROOM = 'there was no room to store this version; it is in memory only, and the one stored before is kept';

/** Opens what `folder` keeps under a key. Rejects where there is no origin private file system, or this thread may not write to it. */
export async function opfsSnapshot(folder: string, key: string): Promise<Snapshot> {
  const directory = await directoryOf(folder, key);
  const recordFile = await directory.getFileHandle('head', { create: true });
  const lockName = (file: string) => `driblet file ${folder}/${directory.name}/${file}`;

  async function head(): Promise<{ sequence: number; value: Head | null } | undefined> {
    return withAccess(recordFile, (access) => readRecord<Head | null>(access));
  }

  async function setHead(value: Head | null): Promise<void> {
    await withAccess(recordFile, async (access) => {
      const before = await readRecord<Head | null>(access);
      await writeRecord(access, (before?.sequence ?? 0) + 1, value);
    });
  }

  async function leaseOf(named: Head): Promise<Lease> {
    const hold = await holdLock(lockName(named.file));
    try {
      const blob = await (await directory.getFileHandle(named.file)).getFile();
      return { version: named.version, length: named.length, blob: async () => blob, ...hold };
    } catch (error) {
      hold.release();
      throw error;
    }
  }

  return {
    async held(): Promise<Held | undefined> {
      const named = (await head())?.value;
      if (!named) return undefined;
      const file = await directory.getFileHandle(named.file).catch(absent);
      if (!file) return undefined;
      const access = await openAccess(file, 'read-only');
      if (access.getSize() !== named.length) {
        access.close();
        return undefined;
      }
      const { version, length } = named;
      return { version, length, read: inBlocks(access), close: () => access.close() };
    },

    drop: () => setHead(null),

    begun: () => begunIn(directory),

    journal: (pair) => journalIn(directory, pair),

    async stage(target): Promise<Staging> {
      const sequence = ((await head())?.sequence ?? 0) + 1;
      const named: Head = { ...target, file: `${target.version}-${sequence}` };
      const staging = await stagingFile(directory, named.file);
      return {
        write: staging.write,
        discard: staging.discard,
        async commit() {
          let pieces = staging.flush();
          if (!pieces) {
            try {
              await setHead(named);
              staging.close();
              return await leaseOf(named);
            } catch (error) {
              if (!isQuota(error)) throw error;
              pieces = staging.spill();
            }
          }
          await staging.discard();
          return memoryLease(target, pieces, NO_ROOM);
        },
      };
    },

    async lease() {
      const named = (await head())?.value;
      if (!named) throw new SyncError('store', 'nothing is stored for this URL');
      return leaseOf(named);
    },

    async tidy() {
      const kept = ['head', 'begun', (await head())?.value?.file];
      for await (const name of directory.keys()) {
        if (!kept.includes(name)) await lockIfFree(lockName(name), () => directory.removeEntry(name).catch(absent));
      }
    },
  };
}

/** The folder that a store keeps a key's versions in. */
async function directoryOf(folder: string, key: string): Promise<FileSystemDirectoryHandle> {
  if (!navigator.storage?.getDirectory) throw new Error('this page, or this browser, has no file store');
  if (!('createSyncAccessHandle' in FileSystemFileHandle.prototype)) throw new Error('the file store can be written in workers only');
  const [root, digest] = await Promise.all([navigator.storage.getDirectory(), crypto.subtle.digest('SHA-256', new TextEncoder().encode(key))]);
  const name = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return (await root.getDirectoryHandle(folder, { create: true })).getDirectoryHandle(name, { create: true });
}

/** A file that moves to memory when the disk is full, and goes on there. */
async function stagingFile(directory: FileSystemDirectoryHandle, name: string) {
  let at = 0;
  let pieces: Uint8Array<ArrayBuffer>[] | undefined;
  let access: FileSystemSyncAccessHandle | undefined;

  function spill(): Uint8Array<ArrayBuffer>[] {
    pieces = [];
    for (let start = 0; access && start < at; start += PIECE) {
      const piece = new Uint8Array(Math.min(PIECE, at - start));
      if (access.read(piece, { at: start }) < piece.length) throw new SyncError('store', 'a file in the store shrank while it was written');
      pieces.push(piece);
    }
    return pieces;
  }

  function close(): void {
    access?.close();
    access = undefined;
  }

  /** Runs what may find the disk full. */
  function trying(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!isQuota(error)) throw error;
      spill();
    }
  }

  try {
    access = await openAccess(await directory.getFileHandle(name, { create: true }));
    access.truncate(0);
  } catch (error) {
    if (!isQuota(error)) throw error;
    pieces = [];
  }

  return {
    write(bytes: Uint8Array): void {
      if (!pieces) {
        trying(() => {
          const written = access?.write(bytes as Uint8Array<ArrayBuffer>, { at });
          if (written !== bytes.length) throw new DOMException('not all was written', 'QuotaExceededError');
          at += bytes.length;
        });
      }
      pieces?.push(bytes.slice());
    },
    /** Makes the bytes durable, or gives them where they are in memory. */
    flush(): Uint8Array<ArrayBuffer>[] | undefined {
      if (!pieces) trying(() => access?.flush());
      return pieces;
    },
    spill,
    close,
    async discard(): Promise<void> {
      close();
      await directory.removeEntry(name).catch(absent);
    },
  };
}

/**
 * Reads a file by blocks. A delta of many short copies asks for many short ranges near each other, and in a private window each read
 * of the file is a message to another process.
 */
function inBlocks(access: FileSystemSyncAccessHandle): (into: Uint8Array, at: number) => number {
  let start = 0;
  let block = new Uint8Array(0);
  return (into, at) => {
    if (DIRECT <= into.length) return access.read(into as Uint8Array<ArrayBuffer>, { at });
    if (at < start || start + block.length < at + into.length) {
      const room = block.buffer.byteLength === PIECE ? new Uint8Array(block.buffer) : new Uint8Array(PIECE);
      // Ranges of a reference and of copies take turns around one place: half the block lies before it.
      start = Math.max(0, at - PIECE / 2);
      if (start + PIECE < at + into.length) start = at;
      block = room.subarray(0, access.read(room, { at: start }));
    }
    const bytes = block.subarray(at - start, at - start + into.length);
    into.set(bytes);
    return bytes.length;
  };
}

/** Opens a file for synchronous use. A worker that has just died may hold it for a moment longer. */
export async function openAccess(file: FileSystemFileHandle, mode = 'readwrite'): Promise<FileSystemSyncAccessHandle> {
  const open = file.createSyncAccessHandle.bind(file) as (options: { mode: string }) => Promise<FileSystemSyncAccessHandle>;
  for (let left = 50; ; left -= 1) {
    try {
      return await open({ mode });
    } catch (error) {
      const busy = error instanceof DOMException && error.name === 'NoModificationAllowedError';
      if (!busy || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** For `catch`: what is not there is nothing, anything else is an error. */
export function absent(error: unknown): undefined {
  if (error instanceof DOMException && error.name === 'NotFoundError') return undefined;
  throw error;
}

export function isQuota(error: unknown): boolean {
  return error instanceof Error && error.name === 'QuotaExceededError';
}

async function withAccess<T>(file: FileSystemFileHandle, use: (access: FileSystemSyncAccessHandle) => Promise<T>): Promise<T> {
  const access = await openAccess(file);
  try {
    return await use(access);
  } finally {
    access.close();
  }
}
