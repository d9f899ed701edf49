import { absent, isQuota, openAccess } from './access.js';
import { SyncError } from './error.js';

/** How much of a file is moved to memory at once. */
const PIECE = 1 << 20;

/** A file while it is written; where the disk is full and stays so, its bytes move to memory and go on there. */
export interface StagingFile {
  /** Takes bytes, which are the caller's again when it returns; the promise, if there is one, is for who would go too fast. */
  write(bytes: Uint8Array): Promise<void> | undefined;
  /** Makes the bytes durable, or gives them where they are in memory. */
  flush(): Promise<Uint8Array<ArrayBuffer>[] | undefined>;
  /** Moves the bytes to memory. */
  spill(): Uint8Array<ArrayBuffer>[];
  close(): void;
  discard(): Promise<void>;
}

/** Starts a file. `makeRoom` is called where the disk is full, until it gives `false`. */
export async function stagingFile(directory: FileSystemDirectoryHandle, name: string, makeRoom: () => Promise<boolean>): Promise<StagingFile> {
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

  /** Whether there was room for bytes. */
  function append(bytes: Uint8Array): boolean {
    const written = fits(() => access?.write(bytes as Uint8Array<ArrayBuffer>, { at }));
    if (written !== bytes.length) return false;
    at += bytes.length;
    return true;
  }

  async function appendInRoomMade(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    while (await makeRoom()) {
      if (append(bytes)) return;
    }
    spill().push(bytes);
  }

  async function open(): Promise<FileSystemSyncAccessHandle> {
    const opened = await openAccess(await directory.getFileHandle(name, { create: true }));
    opened.truncate(0);
    return opened;
  }

  access = await open().catch((error) => {
    if (!isQuota(error)) throw error;
    pieces = [];
    return undefined;
  });

  return {
    write(bytes) {
      if (!pieces && append(bytes)) return undefined;
      if (!pieces) return appendInRoomMade(bytes.slice());
      pieces.push(bytes.slice());
      return undefined;
    },
    async flush() {
      const flushed = () => access?.flush() ?? true;
      while (!pieces && !fits(flushed)) {
        if (!(await makeRoom())) spill();
      }
      return pieces;
    },
    spill,
    close,
    async discard() {
      close();
      await directory.removeEntry(name).catch(absent);
    },
  };
}

/** What came of a write, or nothing where the disk is full. */
function fits<T>(write: () => T): T | undefined {
  try {
    return write();
  } catch (error) {
    if (!isQuota(error)) throw error;
    return undefined;
  }
}
