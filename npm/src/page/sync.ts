import { sendSync } from './files.js';
import { noteVersion } from './prefetch.js';
import { now } from '../shared/clock.js';
import { handleOf } from './handle.js';
import type { Handle } from './handle.js';
import type { SyncOptions } from './options.js';
import type { JobOptions } from '../shared/messages.js';

/** Runs a sync, and notes what is stored afterwards. */
export async function syncJob(job: JobOptions, options: SyncOptions): Promise<Handle> {
  const started = now();
  options.signal?.throwIfAborted();
  try {
    const handle = handleOf(job.url, await sendSync(job, options), started);
    void handle.stored.then((isStored) => noteVersion(job, isStored ? handle.version : undefined));
    return handle;
  } catch (error) {
    noteVersion(job);
    throw error;
  }
}
