import { check } from '../shared/check.js';
import { sharedKey } from './key.js';
import { watchVersions } from './watch.js';
import type { JobOptions, Prefetched } from '../shared/messages.js';
import type { SyncAttempt, Version } from './watch.js';

/** The members of a job that watching uses, of a file or of a directory. */
type AnyJob = Omit<JobOptions, 'openers'> & { readonly openers?: unknown };

/** The options of a caller that watching uses. */
interface AnyOptions<Progress> {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  readonly renewHeaders?: () => HeadersInit | Promise<HeadersInit>;
}

/** What a sync does meanwhile. */
interface Waiting<Progress> {
  signal: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** Yields the newest version of the asset of a job, and then each newer one. `sync` runs a job. */
export async function* watchJob<Job extends AnyJob, H extends Version, Progress>(
  job: Job,
  { signal, onProgress, renewHeaders }: AnyOptions<Progress>,
  sync: (job: Job, waiting: Waiting<Progress>, given?: Prefetched) => Promise<H>,
): AsyncGenerator<H, void, void> {
  check(
    renewHeaders === undefined || typeof renewHeaders === 'function',
    'renewHeaders',
    'a function that returns headers',
    renewHeaders,
  );
  check(job.version === undefined, 'version', 'left out, since newer versions are watched for', job.version);
  const watched = {
    ...{ url: job.url, headers: job.headers, credentials: job.credentials, renewHeaders },
    shared: await sharedKey(job),
    sync: ({ headers, signal, version, given }: SyncAttempt) =>
      sync({ ...job, headers, version }, { signal, ...(onProgress && { onProgress }) }, given),
    openStored: (signal: AbortSignal) => sync({ ...job, storedOnly: true }, { signal }),
  };
  yield* watchVersions<H>(watched, signal);
}
