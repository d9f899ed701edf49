import loadAllCodecs, {
  Decoder as AllCodecsDecoder,
  Room as AllCodecsRoom,
  Signer,
} from '../../wasm/codecs/driblet.js';
import load, { Decoder, Room, Verifier, Want } from '../../wasm/driblet.js';
import { CodecsMissing } from './codecs.js';
import { ROOM, answerable, loadModule, loadedOnce, yieldIfDue } from '../shared/module.js';
import type { Module } from '../shared/module.js';
import type { Held, Range } from '../stores/store.js';

export { Decoder, Room, Signer, Verifier, Want };

/** The longest group of a delta, in bytes. The decoder keeps a group in memory until it is verified. */
const GROUP = 1 << 24;

/** The wasm module for files, loaded. */
export type Core = Module<Room>;

/** Loads the module once, from the URL given or from beside the script. In Node it is loaded already. */
export const loadCore = loadedOnce((url: string | URL = new URL('../../wasm/driblet_bg.wasm', import.meta.url)) =>
  loadModule(url, load, (length) => new Room(length)),
);

/** What makes the decoders of a module. */
export type Decoders = Pick<typeof Decoder, 'none' | 'version'>;

/** The decoders of the wasm module with all codecs. */
export const allCodecs = AllCodecsDecoder;

/**
 * Loads the wasm module with all codecs once. It is needed for deltas in the codecs that take most code, and for
 * signatures.
 */
export async function loadCodecs(url?: string | URL): Promise<Core> {
  try {
    return await codecs(url);
  } catch (error) {
    throw new CodecsMissing(error);
  }
}

const answered = answerable(loadAllCodecs);

/** Has a function answer the request for the module with all codecs, in place of the network. */
export const respondToCodecs = answered.respond;

const codecs = loadedOnce((url: string | URL = new URL('../../wasm/codecs/driblet_bg.wasm', import.meta.url)) =>
  loadModule(url, answered.load, (length) => new AllCodecsRoom(length)),
);

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
