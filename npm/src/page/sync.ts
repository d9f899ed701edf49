import { sendSync } from './files.js';
import { noteLink } from './link.js';
import { noteVersion } from './prefetch.js';
import { now } from '../shared/clock.js';
import { handleOf } from './handle.js';
import type { Handle } from './handle.js';
import type { SyncOptions } from './options.js';
import type { JobOptions, Prefetched } from '../shared/messages.js';

/** Runs a sync, and notes what is stored afterwards. `given` is the answer to its first request, if that is known. */
export async function syncJob(job: JobOptions, options: SyncOptions, given?: Prefetched): Promise<Handle> {
  const started = now();
  options.signal?.throwIfAborted();
  try {
    const synced = await sendSync(job, options, given);
    noteLink(synced.link);
    const handle = handleOf(job.url, synced, started);
    void handle.stored.then((isStored) => noteVersion(job, isStored ? handle.version : undefined));
    return handle;
  } catch (error) {
    noteVersion(job);
    throw error;
  }
}
