import { sendForget } from './page/files.js';
import { DEFAULT_STORE, jobOf } from './page/job.js';
import { syncJob } from './page/sync.js';
import { watchBy } from './page/watch.js';
import { SyncError } from './shared/error.js';
import type { Directory } from './page/directory.js';
import type { DirectoryOptions } from './page/directoryOptions.js';
import type { Handle } from './page/handle.js';
import type { SyncOptions } from './page/options.js';
import type { WatchDirectoryOptions, WatchOptions } from './page/watchOptions.js';
import type { Store } from './stores/store.js';

export { SyncError };
export { configure } from './page/configure.js';
export type { Configuration } from './page/configure.js';
export type { Directory } from './page/directory.js';
export type { DirectoryOptions } from './page/directoryOptions.js';
export type { DirectoryCost, DirectoryProgress } from './directory/messages.js';
export type { Handle } from './page/handle.js';
export type { SyncOptions } from './page/options.js';
export type { RenewOptions, WatchDirectoryOptions, WatchOptions } from './page/watchOptions.js';
export type { SyncErrorCode } from './shared/error.js';
export type { Cost, Progress, Times } from './shared/messages.js';
export type { Store } from './stores/store.js';

/**
 * Updates this browser's copy of `url` to the server's head, and returns a handle that reads it. Transfers only what
 * changed.
 *
 * Rejects with a {@link SyncError}, with the signal's reason, or with a `TypeError` if an option is not valid. The
 * version stored before stays whole in each case.
 *
 * @example
 * const app = await sync('/app.js');
 * console.log(`${app.cost.received} bytes received of ${app.length}`);
 * const bytes = await app.bytes();
 */
export async function sync(url: string | URL, options: SyncOptions = {}): Promise<Handle> {
  return syncJob(jobOf(url, options), options);
}

/**
 * Yields a handle of the newest version of `url`, and then one of each newer version as soon as the server publishes it.
 * All bytes are verified. A loop that is slow skips versions: it gets the newest one.
 *
 * The tabs of a browser share one connection and one download. It goes on while the network or the server is away, and
 * ends with the signal's reason, with a {@link SyncError} that another try does not help, or with a `TypeError` if an
 * option is not valid. The code for this is loaded at the first call.
 *
 * @example
 * for await (const style of watch('/theme.css')) {
 *   document.querySelector('#theme').textContent = await (await style.blob()).text();
 *   style.close();
 * }
 */
export async function* watch(url: string | URL, options: WatchOptions = {}): AsyncGenerator<Handle, void, void> {
  yield* watchBy(jobOf(url, options), options, syncJob);
}

/**
 * Yields a {@link Directory} of the version that the server published last, and then one of each newer version, as
 * {@link watch} does.
 *
 * @example
 * for await (const app of watchDirectory('/app/')) console.log(`${app.paths().length} files of ${app.version}`);
 */
export async function* watchDirectory(
  url: string | URL,
  options?: WatchDirectoryOptions,
): AsyncGenerator<Directory, void, void> {
  yield* (await import('./directories.js')).watchDirectory(url, options);
}

/**
 * Updates this browser's copy of the directory `url` to the version that the server published last, and returns a
 * {@link Directory} that reads its files. Transfers only what changed. A directory never mixes two versions.
 *
 * The code for directories is loaded at the first call. Rejects with a {@link SyncError}, with the signal's reason, or
 * with a `TypeError` if the URL does not end in `/` or an option is not valid. The version stored before stays whole in
 * each case, and files that arrived are not fetched again.
 *
 * @example
 * const app = await syncDirectory('/app/');
 * document.querySelector('img').src = URL.createObjectURL(await app.file('logo.svg'));
 */
export async function syncDirectory(url: string | URL, options?: DirectoryOptions): Promise<Directory> {
  return (await import('./directories.js')).syncDirectory(url, options);
}

/**
 * Keeps versions at the first place that works: the origin private file system; IndexedDB, for pages without https and
 * threads that are not workers; memory, and then the handle has a warning.
 *
 * @param name - name of one of the origin's stores. Default: `'driblet'`.
 * @example
 * await sync('/app.js', { store: browserStore('assets') });
 */
export function browserStore(name = DEFAULT_STORE.name): Store {
  return { ...DEFAULT_STORE, name };
}

/**
 * Keeps versions in the origin private file system. They stay when the page ends. If the page has no such file system,
 * versions are in memory and the handle has a warning.
 *
 * @param name - name of one of the origin's stores. Default: `'driblet'`.
 * @example
 * await sync('/app.js', { store: opfsStore() });
 */
export function opfsStore(name = 'driblet'): Store {
  return { kind: 'opfs', name };
}

/**
 * Keeps versions in an IndexedDB database. They stay when the page ends. If the database does not open, versions are in
 * memory and the handle has a warning.
 *
 * @param name - name of the database. Default: `'driblet'`.
 * @example
 * await sync('/app.js', { store: indexedDbStore() });
 */
export function indexedDbStore(name = 'driblet'): Store {
  return { kind: 'indexeddb', name };
}

/**
 * Keeps versions in memory as long as the page holds the store. Each call makes a new store.
 *
 * @example
 * const store = memoryStore();
 * await sync('/app.js', { store });
 */
export function memoryStore(): Store {
  const store: Store = { kind: 'memory', name: crypto.getRandomValues(new Uint32Array(4)).join('-') };
  collectedStores.register(store, store.name);
  return store;
}

const collectedStores = new FinalizationRegistry(sendForget);
