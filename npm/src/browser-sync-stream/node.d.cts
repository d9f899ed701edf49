import type * as all from './node.js' with { 'resolution-mode': 'import' };

/** As of the original: in Node the module itself is `send`, with the rest on it. */
declare const browserSyncStream: typeof all.send & typeof all;
export = browserSyncStream;
