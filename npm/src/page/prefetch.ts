import { requestDelta } from '../sync/exchange.js';
import type { Prefetched, JobOptions } from '../shared/messages.js';
import type { Store } from '../stores/store.js';

/*
 * A page's first sync waits for the worker, the module and the store to open. Its request need not: the page notes in localStorage, which
 * is there at once, what was stored last, and asks by it meanwhile. What the worker then finds is what counts; where it is another version,
 * the answer is let go.
 */

/** Asks for the delta from what the store was last known to hold; nothing where that is not known. */
export async function prefetch(job: JobOptions, signal: AbortSignal): Promise<Prefetched | undefined> {
  const held = canSendStreams() ? noted(job) : undefined;
  if (held === undefined || held === job.version) return undefined;
  const name = job.version === undefined ? held : `${held}-${job.version}`;
  try {
    const { status, headers, body } = await requestDelta(job, name, { signal });
    return { name, answer: { status, headers: [...headers], body } };
  } catch (error) {
    return { name, answer: { failed: String(error) } };
  }
}

/** Notes what is stored now, for the page that comes next; nothing where a delta was cut off, which is finished first. */
export function noteVersion(job: JobOptions, version?: string): void {
  if (version === undefined) return forgetNote(job.store, job.key);
  if (job.store.kind === 'memory') return;
  try {
    localStorage.setItem(noteName(job), version);
  } catch {
    // Full, or forbidden: the next page asks a little later.
  }
}

/** Notes that nothing is stored. */
export function forgetNote(store: Store, key: string): void {
  try {
    localStorage.removeItem(noteName({ store, key }));
  } catch {
    // Forbidden: there is no note.
  }
}

function noted(job: JobOptions): string | undefined {
  if (job.store.kind === 'memory') return undefined;
  try {
    const version = localStorage.getItem(noteName(job));
    return version !== null && /^[0-9a-f]{64}$/.test(version) ? version : undefined;
  } catch {
    return undefined;
  }
}

function noteName({ store, key }: Pick<JobOptions, 'store' | 'key'>): string {
  return `driblet ${store.kind} ${store.name} ${key}`;
}

/** Not every browser can send a stream to a worker. */
function canSendStreams(): boolean {
  try {
    const stream = new ReadableStream();
    structuredClone(stream, { transfer: [stream] });
    return true;
  } catch {
    return false;
  }
}
