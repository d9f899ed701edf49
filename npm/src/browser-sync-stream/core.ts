import { Buffer } from 'buffer';
import load, { Asked, Came, Chunks, Receiver, Sender, hash } from '../../wasm-browser-sync-stream/driblet.js';
import module from '../../wasm-browser-sync-stream/driblet_bg.wasm';
import { asSyncError } from '../shared/error.js';

/*
 * The wasm module for browser-sync-stream's wire. It is part of the script, as base64, because the script must work
 * wherever browser-sync-stream does: bundled by browserify, as ESM and as CommonJS, in Node and in pages. These have no
 * common way to name a file beside the script. The module is compiled when the first stream starts, since a page's
 * thread may not compile that much synchronously.
 */

/** The module, loaded. */
export interface StreamCore {
  readonly Chunks: typeof Chunks;
  readonly Receiver: typeof Receiver;
  readonly Sender: typeof Sender;
  readonly hash: typeof hash;
  /** Copies bytes out of the module's memory, after `room` bytes that the caller fills. */
  copy(start: number, end: number, room: number): Buffer;
}

export { Asked, Came };
export type { Chunks, Receiver, Sender };

let loading: Promise<StreamCore> | undefined;

/** Loads the module once. If that fails, the next stream tries again. */
export function loadStreamCore(): Promise<StreamCore> {
  loading ??= start().catch((error) => {
    loading = undefined;
    throw asSyncError(
      'network',
      "the wasm module did not start (a page's content security policy must allow script-src 'wasm-unsafe-eval')",
      error,
    );
  });
  return loading;
}

async function start(): Promise<StreamCore> {
  const { memory } = await load({ module_or_path: await WebAssembly.compile(Buffer.from(module, 'base64')) });
  const copy = (start: number, end: number, room: number) => {
    const bytes = Buffer.allocUnsafe(room + end - start);
    bytes.set(new Uint8Array(memory.buffer, start, end - start), room);
    return bytes;
  };
  return { Chunks, Receiver, Sender, hash, copy };
}
