/*
 * One sync of a URL at a time, in all tabs. Where there are no Web Locks (pages without https) there is no store that tabs share either,
 * and a queue in this worker does.
 */
const queues = new Map<string, Promise<unknown>>();

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

/** Takes a lock that others may share, until the function it gives is called or this worker ends. */
export function holdLock(name: string): Promise<() => void> {
  if (!navigator.locks) return Promise.resolve(() => {});
  return new Promise((resolve, reject) => {
    const held = () => new Promise<void>((release) => resolve(release));
    navigator.locks.request(name, { mode: 'shared' }, held).catch(reject);
  });
}

/** Runs `work` if nobody holds `name`. */
export async function lockIfFree(name: string, work: () => Promise<unknown>): Promise<void> {
  if (!navigator.locks) return void (await work());
  await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
    if (lock) await work();
  });
}
