import { requestDelta } from '../sync/exchange.js';
import type { JobOptions, Prefetched } from '../shared/messages.js';
import type { Store } from '../stores/store.js';

/*
 * The first sync of a page waits until the worker, the module and the store are open. Its request does not: the page
 * notes the stored version in localStorage, and asks for the delta from it meanwhile. The worker uses the answer only
 * if the store has that version.
 */

/** Requests the delta from the version that was stored last; undefined if it is not known. */
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

/**
 * Notes the stored version for the next page. Without a version, deletes the note: a delta that was cut off is finished
 * first.
 */
export function noteVersion(job: JobOptions, version?: string): void {
  if (version === undefined) return forgetNote(job.store, job.key);
  if (job.store.kind === 'memory') return;
  try {
    localStorage.setItem(noteName(job), version);
  } catch {
    // Full or forbidden: the next page does without the note.
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
