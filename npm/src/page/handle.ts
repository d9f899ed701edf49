import { check } from '../shared/check.js';
import { sendClose, sendRead, whenStored } from './client.js';
import { now } from '../shared/clock.js';
import type { Cost, Synced } from '../shared/messages.js';

/**
 * A version that was synced. What it reads is verified: what the sync has just made is read from memory once, up to 32 MiB, and all else
 * is verified against the version when it is first read; where the stored bytes were changed meanwhile reading rejects with a `SyncError` of code `store`, and the next sync heals them.
 */
export interface Handle {
  /** The version: the BLAKE3 hash of its bytes, 64 hex digits. */
  readonly version: string;
  /** Its length in bytes. */
  readonly length: number;
  /** What the sync moved. */
  readonly cost: Cost;
  /** Why the version is not stored, if it is not: it is in memory then. */
  readonly warning: string | undefined;
  /** Resolves when the version is stored, or `warning` says why it is not. A page that ends before keeps the version it had. */
  readonly stored: Promise<void>;
  /** All of its bytes. */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Its bytes as they are read from the store, as long as the handle is open; those from `start` on and before `end`, where these are given. Above 32 MiB
   * each part is verified before it is given; damage in a later one ends the stream there.
   */
  stream(start?: number, end?: number): ReadableStream<Uint8Array>;
  /** All of its bytes, which may stay on the disk, readable until the handle is closed or collected. Its type is that of the URL's ending, unless another is given. */
  blob(type?: string): Promise<Blob>;
  /** The same with the URL's file name. */
  file(name?: string, type?: string): Promise<File>;
  /** A URL of its bytes in this page, for `src`, `href` or `fetch`; there until the handle is closed, `URL.revokeObjectURL`, or the page goes. */
  objectUrl(type?: string): Promise<string>;
  /**
   * A response with its bytes for a body, its length, its version as ETag and the type of the URL's ending, so that
   * `WebAssembly.compileStreaming` and a service worker take it as the server's; `init` adds to that.
   */
  response(init?: ResponseInit): Response;
  /** Lets the store delete the version once there is a newer one. Happens by itself when the handle is collected, unless it gave a URL. */
  close(): void;
}

const collected = new FinalizationRegistry(sendClose);
/** Those that gave a URL, which does not keep what it is of. */
const shown = new Set<Handle>();

/** The handle of a finished sync. */
export function handleOf(url: string, synced: Synced, started: number): Handle {
  const { handle: id, version, length } = synced;
  let { warning, verified } = synced;
  const stored = whenStored(synced).then((failed) => {
    warning = failed;
  });
  const take = () => {
    const taken = verified;
    verified = undefined;
    return taken;
  };
  const content = async () => {
    const taken = take();
    return taken ? new Blob([taken]) : sendRead(id);
  };
  const read = async (start: number, end: number) => {
    const taken = take();
    return taken ? new Uint8Array(taken).subarray(start, end) : new Uint8Array(await sendRead(id, [start, end]));
  };
  const handle: Handle = {
    version,
    length,
    cost: costOf(synced, started),
    get warning() {
      return warning;
    },
    stored,
    bytes: () => read(0, length),
    stream(start = 0, end = length) {
      check([start, end].every(Number.isSafeInteger) && 0 <= start && start <= end && end <= length, 'a range', `within the ${length} bytes`, start);
      return streamOf(handle, start, end, read);
    },
    async blob(type = mediaTypeOf(url)) {
      return new Blob([await content()], { type });
    },
    async file(name = nameOf(url), type = mediaTypeOf(url)) {
      return new File([await content()], name, { type });
    },
    async objectUrl(type) {
      shown.add(handle);
      return URL.createObjectURL(await handle.blob(type));
    },
    response(init) {
      const headers = new Headers({ 'content-length': String(length), 'content-type': mediaTypeOf(url), etag: `"${version}"` });
      new Headers(init?.headers).forEach((value, name) => headers.set(name, value));
      return new Response(handle.stream() as ReadableStream<Uint8Array<ArrayBuffer>>, { ...init, headers });
    },
    close() {
      collected.unregister(handle);
      shown.delete(handle);
      verified = undefined;
      sendClose(id);
    },
  };
  collected.register(handle, id, handle);
  return handle;
}

function costOf({ cost, opened, answered = opened }: Synced, started: number): Cost {
  const elapsed = now() - started;
  const open = opened - started;
  const answer = Math.max(0, answered - opened);
  return { ...cost, elapsed, times: { open, answer, apply: elapsed - open - answer } };
}

/** Types that browsers insist on, by the ending of a path. */
const MEDIA_TYPES: Record<string, string> = {
  css: 'text/css',
  csv: 'text/csv',
  gif: 'image/gif',
  html: 'text/html',
  jpeg: 'image/jpeg',
  jpg: 'image/jpeg',
  js: 'text/javascript',
  json: 'application/json',
  mjs: 'text/javascript',
  mp4: 'video/mp4',
  pdf: 'application/pdf',
  png: 'image/png',
  svg: 'image/svg+xml',
  txt: 'text/plain',
  wasm: 'application/wasm',
  webp: 'image/webp',
  xml: 'text/xml',
};

function nameOf(url: string): string {
  const name = new URL(url).pathname.replace(/^.*\//, '');
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** The type that the ending of a URL's path says, where it is one of these or of `more`. */
export function mediaTypeOf(url: string, more: Record<string, string> = {}): string {
  const ending = /\.(\w+)$/.exec(new URL(url).pathname)?.[1]?.toLowerCase() ?? '';
  return MEDIA_TYPES[ending] ?? more[ending] ?? 'application/octet-stream';
}

/** The most bytes that come at once, of what is not short enough to be verified and given in one go: as long as the longest group, or each would be read twice. */
const SLICE = 1 << 24;
const WHOLE = 1 << 25;
/** How many a stream gives at once. */
const PIECE = 1 << 20;

/** The stream holds the handle, so that the version stays while it is read. While a slice is taken the next one comes. */
function streamOf(handle: Handle, first: number, end: number, read: (start: number, end: number) => Promise<Uint8Array>): ReadableStream<Uint8Array> {
  const step = handle.length <= WHOLE ? handle.length : SLICE;
  let at = first;
  const next = () => {
    const start = at;
    at = Math.min(end, start + step);
    return start < at ? read(start, at) : undefined;
  };
  let slice: Uint8Array = new Uint8Array();
  let coming: Promise<Uint8Array> | undefined;
  return new ReadableStream({
    async pull(controller) {
      if (slice.length === 0) {
        slice = (await (at === first ? next() : coming)) ?? slice;
        coming = next();
        coming?.catch(() => {}); // Who takes it hears of it.
      }
      if (0 < slice.length) controller.enqueue(slice.subarray(0, PIECE));
      else controller.close();
      slice = slice.subarray(PIECE);
      void handle;
    },
  });
}
