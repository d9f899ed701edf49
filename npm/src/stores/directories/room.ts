import { storeEntries } from '../openers.js';
import type { Entry } from '../entries.js';

/* Loaded only when a disk is full. */

/** All files that stores with this name keep, in files and in IndexedDB. Places that are denied count as empty. */
export async function fileEntries(name: string): Promise<Entry[]> {
  const found = await Promise.allSettled((storeEntries.browser ?? []).map((entriesOf) => entriesOf(name)));
  return found.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
}
