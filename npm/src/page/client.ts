import { askEarly } from './prefetch.js';
import { SyncError, closed } from '../shared/error.js';
import { importEngine, newWorker } from '../spawn.js';
import { onAbort } from './signals.js';
import { ENDING, WORKING, within } from '../shared/patience.js';
import type { Serve } from '../spawn.js';
import type { Port } from '../worker/engine.js';
import type { SyncErrorCode } from '../shared/error.js';
import type { JobOptions, Progress, Reply, Request, Synced } from '../shared/messages.js';
import type { Range } from '../stores/store.js';

/*
 * The page's end of the engine: numbers requests, and hands replies to who waits for them. The engine runs in a worker; where none
 * starts, as under some content security policies, in this thread.
 */

interface Waiting {
  resolve(value: unknown): void;
  reject(reason: unknown): void;
  onProgress?: ((progress: Progress) => void) | undefined;
  /** What it asks for, if it may ask again. */
  job?: JobOptions;
}

const waiting = new Map<number, Waiting>();
const storing = new Map<number, (warning: string | undefined) => void>();
let engine: Engine | undefined;
let lastId = 0;

if (globalThis.document) {
  // A page that the browser keeps for going back rests until then.
  for (const [name, resting] of [['pagehide', true], ['pageshow', false]] as const) {
    addEventListener(name, ({ persisted }: PageTransitionEvent) => persisted && engine?.post({ kind: 'rest', resting }));
  }
}

/** Where requests go. */
interface Engine {
  post(request: Request, transfer?: Transferable[]): void;
}

/** Runs a sync in the worker. */
export function sendSync(job: JobOptions, { signal, onProgress, workerUrl }: SyncWaiting): Promise<Synced> {
  const id = nextId();
  return new Promise<Synced>((resolve, reject) => {
    const early = new AbortController();
    const abort = () => {
      unheard();
      early.abort();
      engine?.post({ kind: 'abort', id });
      // A handle that comes all the same is nobody's.
      waiting.set(id, { resolve: (synced) => sendClose((synced as Synced).handle), reject() {} });
      reject(signal?.reason);
    };
    const settled = (settle: (value: never) => void) => (value: unknown) => {
      unheard();
      early.abort();
      settle(value as never);
    };
    const unheard = onAbort(signal, abort);
    waiting.set(id, { resolve: settled(resolve), reject: settled(reject), onProgress, job });
    const first = !engine;
    engine ??= startWorker(workerUrl) ?? startHere();
    if (first) void startEarly(id, job, early.signal);
    engine.post({ kind: 'sync', id, job, early: first });
  });
}

/** What the page does while a sync runs. */
export interface SyncWaiting {
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
  workerUrl?: string | URL;
}

/** Reads a handle, verified: bytes of it, or a blob of all. */
export function sendRead(handle: number, range: Range): Promise<ArrayBuffer>;
export function sendRead(handle: number): Promise<Blob>;
export function sendRead(handle: number, range?: Range): Promise<ArrayBuffer | Blob> {
  const id = nextId();
  return new Promise<ArrayBuffer | Blob>((resolve, reject) => {
    // A handle goes with the worker that it is of.
    if (!engine) return reject(closed());
    waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
    engine.post({ kind: 'read', id, handle, range });
  });
}

/** Ends the use of a handle. */
export function sendClose(handle: number): void {
  engine?.post({ kind: 'close', handle });
}

/** Lets the bytes of a memory store go. */
export function sendForget(store: string): void {
  engine?.post({ kind: 'forget', store });
}

/** Waits until a sync's version is stored; gives the warning if it is not. Called as soon as the sync is done. */
export function whenStored({ handle, verified, warning }: Synced): Promise<string | undefined> {
  if (!verified) return Promise.resolve(warning);
  return new Promise((resolve) => storing.set(handle, resolve));
}

/** Makes a first sync's request while the worker starts. */
async function startEarly(id: number, job: JobOptions, signal: AbortSignal): Promise<void> {
  const early = await askEarly(job, signal);
  const body = early && 'body' in early.answer ? early.answer.body : null;
  engine?.post({ kind: 'early', id, early }, body ? [body] : []);
}

function nextId(): number {
  lastId += 1;
  return lastId;
}

/** One worker serves all syncs of a page, and stays warm between them. Nothing where this thread cannot have one. */
function startWorker(url: string | URL | undefined): Engine | undefined {
  const worker = newWorker(url);
  if (!worker) return undefined;
  // What a worker that never says a word was asked is asked anew, of another.
  let unheard: Request[] | undefined = [];
  const hearing = new Set<() => void>();
  let alive = true;
  let watch: ReturnType<typeof setInterval> | undefined;
  let silence = 0;

  let isEnded = false;

  const end = () => {
    isEnded = true;
    stop();
    worker.terminate();
    engine = undefined;
  };

  const startInstead = () => {
    const requests = unheard;
    if (!requests) return;
    unheard = undefined;
    end();
    engine = startHere();
    requests.forEach((request) => engine?.post(request));
  };

  const ping = () => worker.postMessage({ kind: 'ping' } satisfies Request);

  /** Waits for the worker's next word. */
  const nextWord = (turns: number) => within(turns, "driblet's worker", () => new Promise<void>((resolve) => hearing.add(resolve)));

  /** A worker may hang in a call that the browser never ends, as Chromium's closing of a file that the user has cleared away. */
  const look = () => {
    if (waiting.size + storing.size === 0) return stop();
    if (unheard) return undefined; // Its start has a limit of its own.
    if (alive) {
      alive = false;
      return ping();
    }
    end();
    const message = "driblet's worker hung and was ended";
    return goOn(url, 'store', `${message}; sync again`, message);
  };

  const stop = () => {
    clearInterval(watch);
    watch = undefined;
  };

  /** Looks each time that a worker may be silent, which the least patient of those who wait decides. */
  const watchFor = (wanted: number) => {
    if (watch !== undefined && silence <= wanted) return;
    stop();
    alive = true;
    silence = wanted;
    watch = setInterval(look, silence);
  };

  worker.onmessage = ({ data }: MessageEvent<Reply>) => {
    unheard = undefined;
    alive = true;
    hearing.forEach((heard) => heard());
    hearing.clear();
    receive(data);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    if (unheard) return startInstead();
    end();
    lose('network', `driblet's worker failed: ${event.message}`);
  };
  nextWord(WORKING).catch(startInstead);
  return {
    post(request, transfer = []) {
      if (request.kind === 'sync') watchFor(SILENCE * Math.min(request.job.timeout, LONGEST));
      if (request.kind === 'read') watchFor(silence);
      // A stream that went along with a request is gone; the engine can do without.
      unheard?.push(request.kind === 'early' ? { ...request, early: undefined } : request);
      worker.postMessage(request, transfer);
      if (request.kind !== 'abort' || unheard) return;
      // A worker that hangs does not hear of the abort, and keeps the lock.
      ping();
      nextWord(2 * ENDING).catch(() => {
        if (isEnded) return;
        end();
        goOn(url, 'store', "driblet's worker hung and was ended; sync again");
      });
    },
  };
}

/** What a worker that was ended did goes on in another: its syncs, into no store where there is a reason for that. All else is lost. */
function goOn(url: string | URL | undefined, code: SyncErrorCode, message: string, without?: string): void {
  const again = [...waiting].filter(([, { job }]) => job && job.without === undefined);
  again.forEach(([id]) => waiting.delete(id));
  lose(code, message);
  for (const [id, each] of again) {
    each.job = { ...(each.job as JobOptions), ...(without !== undefined && { without }) };
    waiting.set(id, each);
    engine ??= startWorker(url) ?? startHere();
    engine.post({ kind: 'sync', id, job: each.job, early: false });
  }
}

/** How many times longer than a server a busy worker may be silent. */
const SILENCE = 4;

/** The longest that this follows what a sync grants its server, in milliseconds. */
const LONGEST = 30_000;

/** From now on syncs run in this thread, by the engine given, once it is there. */
export function runHere(serve: Serve | Promise<Serve>): void {
  engine ??= startHere(Promise.resolve(serve));
}

/** Runs the engine in this thread. */
function startHere(loaded = importEngine()): Engine {
  const port: Port = { onmessage: null, postMessage: (reply) => queueMicrotask(() => receive(reply)) };
  const started = within(WORKING, "driblet's engine", () => loaded).then((serve) => serve(port));
  started.catch((error) => {
    engine = undefined;
    lose('network', `neither driblet's worker nor its engine loaded: ${error instanceof Error ? error.message : error}`);
  });
  return { post: (request) => void started.then(() => port.onmessage?.({ data: request } as MessageEvent<Request>), () => {}) };
}

/** The engine is no more; who waits for it hears so. */
function lose(code: SyncErrorCode, message: string): void {
  const lost = new SyncError(code, message);
  for (const each of waiting.values()) each.reject(lost);
  waiting.clear();
  for (const stored of storing.values()) stored(message);
  storing.clear();
}

function receive(reply: Reply): void {
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
