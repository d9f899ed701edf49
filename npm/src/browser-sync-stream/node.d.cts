import type * as all from './node.js' with { 'resolution-mode': 'import' };

/** Like browser-sync-stream: in Node the module itself is `send`, with the other exports as members. */
declare const browserSyncStream: typeof all.send & typeof all;
export = browserSyncStream;
