import { absent, isQuota, openAccess, watchedFolder } from '../access.js';
import { FOLDER } from './names.js';
import { inRoom } from './store.js';
import type { Watch } from '../../shared/watch.js';
import type { MakeRoom, Pack, PackWriter, Packs } from './store.js';

/*
 * Packs in the origin private file system, or in something with its interface: one file for each, in the folder
 * `STORE directories`. Every thread reads them. Only dedicated workers write them, and Node.
 */

/** The letter that ids of these packs begin with. */
export const FILE = 'f';

/** Opens the packs of a store. Creates no folder. */
export async function filePacks(
  name: string,
  watch: Watch,
  openRoot: () => Promise<FileSystemDirectoryHandle>,
  ownName = (): string => crypto.randomUUID(),
): Promise<Packs> {
  const root = watchedFolder(await watch(openRoot), watch);
  const folder = `${name}${FOLDER}`;
  const existing = () => root.getDirectoryHandle(folder).catch(absent);
  return {
    async create(makeRoom) {
      const id = `${FILE}-${ownName()}`;
      let access: FileSystemSyncAccessHandle | undefined;
      await inRoom(makeRoom, async () => {
        const directory = await root.getDirectoryHandle(folder, { create: true });
        access = await openAccess(await directory.getFileHandle(id, { create: true }));
      });
      return writerOf(id, access!, makeRoom);
    },

    async open(id): Promise<Pack | undefined> {
      const handle = await (await existing())?.getFileHandle(id).catch(absent);
      let file = await handle?.getFile().catch(absent);
      if (!handle || !file) return undefined;
      return {
        async blob(start, end) {
          // It grows while a sync writes it.
          if (file && file.size < end) file = await handle.getFile().catch(absent);
          return file && end <= file.size ? file.slice(start, end) : undefined;
        },
      };
    },

    async list() {
      const names: string[] = [];
      for await (const id of (await existing())?.keys() ?? []) if (id.startsWith(FILE)) names.push(id);
      return names;
    },

    remove: async (id) => (await existing())?.removeEntry(id).catch(absent),
  };
}

function writerOf(id: string, access: FileSystemSyncAccessHandle, makeRoom: MakeRoom): PackWriter {
  let at = 0;

  function append(bytes: Uint8Array): void {
    const written = access.write(bytes as Uint8Array<ArrayBuffer>, { at });
    if (written !== bytes.length) throw new DOMException('not all bytes were written', 'QuotaExceededError');
    at += written;
  }

  return {
    id,
    write(bytes) {
      try {
        return append(bytes);
      } catch (error) {
        if (!isQuota(error)) throw error;
        const kept = bytes.slice();
        return inRoom(makeRoom, () => append(kept));
      }
    },
    flush: () => inRoom(makeRoom, () => access.flush()),
    close: () => access.close(),
  };
}
