import { runHere } from './page/files.js';
import { serve } from './worker/engine.js';

/* The same interface for service workers, which can neither start a worker nor import a script later. */

runHere(() => serve);

export * from './index.js';
export { serveAsset } from './page/serviceworker.js';
export type { FetchEventLike, ServeOptions } from './page/serviceworker.js';
