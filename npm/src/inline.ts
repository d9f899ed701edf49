import { runHere } from './client.js';
import { serve } from './engine.js';

/* The same interface, for threads that can neither start a worker nor import a script later: service workers. */

runHere(serve);

export * from './index.js';
export { serveAsset } from './serviceworker.js';
export type { FetchEventLike, ServeOptions } from './serviceworker.js';
