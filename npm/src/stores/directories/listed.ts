import { watching } from '../../shared/watch.js';
import { INDEXED_DB } from '../tables.js';
import { directoryEntries } from './entries.js';
import { FOLDER } from './names.js';
import { directoryOpeners } from './openers.js';
import type { DirectoryEntry } from './entries.js';

/** The directories that stores with this name keep. Creates nothing, as far as the browser tells what there is. */
export async function storedDirectories(name: string): Promise<DirectoryEntry[]> {
  const watch = watching(INDEXED_DB);
  const databases = await watch(async () => globalThis.indexedDB?.databases?.());
  if (databases && !databases.some((each) => each.name === `${name}${FOLDER}`)) return [];
  const [opener] = directoryOpeners.browser ?? [];
  return opener ? directoryEntries(await opener.open(name, watch)) : [];
}
