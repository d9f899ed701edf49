import { loadCodecs, loadCore } from '../sync/core.js';
import { handle, syncAlone } from '../shared/engine.js';
import { SyncError, closed } from '../shared/error.js';
import { now } from '../shared/clock.js';
import { exchange } from '../sync/exchange.js';
import { syncLock, withLock } from '../shared/lock.js';
import { inMemoryBeside, memorySnapshot } from '../stores/memory.js';
import { storeOpeners } from '../stores/openers.js';
import { abandonment } from '../shared/abandonment.js';
import { places } from '../shared/places.js';
import { asUnavailable } from '../shared/watch.js';
import { verifiedReaderOf } from '../sync/verifiedReader.js';
import { run } from '../sync/run.js';
import { storedOutcome } from '../sync/session.js';
import type { JobOptions, Port, Prefetched, Progress, Reply, Request, Synced } from '../shared/messages.js';
import type { Unavailable } from '../shared/watch.js';
import type { VerifiedReader } from '../sync/verifiedReader.js';
import type { OpenedStore, Session } from '../sync/session.js';
import type { Held, Lease, Range, Snapshot } from '../stores/store.js';

/*
 * Runs syncs, and keeps what their handles read. Runs in a worker of its own, or in the page's thread if no worker
 * starts.
 */

type Received = Reply<Synced, Progress>;

/** A version for which the page has a handle. */
interface OpenHandle {
  readonly lease: Lease;
  readonly job: JobOptions;
  readonly reader: VerifiedReader;
}

const handles = new Map<number, OpenHandle>();
const memory = new Map<string, Snapshot>();
let reply: (message: Received, transfer?: Transferable[]) => void;

/** Handles the requests of a port. */
export function serve(port: Port<Request<JobOptions, Range | undefined>, Received>): void {
  reply = handle(port, { sync: runSync, read, close, forget: forgetMemoryStore, suspend });
}

async function runSync(
  id: number,
  job: JobOptions,
  abort: AbortController,
  prefetched: Promise<Prefetched | undefined> | undefined,
): Promise<void> {
  const abandoned = abandonment(abort.signal);
  const progress = { written: 0, length: undefined };
  let progressed = () => {};
  const report = () => {
    progressed();
    reply({ kind: 'progress', id, progress: { ...progress, received: exchanged.cost.received } });
  };
  const exchanged = exchange(job, abort, report, prefetched);
  const ready = loadCore(job.wasmUrl);
  ready.catch(() => {}); // The session may never need it.
  const {
    store: { kind },
    version: pin,
    maxBytes,
  } = job;
  const next = openerOf(job, abandoned.signal);
  const opening = next(); // Opening needs no lock: it reads nothing.

  /**
   * Syncs into the first place that works. With `noLock`, the reason why there is no lock, new versions stay in memory.
   */
  async function syncIntoFirst(onProgress: () => void, noLock?: string): Promise<void> {
    progressed = onProgress;
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
        return await syncInto(id, job, opened, {
          core: ready,
          allCodecs: () => loadCodecs(job.codecsWasmUrl),
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

  try {
    await syncAlone(job, abort.signal, abandoned, syncIntoFirst);
  } finally {
    abandoned.end();
    exchanged.close();
  }
}

async function syncInto(
  id: number,
  job: JobOptions,
  { warning: fallback }: OpenedStore,
  session: Session,
): Promise<void> {
  const { snapshot, exchange } = session;
  const opened = now();
  try {
    const { lease, basis, reused } = await (job.storedOnly ? storedOutcome(session) : run(session));
    handles.set(id, { lease, job, reader: verifiedReaderOf(lease, () => loadCore(job.wasmUrl)) });
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
      link: exchange.link,
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
  const { next, reasons } = places(openers, name, noStore, signal, (open, watch) => open(name, key, watch));
  return async (failed) => {
    const snapshot = await next(failed);
    if (snapshot) return { snapshot };
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

/** Frees a memory store that is no longer reachable. */
function forgetMemoryStore(store: string): void {
  for (const name of memory.keys()) if (name.startsWith(`${store} `)) memory.delete(name);
}

function inMemory(name: string): Snapshot {
  const snapshot = memory.get(name) ?? memorySnapshot();
  memory.set(name, snapshot);
  return snapshot;
}
