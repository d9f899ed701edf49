/*
 * One sync of a URL at a time, in all tabs. Where there are no Web Locks (pages without https) a queue in this thread orders what its
 * own page does; tabs may then do the same work twice, and one may delete what another reads, which reading notices.
 */
const queues = new Map<string, Promise<unknown>>();
const holders = new Map<string, number>();

/** Runs `work` while nobody else runs under `name`. An abort ends the waiting, not the work. */
export async function withLock<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  if (navigator.locks) return navigator.locks.request(name, { signal }, work);
  const turn = (queues.get(name) ?? Promise.resolve()).then(() => {
    signal.throwIfAborted();
    return work();
  });
  queues.set(name, turn.catch(() => {}));
  return turn;
}

/** A lock that others may share, held until it is released or this thread ends. */
export interface Hold {
  release(): void;
  renew(): Promise<void>;
}

/** Takes a lock that others may share. */
export async function holdLock(name: string): Promise<Hold> {
  let release = await taken(name);
  return {
    release: () => release(),
    async renew() {
      release();
      release = await taken(name);
    },
  };
}

function taken(name: string): Promise<() => void> {
  if (!navigator.locks) return Promise.resolve(holdHere(name));
  return new Promise((resolve, reject) => {
    const held = () => new Promise<void>((release) => resolve(release));
    navigator.locks.request(name, { mode: 'shared' }, held).catch(reject);
  });
}

/** Runs `work` if nobody holds `name`. */
export async function lockIfFree(name: string, work: () => Promise<unknown>): Promise<void> {
  if (!navigator.locks) return holders.has(name) ? undefined : void (await work());
  await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
    if (lock) await work();
  });
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
