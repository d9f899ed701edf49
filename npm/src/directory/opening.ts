import { now } from '../shared/clock.js';
import { OPEN_TURNS, RECENTLY, watching } from '../shared/watch.js';
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

/** Places that opened and were then denied, or that were silent recently. */
const failing = new Map<string, { failed: Unavailable; until: number }>();

/**
 * Returns a function that opens a job's store at the first place that works. Called again with the reason for a
 * failure, it opens the next place, at last memory.
 */
export function openerOf(job: DirectoryJob, signal: AbortSignal): (failed?: Unavailable) => Promise<OpenedDirectories> {
  const { kind, name } = job.store;
  const left = job.noStore === undefined ? [...(job.openers ?? directoryOpeners[kind] ?? [])] : [];
  const reasons = job.noStore === undefined ? [] : [job.noStore];
  let last = '';
  return async (failed) => {
    if (failed) {
      reasons.push(failed.message);
      failing.set(last, { failed, until: failed.isSilent ? now() + RECENTLY : Infinity });
    }
    for (let opener = left.shift(); opener; opener = left.shift()) {
      const { part, open } = opener;
      last = `${part} ${kind} ${name}`;
      try {
        const known = failing.get(last);
        if (known && now() < known.until) throw known.failed;
        const store = await watching(part, signal, OPEN_TURNS)(() => open(name, watching(part, signal)));
        return { store, warning: undefined };
      } catch (error) {
        reasons.push(error instanceof Error ? error.message : String(error));
      }
    }
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
