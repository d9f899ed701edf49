import type { Serve } from './page/client.js';

/*
 * Starts the engines. This file is beside the workers' scripts, because a bundled script looks for a worker's script
 * beside itself.
 */

/** Loads the engine into this thread. */
export function importEngine(): Promise<Serve> {
  return import('./worker.js').then(({ serve }) => serve);
}

/** Loads the engine for directories into this thread. */
export function importDirectoryEngine(): Promise<Serve> {
  return import('./directories-worker.js').then(({ serve }) => serve);
}

/** Loads what follows live streams. */
export function importLive(): Promise<typeof import('./live.js')> {
  return import('./live.js');
}

/** The worker's script checks this name, so that it serves only driblet's own worker. */
const OPTIONS = { type: 'module', name: 'driblet' } as const;
/** In a constant: bundlers take each `new URL('…', import.meta.url)` for a file to include. */
const HERE = import.meta.url;

/**
 * Starts a worker from the URL given, or from `worker.js` beside this script; undefined if this thread cannot have one.
 */
export function newWorker(url: string | URL | undefined): Worker | undefined {
  try {
    if (url !== undefined) return new Worker(url, OPTIONS);
    // Bundlers recognise this form only.
    return new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'driblet' });
  } catch {
    return throughBlob(new URL(url ?? './worker.js', HERE).href);
  }
}

/** As `newWorker`, for `directories-worker.js`. */
export function newDirectoryWorker(url: string | URL | undefined): Worker | undefined {
  try {
    if (url !== undefined) return new Worker(url, OPTIONS);
    return new Worker(new URL('./directories-worker.js', import.meta.url), { type: 'module', name: 'driblet' });
  } catch {
    return throughBlob(new URL(url ?? './directories-worker.js', HERE).href);
  }
}

/** A worker's script must come from the page's origin; a script that it imports need not. */
function throughBlob(script: string): Worker | undefined {
  try {
    const text = `import ${JSON.stringify(script)};`;
    return new Worker(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })), OPTIONS);
  } catch {
    return undefined;
  }
}
