import { serve } from './directory/engine.js';
import { respondToModule } from './directory/core.js';
import { runHere } from './page/directories.js';
import { keptModule } from './serviceworker/module.js';

/* For service workers, which can neither start a worker nor import a script later. */

runHere(async () => serve);
respondToModule(keptModule);

export { serveDirectory } from './serviceworker/serve.js';
export type { ServeDirectoryOptions } from './serviceworker/serve.js';
export type { Store } from './stores/store.js';
