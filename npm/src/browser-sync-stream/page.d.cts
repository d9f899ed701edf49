import type * as all from './page.js' with { 'resolution-mode': 'import' };

/** As of the original: in a page the module itself is `receive`, with the rest on it. */
declare const browserSyncStream: typeof all.receive & typeof all;
export = browserSyncStream;
