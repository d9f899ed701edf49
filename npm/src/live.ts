/* Live updates. Pages load this script at the first call of `watch`, `watchDirectory` or `reloadWhenReady`. */

export { followHeads } from './live/heads.js';
export { watchJob } from './live/watchJob.js';
