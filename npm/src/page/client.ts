import { SyncError, closed } from '../shared/error.js';
import { CALL_TURNS, CLEANUP_TURNS, within } from '../shared/watch.js';
import { settingsInUse } from './configure.js';
import { onAbort } from './signals.js';
import type { SyncErrorCode } from '../shared/error.js';
import type { Port, Prefetched, Reply, Request } from '../shared/messages.js';

/*
 * The page's side of an engine: numbers requests, and hands each reply to its caller. The engine runs in a worker. It
 * runs in this thread where no worker starts, for example under some content security policies. There are two engines:
 * for files, and for directories.
 */

/** What the page does while a sync runs. */
export interface SyncWaiting<Progress> {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** The members of a job that the page's side uses. */
interface AnyJob {
  readonly noStore?: string;
}

/** The members of a finished sync that the page's side uses. */
interface AnySynced {
  readonly handle: number;
}

/** A caller that waits for a reply. */
interface Waiting<Job, Progress> {
  resolve(value: unknown): void;
  reject(reason: unknown): void;
  onProgress?: ((progress: Progress) => void) | undefined;
  /** The sync, if it may be started again in another engine. */
  job?: Job;
}

/** Where requests go. */
interface Engine<Sent> {
  readonly isWorker: boolean;
  post(request: Sent, transfer?: Transferable[]): void;
}

/** An engine's scripts. */
export interface Scripts {
  /** Starts the engine's worker; undefined if this thread cannot have one. */
  newWorker(): Worker | undefined;
  /** Loads the engine into this thread. */
  importEngine(): Promise<Serve>;
}

/** Runs the engine for the requests of a port. */
// biome-ignore lint/suspicious/noExplicitAny: ports of both engines, whose messages differ
export type Serve = (port: Port<any, any>) => void;

/**
 * The page's side of an engine. `prefetch` makes the first request of the page's first sync while the worker starts.
 */
export function clientOf<Job extends AnyJob, Synced extends AnySynced, What, Progress>(
  { newWorker, importEngine }: Scripts,
  prefetch?: (job: Job, signal: AbortSignal) => Promise<Prefetched | undefined>,
) {
  type Sent = Request<Job, What>;
  type Received = Reply<Synced, Progress>;

  const waiting = new Map<number, Waiting<Job, Progress>>();
  /** The handles whose versions are being stored. */
  const storing = new Map<number, (warning: string | undefined) => void>();
  let engine: Engine<Sent> | undefined;
  let loadHere: (() => Serve | Promise<Serve>) | undefined;
  let lastId = 0;

  if (globalThis.document) {
    // A page in the back/forward cache must hold no locks.
    for (const [name, isSuspended] of [
      ['pagehide', true],
      ['pageshow', false],
    ] as const) {
      addEventListener(
        name,
        ({ persisted }: PageTransitionEvent) => persisted && engine?.post({ kind: 'suspend', isSuspended }),
      );
    }
  }

  /** Runs a sync in the engine. `given` is the answer to its first request, if that is known. */
  function sendSync(job: Job, { signal, onProgress }: SyncWaiting<Progress>, given?: Prefetched): Promise<Synced> {
    const id = nextId();
    return new Promise<Synced>((resolve, reject) => {
      const prefetching = new AbortController();
      const abort = () => {
        stopListening();
        prefetching.abort();
        engine?.post({ kind: 'abort', id });
        // The engine may still reply with a handle, which nobody will use.
        waiting.set(id, { resolve: (synced) => sendClose((synced as Synced).handle), reject() {} });
        reject(signal?.reason);
      };
      const settled = (settle: (value: never) => void) => (value: unknown) => {
        stopListening();
        prefetching.abort();
        settle(value as never);
      };
      const stopListening = onAbort(signal, abort);
      waiting.set(id, { resolve: settled(resolve), reject: settled(reject), onProgress, job });
      const isFirst = prefetch !== undefined && !engine && !loadHere;
      engine ??= startEngine();
      engine.post({ kind: 'sync', id, job, isPrefetched: isFirst || given !== undefined });
      if (given) sendAnswer(id, given);
      else if (isFirst) void prefetch(job, prefetching.signal).then((prefetched) => sendAnswer(id, prefetched));
    });
  }

  /** Reads verified bytes of a handle. */
  function sendRead(handle: number, what: What): Promise<ArrayBuffer | Blob> {
    const id = nextId();
    return new Promise<ArrayBuffer | Blob>((resolve, reject) => {
      // Handles end with their engine.
      if (!engine) return reject(closed());
      waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      engine.post({ kind: 'read', id, handle, what });
    });
  }

  /** Closes a handle. */
  function sendClose(handle: number): void {
    engine?.post({ kind: 'close', handle });
  }

  /** Frees the bytes of a memory store. */
  function sendForget(store: string): void {
    engine?.post({ kind: 'forget', store });
  }

  /** Waits for the reply that a sync's version is stored. Resolves to the warning if it is not. */
  function whenStored(handle: number): Promise<string | undefined> {
    return new Promise((resolve) => storing.set(handle, resolve));
  }

  /**
   * Makes all syncs of the page run in this thread, in the engine that `load` returns at the first sync. The first call
   * decides. Returns false if a worker runs syncs already.
   *
   * This is one setting for the page, not one for each store: a page has one engine, which has all handles.
   */
  function runHere(load: () => Serve | Promise<Serve>): boolean {
    loadHere ??= load;
    return !engine?.isWorker;
  }

  /** Sends the answer to the first request of a sync, or that there is none. */
  function sendAnswer(id: number, prefetched: Prefetched | undefined): void {
    const body = prefetched && 'body' in prefetched.answer ? prefetched.answer.body : null;
    engine?.post({ kind: 'prefetched', id, prefetched }, body ? [body] : []);
  }

  function nextId(): number {
    lastId += 1;
    return lastId;
  }

  function startEngine(): Engine<Sent> {
    return loadHere ? startHere(loadHere) : (startWorker() ?? startHere(importEngine));
  }

  /** Starts the worker that runs all syncs of the page; undefined if this thread cannot have one. */
  function startWorker(): Engine<Sent> | undefined {
    const { workerTimeout } = settingsInUse();
    const worker = newWorker();
    if (!worker) return undefined;
    /** The requests so far, until the worker's first message: if it never starts, another engine gets them. */
    let unanswered: Sent[] | undefined = [];
    const awaitingMessage = new Set<() => void>();
    let hasAnswered = true;
    let isEnded = false;
    let watchdog: ReturnType<typeof setInterval> | undefined;

    const end = () => {
      isEnded = true;
      stopWatchdog();
      worker.terminate();
      engine = undefined;
    };

    const startInstead = () => {
      const requests = unanswered;
      if (!requests) return;
      unanswered = undefined;
      end();
      engine = startHere(importEngine);
      requests.forEach((request) => engine?.post(request));
    };

    const ping = () => worker.postMessage({ kind: 'ping' } satisfies Sent);

    const nextMessage = (turns: number) =>
      within(turns, "driblet's worker", () => new Promise<void>((resolve) => awaitingMessage.add(resolve)));

    /**
     * A worker may hang in a call that never returns: Chromium does when it closes a file whose site data was cleared.
     */
    const checkWorker = () => {
      if (waiting.size + storing.size === 0) return stopWatchdog();
      if (unanswered) return undefined; // Its start has a limit of its own.
      if (hasAnswered) {
        hasAnswered = false;
        return ping();
      }
      end();
      const message = "driblet's worker hung and was ended";
      return restartSyncs('store', `${message}; sync again`, message);
    };

    const startWatchdog = () => {
      if (watchdog !== undefined || workerTimeout === Infinity) return;
      hasAnswered = true;
      watchdog = setInterval(checkWorker, workerTimeout);
    };

    const stopWatchdog = () => {
      clearInterval(watchdog);
      watchdog = undefined;
    };

    worker.onmessage = ({ data }: MessageEvent<Received>) => {
      unanswered = undefined;
      hasAnswered = true;
      awaitingMessage.forEach((resolve) => resolve());
      awaitingMessage.clear();
      receiveReply(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (unanswered) return startInstead();
      end();
      rejectAll('network', `driblet's worker failed: ${event.message}`);
    };
    nextMessage(CALL_TURNS).catch(startInstead);
    return {
      isWorker: true,
      post(request, transfer = []) {
        if (request.kind === 'sync' || request.kind === 'read') startWatchdog();
        // A stream that was transferred with a request cannot be sent again; the engine can do without it.
        unanswered?.push(request.kind === 'prefetched' ? { ...request, prefetched: undefined } : request);
        worker.postMessage(request, transfer);
        if (request.kind !== 'abort' || unanswered) return;
        // A worker that hangs does not handle the abort, and keeps the lock.
        ping();
        nextMessage(2 * CLEANUP_TURNS).catch(() => {
          if (isEnded) return;
          end();
          restartSyncs('store', "driblet's worker hung and was ended; sync again");
        });
      },
    };
  }

  /**
   * Moves the syncs of a worker that was ended to another engine. With `noStore`, the reason, they use no store. Rejects
   * all other requests.
   */
  function restartSyncs(code: SyncErrorCode, message: string, noStore?: string): void {
    const again = [...waiting].filter(([, { job }]) => job && job.noStore === undefined);
    again.forEach(([id]) => waiting.delete(id));
    rejectAll(code, message);
    for (const [id, each] of again) {
      each.job = { ...(each.job as Job), ...(noStore !== undefined && { noStore }) };
      waiting.set(id, each);
      engine ??= startEngine();
      engine.post({ kind: 'sync', id, job: each.job, isPrefetched: false });
    }
  }

  /** Runs the engine in this thread. */
  function startHere(load: () => Serve | Promise<Serve>): Engine<Sent> {
    const port: Port<Sent, Received> = {
      onmessage: null,
      postMessage: (reply) => queueMicrotask(() => receiveReply(reply)),
    };
    const started = within(CALL_TURNS, "driblet's engine", async () => load()).then((serve) => serve(port));
    started.catch((error) => {
      engine = undefined;
      rejectAll(
        'network',
        `neither driblet's worker nor its engine loaded: ${error instanceof Error ? error.message : error}`,
      );
    });
    return {
      isWorker: false,
      post: (request) =>
        void started.then(
          () => port.onmessage?.({ data: request } as MessageEvent<Sent>),
          () => {},
        ),
    };
  }

  /** Tells all callers that the engine has ended. */
  function rejectAll(code: SyncErrorCode, message: string): void {
    const lost = new SyncError(code, message);
    for (const each of waiting.values()) each.reject(lost);
    waiting.clear();
    for (const stored of storing.values()) stored(message);
    storing.clear();
  }

  function receiveReply(reply: Received): void {
    if (reply.kind === 'ready') return;
    if (reply.kind === 'stored') {
      storing.get(reply.id)?.(reply.warning);
      storing.delete(reply.id);
      return;
    }
    const found = waiting.get(reply.id);
    if (reply.kind === 'progress') return found?.onProgress?.(reply.progress);
    waiting.delete(reply.id);
    if (reply.kind === 'synced') return found?.resolve(reply.synced);
    if (reply.kind === 'read') return found?.resolve(reply.content);
    const { code, message, cause } = reply.error;
    found?.reject(new SyncError(code, message, { cause }));
  }

  return { sendSync, sendRead, sendClose, sendForget, whenStored, runHere };
}
