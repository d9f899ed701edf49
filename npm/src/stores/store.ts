import type { Watch } from '../shared/watch.js';
import type { DirectoryOpener } from './directories/store.js';
import type { VersionInfo } from './version.js';

export type { VersionInfo } from './version.js';

/**
 * A place where versions are kept between syncs. Created by {@link browserStore}, {@link opfsStore},
 * {@link indexedDbStore} or {@link memoryStore}; in Node by `directoryStore` too; by `levelStore` of `driblet/level`.
 */
export interface Store {
  readonly kind: 'browser' | 'opfs' | 'indexeddb' | 'memory' | 'directory' | 'level';
  readonly name: string;
}

/**
 * A {@link Store} that only the thread that made it can open. Syncs with it run in that thread, not in driblet's
 * worker.
 */
export interface LocalStore extends Store {
  readonly kind: 'directory' | 'level';
  /** The places where driblet opens it, in the order in which they are tried. */
  readonly openers: readonly StoreOpener[];
  /** The same, for directories. */
  readonly directories: readonly DirectoryOpener[];
}

/** Opens a store at one place, for example in the origin private file system. */
export interface StoreOpener {
  /** What errors call the place. */
  readonly part: string;
  /** Opens what the store `name` keeps under a key. `watch` limits this call and all later ones. */
  open(name: string, key: string, watch: Watch): Promise<Snapshot>;
}

/**
 * What a store keeps of one URL: a head, and perhaps a delta that was cut off. One sync uses it at a time.
 *
 * A store is a cache. It may be empty, half-written or edited: readers verify what it returns. If bytes are missing or
 * changed, the head is dropped, and the next sync fetches the whole file.
 *
 * The head changes in one step, after its bytes are written. If the tab, the browser or the process ends, the head is
 * the old version or the new one, with all its bytes. If the machine stops, for example without power, the same is true
 * for stores that flush the bytes before they write the head: the file store, folders, and IndexedDB as far as the
 * browser flushes strict transactions. A level database may then lose bytes.
 */
export interface Snapshot {
  /** Opens the head for reading; undefined if there is none, or it is not complete. */
  held(): Promise<Held | undefined>;
  /** Deletes the head, because its bytes are not those of its version. */
  drop(): Promise<void>;
  /** The start of a delta that an earlier sync kept. */
  begun(): Promise<Begun | undefined>;
  /** Starts to keep a delta's bytes, in place of those kept before. */
  journal(pair: Pair): Journal;
  /** Starts to write a version beside the head. */
  stage(target: VersionInfo): Promise<Staging>;
  /** Keeps the head readable, whatever other syncs do, until the lease is released. */
  lease(): Promise<Lease>;
  /** As `lease`, for the sync of another URL: writes nothing, not even when the head was used. Undefined without a head. */
  borrow(): Promise<Lease | undefined>;
  /** Deletes what neither the head nor a lease needs. */
  tidy(): Promise<void>;
}

/** From the first byte, to before `end`. */
export type Range = readonly [start: number, end: number];

/** A stored version, open for random reads. */
export interface Held extends VersionInfo {
  /** Set if the version is stored under another URL than the one that is synced. */
  readonly isBorrowed?: true;
  /** Loads the bytes of some ranges. `read` finds them until the next call. Undefined if there is nothing to wait for. */
  ready?(ranges: readonly Range[]): Promise<void> | undefined;
  /** Fills `into` with the bytes from `at` on. Returns how many there were. */
  read(into: Uint8Array, at: number): number;
  /** The bytes of a range, in a new buffer; undefined if they were lost. For stores where this is faster than `read`. */
  slice?(range: Range): Promise<Uint8Array<ArrayBuffer> | undefined>;
  close(): void;
}

/** The delta from one version, or `none`, to another, and the ETag of its bytes. */
export interface Pair {
  readonly from: string;
  readonly to: string;
  readonly etag: string;
}

/** The first bytes of a delta. */
export interface Begun extends Pair {
  readonly length: number;
  read(into: Uint8Array, at: number): number;
  /** Continues to keep the delta: appends bytes to the stored ones. Do not use this object afterwards. */
  proceed(): Journal;
}

/** Keeps a delta's bytes as they arrive. */
export interface Journal {
  append(bytes: Uint8Array): Promise<void>;
  /** Makes sure that the bytes survive this worker. */
  keep(): Promise<void>;
  /** Deletes the bytes: the delta is complete or damaged. */
  discard(): Promise<void>;
}

/** Takes the bytes of a file, in order. */
export interface Writer {
  /** Copies the bytes. Await the promise, if there is one, to apply back-pressure. */
  write(bytes: Uint8Array): Promise<void> | undefined | void;
}

/** A version that is being written. Its bytes must be verified. */
export interface Staging extends Writer {
  /**
   * Flushes the bytes, then makes the version the head, in one step. If there is no room, returns a lease from memory.
   */
  commit(): Promise<Lease>;
  discard(): Promise<void>;
}

/** A version whose bytes stay until the lease is released. */
export interface Lease extends VersionInfo {
  blob(): Promise<Blob>;
  /** Opens the version; undefined if it is gone. */
  held(): Promise<Held | undefined>;
  /** Why the version is not stored; undefined if it is. */
  readonly warning?: string | undefined;
  /** Set if the store has the version although new versions are written to memory. */
  readonly isInStore?: true;
  /** The bytes that this sync verified, if they are in memory. */
  readonly verified?: ArrayBuffer;
  /** Stores the version and makes it the head, if that is not done yet. Returns the warning if that fails. */
  store?(): Promise<string | undefined>;
  release(): void;
  /** Holds the version again after a release. If it was deleted meanwhile, reading fails. */
  renew?(): Promise<void>;
}
