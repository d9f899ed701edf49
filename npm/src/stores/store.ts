import type { Watch } from '../shared/watch.js';

/**
 * Where versions are kept between syncs. Made by {@link browserStore}, {@link opfsStore}, {@link indexedDbStore} or {@link memoryStore}, in Node
 * by `directoryStore` too; the worker opens it.
 */
export interface Store {
  readonly kind: 'browser' | 'opfs' | 'indexeddb' | 'memory' | 'directory' | 'level';
  readonly name: string;
}

/**
 * A {@link Store} that only the thread that made it can open. Syncs with it run in that thread, not in driblet's worker.
 */
export interface LocalStore extends Store {
  readonly kind: 'directory' | 'level';
  /** How driblet opens it. */
  readonly openers: readonly StoreOpener[];
}

/** Opens a store at one place, for example in the origin private file system. */
export interface StoreOpener {
  /** What errors call the place. */
  readonly part: string;
  /** Opens what the store `name` keeps under a key. `watch` limits this call and all later ones. */
  open(name: string, key: string, watch: Watch): Promise<Snapshot>;
}

/** A version and its length in bytes. */
export interface Version {
  readonly version: string;
  readonly length: number;
  /** What verifies it group by group, as base64. Without it, or where it is wrong, a version is verified as a whole. */
  readonly outboard?: string | undefined;
}

/**
 * What a store keeps of one URL: a head, and perhaps a delta that was cut off. One sync uses it at a time.
 *
 * A store is a cache. Empty, half-written and edited are normal states of it, and what it gives is verified by whoever reads it.
 */
export interface Snapshot {
  /** The head, open for reading; nothing where none is whole. */
  held(): Promise<Held | undefined>;
  /** Forgets the head, whose bytes are not those of its version. */
  drop(): Promise<void>;
  /** What an earlier sync left of a delta. */
  begun(): Promise<Begun | undefined>;
  /** Starts to keep a delta's bytes, in place of any kept before. */
  journal(pair: Pair): Journal;
  /** Starts to write a version beside the head. */
  stage(target: Version): Promise<Staging>;
  /** Keeps the head readable, whatever other syncs do, until the lease is released. */
  lease(): Promise<Lease>;
  /** Deletes what neither the head nor a lease needs. */
  tidy(): Promise<void>;
}

/** From the first byte to before the last. */
export type Range = readonly [start: number, end: number];

/** A version that is held, read at random. */
export interface Held extends Version {
  /** Brings the bytes of some ranges to where `read` finds them until the next call; nothing where that takes no time. */
  ready?(ranges: readonly Range[]): Promise<void> | undefined;
  /** Fills `into` with the bytes from `at` on; gives how many there were. */
  read(into: Uint8Array, at: number): number;
  /** The bytes of a range in a buffer of their own, where that is quicker; nothing where they are gone. */
  slice?(range: Range): Promise<Uint8Array<ArrayBuffer> | undefined>;
  close(): void;
}

/** The delta that goes from one version, or `none`, to another, and the ETag of its bytes. */
export interface Pair {
  readonly from: string;
  readonly to: string;
  readonly etag: string;
}

/** The first bytes of a delta. */
export interface Begun extends Pair {
  readonly length: number;
  read(into: Uint8Array, at: number): number;
  /** Goes on keeping: what is appended follows what is there. Ends the use of both. */
  proceed(): Journal;
}

/** Takes a delta's bytes as they come. */
export interface Journal {
  append(bytes: Uint8Array): Promise<void>;
  /** Makes sure that what came survives this worker. */
  keep(): Promise<void>;
  /** Deletes it: the delta is done, or no good. */
  discard(): Promise<void>;
}

/** A version while it is written. */
export interface Staging {
  /** Takes bytes, which are the caller's again when it returns; the promise, if there is one, is for who would go too fast. */
  write(verified: Uint8Array): Promise<void> | undefined | void;
  /** Makes what was written the head, in one step and after it is durable; or gives it from memory where there is no room. */
  commit(): Promise<Lease>;
  discard(): Promise<void>;
}

/** A version's bytes, there until released. */
export interface Lease extends Version {
  blob(): Promise<Blob>;
  /** Opens it; nothing where it is gone. */
  held(): Promise<Held | undefined>;
  /** Why the version is not stored, if it is not. */
  readonly warning?: string | undefined;
  /** The bytes as this sync verified them, where they are few enough to keep. */
  readonly verified?: ArrayBuffer;
  /** Makes a version durable that is not yet, and the head; gives the warning if that fails. */
  store?(): Promise<string | undefined>;
  release(): void;
  /** Holds it again after a release; whether it was deleted meanwhile shows when it is read. */
  renew?(): Promise<void>;
}
