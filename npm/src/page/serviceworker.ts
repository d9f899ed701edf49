import { SyncError } from '../shared/error.js';
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

function isServed({ method, url, headers, cache }: Request): boolean {
  const { origin, pathname } = new URL(url);
  const isAsset =
    origin === location.origin &&
    url !== location.href &&
    !decodedPath(pathname)
      .split('/')
      .some((part) => part.endsWith('.driblet'));
  return (
    isAsset && (method === 'GET' || method === 'HEAD') && !headers.has('authorization') && cache !== 'only-if-cached'
  );
}

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
  { method, headers: asked }: Request,
  type = typeOf(url),
): Promise<Response> {
  const { length, version } = handle;
  const etag = `"${version}"`;
  const headers = new Headers({ 'accept-ranges': 'bytes', 'cache-control': 'no-cache', 'content-type': type, etag });
  const bodiless = (status: number) => {
    handle.close();
    return new Response(null, { status, headers });
  };
  if (asked.has('if-match') && !containsEtag(asked.get('if-match'), etag)) return bodiless(412);
  if (asked.has('if-none-match') && containsEtag(asked.get('if-none-match')?.replaceAll('W/', ''), etag))
    return bodiless(304);
  const wanted =
    method === 'GET' && (asked.get('if-range') ?? etag) === etag ? rangeOf(asked.get('range'), length) : undefined;
  const [start, end] = wanted ?? [0, length];
  if (wanted) headers.set('content-range', start < end ? `bytes ${start}-${end - 1}/${length}` : `bytes */${length}`);
  if (wanted && start === end) return bodiless(416);
  headers.set('content-length', `${end - start}`);
  if (method === 'HEAD') return bodiless(200);
  return new Response(await bodyOf(handle, start, end), { status: wanted ? 206 : 200, headers });
}

/** Whether a list of entity tags contains this one, by strong comparison. */
function containsEtag(list: string | null | undefined, etag: string): boolean {
  return list === '*' || list?.split(',').some((each) => each.trim() === etag) === true;
}

/**
 * The range that a Range header asks for, empty if it is beyond the end. Undefined if the header is not a single range
 * of bytes: the answer is then the whole file.
 */
function rangeOf(header: string | null, length: number): [start: number, end: number] | undefined {
  const [, from, to, last] = /^bytes=\s*(?:(\d+)-(\d*)|-(\d+))\s*$/i.exec(header ?? '') ?? [];
  if (last !== undefined) return length === 0 ? undefined : [Math.max(0, length - Number(last)), length];
  if (from === undefined || (to && Number(to) < Number(from))) return undefined;
  const start = Math.min(length, Number(from));
  return [start, to ? Math.max(start, Math.min(length, Number(to) + 1)) : length];
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

function decodedPath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
