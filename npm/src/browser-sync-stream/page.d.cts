import type * as all from './page.js' with { 'resolution-mode': 'import' };

/** Like browser-sync-stream: in a page the module itself is `receive`, with the other exports as members. */
declare const browserSyncStream: typeof all.receive & typeof all;
export = browserSyncStream;
