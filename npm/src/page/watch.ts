import { importLive } from '../spawn.js';

/** How an asset is watched; see `watchJob` in `live/`, which is loaded at the first call. */
type WatchJob = Awaited<ReturnType<typeof importLive>>['watchJob'];

/** Yields the newest version of the asset of a job, and then each newer one. `sync` runs a job. */
export const watchBy: WatchJob = async function* (job, options, sync) {
  yield* (await importLive()).watchJob(job, options, sync);
};
