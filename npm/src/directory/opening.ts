import { places } from '../shared/places.js';
import { memoryDirectories } from '../stores/directories/memory.js';
import { directoryOpeners } from '../stores/directories/openers.js';
import type { DirectoryJob } from './messages.js';
import type { Unavailable } from '../shared/watch.js';
import type { DirectoryStore } from '../stores/directories/store.js';

/** An open store; or what replaces it, and the reason. */
export interface OpenedDirectories {
  readonly store: DirectoryStore;
  readonly warning: string | undefined;
}

const memory = new Map<string, DirectoryStore>();

/**
 * Returns a function that opens a job's store at the first place that works. Called again with the reason for a
 * failure, it opens the next place, at last memory.
 */
export function openerOf(job: DirectoryJob, signal: AbortSignal): (failed?: Unavailable) => Promise<OpenedDirectories> {
  const { kind, name } = job.store;
  const openers = job.openers ?? directoryOpeners[kind] ?? [];
  const { next, reasons } = places(openers, `${kind} ${name}`, job.noStore, signal, (open, watch) => open(name, watch));
  return async (failed) => {
    const opened = await next(failed);
    if (opened) return { store: opened, warning: undefined };
    const store = inMemory(kind === 'memory' ? name : `${kind} ${name}`, name);
    return { store, warning: kind === 'memory' ? undefined : `the directory is in memory only: ${reasons.join('; ')}` };
  };
}

function inMemory(id: string, name: string): DirectoryStore {
  const store = memory.get(id) ?? memoryDirectories(name);
  memory.set(id, store);
  return store;
}

/** Frees a memory store that is no longer reachable. */
export function forgetMemory(name: string): void {
  memory.delete(name);
}
