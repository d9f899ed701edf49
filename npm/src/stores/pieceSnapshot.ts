import { SyncError } from '../shared/error.js';
import { holdLock, lockIfFree } from '../shared/lock.js';
import { Unavailable, watching } from '../shared/watch.js';
import { collecting } from './journal.js';
import { NO_ROOM, memoryLease } from './memory.js';
import { readerOfBuffers, writingPieces } from './pieces.js';
import type { Held, Journal, Lease, Pair, Snapshot, VersionInfo } from './store.js';

/*
 * A snapshot whose files are stored in pieces, in IndexedDB or in a level database. The head says which version is
 * stored and in which file. A delta that was cut off is a file too. A file that the head does not name is a leftover,
 * or a handle reads it.
 *
 * Order of writes: the pieces, then the head, then deletions. If pieces were lost nevertheless, the head does not open,
 * or the reader finds the damage, and the next sync fetches the whole file.
 */

/** The name of the file with the bytes of a delta that was cut off. */
export const BEGUN = 'begun';

/** A head: a version, and the file that has its bytes. */
export type PieceHead = VersionInfo & { readonly file: string };

/** A database with the files of one key. */
export interface PieceDatabase {
  /** What errors call the database. */
  readonly part: string;
  /** How many bytes a piece has; the last piece of a file may be shorter. */
  readonly pieceLength: number;
  /** How many bytes of a delta are written at once. */
  readonly journalLength: number;
  /** The lock that readers of a file hold. */
  lockName(file: string): string;
  head(): Promise<PieceHead | undefined>;
  /** Replaces the head in one step. */
  setHead(head: PieceHead): Promise<void>;
  deleteHead(): Promise<void>;
  /** Records that the head was used now, for databases that evict the version used longest ago. */
  noteUse?(head: PieceHead): Promise<void>;
  /** All stored bytes of a file: fewer than were written if pieces were lost. */
  blob(file: string): Promise<Blob>;
  /** Opens a version for reading; undefined if pieces were lost. `blob` returns the bytes of its file. */
  open(head: PieceHead, blob: () => Promise<Blob>): Promise<Held | undefined>;
  /** Writes consecutive pieces of a file. The first one has the number `from`. */
  write(file: string, from: number, pieces: Blob[]): Promise<void>;
  /**
   * Returns a function that runs a write. It resolves to `false` if the disk stayed full. `tidy` deletes this key's
   * leftovers, and resolves to whether there were any.
   */
  withRoom(tidy: () => Promise<boolean>): (write: () => Promise<void>) => Promise<boolean>;
  /** The delta whose first bytes are in the file {@link BEGUN}. */
  pair(): Promise<Pair | undefined>;
  /** Writes bytes to the file {@link BEGUN}: appends them if `isContinued`, otherwise replaces the file. */
  writeBegun(pair: Pair, pieces: Uint8Array<ArrayBuffer>[], isContinued: boolean): Promise<void>;
  /** The names of all files. */
  files(): Promise<string[]>;
  /** Deletes a file. */
  remove(file: string): Promise<void>;
}

/** The lock that readers of a file hold. */
export function fileLock(store: string, key: string, file: string): string {
  return `driblet entry ${store} ${key} ${file}`;
}

/** The snapshot of one key in a database. */
export function pieceSnapshot(database: PieceDatabase): Snapshot {
  /** The head when this sync began: the sync's handle may read it. */
  let opened: { head: PieceHead; blob: () => Promise<Blob> } | undefined;

  function blobOnce(file: string): () => Promise<Blob> {
    let blob: Promise<Blob> | undefined;
    return () => (blob ??= database.blob(file));
  }

  async function leaseOf(head: PieceHead): Promise<Lease> {
    const { version, length, file } = head;
    const hold = await holdLock(database.lockName(file));
    const blob = opened?.head.file === file ? opened.blob : blobOnce(file);
    return { version, length, blob, held: () => database.open(head, blob), ...hold };
  }

  async function tidy(...kept: string[]): Promise<boolean> {
    return removeUnused(database, [BEGUN, (await database.head())?.file, ...kept]);
  }

  /** Keeps a delta's bytes, after those that are stored if it is continued. */
  function journal(pair: Pair, isContinued: boolean): Journal {
    const collected = collecting(database.journalLength, async (pieces) => {
      await database.writeBegun(pair, pieces, isContinued);
      isContinued = true;
    });
    return {
      ...collected,
      async discard() {
        if (isContinued) await database.remove(BEGUN);
      },
    };
  }

  return {
    async held() {
      const head = await database.head();
      opened = head && { head, blob: blobOnce(head.file) };
      return opened && database.open(opened.head, opened.blob);
    },

    drop: () => database.deleteHead(),

    async begun() {
      const pair = await database.pair();
      if (!pair) return undefined;
      const bytes = await blobBytes(database.part, await database.blob(BEGUN));
      if (!bytes?.length) {
        await database.remove(BEGUN);
        return undefined;
      }
      return { ...pair, length: bytes.length, read: readerOfBuffers([bytes]), proceed: () => journal(pair, true) };
    },

    journal: (pair) => journal(pair, false),

    async stage(target) {
      const file = `${target.version} ${crypto.getRandomValues(new Uint32Array(4)).join('-')}`;
      const withRoom = database.withRoom(() => tidy(file));
      const pieces = writingPieces(database.pieceLength, (from, batch) =>
        withRoom(() => database.write(file, from, batch)),
      );
      return {
        write: pieces.write,
        async commit() {
          const left = await pieces.flush();
          const head = { ...target, file };
          if (left.length === 0 && (await withRoom(() => database.setHead(head)))) return leaseOf(head);
          const bytes = await blobBytes(database.part, new Blob([await database.blob(file), ...left]));
          if (bytes?.length !== target.length)
            throw new SyncError('store', 'pieces of a file in the store were removed while it was written; sync again');
          await database.remove(file).catch(() => {}); // The next sync tidies up.
          return memoryLease(target, [bytes], NO_ROOM);
        },
        async discard() {
          await pieces.flush().catch(() => {}); // Pieces that are being written would come after the deletion.
          await database.remove(file);
        },
      };
    },

    async lease() {
      const head = await database.head();
      if (!head) throw new SyncError('store', 'nothing is stored; sync again');
      await database.noteUse?.(head).catch(() => {}); // Then it is evicted sooner.
      return leaseOf(head);
    },

    async borrow() {
      const head = await database.head();
      return head && leaseOf(head);
    },

    tidy: async () => void (await tidy()),
  };
}

/** Deletes the files that are not `kept` and that nobody reads. Returns whether there were any. */
export async function removeUnused(database: PieceDatabase, kept: (string | undefined)[]): Promise<boolean> {
  let isRemoved = false;
  for (const file of await database.files()) {
    if (kept.includes(file)) continue;
    const removed = await lockIfFree(database.lockName(file), () => database.remove(file).then(() => true));
    isRemoved ||= removed === true;
  }
  return isRemoved;
}

/** The bytes of a blob; undefined if the database lost them. */
export async function blobBytes(part: string, blob: Blob): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return new Uint8Array(await watching(part)(() => blob.arrayBuffer()));
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    return undefined;
  }
}
