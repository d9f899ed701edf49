import { check } from './check.js';
import { forget } from './early.js';
import { indexedDbEntries } from './indexeddb.js';
import { opfsEntries } from './opfs.js';
import type { Entry } from './entries.js';
import type { Store } from './store.js';

export type { Store } from './store.js';

/** A version that this browser keeps. */
export interface Stored {
  /** The URL it was synced from. */
  readonly url: string;
  /** The scope it was synced under, if it was under one. */
  readonly scope: string | undefined;
  /** The version: the BLAKE3 hash of its bytes, 64 hex digits. */
  readonly version: string;
  /** Its length in bytes, which is what it takes of the disk. */
  readonly length: number;
  /** When it was stored, by this machine's clock. */
  readonly stored: Date;
  /** When a sync last found it to be the head, to the hour. */
  readonly used: Date;
  /** Deletes it, when no sync of it runs any more. A handle reads on; the bytes go when it is closed. */
  delete(): Promise<void>;
}

/** What an origin uses of the disk, driblet and all else, and may use, in bytes; and whether the browser has promised to keep it. */
export interface Estimate {
  readonly usage: number | undefined;
  readonly quota: number | undefined;
  readonly persisted: boolean;
}

/**
 * The versions that a store keeps, the one used last first.
 *
 * @param store - default: what `browserStore()` keeps.
 * @example
 * const month = 30 * 24 * 3600 * 1000;
 * for (const kept of await list()) {
 *   if (month < Date.now() - kept.used.getTime()) await kept.delete();
 * }
 */
export async function list(store: Store = { kind: 'browser', name: 'driblet' }): Promise<Stored[]> {
  const { kind, name } = store;
  if (kind === 'memory') throw new TypeError('what is in memory is not listed: it goes with the page');
  check(['browser', 'opfs', 'indexeddb'].includes(kind) && typeof name === 'string', 'a store that is listed', 'what browserStore(), opfsStore() or indexedDbStore() gives', store);
  const places: Promise<Entry[]>[] = [];
  if (kind !== 'indexeddb' && 'storage' in navigator) places.push(opfsEntries(name));
  if (kind !== 'opfs') places.push(indexedDbEntries(name));
  const settled = await Promise.allSettled(places);
  const found = settled.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
  // A browser that forbids one place may have the other.
  const [first] = settled;
  if (first?.status === 'rejected' && settled.every(({ status }) => status === 'rejected')) throw first.reason;
  const kept = found.filter((entry): entry is Kept => entry.head !== undefined).sort((a, b) => b.head.used - a.head.used);
  // Both places may have a key, where the first failed for a while.
  const sameKey = ({ key }: Kept) => kept.filter((other) => other.key === key);
  return kept.filter((entry) => sameKey(entry)[0] === entry).map((entry) => storedOf(store, sameKey(entry)));
}

/**
 * Asks the browser to keep what the origin stores when the disk runs full, which it else may delete, all of an origin at once. Whether
 * it will; some browsers ask the user. `false` too where a page cannot ask, as without https.
 */
export async function persist(): Promise<boolean> {
  return (await navigator.storage?.persist?.()) ?? false;
}

/** What the browser says of this origin's storage; pages without https hear nothing of it. */
export async function estimate(): Promise<Estimate> {
  const [{ usage, quota }, persisted] = await Promise.all([navigator.storage?.estimate() ?? {}, navigator.storage?.persisted() ?? false]);
  return { usage, quota, persisted };
}

type Kept = Entry & { readonly head: NonNullable<Entry['head']> };

/** What is kept under one key, the latest first. */
function storedOf(store: Store, copies: Kept[]): Stored {
  const [{ key, head }] = copies as [Kept];
  const [url = '', scope] = key.split(/\n(.*)/s);
  return {
    ...{ url, scope, version: head.version, length: head.length },
    stored: new Date(head.stored),
    used: new Date(head.used),
    async delete() {
      for (const copy of copies) await copy.delete();
      forget(store, key);
    },
  };
}
