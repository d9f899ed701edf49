import { now } from '../shared/clock.js';
import { SyncError, asSyncError } from '../shared/error.js';
import type { Cost, Prefetched, JobOptions } from '../shared/messages.js';

/** The requests of one sync: what they cost, and their end. */
export interface Exchange {
  readonly cost: Pick<Cost, 'sent' | 'received' | 'requests'>;
  /** When the first answer began; nothing where there was none. */
  readonly answered: number | undefined;
  /** Asks for a sync resource of the URL, by the resource's name. */
  ask(name: string, init?: RequestInit): Promise<Answer>;
  /** Lets go what the page asked for and nobody took. */
  close(): void;
}

/** A delta (or a matched answer) on its way, or why there is none. */
export type Answer =
  | { readonly kind: 'delta'; readonly response: Response; readonly pieces: AsyncIterable<Uint8Array> }
  | { readonly kind: 'no-delta'; readonly status: number; readonly problem: Problem };

/** An RFC 9457 problem, as far as it was one. */
export interface Problem {
  readonly code?: unknown;
  readonly detail?: unknown;
  readonly head?: unknown;
  readonly rungs?: unknown;
  readonly sections?: unknown;
}

const MEDIA_TYPES = ['application/vnd.driblet.delta', 'application/vnd.driblet.matched', 'application/octet-stream', ''];

/** A delta in any codec; what a plain file host or a proxy says it is does not matter. */
const ACCEPTED = 'application/vnd.driblet.delta;codec=dense, */*;q=0.5';

/** Not found, the signature is too large, the range is beyond the end: another request may do. */
const OTHER_WAY = [404, 413, 416];

/** The most bytes of an error's body that are worth reading. */
const MAX_PROBLEM = 1 << 16;

/** What is done when a request fails. */
const WAITING = 'waiting for the answer';
const READING = 'reading the answer';

/** In the names that Node has for failures of a connection that there was: it broke, or no answer came on it. */
const REACHED = /SOCKET|HEADERS|HPE|RESET|PIPE/;

/** How long a sync asks a busy server again and again, in milliseconds. */
const BUSY_LIMIT = 180_000;
/** The least and the most seconds that it waits between. */
const MIN_PAUSE = 0.25;
const MAX_PAUSE = 30;

/** Starts an exchange. `abort` ends it: from outside, or when no byte comes for the job's timeout. */
export function exchange(job: JobOptions, abort: AbortController, onReceived: () => void, prefetched?: Promise<Prefetched | undefined>): Exchange {
  const cost = { sent: 0, received: 0, requests: 0 };
  // What the page asked for does not hear of this worker's signal.
  const aborted = new Promise<never>((_, reject) => abort.signal.addEventListener('abort', () => reject(abort.signal.reason)));
  aborted.catch(() => {});

  /** Waits for the peer, but not for ever; `phase` is what fails where it fails. */
  async function patiently<T>(promise: Promise<T>, phase = READING): Promise<T> {
    const silence = new SyncError('network', `${phase}: the server sent nothing for ${job.timeout} ms; sync again to go on`);
    const timer = job.timeout < Infinity ? setTimeout(() => abort.abort(silence), job.timeout) : undefined;
    try {
      return await Promise.race([promise, aborted]);
    } catch (error) {
      throw abort.signal.aborted ? abort.signal.reason : failed(job, phase, error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits as long as a busy server asks to; an abort ends that. */
  async function pause(wait: number): Promise<void> {
    let timer;
    try {
      await Promise.race([new Promise((resolve) => (timer = setTimeout(resolve, wait))), aborted]);
    } finally {
      clearTimeout(timer);
    }
  }

  async function* piecesOf(response: Response): AsyncGenerator<Uint8Array> {
    const reader = response.body?.getReader();
    if (!reader) return;
    try {
      for (let read = await patiently(reader.read()); !read.done; read = await patiently(reader.read())) {
        cost.received += read.value.length;
        onReceived();
        yield read.value;
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  async function problemOf(response: Response): Promise<Problem> {
    let text = '';
    const decoder = new TextDecoder();
    for await (const piece of piecesOf(response)) {
      text += decoder.decode(piece, { stream: true });
      if (MAX_PROBLEM < text.length) break;
    }
    if (mediaType(response) !== 'application/problem+json') return {};
    try {
      return (JSON.parse(text) ?? {}) as Problem;
    } catch {
      return {};
    }
  }

  /** What the page asked for before, if it was this; an answer to anything else is let go. */
  async function prefetchedAnswer(name: string | undefined): Promise<Response | undefined> {
    const waited = prefetched;
    prefetched = undefined;
    const found = waited && (await patiently(waited, WAITING));
    if (!found) return undefined;
    const { answer } = found;
    if (found.name !== name) {
      cost.requests += 1;
      cost.sent += found.name.length;
      cost.received += letGo(found);
      return undefined;
    }
    if ('failed' in answer) throw failed(job, WAITING, answer.failed);
    return new Response(answer.body, { status: answer.status, headers: answer.headers });
  }

  let answered: number | undefined;
  return {
    cost,
    get answered() {
      return answered;
    },
    async ask(name, init = {}) {
      const end = now() + BUSY_LIMIT;
      for (;;) {
        cost.requests += 1;
        cost.sent += name === 'signature' ? 0 : name.length;
        if (init.body instanceof Uint8Array) cost.sent += init.body.length;
        const response = (await prefetchedAnswer(name === 'signature' || init.headers ? undefined : name)) ?? (await patiently(requestDelta(job, name, { ...init, signal: abort.signal }), WAITING));
        answered ??= now();
        if (response.ok) {
          const type = mediaType(response);
          if (!MEDIA_TYPES.includes(type)) throw notADelta(resource(job.url, name), type);
          return { kind: 'delta', response, pieces: piecesOf(response) };
        }
        const { status } = response;
        const problem = await problemOf(response);
        if (OTHER_WAY.includes(status)) return { kind: 'no-delta', status, problem };
        const wait = waitOf(response);
        if (wait === undefined || job.asksOnce || end <= now() + wait) throw refusal(status, problem);
        onReceived(); // A sign of life, for all who wait.
        await pause(wait);
      }
    },
    close() {
      prefetched?.then((found) => found && letGo(found));
      prefetched = undefined;
    },
  };
}

/** How many milliseconds a server that is busy asks to wait, and a little more, lest all who wait come back at once; nothing where it does not ask. */
function waitOf({ status, headers }: Response): number | undefined {
  const told = headers.get('retry-after');
  if (told === null || (status !== 503 && status !== 429)) return undefined;
  // RFC 9110, section 10.2.3: seconds, or a date.
  const seconds = /^\d+$/.test(told) ? Number(told) : (Date.parse(told) - Date.now()) / 1000;
  return Math.min(Math.max(seconds || 0, MIN_PAUSE), MAX_PAUSE) * (1000 + 250 * Math.random());
}

/** A request that failed in a phase. A browser does not tell whether it reached the server; Node does. */
function failed({ url }: JobOptions, phase: string, error: unknown): SyncError {
  const { code } = ((error as Error).cause ?? {}) as { code?: string };
  const doing = phase === READING || REACHED.test(code ?? '') ? phase : `connecting to ${new URL(url).host}, before any answer`;
  return asSyncError('network', `the connection failed while ${doing} (sync again to go on)`, error);
}

/** Cancels an prefetched answer; gives the length that it had, for how much of it came is known to the network alone. */
function letGo({ answer }: Prefetched): number {
  if ('failed' in answer) return 0;
  answer.body?.cancel().catch(() => {}); // It may have failed by itself.
  return Number(new Headers(answer.headers).get('content-length') ?? 0);
}

/** Requests a sync resource of a job's URL, by the resource's name. */
export function requestDelta(job: JobOptions, name: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(job.headers);
  new Headers(init.headers).forEach((value, key) => headers.set(key, value));
  headers.set('accept', ACCEPTED);
  return fetch(resource(job.url, name), { cache: 'no-store', ...init, headers, credentials: job.credentials });
}

/** The URL of a sync resource: below the asset's own path. */
function resource(url: string, name: string): URL {
  const below = new URL(url);
  below.pathname += `.driblet/${name}`;
  return below;
}

function mediaType(response: Response): string {
  return (response.headers.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
}

function notADelta(url: URL, type: string): SyncError {
  const hint = type === 'text/html' ? '; is there a login page or a captive portal in between?' : '';
  return new SyncError('protocol', `${url} answered with ${type}, not with a delta${hint}`);
}

/** Why there is no delta, in the server's words where it has some. */
export function refusal(status: number, { detail }: Problem): SyncError {
  const said = typeof detail === 'string' ? detail : `the server answered with status ${status}`;
  return new SyncError(500 <= status || status === 429 || status === 408 ? 'network' : 'protocol', said);
}
