import { directoryCore } from './core.js';
import { makeRoomIn, tidyDirectory } from './garbage.js';
import { readerOf } from './reading.js';
import { runDirectory, storedDirectory } from './run.js';
import { forgetMemory, openerOf } from './opening.js';
import { handle, syncAlone } from '../shared/engine.js';
import { closed } from '../shared/error.js';
import { now } from '../shared/clock.js';
import { exchange } from '../sync/exchange.js';
import { abandonment } from '../shared/abandonment.js';
import { directoryEntries } from '../stores/directories/entries.js';
import { roomFor } from '../stores/entries.js';
import { inMemoryBeside } from '../stores/directories/memory.js';
import { recordsOf } from '../stores/directories/holdings.js';
import { NoRoom } from '../stores/directories/store.js';
import { asUnavailable } from '../shared/watch.js';
import type { Port, Prefetched, Reply, Request } from '../shared/messages.js';
import type { DirectoryJob, DirectoryProgress, FileRead, SyncedDirectory } from './messages.js';
import type { OpenedDirectories } from './opening.js';
import type { DirectoryReader } from './reading.js';
import type { Exchange } from '../sync/exchange.js';

/* Runs syncs of directories, and reads their files. The worker's side of `Directory`. */

type Received = Reply<SyncedDirectory, DirectoryProgress>;

/** The least time between two reports of progress, in milliseconds. */
const REPORTED = 16;

const handles = new Map<number, DirectoryReader>();
let reply: (message: Received, transfer?: Transferable[]) => void;

/** Handles the requests of a port. */
export function serve(port: Port<Request<DirectoryJob, FileRead>, Received>): void {
  reply = handle(port, { sync: runSync, read, close, forget: forgetMemory, suspend });
}

async function runSync(
  id: number,
  job: DirectoryJob,
  abort: AbortController,
  prefetched: Promise<Prefetched | undefined> | undefined,
): Promise<void> {
  const requests = new AbortController();
  abort.signal.addEventListener('abort', () => requests.abort(abort.signal.reason));
  const abandoned = abandonment(abort.signal);
  const progress: DirectoryProgress = { received: 0, files: 0, totalFiles: undefined, written: 0, length: undefined };
  let progressed = () => {};
  let reported = -Infinity;
  const report = () => {
    progressed();
    progress.received = exchanged.cost.received;
    // A message for each of thousands of files would take longer than to write them.
    const isAll = progress.files === progress.totalFiles;
    if (!isAll && now() - reported < REPORTED) return;
    reported = now();
    reply({ kind: 'progress', id, progress });
  };
  const exchanged = exchange(job, requests, report, prefetched);
  const core = directoryCore(job.wasmUrl);
  core.catch(() => {}); // Who waits for it gets the error.
  const next = openerOf(job, abandoned.signal);

  /** Syncs into the first place that works. With `noLock`, the reason why there is no lock, writes go to memory. */
  async function syncIntoFirst(onProgress: () => void, noLock?: string): Promise<void> {
    progressed = onProgress;
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

  try {
    await syncAlone(job, abort.signal, abandoned, syncIntoFirst);
  } finally {
    abandoned.end();
    requests.abort(); // Ends answers that nobody reads.
    exchanged.close();
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
  const { reused, ...stored } = await (job.storedOnly ? storedDirectory(session) : runDirectory(session));
  const { version } = stored;
  const reader = await readerOf(store, key, core, stored);
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
