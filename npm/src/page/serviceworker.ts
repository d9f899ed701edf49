import { SyncError } from '../shared/error.js';
import { mediaTypeOf } from './handle.js';
import { jobOf, syncJob } from './job.js';
import type { Handle } from './handle.js';
import type { SyncOptions } from './options.js';
import type { JobOptions } from '../shared/messages.js';

/* How a service worker answers for assets: as the server would, for what it answers is all that pages get. RFC 9110 has the rules. */

/** How an asset is synced that answers a request. */
export interface ServeOptions extends Omit<SyncOptions, 'credentials' | 'onProgress' | 'signal' | 'workerUrl'> {
  /** The asset to answer with. Default: what the request asks for. */
  url?: string | URL;
  /** The media type to answer with. Default: that of the URL's ending. */
  type?: string;
}

/** What is used of a service worker's fetch event. */
export interface FetchEventLike {
  readonly request: Request;
  readonly preloadResponse?: Promise<Response | undefined>;
  respondWith(response: Promise<Response>): void;
  waitUntil(work: Promise<unknown>): void;
}

/**
 * Answers a fetch event with the newest version of an asset, synced and verified; where the server is not reached, with the version that is stored.
 * Answers as the server would: with the type of the URL's ending, HEAD without a body, ranges (206, 416), conditions (304, 412). What cannot be
 * synced comes from the network, with the server's own status.
 *
 * Pages and workers (navigations, `new Worker`) come from the network first, with the server's own headers such as policies; the stored version is
 * for when there is no network.
 *
 * Gives `false`, and leaves the event to the browser, where it must not be answered so: other methods than GET and HEAD, other origins, sync
 * resources (`.driblet`), the worker's own script, requests with an Authorization header of their own, and `only-if-cached`.
 *
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
      // Who waits for a page is better off with what is stored, or with the plain file.
      const handle = await syncJob({ ...job, asksOnce: true }, { signal });
      event.waitUntil(handle.stored);
      return responseOf(handle, job, request, type);
    },
    stored: async () => responseOf(await syncJob({ ...job, isStored: true }, { signal }), job, request, type),
    network: async () => (await event.preloadResponse) ?? fetch(request),
  };
  event.respondWith(isDocument(request) ? document(asset) : subresource(asset));
  return true;
}

/** The ways to answer a request. */
type Asset = Record<'synced' | 'stored' | 'network', () => Promise<Response>>;

function isServed({ method, url, headers, cache }: Request): boolean {
  const { origin, pathname } = new URL(url);
  const isAsset = origin === location.origin && url !== location.href && !decodedPath(pathname).split('/').some((part) => part.endsWith('.driblet'));
  return isAsset && (method === 'GET' || method === 'HEAD') && !headers.has('authorization') && cache !== 'only-if-cached';
}

/** Whether the headers of the response say what the asset may do. */
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
    return isAnswer(response) ? response : ((isUnreached ? undefined : await orNothing(stored)) ?? response ?? Response.error());
  }
}

/** Whether the network's response is the server's word, and not that it failed. */
function isAnswer(response: Response | undefined): response is Response {
  return response !== undefined && response.status < 500;
}

function orNothing(way: () => Promise<Response>): Promise<Response | undefined> {
  return way().catch(() => undefined);
}

/** The response to a request for what a handle has. The first bytes are read before it is given: what was damaged is no answer. */
async function responseOf(handle: Handle, { url }: JobOptions, { method, headers: asked }: Request, type = typeOf(url)): Promise<Response> {
  const { length, version } = handle;
  const etag = `"${version}"`;
  const headers = new Headers({ 'accept-ranges': 'bytes', 'cache-control': 'no-cache', 'content-type': type, etag });
  const bodiless = (status: number) => {
    handle.close();
    return new Response(null, { status, headers });
  };
  if (asked.has('if-match') && !names(asked.get('if-match'), etag)) return bodiless(412);
  if (asked.has('if-none-match') && names(asked.get('if-none-match')?.replaceAll('W/', ''), etag)) return bodiless(304);
  const wanted = method === 'GET' && (asked.get('if-range') ?? etag) === etag ? rangeOf(asked.get('range'), length) : undefined;
  const [start, end] = wanted ?? [0, length];
  if (wanted) headers.set('content-range', start < end ? `bytes ${start}-${end - 1}/${length}` : `bytes */${length}`);
  if (wanted && start === end) return bodiless(416);
  headers.set('content-length', `${end - start}`);
  if (method === 'HEAD') return bodiless(200);
  return new Response(await bodyOf(handle, start, end), { status: wanted ? 206 : 200, headers });
}

/** Whether a list of entity tags names this one, by a strong comparison. */
function names(list: string | null | undefined, etag: string): boolean {
  return list === '*' || list?.split(',').some((each) => each.trim() === etag) === true;
}

/** What a Range header asks for; of no bytes where there are none there, and nothing where it asks for no single range of bytes: then all is the answer. */
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

/** Types of what pages load, beside those that every handle knows. */
const TYPES: Record<string, string> = {
  avif: 'image/avif',
  cjs: 'text/javascript',
  flac: 'audio/flac',
  geojson: 'application/geo+json',
  glb: 'model/gltf-binary',
  gltf: 'model/gltf+json',
  htm: 'text/html',
  ico: 'image/x-icon',
  jsonld: 'application/ld+json',
  m4a: 'audio/mp4',
  map: 'application/json',
  md: 'text/markdown',
  mov: 'video/quicktime',
  mp3: 'audio/mpeg',
  oga: 'audio/ogg',
  ogg: 'audio/ogg',
  ogv: 'video/ogg',
  opus: 'audio/ogg',
  otf: 'font/otf',
  ttf: 'font/ttf',
  vtt: 'text/vtt',
  wav: 'audio/wav',
  weba: 'audio/webm',
  webm: 'video/webm',
  webmanifest: 'application/manifest+json',
  woff: 'font/woff',
  woff2: 'font/woff2',
  xhtml: 'application/xhtml+xml',
  zip: 'application/zip',
};

/** The type of a URL's ending, with the charset that the server says too. */
function typeOf(url: string): string {
  const type = mediaTypeOf(url, TYPES);
  return /^text\/|\/(json|xml)$/.test(type) ? `${type}; charset=utf-8` : type;
}

function decodedPath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
