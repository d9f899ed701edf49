import { lockIfFree } from '../../shared/lock.js';
import { namedPacks } from './holdings.js';
import { packLock } from './store.js';
import type { DirectoryStore } from './store.js';

/** Deletes the bytes of packs that no table names and that nobody reads or writes. Returns whether there were any. */
export async function removeLeftovers({ name, records, packs }: DirectoryStore): Promise<boolean> {
  // In this order: a pack that a table names by now was being written before.
  const all = await packs.list();
  const named = await namedPacks(records);
  let isRemoved = false;
  for (const id of all.filter((id) => !named.has(id))) {
    isRemoved = (await lockIfFree(packLock(name, id), () => packs.remove(id).then(() => true))) === true || isRemoved;
  }
  return isRemoved;
}
