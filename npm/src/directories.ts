import { check } from './shared/check.js';
import { now } from './shared/clock.js';
import { settingsInUse } from './page/configure.js';
import { directoryOf } from './page/directory.js';
import { runHere, sendForget, sendSync } from './page/directoryClient.js';
import { jobOf } from './page/job.js';
import { importDirectoryEngine } from './spawn.js';
import type { Directory } from './page/directory.js';
import type { DirectoryOptions } from './page/directoryOptions.js';
import type { DirectoryJob } from './directory/messages.js';
import type { LocalStore } from './stores/store.js';

export { SyncError } from './shared/error.js';
export { configure } from './page/configure.js';
export type { Configuration } from './page/configure.js';
export type { Directory } from './page/directory.js';
export type { DirectoryOptions } from './page/directoryOptions.js';
export type { DirectoryCost, DirectoryProgress } from './directory/messages.js';
export type { SyncErrorCode } from './shared/error.js';
export type { Store } from './stores/store.js';

/** The most files that a manifest can have. */
const MAX_FILES = 2 ** 20;

/**
 * Updates this browser's copy of the directory `url` to the version that the server published last, and returns a
 * {@link Directory} that reads its files. Transfers only what changed. A directory never mixes two versions.
 *
 * Rejects with a {@link SyncError}, with the signal's reason, or with a `TypeError` if the URL does not end in `/` or an
 * option is not valid. The version stored before stays whole in each case, and files that arrived are not fetched again.
 *
 * @example
 * const app = await syncDirectory('/app/');
 * document.querySelector('img').src = URL.createObjectURL(await app.file('logo.svg'));
 */
export async function syncDirectory(url: string | URL, options: DirectoryOptions = {}): Promise<Directory> {
  const started = now();
  const { signal, onProgress, maxFiles = MAX_FILES } = options;
  const job = directoryJob(url, options, maxFiles);
  signal?.throwIfAborted();
  return directoryOf(job.url, await sendSync(job, { signal, onProgress }), started);
}

function directoryJob(given: string | URL, options: DirectoryOptions, maxFiles: number): DirectoryJob {
  const { onProgress, ...common } = options;
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
