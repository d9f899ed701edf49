import { TURN, Unavailable, CALL_TURNS, watching } from './watch.js';

/*
 * One sync of a URL at a time, in all tabs. Where there are no Web Locks (pages without https) or they are denied (sandboxed frames, blocked
 * cookies) a queue in this thread orders what its own page does; tabs may then do the same work twice, and one may delete what another
 * reads, which reading notices.
 *
 * A tab may hold a lock and do nothing, for it is frozen or hangs. So a thread that waits asks each second whether the holder works, and a
 * holder that works answers. They open a channel for that where a lock is held or waited for for longer than a second.
 */
const queues = new Map<string, Promise<unknown>>();
const holders = new Map<string, number>();

/** How long a holder's work may show no progress, in milliseconds: a server takes its time, and a long file is read through before it is described. */
const STUCK = 120_000;

/** Another thread holds a lock, and does nothing. */
export class LockSilent extends Unavailable {}

/** The lock of who syncs a key into a store, or deletes it there. */
export function syncLock(store: string, key: string): string {
  return `driblet sync ${store} ${key}`;
}

/**
 * Runs `work` while nobody else runs under `name`; `work` says each time that it made progress. An abort ends the waiting, not the work.
 * Rejects with a {@link LockSilent} where another thread holds the lock and does nothing.
 */
export async function withLock<T>(name: string, work: (progressed: () => void) => Promise<T>, signal?: AbortSignal): Promise<T> {
  let progress: number | undefined;
  const progressed = () => {
    progress = performance.now();
  };
  const waiting = new AbortController();
  const stop = signsOfLife(name, () => progress, (reason) => waiting.abort(reason));
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

/** Runs `work` when what came before it under `name` in this thread is done. An abort ends the waiting, not the work. */
export async function inTurn<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
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
  const release = () => void taking.then((release) => release());
  return {
    release,
    async renew() {
      release();
      await (taking = taken(name));
    },
  };
}

/** Nobody has such a lock to himself for long. Where it does not come, reading tells whether the version is there. */
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

/** Gives a lock back; settles when others can have it. */
type Release = () => Promise<void>;

const NO_LOCKS = 'no locks';

/** Whether this thread was denied a lock. */
let isDenied = false;

/** Takes a lock; nothing where it is not free and was to be. An abort ends the waiting, whether the browser hears of it or not. */
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
        return new Promise<void>((end) => resolve(() => (end(), ended)));
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

/** Takes a lock that nobody has for long. */
function promptly(name: string, options: LockOptions): ReturnType<typeof acquire> {
  const late = (release: Awaited<ReturnType<typeof acquire>>) => void (typeof release === 'function' && release());
  return lockManager(() => acquire(name, options), late);
}

/** Asks whether the holder of a lock works as long as `progress` says nothing, and ends the waiting where it does not; answers from then on. */
function signsOfLife(name: string, progress: () => number | undefined, endWaiting: (reason: LockSilent) => void): () => void {
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
      return undefined; // It is denied: nobody hears of the other.
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
