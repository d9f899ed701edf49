import type { Core, Decoder, Decoders } from './core.js';
import type { Session } from './session.js';
import type { Held } from '../stores/store.js';

/** The bytes that a delta copies from. */
export interface Basis {
  /** Loads a range so that `fill` can read it; undefined if that takes no time. */
  ready(start: number, end: number): Promise<void> | undefined;
  /** Fills the core's room with the bytes of a range. Returns how many there were. */
  fill(core: Core, start: number, end: number): number;
}

/** The stored version, as a basis. */
export function basisOf(held: Held | undefined): Basis | undefined {
  if (!held) return undefined;
  return {
    ready: (start, end) => held.ready?.([[start, end]]),
    fill: (core, start, end) => held.read(core.fill(end - start), start),
  };
}

/** The decoder for a delta from the stored version, or from nothing. */
export function decoderFor(decoders: Decoders, { maxBytes }: Session, held: Held | undefined): Decoder {
  return held ? decoders.version(held.version, held.length, maxBytes) : decoders.none(maxBytes);
}
