import { askEarly } from './early.js';
import { SyncError } from './error.js';
import type { JobOptions, Progress, Reply, Request, Synced } from './messages.js';

/* The page's end of the worker: numbers requests, and hands replies to who waits for them. */

interface Waiting {
  resolve(value: unknown): void;
  reject(reason: unknown): void;
  onProgress?: ((progress: Progress) => void) | undefined;
}

const waiting = new Map<number, Waiting>();
const storing = new Map<number, (warning: string | undefined) => void>();
let worker: Worker | undefined;
let lastId = 0;

/** Runs a sync in the worker. */
export function sendSync(job: JobOptions, { signal, onProgress }: SyncWaiting): Promise<Synced> {
  const id = nextId();
  return new Promise<Synced>((resolve, reject) => {
    const early = new AbortController();
    const abort = () => {
      early.abort();
      post({ kind: 'abort', id });
      // A handle that comes all the same is nobody's.
      waiting.set(id, { resolve: (synced) => sendClose((synced as Synced).handle), reject() {} });
      reject(signal?.reason);
    };
    const settled = (settle: (value: never) => void) => (value: unknown) => {
      signal?.removeEventListener('abort', abort);
      early.abort();
      settle(value as never);
    };
    signal?.addEventListener('abort', abort, { once: true });
    waiting.set(id, { resolve: settled(resolve), reject: settled(reject), onProgress });
    const first = !worker;
    if (first) void startEarly(id, job, early.signal);
    post({ kind: 'sync', id, job, early: first });
  });
}

/** What the page does while a sync runs. */
export interface SyncWaiting {
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** Reads a handle, verified. */
export function sendRead(handle: number, as: 'bytes'): Promise<ArrayBuffer>;
export function sendRead(handle: number, as: 'blob'): Promise<Blob>;
export function sendRead(handle: number, as: 'bytes' | 'blob'): Promise<ArrayBuffer | Blob> {
  const id = nextId();
  return new Promise<ArrayBuffer | Blob>((resolve, reject) => {
    waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
    post({ kind: 'read', id, handle, as });
  });
}

/** Ends the use of a handle. */
export function sendClose(handle: number): void {
  worker?.postMessage({ kind: 'close', handle } satisfies Request);
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
  worker?.postMessage({ kind: 'early', id, early } satisfies Request, body ? [body] : []);
}

function nextId(): number {
  lastId += 1;
  return lastId;
}

/** One worker serves all syncs of a page, and stays warm between them. */
function post(request: Request): void {
  worker ??= start();
  worker.postMessage(request);
}

function start(): Worker {
  const started = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  started.onmessage = ({ data }: MessageEvent<Reply>) => receive(data);
  started.onerror = (event) => {
    started.terminate();
    if (worker === started) worker = undefined;
    const lost = new SyncError('network', `driblet's worker failed: ${event.message ?? 'its script did not load'}`);
    for (const each of waiting.values()) each.reject(lost);
    waiting.clear();
    for (const stored of storing.values()) stored(lost.message);
    storing.clear();
  };
  return started;
}

function receive(reply: Reply): void {
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
