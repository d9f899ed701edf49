/*
 * One sync of a URL at a time, in all tabs. Where there are no Web Locks (pages without https) a queue in this thread orders what its
 * own page does; tabs may then do the same work twice, and one may delete what another reads, which reading notices.
 */
const queues = new Map<string, Promise<unknown>>();
const holders = new Map<string, number>();

/** Not on pages without https, and not in older Nodes. */
const locks = globalThis.navigator?.locks as LockManager | undefined;

/** The lock of who syncs a key into a store, or deletes it there. */
export function syncLock(store: string, key: string): string {
  return `driblet sync ${store} ${key}`;
}

/** Runs `work` while nobody else runs under `name`. An abort ends the waiting, not the work. */
export async function withLock<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  if (locks) return locks.request(name, signal ? { signal } : {}, work);
  const turn = (queues.get(name) ?? Promise.resolve()).then(() => {
    signal?.throwIfAborted();
    return work();
  });
  const done: Promise<void> = turn.then(() => {}, () => {}).then(() => {
    if (queues.get(name) === done) queues.delete(name);
  });
  queues.set(name, done);
  return turn;
}

/** A lock that others may share, held until it is released or this thread ends. */
export interface Hold {
  release(): void;
  renew(): Promise<void>;
}

/** Takes a lock that others may share. */
export async function holdLock(name: string): Promise<Hold> {
  let taking = taken(name);
  await taking;
  // What is not taken yet is given back when it is.
  const release = () => void taking.then((release) => release(), () => {});
  return {
    release,
    async renew() {
      release();
      await (taking = taken(name));
    },
  };
}

function taken(name: string): Promise<() => void> {
  if (!locks) return Promise.resolve(holdHere(name));
  return new Promise((resolve, reject) => {
    const held = () => new Promise<void>((release) => resolve(release));
    locks.request(name, { mode: 'shared' }, held).catch(reject);
  });
}

/** Runs `work` if nobody holds `name` or runs under it. */
export async function lockIfFree<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
  if (locks) return locks.request(name, { ifAvailable: true }, async (lock) => (lock ? work() : undefined));
  return holders.has(name) || queues.has(name) ? undefined : withLock(name, work);
}

function holdHere(name: string): () => void {
  holders.set(name, (holders.get(name) ?? 0) + 1);
  let held = true;
  return () => {
    const left = (holders.get(name) ?? 0) - Number(held);
    held = false;
    if (left === 0) holders.delete(name);
    else holders.set(name, left);
  };
}
