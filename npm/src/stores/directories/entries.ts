import { lockIfFree, syncLock, withLock } from '../../shared/lock.js';
import { allHeads, recordsOf } from './holdings.js';
import { removeLeftovers } from './leftovers.js';
import { directoryLock } from './store.js';
import type { Entry } from '../entries.js';
import type { DirectoryStore } from './store.js';

/** What code that lists or deletes a directory sees of it. */
export interface DirectoryEntry extends Entry {
  /** How many files the newest version has. */
  readonly files: number;
}

/** All directories of a store. */
export async function directoryEntries(store: DirectoryStore): Promise<DirectoryEntry[]> {
  const heads = await allHeads(store.records);
  return [...heads].map(([key, head]) => {
    const remove = async () => {
      const records = recordsOf(store.records, key);
      await records.change((await records.keys()).map((record) => [record, undefined] as const));
      await removeLeftovers(store);
    };
    const { name } = store;
    return {
      ...{ key, head, files: head?.files ?? 0 },
      async evict() {
        const evicted = await lockIfFree(syncLock(name, key), () =>
          lockIfFree(directoryLock(name, key), async () => {
            await remove();
            return true;
          }),
        );
        return evicted === true;
      },
      delete: () => withLock(syncLock(name, key), remove),
    };
  });
}
