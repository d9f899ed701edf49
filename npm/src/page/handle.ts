/// <reference lib="esnext.disposable" preserve="true" />
import { check } from '../shared/check.js';
import { sendClose, sendRead, whenStored } from './files.js';
import { now } from '../shared/clock.js';
import { mediaTypeOf } from '../shared/mediaType.js';
import type { Cost, Synced } from '../shared/messages.js';

/**
 * A synced version. All bytes that it returns are verified. If the stored bytes were changed meanwhile, reading rejects
 * with a `SyncError` of code `store`; sync again to repair the store.
 *
 * The first read after a sync is served from memory for versions up to 32 MiB. All other reads verify the stored bytes
 * when they are first read.
 *
 * @example
 * await using app = await sync('/app.js'); // closes it when it is stored and the block ends
 * const bytes = await app.bytes();
 */
export interface Handle extends Disposable, AsyncDisposable {
  /** The version: the BLAKE3 hash of its bytes, 64 hex digits. */
  readonly version: string;
  /** Its length in bytes. */
  readonly length: number;
  /** What the sync transferred, and how long it took. */
  readonly cost: Cost;
  /**
   * Why the version is in memory only; undefined if it is stored, or if that is not known yet. It does not change after
   * {@link stored} has resolved.
   */
  readonly warning: string | undefined;
  /**
   * Resolves to `true` when the store has the version, and to `false` if it is in memory only: then {@link warning}
   * says why. It never rejects, because such a handle works, and most callers do not wait for this promise. If the page
   * ends before it resolves, the store keeps the version it had.
   */
  readonly stored: Promise<boolean>;
  /**
   * Reads all bytes.
   *
   * @example
   * const text = new TextDecoder().decode(await app.bytes());
   */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Streams the bytes from the store while the handle is open. A version longer than 32 MiB is verified part by part:
   * if a later part is damaged, the stream fails there.
   *
   * @param start - first byte. Default: 0.
   * @param end - end of the range, exclusive. Default: `length`.
   */
  stream(start?: number, end?: number): ReadableStream<Uint8Array>;
  /**
   * Returns all bytes as a blob, which may stay on the disk. It can be read until the handle is closed or collected.
   *
   * @param type - media type. Default: the type of the URL's extension.
   */
  blob(type?: string): Promise<Blob>;
  /**
   * Like {@link blob}, as a file.
   *
   * @param name - default: the last segment of the URL's path.
   * @param type - media type. Default: the type of the URL's extension.
   */
  file(name?: string, type?: string): Promise<File>;
  /**
   * Creates a URL of the bytes for this page, for `src`, `href` or `fetch`. It is valid until the handle is closed,
   * `URL.revokeObjectURL` is called or the page ends.
   *
   * @param type - media type. Default: the type of the URL's extension.
   * @example
   * image.src = await (await sync('/map.png')).objectUrl();
   */
  objectUrl(type?: string): Promise<string>;
  /**
   * Creates a response with the bytes as body, and with content-length, the version as ETag, and the type of the URL's
   * extension. `WebAssembly.compileStreaming` and service workers accept it as they accept the server's.
   *
   * @param init - status and headers to add or replace. Default: status 200.
   */
  response(init?: ResponseInit): Response;
  /**
   * Lets the store delete the version once there is a newer one. A handle that is garbage-collected closes itself,
   * unless it created an object URL. `using` calls this; `await using` waits for {@link stored} first.
   */
  close(): void;
}

const collectedHandles = new FinalizationRegistry(sendClose);
/** Handles with an object URL: the URL does not keep the handle alive. */
const withUrl = new Set<object>();

/** Creates the handle of a finished sync. */
export function handleOf(url: string, synced: Synced, started: number): Handle {
  const { handle: id, version, length } = synced;
  let { warning, verified } = synced;
  const stored = (verified ? whenStored(id) : Promise.resolve(warning)).then((reason) => {
    warning = reason;
    return warning === undefined;
  });
  const take = () => {
    const taken = verified;
    verified = undefined;
    return taken;
  };
  const content = async () => {
    const taken = take();
    return taken ? new Blob([taken]) : sendRead(id, undefined);
  };
  const read = async (start: number, end: number) => {
    const taken = take();
    return taken
      ? new Uint8Array(taken).subarray(start, end)
      : new Uint8Array((await sendRead(id, [start, end])) as ArrayBuffer);
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
      check(
        [start, end].every(Number.isSafeInteger) && 0 <= start && start <= end && end <= length,
        'a range',
        `within the ${length} bytes`,
        start,
      );
      return streamOf(handle, start, end, read);
    },
    async blob(type = mediaTypeOf(url)) {
      return new Blob([await content()], { type });
    },
    async file(name = fileNameOf(url), type = mediaTypeOf(url)) {
      return new File([await content()], name, { type });
    },
    async objectUrl(type) {
      withUrl.add(handle);
      return URL.createObjectURL(await handle.blob(type));
    },
    response(init) {
      const headers = new Headers({
        'content-length': String(length),
        'content-type': mediaTypeOf(url),
        etag: `"${version}"`,
      });
      new Headers(init?.headers).forEach((value, name) => headers.set(name, value));
      return new Response(handle.stream() as ReadableStream<Uint8Array<ArrayBuffer>>, { ...init, headers });
    },
    close() {
      collectedHandles.unregister(handle);
      withUrl.delete(handle);
      verified = undefined;
      sendClose(id);
    },
  } satisfies Omit<Handle, keyof Disposable | keyof AsyncDisposable> as Handle;
  collectedHandles.register(handle, id, handle);
  return disposable(handle);
}

/** Adds the methods that `using` and `await using` call. Older platforms lack their symbols. */
function disposable(handle: Handle): Handle {
  const { dispose, asyncDispose } = Symbol as Partial<SymbolConstructor>;
  if (dispose) handle[dispose] = handle.close;
  if (asyncDispose) handle[asyncDispose] = () => handle.stored.then(handle.close);
  return handle;
}

function costOf({ cost, opened, answered = opened }: Synced, started: number): Cost {
  const elapsed = now() - started;
  const open = opened - started;
  const answer = Math.max(0, answered - opened);
  return { ...cost, elapsed, times: { open, answer, apply: elapsed - open - answer } };
}

function fileNameOf(url: string): string {
  const name = new URL(url).pathname.replace(/^.*\//, '');
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/**
 * How many bytes are read at once of a version longer than {@link WHOLE}. Each part of the outboard is read whole to
 * verify it. Parts of versions up to 1 GiB are at most this long, so such a stream reads no byte twice.
 */
const SLICE = 1 << 24;
/** The longest version that is read at once. */
const WHOLE = 1 << 25;
/** How many bytes a stream enqueues at once. */
const STREAM_PIECE = 1 << 20;

/**
 * Streams a range. The stream refers to the handle, so that the version stays while it is read. It reads the next slice
 * while the current one is consumed.
 */
function streamOf(
  handle: Handle,
  first: number,
  end: number,
  read: (start: number, end: number) => Promise<Uint8Array>,
): ReadableStream<Uint8Array> {
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
        coming?.catch(() => {}); // The next pull reports it.
      }
      if (0 < slice.length) controller.enqueue(slice.subarray(0, STREAM_PIECE));
      else controller.close();
      slice = slice.subarray(STREAM_PIECE);
      void handle;
    },
  });
}
