import { isQuota } from './access.js';
import { lockIfFree, syncLock, withLock } from '../shared/lock.js';
import type { VersionInfo } from './version.js';

/** What a store keeps under one key, as code that lists or deletes it sees it. */
export interface Entry {
  readonly key: string;
  /** The head; undefined if no sync has finished. */
  readonly head: (VersionInfo & HeadTimes) | undefined;
  /** Deletes the entry unless a sync or a handle uses it. Returns whether it did. */
  evict(): Promise<boolean>;
  /** Deletes the entry after all syncs of it. Open handles continue to read it. */
  delete(): Promise<void>;
}

/**
 * When a head was stored and when it was last used, in milliseconds since 1970 by this machine's clock. Uses are
 * recorded to the hour.
 */
export interface HeadTimes {
  readonly stored: number;
  readonly used: number;
}

/** A head as a store records it: the version, the name of the file with its bytes, and its times. */
export interface StoredHead extends VersionInfo, HeadTimes {
  readonly file: string;
}

/** The times of a head that is stored now. */
export function headTimesNow(): HeadTimes {
  const now = Date.now();
  return { stored: now, used: now };
}

/** How exactly uses are recorded: each record is a write. */
const HOUR = 3_600_000;

/** Whether to record a use now: the recorded one is an hour old, or in the future because the clock was set back. */
export function isWorthNoting(used: number): boolean {
  return HOUR <= Math.abs(Date.now() - used);
}

/**
 * Creates an entry of a store. `remove` deletes its head, then its files that nobody reads. Readers of the head hold
 * `lock`.
 */
export function entryOf(
  store: string,
  key: string,
  head: Entry['head'],
  lock: string | undefined,
  remove: () => Promise<void>,
): Entry {
  const isFree = async () => lock === undefined || lockIfFree(lock, async () => true);
  return {
    key,
    head,
    async evict() {
      const evicted = await lockIfFree(syncLock(store, key), async () => {
        if (!(await isFree())) return false;
        await remove();
        return true;
      });
      return evicted === true;
    },
    delete: () => withLock(syncLock(store, key), remove),
  };
}

/**
 * Returns a function that makes room for a version of a key, a little with each call. It deletes the key's own
 * leftovers first, then entries of other keys that nobody uses, the one used longest ago first. It returns `false` if
 * there is nothing left to delete. Whether a version can fit at all is not known in advance: browsers do not tell their
 * quota exactly.
 */
export function roomFor(
  key: string,
  tidy: () => Promise<boolean>,
  entries: () => Promise<Entry[]>,
): () => Promise<boolean> {
  let left: Entry[] | undefined;
  return async () => {
    if (!left) {
      left = (await entries())
        .filter((entry) => entry.key !== key)
        .sort((a, b) => (a.head?.used ?? 0) - (b.head?.used ?? 0));
      if (await tidy()) return true;
    }
    for (let next = left.shift(); next; next = left.shift()) {
      if (await next.evict()) return true;
    }
    return false;
  };
}

/** Runs a write. If the disk is full, makes room and runs it again. Undefined if no more room can be made. */
export async function withRoom<T>(
  makeRoom: () => Promise<boolean>,
  write: () => Promise<T> | T,
): Promise<T | undefined> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (!isQuota(error)) throw error;
      if (!(await makeRoom())) return undefined;
    }
  }
}
