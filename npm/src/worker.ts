import { serve } from './worker/engine.js';

/* The worker's script. A page in which no worker starts imports it too, and calls `serve` itself. */

export { serve };

/** The name that the page gives its worker. */
const NAME = 'driblet';

if (!globalThis.document && self.name === NAME) serve(self as never);
