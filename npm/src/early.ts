import { snapshotDirectory } from './folder.js';
import { newestValue } from './record.js';
import { requestDelta } from './exchange.js';
import type { JobOptions } from './messages.js';

/*
 * A page's first sync waits for the worker, the module and the store to open. Its request need not: the page looks at the record of what
 * is held, and asks by it meanwhile. What the worker then finds is what counts; where it is another version, the answer is let go.
 */

/** A request that the page made, and what came of it. */
export interface Early {
  /** The resource asked for. */
  readonly name: string;
  readonly answer: EarlyAnswer;
}

/** A response's parts, as they can be sent to the worker; or why there is none. */
export type EarlyAnswer =
  | { readonly status: number; readonly headers: [string, string][]; readonly body: ReadableStream<Uint8Array> | null }
  | { readonly failed: string };

/** Asks for the delta from what the store seems to hold; nothing where it seems to hold nothing, or a delta that was cut off. */
export async function askEarly(job: JobOptions, signal: AbortSignal): Promise<Early | undefined> {
  const held = job.store.kind === 'opfs' && canSendStreams() ? await heldIn(job.store.folder, job.url).catch(() => undefined) : undefined;
  if (held === undefined || held === job.version || signal.aborted) return undefined;
  const name = job.version === undefined ? held : `${held}-${job.version}`;
  try {
    const { status, headers, body } = await requestDelta(job, name, { signal });
    return { name, answer: { status, headers: [...headers], body } };
  } catch (error) {
    return { name, answer: { failed: String(error) } };
  }
}

async function heldIn(folder: string, url: string): Promise<string | undefined> {
  const directory = await snapshotDirectory(folder, url, false);
  const [head, begun] = await Promise.all([
    directory.getFileHandle('head').then((file) => file.getFile()).then((file) => file.arrayBuffer()),
    directory.getFileHandle('begun').catch(() => undefined),
  ]);
  return begun ? undefined : (await newestValue<{ version: string } | null>(new Uint8Array(head)))?.value?.version;
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
