import { sendSync } from './client.js';
import { note } from './early.js';
import { SyncError } from './error.js';
import { handleOf } from './handle.js';
import type { Handle } from './handle.js';
import type { JobOptions, Progress } from './messages.js';
import type { Store } from './store.js';

export { SyncError };
export type { SyncErrorCode } from './error.js';
export type { Handle } from './handle.js';
export type { Cost, Progress } from './messages.js';
export type { Store } from './store.js';

/** What a sync may be told. */
export interface SyncOptions {
  /** Where versions are kept. Default: `opfsStore()`. */
  store?: Store;
  /** Ends the sync; what is stored stays whole, and what came is kept for the next one. */
  signal?: AbortSignal;
  /** Hears how far the sync is, with every piece that comes. */
  onProgress?: (progress: Progress) => void;
  /** Headers for every request, such as an authorisation. */
  headers?: HeadersInit;
  /** Whether cookies are sent, as for `fetch`. Default: `'same-origin'`. */
  credentials?: RequestCredentials;
  /** The only version to accept, 64 hex digits. Default: the server's head. */
  version?: string;
  /** The longest version to accept, in bytes. Default: 4 GiB. */
  maxBytes?: number;
  /** How long to wait for the next byte, in milliseconds. Default: 30,000. */
  timeout?: number;
}

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
  const started = performance.now();
  options.signal?.throwIfAborted();
  const job = jobOf(url, options);
  try {
    const handle = handleOf(await sendSync(job, options), performance.now() - started);
    void handle.stored.then(() => note(job, handle.warning === undefined ? handle.version : undefined));
    return handle;
  } catch (error) {
    note(job);
    throw error;
  }
}

/**
 * Keeps versions in the origin private file system, where they outlive the page. Without one (a page without https, some private
 * windows) they are kept in memory, and the handle has a warning.
 *
 * @param folder - which of the origin's folders. Default: `'driblet'`.
 */
export function opfsStore(folder = 'driblet'): Store {
  return { kind: 'opfs', folder };
}

/** Keeps versions in memory, as long as the page lives. Each call makes another store. */
export function memoryStore(): Store {
  return { kind: 'memory', id: crypto.getRandomValues(new Uint32Array(4)).join('-') };
}

function jobOf(url: string | URL, options: SyncOptions): JobOptions {
  const { store = opfsStore(), headers, credentials = 'same-origin', version, maxBytes = 2 ** 32, timeout = 30_000 } = options;
  if (version !== undefined && !/^[0-9a-f]{64}$/.test(version)) throw new TypeError('a version is 64 lower-case hex digits');
  const { href } = withoutFragment(new URL(url, document.baseURI));
  return { url: href, store, headers: [...new Headers(headers)], credentials, version, maxBytes, timeout };
}

function withoutFragment(url: URL): URL {
  url.hash = '';
  return url;
}

