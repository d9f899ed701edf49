import { check } from '../shared/check.js';
import { settingsInUse } from './configure.js';
import { runHere, sendForget } from './directoryClient.js';
import { jobOf } from './job.js';
import { importDirectoryEngine } from '../spawn.js';
import type { DirectoryJob } from '../directory/messages.js';
import type { DirectoryOptions } from './directoryOptions.js';
import type { LocalStore } from '../stores/store.js';

/** The most files that a manifest can have. */
const MAX_FILES = 2 ** 20;

/** Describes the sync of a directory. Throws a TypeError if an option is not valid. */
export function directoryJobOf(given: string | URL, options: DirectoryOptions): DirectoryJob {
  const { onProgress, maxFiles = MAX_FILES, ...common } = options;
  check(onProgress === undefined || typeof onProgress === 'function', 'onProgress', 'a function', onProgress);
  check(typeof maxFiles === 'number' && 0 <= maxFiles, 'maxFiles', 'a number of files from 0 on', maxFiles);
  const { openers: _, ...job } = jobOf(given, common);
  const { pathname } = new URL(job.url);
  check(pathname.endsWith('/'), "a directory's URL", 'a URL whose path ends in / (for a file call sync())', pathname);
  const { store } = options;
  const openers = (store as Partial<LocalStore> | undefined)?.directories;
  if (openers && !runHere(importDirectoryEngine))
    throw new Error(
      "a store that only this thread can open must be used before the first syncDirectory(): driblet's worker runs",
    );
  if (store?.kind === 'memory') {
    collectedStores.unregister(store);
    collectedStores.register(store, store.name, store);
  }
  return { ...job, openers, maxFiles, wasmUrl: settingsInUse().directoryWasmUrl };
}

const collectedStores = new FinalizationRegistry<string>(sendForget);
