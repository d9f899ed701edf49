import { now } from './shared/clock.js';
import { directoryOf } from './page/directory.js';
import { sendSync } from './page/directoryClient.js';
import { directoryJobOf } from './page/directoryJob.js';
import type { Directory } from './page/directory.js';
import type { DirectoryOptions } from './page/directoryOptions.js';

export { SyncError } from './shared/error.js';
export { configure } from './page/configure.js';
export type { Configuration } from './page/configure.js';
export { reloadWhenReady } from './page/reloadWhenReady.js';
export type { ReloadOptions } from './page/reloadWhenReady.js';
export type { Directory } from './page/directory.js';
export type { DirectoryOptions } from './page/directoryOptions.js';
export type { DirectoryCost, DirectoryProgress } from './directory/messages.js';
export type { SyncErrorCode } from './shared/error.js';
export type { Store } from './stores/store.js';

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
  const { signal, onProgress } = options;
  const job = directoryJobOf(url, options);
  signal?.throwIfAborted();
  return directoryOf(job.url, await sendSync(job, { signal, onProgress }), started);
}
