import { check } from './shared/check.js';
import { forgetNote } from './page/prefetch.js';
import { storedDirectories } from './stores/directories/listed.js';
import { storeEntries } from './stores/openers.js';
import { Unavailable, watching } from './shared/watch.js';
import type { Entry } from './stores/entries.js';
import type { Store } from './stores/store.js';

export type { Store } from './stores/store.js';

/** A version of a file or a directory that this browser stores. */
export interface Stored {
  /** The URL it was synced from. */
  readonly url: string;
  /** The scope it was synced with; undefined if none. */
  readonly scope: string | undefined;
  /** The version: the BLAKE3 hash of its bytes, 64 hex digits. */
  readonly version: string;
  /**
   * Its length in bytes, which is also a file's size on the disk. Of a directory, up to two versions and garbage of the
   * same size are on the disk.
   */
  readonly length: number;
  /** How many files it has, if it is a directory's; undefined for a file. */
  readonly files: number | undefined;
  /** When it was stored, by this machine's clock. */
  readonly stored: Date;
  /** When a sync last found it to be the head, to the hour. */
  readonly used: Date;
  /**
   * Deletes it, after all syncs of its URL. Open handles continue to read it; the bytes are freed when they are closed.
   */
  delete(): Promise<void>;
}

/**
 * The disk space of an origin in bytes, as far as the browser tells, and whether the browser has promised to keep the
 * data. `usage` includes what other code of the origin stores.
 */
export interface Estimate {
  readonly usage: number | undefined;
  readonly quota: number | undefined;
  readonly persisted: boolean;
}

/**
 * Lists the versions of files and directories that a store keeps, the one used last first. The list is empty if the browser denies the page its
 * stores. Rejects if a store fails or does not answer.
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
  if (kind === 'memory') throw new TypeError('a memoryStore() cannot be listed: its versions end with the page');
  const places = storeEntries[kind];
  check(
    places !== undefined && typeof name === 'string',
    'store',
    'a store from browserStore(), opfsStore() or indexedDbStore()',
    store,
  );
  const settled = await Promise.allSettled([...places, storedDirectories].map((entriesOf) => entriesOf(name)));
  const found = settled.flatMap((each) => (each.status === 'fulfilled' ? each.value : []));
  // A browser may forbid one place and allow the other. If it forbids both, nothing is stored.
  const failures = settled.slice(0, places.length).flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  const failure = failures.find((reason) => !(reason instanceof Unavailable) || reason.isSilent);
  if (failure !== undefined && failures.length === places.length) throw failure;
  const kept = found
    .filter((entry): entry is WithHead => entry.head !== undefined)
    .sort((a, b) => b.head.used - a.head.used);
  // Both places have a key if the first one failed for a while.
  const sameKey = ({ key, files }: WithHead) =>
    kept.filter((other) => other.key === key && (other.files === undefined) === (files === undefined));
  return kept.filter((entry) => sameKey(entry)[0] === entry).map((entry) => storedOf(store, sameKey(entry)));
}

/**
 * Asks the browser not to delete the origin's data when the disk is full. Resolves to whether it agrees. Some browsers
 * ask the user. Resolves to `false` on pages that cannot ask, such as pages without https and sandboxed frames.
 *
 * @example
 * if (!(await persist())) console.log('the browser may delete stored versions');
 */
export async function persist(): Promise<boolean> {
  // No time limit: the user may be asked.
  return known(async () => navigator.storage?.persist?.()).then((may) => may ?? false);
}

/**
 * What the browser tells about this origin's storage. It may tell nothing on pages without https, in sandboxed frames
 * and with blocked cookies.
 *
 * @example
 * const { usage, quota } = await estimate();
 */
export async function estimate(): Promise<Estimate> {
  const watch = watching('the storage manager');
  const [found, persisted] = await Promise.all([
    known(() => watch(async () => navigator.storage?.estimate?.())),
    known(() => watch(async () => navigator.storage?.persisted?.())),
  ]);
  return { usage: found?.usage, quota: found?.quota, persisted: persisted ?? false };
}

/** The answer of the browser; undefined if it denies it or does not answer. */
function known<T>(ask: () => Promise<T>): Promise<T | undefined> {
  return ask().catch(() => undefined);
}

type WithHead = Entry & { readonly head: NonNullable<Entry['head']>; readonly files?: number };

/** The entries of one key, the one used last first. */
function storedOf(store: Store, copies: WithHead[]): Stored {
  const [{ key, head, files }] = copies as [WithHead];
  const [url = '', scope] = key.split(/\n(.*)/s);
  return {
    ...{ url, scope, version: head.version, length: head.length, files },
    stored: new Date(head.stored),
    used: new Date(head.used),
    async delete() {
      for (const copy of copies) await copy.delete();
      forgetNote(store, key);
    },
  };
}
