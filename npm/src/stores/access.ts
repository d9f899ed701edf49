import type { Watch } from '../shared/watch.js';

/* Access to files of the origin private file system, and the errors to expect there. */

/** The pause before a file in use is tried again, in milliseconds, and the number of tries. */
const PAUSE = 20;
const TRIES = 50;

/** Opens a file for synchronous access. A worker that has just died may hold it a moment longer. */
export async function openAccess(file: FileSystemFileHandle, mode = 'readwrite'): Promise<FileSystemSyncAccessHandle> {
  const open = file.createSyncAccessHandle.bind(file) as (options: {
    mode: string;
  }) => Promise<FileSystemSyncAccessHandle>;
  return whenFree('NoModificationAllowedError', () => open({ mode }));
}

/** Reads a file without an access handle. If it is written meanwhile, reads it again. */
export function readFile<T>(file: FileSystemFileHandle, read: (file: File) => Promise<T>, watch: Watch): Promise<T> {
  return whenFree('NotReadableError', async () => {
    const found = await file.getFile();
    return watch(() => read(found));
  });
}

async function whenFree<T>(busy: string, use: () => Promise<T>): Promise<T> {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await use();
    } catch (error) {
      const isBusy = error instanceof DOMException && error.name === busy;
      if (!isBusy || left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
}

/** Wraps a folder so that all calls of it, and of the files and folders that it returns, are watched. */
export function watchedFolder(folder: FileSystemDirectoryHandle, watch: Watch): FileSystemDirectoryHandle {
  const watchedFile = (file: FileSystemFileHandle) => ({
    kind: 'file',
    getFile: () => watch(() => file.getFile()),
    createSyncAccessHandle: (options: object) =>
      watch(
        () => (file.createSyncAccessHandle as (options: object) => Promise<FileSystemSyncAccessHandle>)(options),
        (access) => access.close(),
      ),
  });

  async function* watched<T>(entries: AsyncIterableIterator<T>): AsyncGenerator<T> {
    for (let next = await watch(() => entries.next()); !next.done; next = await watch(() => entries.next()))
      yield next.value;
  }

  const handle = {
    kind: 'directory',
    name: folder.name,
    getDirectoryHandle: async (name: string, options: FileSystemGetDirectoryOptions) =>
      watchedFolder(await watch(() => folder.getDirectoryHandle(name, options)), watch),
    getFileHandle: async (name: string, options: FileSystemGetFileOptions) =>
      watchedFile(await watch(() => folder.getFileHandle(name, options))),
    removeEntry: (name: string) => watch(() => folder.removeEntry(name)),
    keys: () => watched(folder.keys()),
    async *values() {
      for await (const entry of watched(folder.values()))
        yield entry.kind === 'directory' ? watchedFolder(entry as FileSystemDirectoryHandle, watch) : entry;
    },
  };
  return handle as unknown as FileSystemDirectoryHandle;
}

/** Opens a file, uses it and closes it. */
export async function withAccess<T>(
  file: FileSystemFileHandle,
  use: (access: FileSystemSyncAccessHandle) => Promise<T>,
): Promise<T> {
  const access = await openAccess(file);
  try {
    return await use(access);
  } finally {
    access.close();
  }
}

/** For `catch`: returns undefined if the file or folder does not exist, and rethrows other errors. */
export function absent(error: unknown): undefined {
  if (error instanceof DOMException && error.name === 'NotFoundError') return undefined;
  throw error;
}

export function isQuota(error: unknown): boolean {
  return error instanceof Error && error.name === 'QuotaExceededError';
}
