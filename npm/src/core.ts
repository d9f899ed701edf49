import load, { Decoder, Room, Signer, VersionHasher, Want } from '../wasm/driblet.js';
import type { Held } from './store.js';

export { Decoder, Room, Signer, Want };

/** How much is handed to the core at once. */
const ROOM = 1 << 20;

/** How much is read before others have their turn. */
const TURN = 1 << 25;

/** The longest group that is verified at once. */
const GROUP = 1 << 24;

/** The wasm module, ready, with the room through which bytes go in. */
export interface Core {
  readonly room: Room;
  /** The first `length` bytes of the room, to be filled. Stands until the next call into the core. */
  fill(length: number): Uint8Array<ArrayBuffer>;
  /** Bytes of the module's memory. Stands until the next call into the core. */
  view(start: number, end: number): Uint8Array<ArrayBuffer>;
}

/** Loads the module: from beside the script, or from the URL or the bytes that are given. */
export async function loadCore(module?: BufferSource | string): Promise<Core> {
  const { memory } = await load({ module_or_path: module ?? new URL('../wasm/driblet_bg.wasm', import.meta.url) });
  const room = new Room(ROOM);
  const at = room.at;
  return {
    room,
    fill: (length) => new Uint8Array(memory.buffer, at, Math.min(length, ROOM)),
    view: (start, end) => new Uint8Array(memory.buffer, start, end - start),
  };
}

let warmed = false;

/** Does once, while there is nothing else to do, what the first long version would wait for: getting its memory, compiling the hash. */
export function warm({ room }: Core, length: number): void {
  if (warmed) return;
  warmed = true;
  new Room(Math.min(length, GROUP)).free();
  const hasher = new VersionHasher();
  hasher.update(room, ROOM);
  hasher.free();
}

/** Copies bytes into the room, a roomful at a time, and calls `take` with the number after each. */
export function pour(core: Core, bytes: Uint8Array, take: (length: number) => void): void {
  for (let at = 0; at < bytes.length; at += ROOM) {
    const piece = bytes.subarray(at, at + ROOM);
    core.fill(piece.length).set(piece);
    take(piece.length);
  }
}

/** Reads all of a version through the room; `false` where its file is too short. */
export async function readThrough(core: Core, held: Held, take: (length: number) => void): Promise<boolean> {
  for (let at = 0; at < held.length; at += ROOM) {
    const ready = held.ready?.([[at, Math.min(held.length, at + ROOM)]]);
    if (ready) await ready;
    const piece = core.fill(held.length - at);
    if (held.read(piece, at) !== piece.length) return false;
    take(piece.length);
    // This thread has others to answer.
    if (at % TURN === TURN - ROOM) await new Promise((resolve) => setTimeout(resolve));
  }
  return true;
}

/** Whether what is held is the version that it is held for; `take` sees its bytes, a roomful at a time, whatever it is. */
export async function isWhole(core: Core, held: Held, take?: (length: number) => void): Promise<boolean> {
  const hasher = new VersionHasher();
  const hash = (length: number) => {
    hasher.update(core.room, length);
    take?.(length);
  };
  try {
    return (await readThrough(core, held, hash)) && hasher.finalize() === held.version;
  } finally {
    hasher.free();
  }
}
