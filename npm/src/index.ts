import { sendForget } from './page/client.js';
import { SyncError } from './shared/error.js';
import { DEFAULT, jobOf, syncJob } from './page/job.js';
import type { Handle } from './page/handle.js';
import type { SyncOptions } from './page/options.js';
import type { Store } from './stores/store.js';

export { SyncError };
export type { SyncErrorCode } from './shared/error.js';
export type { Handle } from './page/handle.js';
export type { SyncOptions } from './page/options.js';
export type { Cost, Progress, Times } from './shared/messages.js';
export type { Store } from './stores/store.js';

/**
 * Brings this browser's copy of `url` to the server's head, and gives a handle to read it by. Moves only what changed.
 *
 * Rejects with a {@link SyncError}, or with the signal's reason. Either way the version stored before is whole.
 *
 * @example
 * const app = await sync('/app.js');
 * console.log(`${app.cost.received} bytes moved of ${app.length}`);
 * const bytes = await app.bytes();
 */
export async function sync(url: string | URL, options: SyncOptions = {}): Promise<Handle> {
  return syncJob(jobOf(url, options), options);
}

/**
 * Keeps versions where this browser keeps them best: in the origin private file system, else in IndexedDB (pages without https, threads
 * other than workers), else in memory, and the handle has a warning.
 *
 * @param name - one of the origin's stores. Default: `'driblet'`.
 */
export function browserStore(name = DEFAULT.name): Store {
  return { ...DEFAULT, name };
}

/** Keeps versions in the origin private file system, where they outlive the page. Where there is none, in memory, and the handle has a warning. */
export function opfsStore(name = 'driblet'): Store {
  return { kind: 'opfs', name };
}

/** Keeps versions in an IndexedDB database, where they outlive the page. Where it does not open, in memory, and the handle has a warning. */
export function indexedDbStore(name = 'driblet'): Store {
  return { kind: 'indexeddb', name };
}

/** Keeps versions in memory, as long as the page has the store. Each call makes another. */
export function memoryStore(): Store {
  const store: Store = { kind: 'memory', name: crypto.getRandomValues(new Uint32Array(4)).join('-') };
  collected.register(store, store.name);
  return store;
}

const collected = new FinalizationRegistry(sendForget);
