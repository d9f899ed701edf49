import { Buffer } from 'buffer';
import load, { Asked, Came, Chunks, Receiver, Sender, hash } from '../../wasm-browser-sync-stream/driblet.js';
import module from '../../wasm-browser-sync-stream/driblet_bg.wasm';
import { asSyncError } from '../shared/error.js';

/*
 * browser-sync-stream's wasm module. It lies in the script as base64, for the script must work where the original did: `require`d by browserify, as ESM and
 * as CommonJS, in Node and in pages. No one form of "the file beside this one" is known to all of these, and text is. It is read
 * when the first stream starts, since a page's thread may not compile that much at once.
 */

/** The module, ready. */
export interface Core {
  readonly Chunks: typeof Chunks;
  readonly Receiver: typeof Receiver;
  readonly Sender: typeof Sender;
  readonly hash: typeof hash;
  /** Copies bytes out of the module's memory, behind `room` bytes that are the caller's to fill. */
  copy(start: number, end: number, room: number): Buffer;
}

export { Asked, Came };
export type { Chunks, Receiver, Sender };

let loading: Promise<Core> | undefined;

/** Loads the module, once; where that fails, the next stream tries again. */
export function loadCore(): Promise<Core> {
  loading ??= start().catch((error) => {
    loading = undefined;
    throw asSyncError('network', "the wasm module did not start (a page's policy must have script-src 'wasm-unsafe-eval')", error);
  });
  return loading;
}

async function start(): Promise<Core> {
  const { memory } = await load({ module_or_path: await WebAssembly.compile(Buffer.from(module, 'base64')) });
  const copy = (start: number, end: number, room: number) => {
    const bytes = Buffer.allocUnsafe(room + end - start);
    bytes.set(new Uint8Array(memory.buffer, start, end - start), room);
    return bytes;
  };
  return { Chunks, Receiver, Sender, hash, copy };
}
