import load, { Decoder, Room, Signer, Verifier, Want } from '../../wasm/driblet.js';
import { CALL_TURNS, within } from '../shared/watch.js';
import type { Held, Range } from '../stores/store.js';

export { Decoder, Room, Signer, Verifier, Want };

/** How many bytes are passed to the core at once. */
const ROOM = 1 << 20;

/** How long this thread works before other tasks run, in milliseconds. */
const TIME_SLICE = 8;

/** The longest group of a delta, in bytes. The decoder keeps a group in memory until it is verified. */
const GROUP = 1 << 24;

/** The wasm module, loaded, with the room through which it gets bytes. */
export interface Core {
  readonly room: Room;
  /** The first `length` bytes of the room, to be filled. Valid until the next call into the core. */
  fill(length: number): Uint8Array<ArrayBuffer>;
  /** Bytes of the module's memory. Valid until the next call into the core. */
  view(start: number, end: number): Uint8Array<ArrayBuffer>;
}

/** Loads the module from the URL given, or from beside the script. In Node it is loaded already. */
export async function loadCore(
  url: string | URL = new URL('../../wasm/driblet_bg.wasm', import.meta.url),
): Promise<Core> {
  const abort = new AbortController();
  // End the request, or the next try would wait for the same one.
  const loading = () => load({ module_or_path: new Request(url, { signal: abort.signal }) });
  const { memory } = await within(CALL_TURNS, "driblet's wasm module", loading).finally(() => abort.abort());
  const room = new Room(ROOM);
  const at = room.at;
  return {
    room,
    fill: (length) => new Uint8Array(memory.buffer, at, Math.min(length, ROOM)),
    view: (start, end) => new Uint8Array(memory.buffer, start, end - start),
  };
}

let warmed = false;

/**
 * Allocates the memory for the first long version, and compiles the hash. Callers use it while they wait for the server.
 * Later calls do nothing.
 */
export function warm({ room }: Core, length: number): void {
  if (warmed) return;
  warmed = true;
  new Room(Math.min(length, GROUP)).free();
  const verifier = new Verifier('0'.repeat(64), ROOM, new Uint8Array());
  verifier.update(room, ROOM);
  verifier.free();
}

let lastYield = 0;

/**
 * Lets other tasks run if this thread has worked for long. The thread may be a page's, and aborts arrive as messages.
 */
export function yieldIfDue(): Promise<void> | undefined {
  if (performance.now() < lastYield + TIME_SLICE) return undefined;
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel(); // Timers wait for longer.
    port1.onmessage = () => {
      port1.close();
      lastYield = performance.now();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

/** Copies bytes into the room, one roomful at a time. Yields how many bytes the room has. */
export function* roomfuls(core: Core, bytes: Uint8Array): Generator<number> {
  for (let at = 0; at < bytes.length; at += ROOM) {
    const piece = bytes.subarray(at, at + ROOM);
    core.fill(piece.length).set(piece);
    yield piece.length;
  }
}

/**
 * Reads a range of a stored version through the room. `take` is called with the number of bytes in it. Resolves to
 * `false` if the file is too short.
 */
export async function readThrough(
  core: Core,
  held: Held,
  [start, end]: Range,
  take: (length: number) => Promise<void> | undefined | void,
): Promise<boolean> {
  for (let at = start; at < end; at += ROOM) {
    const ready = held.ready?.([[at, Math.min(end, at + ROOM)]]);
    if (ready) await ready;
    const piece = core.fill(end - at);
    if (held.read(piece, at) !== piece.length) return false;
    const taking = take(piece.length);
    if (taking) await taking;
    await yieldIfDue();
  }
  return true;
}
