import { closeSync, fstatSync, fsyncSync, ftruncateSync, openAsBlob, openSync, readSync, writeSync } from 'node:fs';
import { mkdir, open, readFile, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RECORD } from './record.js';

/*
 * A folder on the disk with the interface of the origin private file system, as far as driblet's store uses it. So one
 * store, with one order of writes, serves browsers and Node. Names come from that store only. Errors have the names
 * that the interface defines.
 *
 * Processes share no locks. A file's name therefore contains the process that created it. While that process lives,
 * others do not see the file in the folder, so they delete nothing that it writes or reads. The files of a process that
 * ended are visible.
 */

/** A name that no file has yet. It contains this process. */
export function ownName(): string {
  return `${process.pid}-${crypto.randomUUID()}`;
}

/** Returns a folder. It need not exist. */
export function directoryHandle(path: string): FileSystemDirectoryHandle {
  const handle = {
    kind: 'directory',
    name: path.replace(/^.*[\\/]/, ''),

    async getDirectoryHandle(name: string, { create = false } = {}) {
      const below = join(path, name);
      if (create) await withDomErrors(mkdir(below, { recursive: true }));
      else await withDomErrors(stat(below));
      return directoryHandle(below);
    },

    async getFileHandle(name: string, { create = false } = {}) {
      const file = join(path, name);
      if (create) await withDomErrors(open(file, 'a').then((made) => made.close()));
      else await withDomErrors(stat(file));
      return fileHandle(file);
    },

    async removeEntry(name: string) {
      const entry = join(path, name);
      const isFolder = (await withDomErrors(stat(entry))).isDirectory();
      await withDomErrors(isFolder ? rmdir(entry) : rm(entry));
    },

    async *keys() {
      yield* (await withDomErrors(readdir(path))).filter((name) => !belongsToOther(name));
    },

    async *values() {
      for (const entry of await withDomErrors(readdir(path, { withFileTypes: true }))) {
        const below = join(path, entry.name);
        yield entry.isDirectory() ? directoryHandle(below) : fileHandle(below);
      }
    },
  };
  return handle as unknown as FileSystemDirectoryHandle;
}

function fileHandle(path: string): FileSystemFileHandle {
  const handle = {
    kind: 'file',
    async getFile() {
      // A file that may be a record is read at once: reading a file's blob fails if the file is written meanwhile.
      const { size } = await withDomErrors(stat(path));
      return size <= RECORD ? new Blob([await withDomErrors(readFile(path))]) : withDomErrors(openAsBlob(path));
    },
    async createSyncAccessHandle({ mode = 'readwrite' } = {}) {
      return accessHandle(
        path,
        withDomErrorsSync(() => openSync(path, mode === 'read-only' ? 'r' : 'r+')),
      );
    },
  };
  return handle as unknown as FileSystemFileHandle;
}

function accessHandle(path: string, file: number): FileSystemSyncAccessHandle {
  return {
    read: (into: Uint8Array, { at = 0 } = {}) => readSync(file, into, 0, into.length, at),
    write: (bytes: Uint8Array, { at = 0 } = {}) => withDomErrorsSync(() => writeSync(file, bytes, 0, bytes.length, at)),
    truncate: (length: number) => ftruncateSync(file, length),
    getSize: () => fstatSync(file).size,
    flush: () => withDomErrorsSync(() => flush(path, file)),
    close() {
      // It may be closed twice, and another file may have the number by then.
      if (0 <= file) closeSync(file);
      file = CLOSED;
    },
  } as unknown as FileSystemSyncAccessHandle;
}

const CLOSED = -1;

/** Makes a file and its name durable. */
function flush(path: string, file: number): void {
  fsyncSync(file);
  const isGone = fstatSync(file).nlink === 0;
  if (isGone && processIn(path) !== undefined)
    throw new DOMException('a file was removed while it was written', 'NotFoundError');
  if (isGone || process.platform === 'win32') return; // Windows cannot open folders.
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Whether a file belongs to another process that runs. */
function belongsToOther(name: string): boolean {
  const owner = processIn(name);
  if (owner === undefined || owner === process.pid) return false;
  try {
    process.kill(owner, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The id of the process that created a file with {@link ownName}. */
function processIn(name: string): number | undefined {
  const [, owner] = /-([1-9]\d*)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.exec(name) ?? [];
  return owner === undefined ? undefined : Number(owner);
}

/** The names that the interface gives to the system's errors. */
const NAMES: Record<string, string> = {
  EDQUOT: 'QuotaExceededError',
  EFBIG: 'QuotaExceededError',
  ENOENT: 'NotFoundError',
  ENOSPC: 'QuotaExceededError',
};

function asDomError(error: unknown): unknown {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return code in NAMES ? new DOMException(message, NAMES[code]) : error;
}

/** Gives the system's errors the names that the interface defines. */
export function withDomErrors<T>(promise: Promise<T>): Promise<T> {
  return promise.catch((error) => Promise.reject(asDomError(error)));
}

function withDomErrorsSync<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asDomError(error);
  }
}
