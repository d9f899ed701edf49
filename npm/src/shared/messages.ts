import type { SyncErrorCode } from './error.js';
import type { Range, Store, StoreOpener } from '../stores/store.js';

/** What moved, and how the sync came by it. */
export interface Cost {
  /** Bytes of request bodies, and of the version names in the URLs asked for. */
  sent: number;
  /** Bytes of response bodies. */
  received: number;
  /** HTTP requests. */
  requests: number;
  /** What the delta was made against: nothing to transfer, a version the server knew, chunks that matched, or nothing at all. */
  basis: 'same' | 'version' | 'matched' | 'none';
  /** Bytes of the version that were held already. */
  reused: number;
  /** Milliseconds from the call to the handle. */
  elapsed: number;
  /** Where they went, in this order. */
  times: Times;
}

/** Milliseconds of a sync by phase. */
export interface Times {
  /** Until the worker ran, the store was open, and no other sync of the URL ran. */
  open: number;
  /** From then until the server began to answer. */
  answer: number;
  /** From then until all that was asked for had come and was verified. */
  apply: number;
}

/** How far a sync is. */
export interface Progress {
  /** Bytes of response bodies so far. */
  received: number;
  /** Bytes of the version that are verified and written. */
  written: number;
  /** The version's length in bytes, once it is known. */
  length: number | undefined;
}

/** What a page asks of the worker. */
export type Request =
  | { kind: 'sync'; id: number; job: JobOptions; isPrefetched: boolean }
  | { kind: 'prefetched'; id: number; prefetched: Prefetched | undefined }
  | { kind: 'abort'; id: number }
  | { kind: 'read'; id: number; handle: number; range: Range | undefined }
  | { kind: 'close'; handle: number }
  | { kind: 'forget'; store: string }
  | { kind: 'suspend'; isSuspended: boolean }
  | { kind: 'ping' };

/** What the worker says: that it is there, and of the request with that id. */
export type Reply =
  | { kind: 'ready' }
  | { kind: 'progress'; id: number; progress: Progress }
  | { kind: 'synced'; id: number; synced: Synced }
  | { kind: 'stored'; id: number; warning: string | undefined }
  | { kind: 'read'; id: number; content: ArrayBuffer | Blob }
  | { kind: 'failed'; id: number; error: Failure };

/** A sync as the page describes it. */
export interface JobOptions {
  readonly url: string;
  /** What the store keeps it under: the URL, and the scope. */
  readonly key: string;
  readonly store: Store;
  /** Where the store may be, if only this thread can open it. Functions: such a job cannot be sent to a worker. */
  readonly openers?: readonly StoreOpener[] | undefined;
  /** Whether the version that is stored will do, so that nobody is asked. */
  readonly isStored?: true;
  /** Whether a server that is busy is not asked again. */
  readonly asksOnce?: true;
  readonly headers: [string, string][];
  readonly credentials: RequestCredentials;
  readonly version: string | undefined;
  readonly maxBytes: number;
  readonly timeout: number;
  readonly wasmUrl: string | undefined;
  /** Why no store is to be used, as after one in which a worker hung. */
  readonly noStore?: string;
}

/** A request that the page made, and what came of it. */
export interface Prefetched {
  /** The resource asked for. */
  readonly name: string;
  readonly answer: PrefetchedAnswer;
}

/** A response's parts, as they can be sent to the worker; or why there is none. */
export type PrefetchedAnswer =
  | { readonly status: number; readonly headers: [string, string][]; readonly body: ReadableStream<Uint8Array> | null }
  | { readonly failed: string };

/** A finished sync; the handle's number reads and closes it. */
export interface Synced {
  readonly handle: number;
  readonly version: string;
  readonly length: number;
  readonly warning: string | undefined;
  readonly cost: Omit<Cost, 'elapsed' | 'times'>;
  /** When the store was open and when the server began to answer, in milliseconds since 1970. */
  readonly opened: number;
  readonly answered: number | undefined;
  /** The bytes, where they are at hand; the version is being stored then, and `stored` follows. */
  readonly verified: ArrayBuffer | undefined;
}

/** An error on its way between threads. */
export interface Failure {
  readonly code: SyncErrorCode;
  readonly message: string;
  readonly cause: unknown;
}
