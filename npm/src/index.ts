import { sendForget, sendSync } from './client.js';
import { note } from './early.js';
import { SyncError } from './error.js';
import { now } from './exchange.js';
import { handleOf } from './handle.js';
import type { Handle } from './handle.js';
import type { JobOptions, Progress } from './messages.js';
import type { Store } from './store.js';

export { SyncError };
export type { SyncErrorCode } from './error.js';
export type { Handle } from './handle.js';
export type { Cost, Progress, Times } from './messages.js';
export type { Store } from './store.js';

/** What a sync may be told. */
export interface SyncOptions {
  /** Where versions are kept. Default: `browserStore()`. */
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
  /** Keeps what is synced under it apart from all else, as for one of several accounts on an origin. */
  scope?: string;
  /** How long to wait for the next byte, in milliseconds. Default: 30,000. A worker that hangs is ended after four to eight times that. */
  timeout?: number;
  /** Where driblet's worker script is, if a bundler has moved it. The first sync of a page decides. */
  workerUrl?: string | URL;
  /** Where driblet's wasm module is, if a bundler has moved it. The first sync of a page decides. */
  wasmUrl?: string | URL;
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
  const started = now();
  options.signal?.throwIfAborted();
  const job = jobOf(url, options);
  try {
    const handle = handleOf(job.url, await sendSync(job, options), started);
    void handle.stored.then(() => note(job, handle.warning === undefined ? handle.version : undefined));
    return handle;
  } catch (error) {
    note(job);
    throw error;
  }
}

/**
 * Keeps versions where this browser keeps them best: in the origin private file system, else in IndexedDB (pages without https, threads
 * other than workers), else in memory, and the handle has a warning.
 *
 * @param name - one of the origin's stores. Default: `'driblet'`.
 */
export function browserStore(name = 'driblet'): Store {
  return { kind: 'browser', name };
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

function jobOf(url: string | URL, options: SyncOptions): JobOptions {
  const { store = browserStore(), headers, credentials = 'same-origin', version, maxBytes = 2 ** 32, timeout = 30_000, scope, wasmUrl } = options;
  if (version !== undefined && !/^[0-9a-f]{64}$/.test(version)) throw new TypeError('a version is 64 lower-case hex digits');
  const { href } = withoutFragment(new URL(url, base()));
  // No URL has a line break in it, so nothing else has this key.
  const key = scope === undefined ? href : `${href}\n${scope}`;
  const module = wasmUrl === undefined ? undefined : new URL(wasmUrl, base()).href;
  return { url: href, key, store, headers: [...new Headers(headers)], credentials, version, maxBytes, timeout, wasmUrl: module };
}

/** What relative URLs are of; nothing in Node, where they are an error. */
function base(): string | undefined {
  return globalThis.document?.baseURI ?? globalThis.location?.href;
}

function withoutFragment(url: URL): URL {
  url.hash = '';
  return url;
}

