import { now } from '../shared/clock.js';
import { directoryOf } from './directory.js';
import { sendSync } from './directoryClient.js';
import type { Directory } from './directory.js';
import type { DirectoryOptions } from './directoryOptions.js';
import type { DirectoryJob } from '../directory/messages.js';
import type { Prefetched } from '../shared/messages.js';

/** Runs the sync of a directory. `given` is the answer to its first request, if that is known. */
export async function syncDirectoryJob(
  job: DirectoryJob,
  { signal, onProgress }: DirectoryOptions,
  given?: Prefetched,
): Promise<Directory> {
  const started = now();
  signal?.throwIfAborted();
  return directoryOf(job.url, await sendSync(job, { signal, onProgress }, given), started);
}
