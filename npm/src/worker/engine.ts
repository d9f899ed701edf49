import { loadCore } from '../sync/core.js';
import { SyncError, asSyncError, closed } from '../shared/error.js';
import { now } from '../shared/clock.js';
import { exchange } from '../sync/exchange.js';
import { LockSilent, inTurn, syncLock, withLock } from '../shared/lock.js';
import { inMemoryBeside, memorySnapshot } from '../stores/memory.js';
import { storeOpeners } from '../stores/openers.js';
import { abandonment } from '../shared/abandonment.js';
import { RECENTLY, OPEN_TURNS, asUnavailable, watching } from '../shared/watch.js';
import { verifiedReaderOf } from '../sync/verifiedReader.js';
import { run } from '../sync/run.js';
import { storedOutcome } from '../sync/session.js';
import type { Core } from '../sync/core.js';
import type { JobOptions, Port, Prefetched, Progress, Reply, Request, Synced } from '../shared/messages.js';
import type { Unavailable } from '../shared/watch.js';
import type { VerifiedReader } from '../sync/verifiedReader.js';
import type { OpenedStore, Session } from '../sync/session.js';
import type { Held, Lease, Range, Snapshot } from '../stores/store.js';

/*
 * Runs syncs, and keeps what their handles read. Runs in a worker of its own, or in the page's thread if no worker
 * starts.
 */

type Sent = Request<JobOptions, Range | undefined>;
type Received = Reply<Synced, Progress>;

/** A version for which the page has a handle. */
interface OpenHandle {
  readonly lease: Lease;
  readonly job: JobOptions;
  readonly reader: VerifiedReader;
}

const running = new Map<number, AbortController>();
/** The syncs whose first request the page may have made. The page sends the result, or undefined. */
const awaitedPrefetches = new Map<number, (prefetched: Prefetched | undefined) => void>();
const handles = new Map<number, OpenHandle>();
const memory = new Map<string, Snapshot>();
let loading: Promise<Core> | undefined;
let reply: (message: Received, transfer?: Transferable[]) => void;

/** Handles the requests of a port. There is one port for each thread. */
export function serve(port: Port<Sent, Received>): void {
  reply = (message, transfer = []) => port.postMessage(message, { transfer });
  port.onmessage = ({ data }) => receiveRequest(data);
  reply({ kind: 'ready' });
}

function receiveRequest(data: Sent): void {
  if (data.kind === 'sync') {
    const prefetched = data.isPrefetched
      ? new Promise<Prefetched | undefined>((resolve) => awaitedPrefetches.set(data.id, resolve))
      : undefined;
    void answer(data.id, () => runSync(data.id, data.job, prefetched));
  }
  if (data.kind === 'prefetched') {
    awaitedPrefetches.get(data.id)?.(data.prefetched);
    awaitedPrefetches.delete(data.id);
  }
  if (data.kind === 'abort') running.get(data.id)?.abort(new DOMException('the sync was aborted', 'AbortError'));
  if (data.kind === 'read') void answer(data.id, () => read(data.id, data.handle, data.what));
  if (data.kind === 'close') close(data.handle);
  if (data.kind === 'forget') forgetMemoryStore(data.store);
  if (data.kind === 'suspend') suspend(data.isSuspended);
  if (data.kind === 'ping') reply({ kind: 'ready' });
}

async function answer(id: number, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { code, message, cause } = asSyncError('store', 'the store failed', error);
    reply({ kind: 'failed', id, error: { code, message, cause: transferable(cause) } });
  }
}

async function runSync(
  id: number,
  job: JobOptions,
  prefetched: Promise<Prefetched | undefined> | undefined,
): Promise<void> {
  const abort = new AbortController();
  const abandoned = abandonment(abort.signal);
  running.set(id, abort);
  const progress = { written: 0, length: undefined };
  let progressed = () => {};
  const report = () => {
    progressed();
    reply({ kind: 'progress', id, progress: { ...progress, received: exchanged.cost.received } });
  };
  const exchanged = exchange(job, abort, report, prefetched);
  const ready = core(job);
  ready.catch(() => {}); // The session may never need it.
  const {
    store: { kind, name },
    key,
    version: pin,
    maxBytes,
  } = job;
  const next = openerOf(job, abandoned.signal);
  const opening = next(); // Opening needs no lock: it reads nothing.

  /**
   * Syncs into the first place that works. With `noLock`, the reason why there is no lock, new versions stay in memory.
   */
  async function syncIntoFirst(noLock?: string): Promise<void> {
    const writable = (opened: OpenedStore): OpenedStore =>
      noLock === undefined || opened.warning !== undefined ? opened : writingToMemory(opened, job, noLock);
    const instead = async (error: unknown) => {
      const failed = asUnavailable(error);
      return failed && writable(await next(failed));
    };
    let opened: OpenedStore | undefined = writable(await opening);
    while (opened) {
      const { snapshot, warning } = opened;
      if (warning === undefined && kind !== 'memory') memory.delete(memoryName(job)); // The store works again.
      try {
        return await syncAlone(id, job, opened, {
          core: ready,
          snapshot,
          instead,
          borrowed: () => borrowed(job, abandoned.signal),
          exchange: exchanged,
          signal: abort.signal,
          pin,
          maxBytes,
          progress,
          report,
        });
      } catch (error) {
        opened = await instead(error);
        if (!opened) throw error;
      }
    }
  }

  const lock = syncLock(name, key);
  const here = (noLock?: string) => inTurn(lock, () => abandoned.race(syncIntoFirst(noLock)), abort.signal);
  const inAllTabs = (onProgress: () => void) => {
    progressed = onProgress;
    return abandoned.race(syncIntoFirst());
  };
  try {
    if (kind === 'memory') await here();
    else
      await withLock(lock, inAllTabs, abort.signal).catch((error) =>
        error instanceof LockSilent ? here(error.message) : Promise.reject(error),
      );
  } finally {
    abandoned.end();
    exchanged.close();
    running.delete(id);
  }
}

async function syncAlone(
  id: number,
  job: JobOptions,
  { warning: fallback }: OpenedStore,
  session: Session,
): Promise<void> {
  const { snapshot, exchange } = session;
  const opened = now();
  try {
    const { lease, basis, reused } = await (job.storedOnly ? storedOutcome(session) : run(session));
    handles.set(id, { lease, job, reader: verifiedReaderOf(lease, () => core(job)) });
    const { version, length, verified } = lease;
    const warning = lease.warning ?? (lease.isInStore ? undefined : fallback);
    const synced = {
      handle: id,
      version,
      length,
      warning,
      cost: { ...exchange.cost, basis, reused },
      opened,
      answered: exchange.answered,
      verified,
    };
    reply({ kind: 'synced', id, synced }, verified ? [verified] : []);
    const failed = await lease.store?.();
    if (verified) reply({ kind: 'stored', id, warning: failed ?? warning });
  } finally {
    await snapshot.tidy().catch(() => {}); // The next sync deletes what is left over.
  }
}

async function read(id: number, handle: number, range: Range | undefined): Promise<void> {
  const entry = handles.get(handle);
  if (!entry) throw closed();
  const { lease, job, reader } = entry;
  const content = await (range ? reader.range(range) : reader.blob());
  if (!content) {
    await withLock(syncLock(job.store.name, job.key), () => drop(job, lease));
    throw new SyncError('store', 'the stored bytes were changed or removed; sync again to fetch them anew');
  }
  reply({ kind: 'read', id, content }, content instanceof ArrayBuffer ? [content] : []);
}

async function drop(job: JobOptions, { version }: Lease): Promise<void> {
  const { snapshot } = await openerOf(job)();
  const held = await snapshot.held();
  held?.close();
  if (!held || held.version === version) await snapshot.drop();
}

function close(handle: number): void {
  handles.get(handle)?.lease.release();
  handles.delete(handle);
}

/** A suspended page holds no locks. Browsers do not keep pages with locks in the back/forward cache. */
function suspend(isSuspended: boolean): void {
  for (const { lease } of handles.values()) {
    if (isSuspended) lease.release();
    else lease.renew?.().catch(() => {}); // Reading tells whether the version is still there.
  }
}

/** Places that opened and were then denied, or that were silent recently. */
const failing = new Map<string, { failed: Unavailable; until: number }>();

/**
 * Returns a function that opens a job's store at the first place that works. Called again with the reason for a
 * failure, it opens the next place.
 */
function openerOf(job: JobOptions, signal?: AbortSignal): (failed?: Unavailable) => Promise<OpenedStore> {
  const {
    store: { kind, name },
    key,
    openers = storeOpeners[kind] ?? [],
    noStore,
  } = job;
  const left = noStore === undefined ? [...openers] : [];
  const reasons = noStore === undefined ? [] : [noStore];
  let last = '';
  return async (failed) => {
    if (failed) {
      reasons.push(failed.message);
      failing.set(last, { failed, until: failed.isSilent ? now() + RECENTLY : Infinity });
    }
    for (let opener = left.shift(); opener; opener = left.shift()) {
      const { part, open } = opener;
      last = `${part} ${name}`;
      try {
        const known = failing.get(last);
        if (known && now() < known.until) throw known.failed;
        return { snapshot: await watching(part, signal, OPEN_TURNS)(() => open(name, key, watching(part, signal))) };
      } catch (error) {
        reasons.push(error instanceof Error ? error.message : String(error));
      }
    }
    if (kind === 'memory') return { snapshot: inMemory(`${name} ${key}`) };
    return { snapshot: inMemory(memoryName(job)), warning: `the version is in memory only: ${reasons.join('; ')}` };
  };
}

/** Opens the version of the job's basis. Undefined if there is none, or if it cannot be read. */
async function borrowed(job: JobOptions, signal: AbortSignal): Promise<Held | undefined> {
  if (!job.basis) return undefined;
  try {
    const { snapshot } = await openerOf({ ...job, key: job.basis.key }, signal)();
    const lease = await snapshot.borrow();
    const held = await lease?.held();
    const close = () => {
      held?.close();
      lease?.release();
    };
    if (held) return { ...held, isBorrowed: true, close };
    close();
  } catch {
    // The sync does without it.
  }
  return undefined;
}

/** Reads from the store, and writes to memory. */
function writingToMemory({ snapshot }: OpenedStore, job: JobOptions, reason: string): OpenedStore {
  return {
    snapshot: inMemoryBeside(snapshot, inMemory(memoryName(job))),
    warning: `new versions are in memory only: ${reason}`,
  };
}

/** The name of the snapshot in memory that replaces a store. */
function memoryName({ store: { kind, name }, key }: JobOptions): string {
  return `${kind} ${name} ${key}`;
}

/** Loads the wasm module once. If that fails, the next sync tries again. */
function core({ wasmUrl }: JobOptions): Promise<Core> {
  loading ??= loadCore(wasmUrl).catch((error) => {
    loading = undefined;
    if (/content security policy/i.test(String(error)))
      throw asSyncError(
        'protocol',
        "the page's content security policy must allow script-src 'wasm-unsafe-eval'",
        error,
      );
    throw new SyncError(
      'network',
      `the wasm module did not load (sync again): ${error instanceof Error ? error.message : error}`,
      { cause: error },
    );
  });
  return loading;
}

/** Frees a memory store that is no longer reachable. */
function forgetMemoryStore(store: string): void {
  for (const name of memory.keys()) if (name.startsWith(`${store} `)) memory.delete(name);
}

function inMemory(name: string): Snapshot {
  const snapshot = memory.get(name) ?? memorySnapshot();
  memory.set(name, snapshot);
  return snapshot;
}

/** An error's cause, in a form that can be sent to the page. */
function transferable(cause: unknown): unknown {
  if (!(cause instanceof Error)) return typeof cause === 'object' ? undefined : cause;
  return cause;
}
