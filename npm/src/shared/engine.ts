import { asSyncError } from './error.js';
import { LockSilent, inTurn, syncLock, withLock } from './lock.js';
import type { Abandonment } from './abandonment.js';
import type { Port, Prefetched, Reply, Request } from './messages.js';
import type { Store } from '../stores/store.js';

/* What the engines for files and for directories share: how they take requests, and who syncs a key at a time. */

/** What an engine does with the requests of its port. */
export interface Work<Job, What> {
  /** Runs a sync until `abort`. `prefetched` is the result of a request that the page may have made for it. */
  sync(id: number, job: Job, abort: AbortController, prefetched?: Promise<Prefetched | undefined>): Promise<void>;
  read(id: number, handle: number, what: What): Promise<void>;
  close(handle: number): void;
  /** Frees a memory store that is no longer reachable. */
  forget(store: string): void;
  suspend(isSuspended: boolean): void;
}

/** Handles the requests of a port. There is one for each thread. Returns the function that sends replies. */
export function handle<Job, What, Synced, Progress>(
  port: Port<Request<Job, What>, Reply<Synced, Progress>>,
  work: Work<Job, What>,
): (message: Reply<Synced, Progress>, transfer?: Transferable[]) => void {
  const running = new Map<number, AbortController>();
  /** The syncs whose first request the page may have made. The page sends the result, or undefined. */
  const awaited = new Map<number, (prefetched: Prefetched | undefined) => void>();
  const reply = (message: Reply<Synced, Progress>, transfer: Transferable[] = []) =>
    port.postMessage(message, { transfer });

  async function answer(id: number, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const { code, message, cause } = asSyncError('store', 'the store failed', error);
      // Not every cause can be sent to the page.
      const sent = cause instanceof Error || typeof cause !== 'object' ? cause : undefined;
      reply({ kind: 'failed', id, error: { code, message, cause: sent } });
    }
  }

  port.onmessage = ({ data }) => {
    if (data.kind === 'sync') {
      const { id, job } = data;
      const prefetched = data.isPrefetched
        ? new Promise<Prefetched | undefined>((resolve) => awaited.set(id, resolve))
        : undefined;
      const abort = new AbortController();
      running.set(id, abort);
      void answer(id, () => work.sync(id, job, abort, prefetched).finally(() => running.delete(id)));
    }
    if (data.kind === 'prefetched') {
      awaited.get(data.id)?.(data.prefetched);
      awaited.delete(data.id);
    }
    if (data.kind === 'abort') running.get(data.id)?.abort(new DOMException('the sync was aborted', 'AbortError'));
    if (data.kind === 'read') void answer(data.id, () => work.read(data.id, data.handle, data.what));
    if (data.kind === 'close') work.close(data.handle);
    if (data.kind === 'forget') work.forget(data.store);
    if (data.kind === 'suspend') work.suspend(data.isSuspended);
    if (data.kind === 'ping') reply({ kind: 'ready' });
  };
  reply({ kind: 'ready' });
  return reply;
}

/**
 * Runs a sync while no other tab syncs the same key. It gets the function to call at each progress. If the lock is held
 * by a thread that does nothing, it runs without the lock, and gets the reason.
 */
export async function syncAlone(
  { store: { kind, name }, key }: { readonly store: Store; readonly key: string },
  aborted: AbortSignal,
  { race }: Abandonment,
  sync: (progressed: () => void, noLock?: string) => Promise<void>,
): Promise<void> {
  const lock = syncLock(name, key);
  const here = (noLock?: string) => inTurn(lock, () => race(sync(() => {}, noLock)), aborted);
  if (kind === 'memory') return here();
  return withLock(lock, (progressed) => race(sync(progressed)), aborted).catch((error) =>
    error instanceof LockSilent ? here(error.message) : Promise.reject(error),
  );
}
