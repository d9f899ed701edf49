import type { Port } from './worker/engine.js';

/* How the engine is started. This file lies beside `worker.ts`, for a bundle's script looks for the worker's beside itself. */

/** Runs the engine for the requests that come from a port. */
export type Serve = (port: Port) => void;

/** Loads the engine into this thread. */
export function importEngine(): Promise<Serve> {
  return import('./worker.js').then(({ serve }) => serve);
}

/** The name by which the script knows that it is ours. */
const OPTIONS = { type: 'module', name: 'driblet' } as const;
/** Apart, for bundlers take each URL that is made of it to be of a file. */
const HERE = import.meta.url;

/** Starts a worker from the URL given, or from `worker.js` beside this script; nothing where this thread cannot have one. */
export function newWorker(url: string | URL | undefined): Worker | undefined {
  try {
    if (url !== undefined) return new Worker(url, OPTIONS);
    // Bundlers know this form, and no other.
    return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'driblet' });
  } catch {
    return throughBlob(new URL(url ?? './worker.js', HERE).href);
  }
}

/** A worker's script must be of the page's origin, but what that imports need not. */
function throughBlob(script: string): Worker | undefined {
  try {
    const text = `import ${JSON.stringify(script)};`;
    return new Worker(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })), OPTIONS);
  } catch {
    return undefined;
  }
}
