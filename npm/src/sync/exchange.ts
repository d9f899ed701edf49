import { acceptsAllCodecs } from './codecs.js';
import { now } from '../shared/clock.js';
import { SyncError, asSyncError } from '../shared/error.js';
import { linkMeter } from '../shared/link.js';
import { mediaType, resource } from '../shared/resource.js';
import type { Link } from '../shared/link.js';
import type { Cost, JobOptions, Prefetched } from '../shared/messages.js';

/** The members of a job that requests depend on. */
export type RequestOptions = Omit<JobOptions, 'openers'>;

/** The requests of one sync, and what they cost. */
export interface Exchange {
  readonly cost: Pick<Cost, 'sent' | 'received' | 'requests'>;
  /** When the first answer began; undefined if there was none. */
  readonly answered: number | undefined;
  /** What the answers showed of the link; undefined if they were too short. */
  readonly link: Link | undefined;
  /** Requests a sync resource of the URL, by the resource's name. `types` are the media types of answers. */
  ask(name: string, init?: RequestInit, types?: readonly string[]): Promise<Answer>;
  /**
   * Asks for a grant at the URL of the basis, which later requests for deltas show. Without one, the server takes a
   * signature.
   */
  askGrant(version: string): Promise<void>;
  /** Cancels the answer that the page prefetched, if nobody took it. */
  close(): void;
}

/** A delta (or a matched answer) that is being received, or the reason why there is none. */
export type Answer =
  | { readonly kind: 'delta'; readonly response: Response; readonly pieces: AsyncIterable<Uint8Array> }
  | { readonly kind: 'no-delta'; readonly status: number; readonly problem: Problem };

/** The members of an RFC 9457 problem that driblet reads. All are unchecked. */
export interface Problem {
  readonly code?: unknown;
  readonly detail?: unknown;
  readonly head?: unknown;
  readonly rungs?: unknown;
  readonly sections?: unknown;
}

/** The members of an answer with a grant. All are unchecked. */
interface GrantAnswer {
  readonly grant?: unknown;
}

/** The media type of directory deltas. */
export const DIRECTORY = 'application/vnd.driblet.directory';

const DELTA = 'application/vnd.driblet.delta';
const DELTA_TYPES = [DELTA, 'application/vnd.driblet.matched', 'application/octet-stream', ''];

/** Statuses after which another request may succeed: not found, no such method, too large, range beyond the end. */
const TRY_ANOTHER = [404, 405, 413, 416];

/** The most characters that are read of an error or a grant. */
const MAX_JSON = 1 << 16;

/** The phases of a request, as errors name them. */
const WAITING = 'waiting for the answer';
const READING = 'reading the answer';

/** Node's error codes for a connection that was established: it broke, or no answer came. */
const REACHED = /SOCKET|HEADERS|HPE|RESET|PIPE/;

/** How long a sync asks a busy server again, in milliseconds. */
const BUSY_LIMIT = 180_000;
/** The shortest and the longest pause before it asks again, in seconds. */
const MIN_PAUSE = 0.25;
const MAX_PAUSE = 30;

/**
 * Starts the exchange of a job. It ends when `abort` is aborted, and aborts it if no byte comes for the job's timeout.
 */
export function exchange(
  job: RequestOptions,
  abort: AbortController,
  onReceived: () => void,
  prefetched?: Promise<Prefetched | undefined>,
): Exchange {
  const cost = { sent: 0, received: 0, requests: 0 };
  const meter = linkMeter();
  // Requests that the page made do not use this signal.
  const aborted = new Promise<never>((_, reject) =>
    abort.signal.addEventListener('abort', () => reject(abort.signal.reason)),
  );
  aborted.catch(() => {});

  /** Waits for the server, at most for the job's timeout. `phase` is what errors call this wait. */
  async function withTimeout<T>(promise: Promise<T>, phase = READING): Promise<T> {
    const silence = new SyncError(
      'network',
      `${phase}: the server sent nothing for ${job.timeout} ms; sync again to continue`,
    );
    const timer = job.timeout < Infinity ? setTimeout(() => abort.abort(silence), job.timeout) : undefined;
    try {
      return await Promise.race([promise, aborted]);
    } catch (error) {
      throw abort.signal.aborted ? abort.signal.reason : connectionError(job, phase, error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Waits as long as a busy server asks for. An abort ends it. */
  async function pause(wait: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
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
      for (;;) {
        const asked = now();
        const read = await withTimeout(reader.read());
        if (read.done) break;
        meter.note(read.value.length, asked, now());
        cost.received += read.value.length;
        onReceived();
        yield read.value;
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  /** The members of a JSON body of this media type; none of any other body. */
  async function jsonOf<T extends object>(response: Response, type: string): Promise<Partial<T>> {
    let text = '';
    const decoder = new TextDecoder();
    for await (const piece of piecesOf(response)) {
      text += decoder.decode(piece, { stream: true });
      if (MAX_JSON < text.length) break;
    }
    if (mediaType(response) !== type) return {};
    try {
      return (JSON.parse(text) ?? {}) as T;
    } catch {
      return {};
    }
  }

  /** The answer that the page prefetched, if it is for this resource. Any other answer is cancelled. */
  async function prefetchedAnswer(name: string | undefined): Promise<Response | undefined> {
    const waited = prefetched;
    prefetched = undefined;
    const found = waited && (await withTimeout(waited, WAITING));
    if (!found) return undefined;
    const { answer } = found;
    // An event of a live stream was not asked for.
    const asked = found.isFromEvent ? 0 : 1;
    if (found.name !== name) {
      cost.requests += asked;
      cost.sent += asked * found.name.length;
      cost.received += asked * cancelPrefetched(found);
      return undefined;
    }
    cost.requests += asked - 1;
    cost.sent += (asked - 1) * found.name.length;
    if ('failed' in answer) throw connectionError(job, WAITING, answer.failed);
    return new Response(answer.body, { status: answer.status, headers: answer.headers });
  }

  let answered: number | undefined;
  let grant: string | undefined;
  return {
    cost,
    get answered() {
      return answered;
    },
    get link() {
      return meter.link;
    },
    async ask(name, init = {}, types = DELTA_TYPES) {
      const end = now() + BUSY_LIMIT;
      for (;;) {
        cost.requests += 1;
        const isNamed = name !== 'signature';
        const shown = isNamed ? grant : undefined;
        cost.sent += isNamed ? name.length + (shown?.length ?? 0) : 0;
        if (init.body instanceof Uint8Array) cost.sent += init.body.length;
        const response =
          (await prefetchedAnswer(!isNamed || new Headers(init.headers).has('range') ? undefined : name)) ??
          (await withTimeout(requestDelta(job, name, { ...init, signal: abort.signal }, shown), WAITING));
        answered ??= now();
        if (response.ok) {
          const type = mediaType(response);
          if (!types.includes(type)) throw notADelta(resource(job.url, name), type);
          return { kind: 'delta', response, pieces: piecesOf(response) };
        }
        const { status } = response;
        const problem = await jsonOf<Problem>(response, 'application/problem+json');
        if (TRY_ANOTHER.includes(status)) return { kind: 'no-delta', status, problem };
        const wait = waitOf(response);
        if (wait === undefined || job.asksOnce || end <= now() + wait) throw refusal(status, problem);
        onReceived(); // Tells others that wait for the lock that this sync works.
        await pause(wait);
      }
    },
    async askGrant(version) {
      const { url } = job.basis ?? {};
      if (url === undefined || new URL(url).origin !== new URL(job.url).origin) return;
      const name = `grant-${version}`;
      cost.requests += 1;
      cost.sent += name.length;
      const response = await withTimeout(requestDelta({ ...job, url }, name, { signal: abort.signal }), WAITING);
      answered ??= now();
      const given = (await jsonOf<GrantAnswer>(response, 'application/json')).grant;
      if (response.ok && typeof given === 'string') grant = given;
    },
    close() {
      prefetched?.then((found) => found && cancelPrefetched(found));
      prefetched = undefined;
    },
  };
}

/**
 * How many milliseconds a busy server asks to wait; undefined if it does not ask. A random part is added, so that
 * clients do not all come back at once.
 */
function waitOf({ status, headers }: Response): number | undefined {
  const retryAfter = headers.get('retry-after');
  if (retryAfter === null || (status !== 503 && status !== 429)) return undefined;
  // RFC 9110, section 10.2.3: seconds, or a date.
  const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000;
  return Math.min(Math.max(seconds || 0, MIN_PAUSE), MAX_PAUSE) * (1000 + 250 * Math.random());
}

/** The error for a request that failed. Browsers do not tell whether the server was reached; Node does. */
function connectionError({ url }: RequestOptions, phase: string, error: unknown): SyncError {
  const { code } = ((error as Error).cause ?? {}) as { code?: string };
  const doing =
    phase === READING || REACHED.test(code ?? '') ? phase : `connecting to ${new URL(url).host}, before any answer`;
  return asSyncError('network', `the connection failed while ${doing} (sync again to continue)`, error);
}

/** Cancels a prefetched answer. Returns its announced length: how much of it arrived is not known. */
function cancelPrefetched({ answer }: Prefetched): number {
  if ('failed' in answer) return 0;
  if (answer.body instanceof ReadableStream) answer.body.cancel().catch(() => {}); // It may have failed by itself.
  return Number(new Headers(answer.headers).get('content-length') ?? 0);
}

/** Requests a sync resource of a job's URL, by the resource's name. */
export function requestDelta(job: RequestOptions, name: string, init: RequestInit, grant?: string): Promise<Response> {
  const url = resource(job.url, name);
  if (grant !== undefined) url.searchParams.set('grant', grant);
  const headers = new Headers(job.headers);
  headers.set('accept', accepted(job.link));
  new Headers(init.headers).forEach((value, key) => headers.set(key, value));
  return fetch(url, { cache: 'no-store', ...init, headers, credentials: job.credentials });
}

/** Accepts deltas, with any media type: plain file hosts and proxies send their own. */
function accepted(link: Link): string {
  const codecs = acceptsAllCodecs() ? ';codec=dense' : '';
  const known = codecs !== '' && link !== 'usual' ? `;link=${link}` : '';
  return `${DELTA}${codecs}${known}, */*;q=0.5`;
}

function notADelta(url: URL, type: string): SyncError {
  const hint =
    type === 'text/html'
      ? '; is there a login page or a captive portal in between?'
      : type === DIRECTORY
        ? '; for a directory call syncDirectory()'
        : '';
  return new SyncError('protocol', `${url} answered with ${type}, not with a delta${hint}`);
}

/** The error for an answer without a delta, with the server's own explanation if it has one. */
export function refusal(status: number, { detail }: Problem): SyncError {
  const message = typeof detail === 'string' ? detail : `the server answered with status ${status}`;
  return new SyncError(500 <= status || status === 429 || status === 408 ? 'network' : 'protocol', message);
}
