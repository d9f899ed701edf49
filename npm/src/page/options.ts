import type { Progress } from '../shared/messages.js';
import type { Store } from '../stores/store.js';

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
  /** The longest version to accept, in bytes; `Infinity` for any. Default: 4 GiB. */
  maxBytes?: number;
  /** Keeps what is synced under it apart from all else, as for one of several accounts on an origin. */
  scope?: string;
  /**
   * How long the server may be silent, in milliseconds: until it answers, and between bytes. `Infinity` waits without end. An answer that says the
   * server is busy (503 with Retry-After) is not silence: the sync asks again, for some minutes. Default: 30,000. A worker that hangs is ended after
   * four to eight times that, four minutes at most.
   */
  timeout?: number;
  /** Where driblet's worker script is, if a bundler has moved it. The first sync of a page decides. */
  workerUrl?: string | URL;
  /** Where driblet's wasm module is, if a bundler has moved it. The first sync of a page decides. */
  wasmUrl?: string | URL;
}
