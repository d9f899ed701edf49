import type { Progress } from '../shared/messages.js';
import type { Store } from '../stores/store.js';

/** Options of {@link sync}. */
export interface SyncOptions {
  /** Where versions are kept. Default: `browserStore()`; in Node, memory. */
  store?: Store;
  /**
   * Aborts the sync. The stored version stays whole, and the next sync continues with the bytes received so far.
   * Default: none.
   */
  signal?: AbortSignal;
  /** Called with the progress each time bytes arrive. Default: none. */
  onProgress?: (progress: Progress) => void;
  /** Headers of every request, for example an authorization. Default: none. */
  headers?: HeadersInit;
  /** Whether requests carry cookies, as for `fetch`. Default: `'same-origin'`. */
  credentials?: RequestCredentials;
  /** The only version to accept, 64 hex digits. Default: the server's head. */
  version?: string;
  /**
   * Another URL. If nothing is stored for the synced URL, but a version for this one, that is the basis, so that a file
   * with a new name needs only the difference: `sync('/app.9f2c.js', { basis: '/app.3e1b.js' })`. It must be in the
   * same store and scope. Default: none.
   */
  basis?: string | URL;
  /** The longest version to accept, in bytes; `Infinity` accepts any. Default: 4 GiB. */
  maxBytes?: number;
  /**
   * Keeps what is synced under this name apart, for example for each of several accounts on an origin. Default: none.
   */
  scope?: string;
  /**
   * How long the server may send nothing, in milliseconds: before its answer, and between two reads of the answer.
   * `Infinity`: no limit. A server that answers "busy" (503 or 429 with Retry-After) is not silent: the sync asks it
   * again for up to three minutes. Default: 30,000.
   */
  timeout?: number;
}
