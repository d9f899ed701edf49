import { directoryJobOf } from './page/directoryJob.js';
import { syncDirectoryJob } from './page/syncDirectory.js';
import { watchBy } from './page/watch.js';
import type { Directory } from './page/directory.js';
import type { DirectoryOptions } from './page/directoryOptions.js';
import type { WatchDirectoryOptions } from './page/watchOptions.js';

export { SyncError } from './shared/error.js';
export { configure } from './page/configure.js';
export type { Configuration } from './page/configure.js';
export { reloadWhenReady } from './page/reloadWhenReady.js';
export type { ReloadOptions } from './page/reloadWhenReady.js';
export type { Directory } from './page/directory.js';
export type { DirectoryOptions } from './page/directoryOptions.js';
export type { RenewOptions, WatchDirectoryOptions } from './page/watchOptions.js';
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
  return syncDirectoryJob(directoryJobOf(url, options), options);
}

/**
 * Yields a {@link Directory} of the version that the server published last, and then one of each newer version as soon as
 * the server publishes it. A loop that is slow skips versions: it gets the newest one.
 *
 * The tabs of a browser share one connection and one download. It goes on while the network or the server is away, and
 * ends with the signal's reason, with a {@link SyncError} that another try does not help, or with a `TypeError`.
 *
 * @example
 * for await (const app of watchDirectory('/app/')) console.log(`${app.paths().length} files of ${app.version}`);
 */
export async function* watchDirectory(
  url: string | URL,
  options: WatchDirectoryOptions = {},
): AsyncGenerator<Directory, void, void> {
  yield* watchBy(directoryJobOf(url, options), options, syncDirectoryJob);
}
