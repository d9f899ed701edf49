import { directoryCore } from './core.js';
import { makeRoomIn, tidyDirectory } from './garbage.js';
import { openVersion } from './reading.js';
import { runDirectory } from './run.js';
import { openerOf } from './opening.js';
import { SyncError, asSyncError, closed } from '../shared/error.js';
import { now } from '../shared/clock.js';
import { LockSilent, inTurn, syncLock, withLock } from '../shared/lock.js';
import { exchange } from '../sync/exchange.js';
import { abandonment } from '../shared/abandonment.js';
import { directoryEntries } from '../stores/directories/entries.js';
import { roomFor } from '../stores/entries.js';
import { inMemoryBeside } from '../stores/directories/memory.js';
import { recordsOf } from '../stores/directories/holdings.js';
import { NoRoom } from '../stores/directories/store.js';
import { asUnavailable } from '../shared/watch.js';
import { forgetMemory } from './opening.js';
import type { Port, Reply, Request } from '../shared/messages.js';
import type { DirectoryJob, DirectoryProgress, FileRead, SyncedDirectory } from './messages.js';
import type { OpenedDirectories } from './opening.js';
import type { DirectoryReader } from './reading.js';
import type { Exchange } from '../sync/exchange.js';

/* Runs syncs of directories, and reads their files. The worker's side of `Directory`. */

type Sent = Request<DirectoryJob, FileRead>;
type Received = Reply<SyncedDirectory, DirectoryProgress>;

const running = new Map<number, AbortController>();
const handles = new Map<number, DirectoryReader>();
let reply: (message: Received, transfer?: Transferable[]) => void;

/** Handles the requests of a port. There is one port for each thread. */
export function serve(port: Port<Sent, Received>): void {
  reply = (message, transfer = []) => port.postMessage(message, { transfer });
  port.onmessage = ({ data }) => receiveRequest(data);
  reply({ kind: 'ready' });
}

function receiveRequest(data: Sent): void {
  if (data.kind === 'sync') void answer(data.id, () => runSync(data.id, data.job));
  if (data.kind === 'abort') running.get(data.id)?.abort(new DOMException('the sync was aborted', 'AbortError'));
  if (data.kind === 'read') void answer(data.id, () => read(data.id, data.handle, data.what));
  if (data.kind === 'close') close(data.handle);
  if (data.kind === 'forget') forgetMemory(data.store);
  if (data.kind === 'suspend') suspend(data.isSuspended);
  if (data.kind === 'ping') reply({ kind: 'ready' });
}

async function answer(id: number, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { code, message, cause } = asSyncError('store', 'the store failed', error);
    const sent = cause instanceof Error || typeof cause !== 'object' ? cause : undefined;
    reply({ kind: 'failed', id, error: { code, message, cause: sent } });
  }
}

async function runSync(id: number, job: DirectoryJob): Promise<void> {
  const abort = new AbortController();
  const requests = new AbortController();
  abort.signal.addEventListener('abort', () => requests.abort(abort.signal.reason));
  const abandoned = abandonment(abort.signal);
  running.set(id, abort);
  const progress: DirectoryProgress = { received: 0, files: 0, totalFiles: undefined, written: 0, length: undefined };
  let progressed = () => {};
  const report = () => {
    progressed();
    progress.received = exchanged.cost.received;
    reply({ kind: 'progress', id, progress });
  };
  const exchanged = exchange(job, requests, report);
  const core = directoryCore(job.wasmUrl);
  core.catch(() => {}); // Who waits for it gets the error.
  const next = openerOf(job, abandoned.signal);
  const { name, kind } = { ...job.store };

  /** Syncs into the first place that works. With `noLock`, the reason why there is no lock, writes go to memory. */
  async function syncIntoFirst(noLock?: string): Promise<void> {
    let opened = await next();
    if (noLock !== undefined) opened = writingToMemory(opened, `new versions are in memory only: ${noLock}`);
    for (;;) {
      try {
        return await syncInto(id, job, opened, { exchanged, requests, progress, report });
      } catch (error) {
        const denied = asUnavailable(error);
        if (error instanceof NoRoom) opened = writingToMemory(opened, error.message);
        else if (denied) opened = await next(denied);
        else throw error;
      }
    }
  }

  const lock = syncLock(name, job.key);
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
    requests.abort(); // Ends answers that nobody reads.
    exchanged.close();
    running.delete(id);
  }
}

interface Running {
  readonly exchanged: Exchange;
  readonly requests: AbortController;
  readonly progress: DirectoryProgress;
  report(): void;
}

async function syncInto(
  id: number,
  job: DirectoryJob,
  { store, warning }: OpenedDirectories,
  { exchanged, requests, progress, report }: Running,
): Promise<void> {
  const opened = now();
  const { key, version: pin, maxBytes, maxFiles } = job;
  const core = await directoryCore(job.wasmUrl);
  const makeRoom = roomFor(
    key,
    () => makeRoomIn(store, key, core),
    async () => [...(await directoryEntries(store)), ...((await store.filesBeside?.()) ?? [])],
  );
  const session = {
    ...{ core, store, key, makeRoom, pin, maxBytes, maxFiles, progress, report },
    ...{ records: recordsOf(store.records, key, makeRoom), exchange: exchanged, signal: requests.signal },
  };
  const { version, reused } = await runDirectory(session);
  const reader = await openVersion(store, key, version, Promise.resolve(core));
  if (!reader) throw new SyncError('store', 'the directory was removed while it was stored; sync again');
  handles.set(id, reader);
  const { paths, lengths } = reader.listing;
  const synced: SyncedDirectory = {
    ...{ handle: id, version, paths, lengths, warning, opened },
    ...{ cost: { ...exchanged.cost, reused }, answered: exchanged.answered },
  };
  reply({ kind: 'synced', id, synced });
  await tidyDirectory(store, key, core).catch(() => {}); // The next sync deletes what is left over.
}

function writingToMemory({ store, warning }: OpenedDirectories, reason: string): OpenedDirectories {
  return warning === undefined ? { store: inMemoryBeside(store), warning: reason } : { store, warning };
}

async function read(id: number, handle: number, { index, isWhole }: FileRead): Promise<void> {
  const reader = handles.get(handle);
  if (!reader) throw closed();
  const content = await reader.read(index, isWhole);
  if (content instanceof Blob) reply({ kind: 'read', id, content });
  else reply({ kind: 'read', id, content: content.buffer }, [content.buffer]);
}

function close(handle: number): void {
  handles.get(handle)?.release();
  handles.delete(handle);
}

/** A suspended page holds no locks. Browsers do not keep pages with locks in the back/forward cache. */
function suspend(isSuspended: boolean): void {
  for (const reader of handles.values()) {
    if (isSuspended) reader.release();
    else reader.renew().catch(() => {}); // Reading tells whether the files are still there.
  }
}
