import { isQuota } from './access.js';
import { lockIfFree, syncLock, withLock } from '../shared/lock.js';
import type { Version } from './store.js';

/** What a store keeps under one key, as those see it who tidy up. */
export interface Entry {
  readonly key: string;
  /** The head, if it has one: a sync that never came to its end leaves none. */
  readonly head: (Version & HeadTimes) | undefined;
  /** Deletes all of it, unless somebody syncs or reads it now; whether it did. */
  evict(): Promise<boolean>;
  /** Deletes it when no sync of it runs any more; what a handle reads goes with the handle. */
  delete(): Promise<void>;
}

/** When a head came and when it was last asked for, in milliseconds since 1970 by this machine's clock; the latter to the hour. */
export interface HeadTimes {
  readonly stored: number;
  readonly used: number;
}

/** Those of a head that comes now. */
export function headTimesNow(): HeadTimes {
  const now = Date.now();
  return { stored: now, used: now };
}

/** How exactly uses are noted: each note is a write. */
const HOUR = 3_600_000;

/** Whether a use now is worth noting; also where the clock was set back. */
export function isWorthNoting(used: number): boolean {
  return HOUR <= Math.abs(Date.now() - used);
}

/** An entry of a store; `remove` deletes its head, then its files that nobody reads, and `lock` is held by who reads the head. */
export function entryOf(store: string, key: string, head: Entry['head'], lock: string | undefined, remove: () => Promise<void>): Entry {
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
 * Makes room for a version of a key, a little each time it is called: first by its own leftovers, then by other keys' entries that nobody
 * uses, from the one used longest ago on. `false` where there is nothing left to delete. What would not fit into the quota at all is not known
 * beforehand, for browsers do not tell their quota exactly.
 */
export function roomFor(key: string, tidy: () => Promise<boolean>, entries: () => Promise<Entry[]>): () => Promise<boolean> {
  let left: Entry[] | undefined;
  return async () => {
    if (!left) {
      left = (await entries()).filter((entry) => entry.key !== key).sort((a, b) => (a.head?.used ?? 0) - (b.head?.used ?? 0));
      if (await tidy()) return true;
    }
    for (let next = left.shift(); next; next = left.shift()) {
      if (await next.evict()) return true;
    }
    return false;
  };
}

/** Runs what writes; where the disk is full, again once there is more room. Nothing where no more can be made. */
export async function withRoom<T>(makeRoom: () => Promise<boolean>, write: () => Promise<T> | T): Promise<T | undefined> {
  for (;;) {
    try {
      return await write();
    } catch (error) {
      if (!isQuota(error)) throw error;
      if (!(await makeRoom())) return undefined;
    }
  }
}
