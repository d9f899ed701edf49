/* Files of the origin private file system, and the errors that are no surprise there. */

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

/** Opens a file, uses it and closes it. */
export async function withAccess<T>(file: FileSystemFileHandle, use: (access: FileSystemSyncAccessHandle) => Promise<T>): Promise<T> {
  const access = await openAccess(file);
  try {
    return await use(access);
  } finally {
    access.close();
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
