import { serve } from './directory/engine.js';
import { runHere } from './page/directories.js';

/* For service workers, which can neither start a worker nor import a script later. */

runHere(async () => serve);

export { serveDirectory } from './serviceworker/serve.js';
export type { ServeDirectoryOptions } from './serviceworker/serve.js';
export type { Store } from './stores/store.js';
