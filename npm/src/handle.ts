import { sendClose, sendRead, whenStored } from './client.js';
import type { Cost, Synced } from './messages.js';

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
  /** Its bytes as they are read from the store. */
  stream(): ReadableStream<Uint8Array>;
  /** A response with its bytes for a body, its length and its version as ETag; `init` adds to that. */
  response(init?: ResponseInit): Response;
  /** Lets the store delete the version once there is a newer one. Happens by itself when the handle is collected. */
  close(): void;
}

const collected = new FinalizationRegistry(sendClose);

/** The handle of a finished sync. */
export function handleOf(synced: Synced, elapsed: number): Handle {
  const { handle: id, version, length, cost } = synced;
  let { warning, verified } = synced;
  const stored = whenStored(synced).then((failed) => {
    warning = failed;
  });
  const take = () => {
    const taken = verified;
    verified = undefined;
    return taken;
  };
  const handle: Handle = {
    version,
    length,
    cost: { ...cost, elapsed },
    get warning() {
      return warning;
    },
    stored,
    async bytes() {
      return new Uint8Array(take() ?? (await sendRead(id, 'bytes')));
    },
    stream() {
      return streamOf(handle, async () => {
        const taken = take();
        return taken ? new Blob([taken]) : sendRead(id, 'blob');
      });
    },
    response(init) {
      const headers = new Headers({ 'content-length': String(length), etag: `"${version}"` });
      new Headers(init?.headers).forEach((value, name) => headers.set(name, value));
      return new Response(handle.stream() as ReadableStream<Uint8Array<ArrayBuffer>>, { ...init, headers });
    },
    close() {
      collected.unregister(handle);
      verified = undefined;
      sendClose(id);
    },
  };
  collected.register(handle, id, handle);
  return handle;
}

/** The stream holds the handle, so that the version stays while it is read. */
function streamOf(handle: Handle, content: () => Promise<Blob>): ReadableStream<Uint8Array> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  return new ReadableStream({
    async pull(controller) {
      reader ??= (await content()).stream().getReader();
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
      void handle;
    },
    async cancel(reason) {
      await reader?.cancel(reason);
    },
  });
}
