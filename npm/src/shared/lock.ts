import { TURN, Unavailable, CALL_TURNS, watching } from './watch.js';

/*
 * Runs one sync of a URL at a time, across all tabs. Some pages have no Web Locks (pages without https) or are denied
 * them (sandboxed frames, blocked cookies). There, a queue in this thread orders the page's own work. Two tabs may then
 * do the same work, and one may delete what another reads; reading notices that.
 *
 * A tab may hold a lock and do nothing, because it is frozen or hangs. A thread that waits for a lock asks every second
 * whether the holder works, and a holder that makes progress answers. Threads that hold a lock, or wait for one, for
 * longer than a second open a channel for this.
 */
const queues = new Map<string, Promise<unknown>>();
const holders = new Map<string, number>();

/**
 * How long a holder may make no progress and still answer, in milliseconds. Servers take time to answer, and a long file
 * is read whole before its signature is sent.
 */
const STUCK = 120_000;

/** Another thread holds a lock and makes no progress. */
export class LockSilent extends Unavailable {}

/** The lock for syncing a key into a store, and for deleting it there. */
export function syncLock(store: string, key: string): string {
  return `driblet sync ${store} ${key}`;
}

/**
 * Runs `work` while nobody else runs under `name`. `work` calls its argument each time it makes progress. An abort ends
 * the waiting, not the work. Rejects with a {@link LockSilent} if another thread holds the lock and makes no progress.
 */
export async function withLock<T>(
  name: string,
  work: (progressed: () => void) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  let progress: number | undefined;
  const progressed = () => {
    progress = performance.now();
  };
  const waiting = new AbortController();
  const stop = signsOfLife(
    name,
    () => progress,
    (reason) => waiting.abort(reason),
  );
  const abort = () => waiting.abort(signal?.reason);
  signal?.addEventListener('abort', abort);
  try {
    const release = await acquire(name, { signal: waiting.signal });
    if (release === NO_LOCKS) {
      stop();
      return await inTurn(name, () => work(progressed), signal);
    }
    progressed();
    try {
      return await work(progressed);
    } finally {
      await release?.();
    }
  } finally {
    stop();
    signal?.removeEventListener('abort', abort);
  }
}

/** Runs `work` after all earlier work under `name` in this thread. An abort ends the waiting, not the work. */
export async function inTurn<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const turn = (queues.get(name) ?? Promise.resolve()).then(() => {
    signal?.throwIfAborted();
    return work();
  });
  const done: Promise<void> = turn
    .then(
      () => {},
      () => {},
    )
    .then(() => {
      if (queues.get(name) === done) queues.delete(name);
    });
  queues.set(name, done);
  return turn;
}

/** A shared lock, held until it is released or this thread ends. */
export interface Hold {
  release(): void;
  renew(): Promise<void>;
}

/** Takes a shared lock. */
export async function holdLock(name: string): Promise<Hold> {
  let taking = taken(name);
  await taking;
  // A lock that is still being taken is released as soon as it is taken.
  const release = () => void taking.then((release) => release());
  return {
    release,
    async renew() {
      release();
      await (taking = taken(name));
    },
  };
}

/**
 * Nobody holds such a lock exclusively for long. If it is not granted, reading tells whether the version is still
 * there.
 */
async function taken(name: string): Promise<() => void> {
  const release = await promptly(name, { mode: 'shared' }).catch(() => undefined);
  return typeof release === 'function' ? release : holdHere(name);
}

/** Runs `work` if nobody holds `name` or runs under it. */
export async function lockIfFree<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
  const release = await promptly(name, { ifAvailable: true }).catch(() => undefined);
  if (release === NO_LOCKS) return holders.has(name) || queues.has(name) ? undefined : inTurn(name, work);
  try {
    return release && (await work());
  } finally {
    await release?.();
  }
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

/** Releases a lock; resolves when others can take it. */
type Release = () => Promise<void>;

const NO_LOCKS = 'no locks';

/** Whether the browser denied this thread a lock. */
let isDenied = false;

/**
 * Takes a lock; undefined if `ifAvailable` is set and it is not free. An abort ends the waiting, even if the browser
 * ignores it.
 */
async function acquire(name: string, options: LockOptions): Promise<Release | typeof NO_LOCKS | undefined> {
  const { signal } = options;
  signal?.throwIfAborted();
  try {
    const locks = isDenied ? undefined : (globalThis.navigator?.locks as LockManager | undefined);
    if (!locks) return NO_LOCKS;
    return await new Promise<Release | undefined>((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason));
      const held = (lock: Lock | null) => {
        if (!lock || signal?.aborted) return resolve(undefined);
        return new Promise<void>((end) => {
          resolve(() => {
            end();
            return ended;
          });
        });
      };
      const ended: Promise<void> = locks.request(name, options, held).then(() => {}, reject);
    });
  } catch {
    signal?.throwIfAborted();
    isDenied = true;
    return NO_LOCKS;
  }
}

const lockManager = watching('the lock manager');

/** Takes a lock that nobody holds for long. */
function promptly(name: string, options: LockOptions): ReturnType<typeof acquire> {
  const late = (release: Awaited<ReturnType<typeof acquire>>) => void (typeof release === 'function' && release());
  return lockManager(() => acquire(name, options), late);
}

/**
 * While `progress` returns nothing, asks whether the holder of a lock makes progress, and ends the waiting if it does
 * not. Afterwards, answers others that ask. Returns a function that stops this.
 */
function signsOfLife(
  name: string,
  progress: () => number | undefined,
  endWaiting: (reason: LockSilent) => void,
): () => void {
  let silence = 0;
  let channel: BroadcastChannel | undefined;

  function open(): BroadcastChannel | undefined {
    try {
      const opened = new BroadcastChannel(name);
      opened.onmessage = ({ data }) => {
        const since = progress();
        if (data !== ASKS) silence = 0;
        else if (since !== undefined && performance.now() < since + STUCK) opened.postMessage(WORKS);
      };
      return opened;
    } catch {
      return undefined; // Denied: other threads cannot ask this one.
    }
  }

  const turns = setInterval(() => {
    channel ??= open();
    if (progress() !== undefined) return;
    silence += 1;
    if (silence < CALL_TURNS) channel?.postMessage(ASKS);
    else endWaiting(new LockSilent('another page holds the lock for this URL and does nothing', true));
  }, TURN);
  return () => {
    clearInterval(turns);
    channel?.close();
  };
}

const ASKS = 'does the holder work?';
const WORKS = 'it does';
