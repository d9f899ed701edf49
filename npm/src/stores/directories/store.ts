import { holdLock } from '../../shared/lock.js';
import { withRoom } from '../entries.js';
import type { Watch } from '../../shared/watch.js';
import type { Hold } from '../../shared/lock.js';
import type { Entry } from '../entries.js';

/*
 * What a store needs to keep directories. It has two halves:
 *
 * - *Records* are small values under keys: manifests, heads, and the tables of packs. A change of several records is
 *   made as a whole or not at all.
 * - *Packs* have the bytes. A pack is what one sync brought: many files one behind the other. It only grows, and only
 *   while its sync runs. Which file lies where is in the pack's table, a record that is written after the bytes are
 *   flushed.
 *
 * A store is a cache: records and packs may be missing or changed. Readers verify what they read.
 */

/** A store that keeps directories. */
export interface DirectoryStore {
  /** The name that locks contain. */
  readonly name: string;
  readonly records: Records;
  readonly packs: Packs;
  /** The files that the store keeps beside directories, for a sync that needs their room. */
  filesBeside?(): Promise<Entry[]>;
}

/** Small values under keys. Keys are ordered as text. */
export interface Records {
  /** All keys from `first` on, below `end`. */
  keys(first: string, end: string): Promise<string[]>;
  /** The values of some keys; undefined for keys that do not exist. */
  values(keys: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /** Makes all changes or none: a value is written, `undefined` deletes. */
  change(changes: readonly RecordChange[]): Promise<void>;
}

/** A value to write under a key, or `undefined` to delete the key. */
export type RecordChange = readonly [key: string, value: Uint8Array | undefined];

/** Makes some room on a full disk. Resolves to `false` if there is nothing left to delete. */
export type MakeRoom = () => Promise<boolean>;

/** There is no room to store a directory version. */
export class NoRoom extends Error {}

/** Runs a write. If the disk is full, makes room and runs it again. Throws a {@link NoRoom} if no more room can be made. */
export async function inRoom(makeRoom: MakeRoom, write: () => Promise<void> | void): Promise<void> {
  const isDone = await withRoom(makeRoom, async () => {
    await write();
    return true;
  });
  if (!isDone) throw new NoRoom('there was no room to store this version: it is in memory only');
}

/** Places for bytes. A pack's id is unique in the store. */
export interface Packs {
  /** Starts a pack. Its writer throws a {@link NoRoom} if the disk is full and `makeRoom` has made all room. */
  create(makeRoom: MakeRoom): Promise<PackWriter>;
  /** Opens a pack for reading; undefined if it is not there. */
  open(id: string): Promise<Pack | undefined>;
  /** The ids of all packs, of which some may be left over. Packs that other processes write may be missing. */
  list(): Promise<string[]>;
  remove(id: string): Promise<void>;
}

/** A pack that is being written. */
export interface PackWriter {
  readonly id: string;
  /** Appends bytes, which are copied. Await the promise, if there is one, to apply back-pressure. */
  write(bytes: Uint8Array): Promise<void> | undefined | void;
  /** Makes what was written so far durable. */
  flush(): Promise<void>;
  close(): void;
}

/** A pack that is read. */
export interface Pack {
  /** The bytes of a range. They may stay on the disk, so that reading them fails if the pack is removed. */
  blob(start: number, end: number): Promise<Blob | undefined>;
}

/** Opens a store for directories at one place. `watch` limits this call and all later ones. */
export interface DirectoryOpener {
  /** What errors call the place. */
  readonly part: string;
  open(name: string, watch: Watch): Promise<DirectoryStore>;
}

/** The lock that readers of a pack hold, and its writer. */
export function packLock(store: string, id: string): string {
  return `driblet pack ${store}/${id}`;
}

/** The lock that everything holds that reads a key's directory. */
export function directoryLock(store: string, key: string): string {
  return `driblet directory ${store} ${key}`;
}

/** Holds several locks as one. */
export async function holdLocks(names: readonly string[]): Promise<Hold> {
  const holds = await Promise.all(names.map(holdLock));
  return {
    release: () => holds.forEach((hold) => hold.release()),
    renew: async () => void (await Promise.all(holds.map((hold) => hold.renew()))),
  };
}

/** The bytes of a blob; undefined if they are gone. */
export async function bytesOf(blob: Blob, watch?: Watch): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const read = () => blob.arrayBuffer();
  try {
    return new Uint8Array(await (watch ? watch(read) : read()));
  } catch (error) {
    if (error instanceof DOMException && ['NotFoundError', 'NotReadableError'].includes(error.name)) return undefined;
    throw error;
  }
}
