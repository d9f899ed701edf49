import { closeSync, fstatSync, fsyncSync, ftruncateSync, openAsBlob, openSync, readSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/*
 * A folder on the disk with the interface of the origin private file system, as far as driblet's store asks for it, so that one store with
 * one order of writes serves browsers and Node. Names come from that store alone. Errors have the names that the interface gives them.
 */

/** Gives a folder, which need not be there yet. */
export function directoryHandle(path: string): FileSystemDirectoryHandle {
  const handle = {
    kind: 'directory',
    name: path.replace(/^.*[\\/]/, ''),

    async getDirectoryHandle(name: string, { create = false } = {}) {
      const below = join(path, name);
      if (create) await named(mkdir(below, { recursive: true }));
      else await named(stat(below));
      return directoryHandle(below);
    },

    async getFileHandle(name: string, { create = false } = {}) {
      const file = join(path, name);
      if (create) await named(open(file, 'a').then((made) => made.close()));
      else await named(stat(file));
      return fileHandle(file);
    },

    async removeEntry(name: string) {
      const entry = join(path, name);
      const isFolder = (await named(stat(entry))).isDirectory();
      await named(isFolder ? rmdir(entry) : rm(entry));
    },

    async *keys() {
      yield* await named(readdir(path));
    },

    async *values() {
      for (const entry of await named(readdir(path, { withFileTypes: true }))) {
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
    getFile: () => named(openAsBlob(path)),
    async createSyncAccessHandle({ mode = 'readwrite' } = {}) {
      return accessHandle(namedAtOnce(() => openSync(path, mode === 'read-only' ? 'r' : 'r+')));
    },
  };
  return handle as unknown as FileSystemFileHandle;
}

function accessHandle(file: number): FileSystemSyncAccessHandle {
  return {
    read: (into: Uint8Array, { at = 0 } = {}) => readSync(file, into, 0, into.length, at),
    write: (bytes: Uint8Array, { at = 0 } = {}) => namedAtOnce(() => writeSync(file, bytes, 0, bytes.length, at)),
    truncate: (length: number) => ftruncateSync(file, length),
    getSize: () => fstatSync(file).size,
    flush: () => namedAtOnce(() => fsyncSync(file)),
    close: () => closeSync(file),
  } as unknown as FileSystemSyncAccessHandle;
}

/** What the interface calls the system's errors. */
const NAMES: Record<string, string> = { EDQUOT: 'QuotaExceededError', EFBIG: 'QuotaExceededError', ENOENT: 'NotFoundError', ENOSPC: 'QuotaExceededError' };

function asNamed(error: unknown): unknown {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return code in NAMES ? new DOMException(message, NAMES[code]) : error;
}

function named<T>(promise: Promise<T>): Promise<T> {
  return promise.catch((error) => Promise.reject(asNamed(error)));
}

function namedAtOnce<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asNamed(error);
  }
}
