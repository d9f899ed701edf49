import { Decoder } from './core.js';
import type { Core } from './core.js';
import type { Session } from './session.js';
import type { Held } from '../stores/store.js';

/** The bytes that a delta copies from. */
export interface Basis {
  /** Brings a range to where `fill` finds it; nothing where that takes no time. */
  ready(start: number, end: number): Promise<void> | undefined;
  /** Fills the core's room with the bytes of a range; gives how many there were. */
  fill(core: Core, start: number, end: number): number;
}

/** What is held, as a basis. */
export function basisOf(held: Held | undefined): Basis | undefined {
  if (!held) return undefined;
  return {
    ready: (start, end) => held.ready?.([[start, end]]),
    fill: (core, start, end) => held.read(core.fill(end - start), start),
  };
}

/** The machine for a delta from what is held. */
export function decoderFor({ maxBytes }: Session, held: Held | undefined): Decoder {
  return held ? Decoder.version(held.version, held.length, maxBytes) : Decoder.none(maxBytes);
}
