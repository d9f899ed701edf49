import { importLive } from '../spawn.js';
import { jobOf } from './job.js';
import { checkWatch } from './renew.js';
import { syncJob } from './sync.js';
import type { SyncAttempt } from '../live/watch.js';
import type { Handle } from './handle.js';
import type { SyncOptions } from './options.js';
import type { RenewOptions } from './renew.js';

/** Options of {@link watch}: those of {@link sync}, and how headers are renewed. */
export interface WatchOptions extends Omit<SyncOptions, 'version'>, RenewOptions {}

/** Yields the newest version of a file, and then each newer one. */
export async function* watchFile(url: string | URL, options: WatchOptions): AsyncGenerator<Handle, void, void> {
  const { renewHeaders, onProgress, signal } = options;
  checkWatch(options);
  const job = jobOf(url, options);
  const { sharedKey, watchVersions } = await importLive();
  const watched = {
    ...{ url: job.url, headers: job.headers, credentials: job.credentials, renewHeaders },
    shared: await sharedKey(job),
    sync: ({ headers, signal, version, given }: SyncAttempt) =>
      syncJob({ ...job, headers, version }, { signal, ...(onProgress && { onProgress }) }, given),
    openStored: (signal: AbortSignal) => syncJob({ ...job, storedOnly: true as const }, { signal }),
  };
  yield* watchVersions<Handle>(watched, signal);
}
