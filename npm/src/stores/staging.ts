import { absent, isQuota, openAccess } from './access.js';
import { withRoom } from './entries.js';
import { SyncError } from '../shared/error.js';
import type { Writer } from './store.js';

/** How many bytes are moved to memory at once. */
const SPILLED_PIECE = 1 << 20;

/**
 * A file that is being written. If the disk is full and no room can be made, its bytes move to memory and further ones
 * are kept there.
 */
export interface StagingFile extends Writer {
  /** Makes the bytes durable. Returns them if they are in memory. */
  flush(): Promise<Uint8Array<ArrayBuffer>[] | undefined>;
  /** Moves the bytes to memory. */
  spill(): Uint8Array<ArrayBuffer>[];
  close(): void;
  discard(): Promise<void>;
}

/** Creates a file. `makeRoom` is called when the disk is full, until it returns `false`. */
export async function stagingFile(
  directory: FileSystemDirectoryHandle,
  name: string,
  makeRoom: () => Promise<boolean>,
): Promise<StagingFile> {
  let at = 0;
  let pieces: Uint8Array<ArrayBuffer>[] | undefined;
  let access: FileSystemSyncAccessHandle | undefined;

  function spill(): Uint8Array<ArrayBuffer>[] {
    pieces = [];
    for (let start = 0; access && start < at; start += SPILLED_PIECE) {
      const piece = new Uint8Array(Math.min(SPILLED_PIECE, at - start));
      if (access.read(piece, { at: start }) < piece.length)
        throw new SyncError('store', 'a file in the store shrank while it was written; sync again');
      pieces.push(piece);
    }
    return pieces;
  }

  function close(): void {
    access?.close();
    access = undefined;
  }

  function append(bytes: Uint8Array): true {
    const written = access?.write(bytes as Uint8Array<ArrayBuffer>, { at });
    if (written !== bytes.length) throw new DOMException('not all bytes were written', 'QuotaExceededError');
    at += bytes.length;
    return true;
  }

  access = await withRoom(makeRoom, async () => {
    const opened = await openAccess(await directory.getFileHandle(name, { create: true }));
    opened.truncate(0);
    return opened;
  });
  if (!access) pieces = [];

  return {
    write(bytes) {
      if (pieces) {
        pieces.push(bytes.slice());
        return undefined;
      }
      try {
        append(bytes);
        return undefined;
      } catch (error) {
        if (!isQuota(error)) throw error;
        const kept = bytes.slice();
        return withRoom(makeRoom, () => append(kept)).then((done) => void (done ?? spill().push(kept)));
      }
    },
    async flush() {
      if (pieces) return pieces;
      const flushed = await withRoom(makeRoom, () => {
        access?.flush();
        return true;
      });
      return flushed ? undefined : spill();
    },
    spill,
    close,
    async discard() {
      close();
      await directory.removeEntry(name).catch(absent);
    },
  };
}
