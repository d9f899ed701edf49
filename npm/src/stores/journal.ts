import { absent, isQuota, openAccess } from './access.js';
import { Unavailable } from '../shared/watch.js';
import { sealed, unsealed } from './record.js';
import type { Begun, Journal, Pair } from './store.js';

/*
 * The file `begun`: a sealed pair, then the delta's bytes. The first write creates it. Most deltas are complete before
 * there are enough bytes for a write.
 */

/** How many bytes are written at once. */
const WORTH_A_WRITE = 1 << 18;
const HEADER = 1024;

/** Opens the folder of a journal's file, and creates it if necessary. */
type OpenDirectory = () => Promise<FileSystemDirectoryHandle>;

/** Keeps a delta's bytes in a folder, once there are enough of them. */
export function journalIn(openDirectory: OpenDirectory, pair: Pair): Journal {
  return journal(openDirectory, undefined, pair);
}

/** The start of a delta that a journal left in `directory`; undefined if there is none or it is damaged. */
export async function begunIn(directory: FileSystemDirectoryHandle): Promise<Begun | undefined> {
  const file = await directory.getFileHandle('begun').catch(absent);
  if (!file) return undefined;
  const access = await openAccess(file);
  const header = new Uint8Array(HEADER);
  const length = access.getSize() - HEADER;
  const pair = access.read(header, { at: 0 }) < HEADER ? undefined : await unsealed<Pair>(header);
  if (!pair || length <= 0) {
    access.close();
    await directory.removeEntry('begun').catch(absent);
    return undefined;
  }
  const read = (into: Uint8Array, at: number) => access.read(into as Uint8Array<ArrayBuffer>, { at: at + HEADER });
  return { ...pair, length, read, proceed: () => journal(async () => directory, access, pair) };
}

/**
 * Collects a delta's bytes, and writes them when there are at least `worth` bytes. If there is no room, or the store is
 * not available, the rest is not kept: a later sync receives it again.
 */
export function collecting(
  worth: number,
  write: (pieces: Uint8Array<ArrayBuffer>[]) => Promise<void>,
): Pick<Journal, 'append' | 'keep'> {
  let waiting: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  let full = false;

  async function keep(): Promise<void> {
    if (full || size === 0) return;
    const pieces = waiting;
    [waiting, size] = [[], 0];
    try {
      await write(pieces);
    } catch (error) {
      if (!isQuota(error) && !(error instanceof Unavailable)) throw error;
      full = true;
    }
  }

  return {
    async append(bytes) {
      if (full) return;
      waiting.push(bytes as Uint8Array<ArrayBuffer>);
      size += bytes.length;
      if (worth <= size) await keep();
    },
    keep,
  };
}

/** A journal that appends to a file. */
function journal(openDirectory: OpenDirectory, access: FileSystemSyncAccessHandle | undefined, pair: Pair): Journal {
  const { append, keep } = collecting(WORTH_A_WRITE, async (pieces) => {
    if (!access) {
      access = await openAccess(await (await openDirectory()).getFileHandle('begun', { create: true }));
      access.truncate(0);
      access.write(await sealed(pair, HEADER), { at: 0 });
    }
    for (const bytes of pieces) access.write(bytes as Uint8Array<ArrayBuffer>, { at: access.getSize() });
  });
  return {
    append,
    async keep() {
      await keep();
      access?.flush();
      access?.close();
    },
    async discard() {
      if (!access) return; // Nothing was written.
      access.close();
      await (await openDirectory()).removeEntry('begun').catch(absent);
    },
  };
}
