import { importLive } from '../spawn.js';
import { directoryJobOf } from './directoryJob.js';
import { checkWatch } from './renew.js';
import { syncDirectoryJob } from './syncDirectory.js';
import type { SyncAttempt } from '../live/watch.js';
import type { Directory } from './directory.js';
import type { DirectoryOptions } from './directoryOptions.js';
import type { RenewOptions } from './renew.js';

/** Options of {@link watchDirectory}: those of {@link syncDirectory}, and how headers are renewed. */
export interface WatchDirectoryOptions extends Omit<DirectoryOptions, 'version'>, RenewOptions {}

/** Yields the newest version of a directory, and then each newer one. */
export async function* watchDirectoryJob(
  url: string | URL,
  options: WatchDirectoryOptions,
): AsyncGenerator<Directory, void, void> {
  const { renewHeaders, onProgress, signal } = options;
  checkWatch(options);
  const job = directoryJobOf(url, options);
  const { sharedKey, watchVersions } = await importLive();
  const watched = {
    ...{ url: job.url, headers: job.headers, credentials: job.credentials, renewHeaders },
    shared: await sharedKey(job),
    sync: ({ headers, signal, version, given }: SyncAttempt) =>
      syncDirectoryJob({ ...job, headers, version }, { signal, ...(onProgress && { onProgress }) }, given),
    openStored: (signal: AbortSignal) => syncDirectoryJob({ ...job, storedOnly: true as const }, { signal }),
  };
  yield* watchVersions<Directory>(watched, signal);
}
