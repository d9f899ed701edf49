import { serve } from './directory/engine.js';

/* The script of the worker for directories. A thread in which no worker starts imports it too, and calls `serve` itself. */

export { serve };

/** The name that the page gives its worker. */
const NAME = 'driblet';

if (!globalThis.document && self.name === NAME) serve(self as never);
