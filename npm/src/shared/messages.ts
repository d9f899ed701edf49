import type { SyncErrorCode } from './error.js';
import type { Link } from './link.js';
import type { Store, StoreOpener } from '../stores/store.js';

/** What a sync transferred, and how long it took. */
export interface Cost {
  /** Bytes of request bodies, and of the version names in the requested URLs. */
  sent: number;
  /** Bytes of response bodies. */
  received: number;
  /** Number of HTTP requests. */
  requests: number;
  /**
   * What the delta was made against: the head was held already (`same`), a version that the server knew, chunks that
   * matched the signature, or nothing.
   */
  basis: 'same' | 'version' | 'matched' | 'none';
  /** Bytes of the version that came from the stored one. */
  reused: number;
  /** Milliseconds from the call to the handle. */
  elapsed: number;
  /** These milliseconds by phase, in order. */
  times: Times;
}

/** Milliseconds of a sync by phase. */
export interface Times {
  /** Until the worker ran, the store was open and other syncs of the URL were done. */
  open: number;
  /** Then, until the server began to answer. */
  answer: number;
  /** Then, until everything was received and verified. */
  apply: number;
}

/** The progress of a sync. */
export interface Progress {
  /** Bytes of response bodies received. */
  received: number;
  /** Bytes of the version that are verified and written. */
  written: number;
  /** The version's length in bytes; undefined until it is known. */
  length: number | undefined;
}

/** An engine's connection to the page: replies go out, requests come in. */
export interface Port<Sent, Received> {
  postMessage(message: Received, options: { transfer: Transferable[] }): void;
  onmessage: ((event: MessageEvent<Sent>) => void) | null;
}

/** Messages from the page to an engine. `What` says what is read of a handle. */
export type Request<Job, What> =
  | { kind: 'sync'; id: number; job: Job; isPrefetched: boolean }
  | { kind: 'prefetched'; id: number; prefetched: Prefetched | undefined }
  | { kind: 'abort'; id: number }
  | { kind: 'read'; id: number; handle: number; what: What }
  | { kind: 'close'; handle: number }
  | { kind: 'forget'; store: string }
  | { kind: 'suspend'; isSuspended: boolean }
  | { kind: 'ping' };

/** Messages from an engine to the page: it has started, or what happened to the request with that id. */
export type Reply<Synced, Progress> =
  | { kind: 'ready' }
  | { kind: 'progress'; id: number; progress: Progress }
  | { kind: 'synced'; id: number; synced: Synced }
  | { kind: 'stored'; id: number; warning: string | undefined }
  | { kind: 'read'; id: number; content: ArrayBuffer | Blob }
  | { kind: 'failed'; id: number; error: Failure };

/** A sync, as the page describes it to the engine. */
export interface JobOptions {
  readonly url: string;
  /** The key in the store: the URL, and the scope. */
  readonly key: string;
  readonly store: Store;
  /** How to open the store, if only this thread can. These are functions: such a job cannot be sent to a worker. */
  readonly openers?: readonly StoreOpener[] | undefined;
  /** Whether to return the stored version without any request. */
  readonly storedOnly?: true;
  /** Whether to fail at once if the server is busy. */
  readonly asksOnce?: true;
  readonly headers: [string, string][];
  readonly credentials: RequestCredentials;
  readonly version: string | undefined;
  /** The URL whose stored version is the basis if nothing else is stored, and its key. */
  readonly basis: { readonly url: string; readonly key: string } | undefined;
  readonly maxBytes: number;
  readonly timeout: number;
  readonly wasmUrl: string | undefined;
  readonly codecsWasmUrl: string | undefined;
  readonly link: Link;
  /** Why the sync must use no store; set after a worker hung in one. */
  readonly noStore?: string;
}

/** The result of a request that the page made before the engine ran; or a delta that came with an event. */
export interface Prefetched {
  /** The name of the requested resource. */
  readonly name: string;
  /** Whether it came with an event of a live stream. */
  readonly isFromEvent?: true;
  readonly answer: PrefetchedAnswer;
}

/** The parts of a response that can be sent to a worker, or the reason why there is none. */
export type PrefetchedAnswer =
  | {
      readonly status: number;
      readonly headers: [string, string][];
      readonly body: ReadableStream<Uint8Array> | ArrayBuffer | null;
    }
  | { readonly failed: string };

/** The result of a sync. The number of the handle is used to read and close it. */
export interface Synced {
  readonly handle: number;
  readonly version: string;
  readonly length: number;
  readonly warning: string | undefined;
  readonly cost: Omit<Cost, 'elapsed' | 'times'>;
  /** When the store was open and when the server began to answer, in milliseconds since 1970. */
  readonly opened: number;
  readonly answered: number | undefined;
  /** What the answers showed of the link. */
  readonly link: Link | undefined;
  /**
   * The bytes, if the engine has them in memory. The version is then still being stored, and a `stored` reply follows.
   */
  readonly verified: ArrayBuffer | undefined;
}

/** An error, in a form that can be sent between threads. */
export interface Failure {
  readonly code: SyncErrorCode;
  readonly message: string;
  readonly cause: unknown;
}
