import { SyncError } from '../shared/error.js';
import { answerTo, isServed } from '../shared/answer.js';
import { typeOf } from '../shared/mediaType.js';
import { jobOf } from './job.js';
import { syncJob } from './sync.js';
import type { Handle } from './handle.js';
import type { SyncOptions } from './options.js';
import type { JobOptions } from '../shared/messages.js';

/*
 * Answers requests in a service worker as the server would, because pages see nothing else. The rules are in RFC 9110.
 */

/** Options of {@link serveAsset}: how the asset is synced, and what is answered. */
export interface ServeOptions extends Omit<SyncOptions, 'credentials' | 'onProgress' | 'signal'> {
  /** The asset to answer with. Default: the requested one. */
  url?: string | URL;
  /** The media type of the answer. Default: the type of the URL's extension. */
  type?: string;
}

/** The members of a service worker's fetch event that driblet uses. */
export interface FetchEventLike {
  readonly request: Request;
  readonly preloadResponse?: Promise<Response | undefined>;
  respondWith(response: Promise<Response>): void;
  waitUntil(work: Promise<unknown>): void;
}

/**
 * Answers a fetch event with the newest version of an asset, synced and verified. If the server cannot be reached,
 * answers with the stored version. If the asset cannot be synced, passes on the network's response with the server's
 * own status.
 *
 * The answer is what the server would send: the type of the URL's extension, no body for HEAD, ranges (206, 416) and
 * conditions (304, 412).
 *
 * Pages and workers (navigations, `new Worker`) come from the network first, because the server's headers contain
 * policies. The stored version is used if there is no network.
 *
 * @param options - as for `sync()`. Default: none.
 * @returns `false` if the event is left to the browser: methods other than GET and HEAD, other origins, sync resources
 * (`.driblet`), the worker's own script, requests with an Authorization header, and `only-if-cached`.
 * @example
 * addEventListener('fetch', (event) => {
 *   if (new URL(event.request.url).pathname.startsWith('/assets/')) serveAsset(event);
 * });
 */
export function serveAsset(event: FetchEventLike, options: ServeOptions = {}): boolean {
  const { request } = event;
  if (!isServed(request)) return false;
  const { url = request.url, type, ...more } = options;
  const { credentials, signal } = request;
  const job = jobOf(url, { ...more, credentials, signal });
  const asset: Asset = {
    async synced() {
      // A busy server is not asked again: the stored version or the plain file is there sooner.
      const handle = await syncJob({ ...job, asksOnce: true }, { signal });
      event.waitUntil(handle.stored);
      return responseOf(handle, job, request, type);
    },
    stored: async () => responseOf(await syncJob({ ...job, storedOnly: true }, { signal }), job, request, type),
    network: async () => (await event.preloadResponse) ?? fetch(request),
  };
  event.respondWith(isDocument(request) ? document(asset) : subresource(asset));
  return true;
}

/** The ways to answer a request. */
type Asset = Record<'synced' | 'stored' | 'network', () => Promise<Response>>;

/** Whether the response's headers limit what the asset may do. */
function isDocument({ mode, destination }: Request): boolean {
  return mode === 'navigate' || destination === 'worker' || destination === 'sharedworker';
}

async function document({ network, stored }: Asset): Promise<Response> {
  const response = await orNothing(network);
  return isAnswer(response) ? response : ((await orNothing(stored)) ?? response ?? Response.error());
}

async function subresource({ synced, stored, network }: Asset): Promise<Response> {
  try {
    return await synced();
  } catch (error) {
    const isUnreached = error instanceof SyncError && error.code === 'network';
    const kept = isUnreached ? await orNothing(stored) : undefined;
    if (kept) return kept;
    const response = await orNothing(network);
    return isAnswer(response)
      ? response
      : ((isUnreached ? undefined : await orNothing(stored)) ?? response ?? Response.error());
  }
}

/** Whether a response is the server's decision; a status of 500 or more is a failure. */
function isAnswer(response: Response | undefined): response is Response {
  return response !== undefined && response.status < 500;
}

function orNothing(way: () => Promise<Response>): Promise<Response | undefined> {
  return way().catch(() => undefined);
}

/**
 * The response to a request, from a handle. Reads the first bytes before it resolves, so that a damaged version is not
 * the answer.
 */
async function responseOf(
  handle: Handle,
  { url }: JobOptions,
  request: Request,
  type = typeOf(url),
): Promise<Response> {
  const { length, version } = handle;
  const { status, headers, range } = answerTo(request, { length, etag: `"${version}"`, type });
  if (!range) {
    handle.close();
    return new Response(null, { status, headers });
  }
  const [start, end] = range;
  return new Response(await bodyOf(handle, start, end), { status, headers });
}

/** A stream that closes the handle at its end. */
async function bodyOf(handle: Handle, start: number, end: number): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  const reader = handle.stream(start, end).getReader();
  const read = () =>
    reader.read().catch((error) => {
      handle.close();
      throw error;
    });
  let next = await read();
  return new ReadableStream({
    async pull(controller) {
      if (next.done) {
        controller.close();
        handle.close();
      } else {
        controller.enqueue(next.value as Uint8Array<ArrayBuffer>);
        next = await read();
      }
    },
    cancel(reason) {
      handle.close();
      return reader.cancel(reason);
    },
  });
}
